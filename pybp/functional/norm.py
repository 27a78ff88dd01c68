"""Normalisation: over all rows of a channel (batch), or over the last axes of a sample (layer)."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp import layers
from pybp.arrays import Array
from pybp.functional.function import Call, function, given, some


def _affine(weight: Any, bias: Any) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the arrays that are given, and what stands in for one of the two that is not."""
    parameters = some(weight=weight, bias=bias)
    fixed = {}
    if parameters and weight is None:
        fixed["weight"] = np.ones_like(parameters["bias"])
    if parameters and bias is None:
        fixed["bias"] = np.zeros_like(parameters["weight"])
    return parameters, fixed


@function("x", "weight", "bias")
def batch_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    eps: float = 1e-5,
) -> Call:
    """Return ``(x - mean) / sqrt(var + eps) * weight + bias``, channel by channel.

    Parameters
    ----------
    x : array (n, ..., c)
        Rows; the channels are the last axis.
    running_mean, running_var : array (c,), optional
        The statistics. Without them, and with ``training``, they are the mean and the biased
        variance of the batch. They are never changed.
    weight, bias : array (c,), optional
        1 and 0 by default.
    training : bool
        Take the statistics of the batch.
    eps : float
        Added to the variance.

    Returns
    -------
    array (n, ..., c)
    """
    rows = given("x", x)
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var are given together, or neither of them")
    buffers = {} if training else some(running_mean=running_mean, running_var=running_var)
    parameters, fixed = _affine(weight, bias)
    layer = layers.BatchNorm(
        eps=eps,
        affine=bool(parameters),
        track_running_stats=bool(buffers),
        name="batch_norm",
    )
    return Call(layer, {"x": rows}, parameters, fixed, buffers)


@function("x", "weight", "bias")
def layer_norm(
    x: Any, normalized_shape: Any = None, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Call:
    """Normalise each sample over its last axes.

    Parameters
    ----------
    x : array (n, ..., *normalized_shape)
        Rows.
    normalized_shape : int or tuple of int, optional
        The sizes of the axes over which to normalise; the last one by default.
    weight, bias : array of this shape, optional
        1 and 0 by default.
    eps : float
        Added to the variance.

    Returns
    -------
    array of the shape of x
    """
    rows = given("x", x)
    sizes = rows.shape[-1:] if normalized_shape is None else normalized_shape
    sizes = tuple(sizes) if isinstance(sizes, tuple | list) else (sizes,)
    if not sizes or rows.shape[1:][-len(sizes) :] != sizes:
        raise ValueError(
            f"normalized_shape must be the last sizes of the samples of x {rows.shape}, got "
            f"{normalized_shape!r}"
        )
    parameters, fixed = _affine(weight, bias)
    layer = layers.LayerNorm(
        eps,
        elementwise_affine=bool(parameters),
        bias=bool(parameters),
        axes=tuple(range(-len(sizes), 0)),
        name="layer_norm",
    )
    return Call(layer, {"x": rows}, parameters, fixed)
