"""Normalisation in NumPy: over all rows of a channel, or over the trailing axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pybp.arrays import Array
from pybp.backends.numpy_step import Arrays, Step, accumulated, activation, slope
from pybp.program.ops import (
    BatchNorm,
    BatchNormGrad,
    ChannelMoments,
    LayerNorm,
    LayerNormGrad,
    Op,
)


def _rows_of(x: Array) -> tuple[int, ...]:
    """Return all axes but the channels'."""
    return tuple(range(x.ndim - 1))


def _channel_moments(op: ChannelMoments, a: Arrays, step: Step) -> Arrays:
    x = a["x"]
    rows = x.size // x.shape[-1]
    mean = np.mean(x, axis=_rows_of(x))
    var = np.mean((x - mean) ** 2, axis=_rows_of(x))
    written = {"mean": mean, "var": var}
    if op.running_mean:
        written["running_mean"] = (1 - op.momentum) * a["running_mean"] + op.momentum * mean
    if op.running_var:
        # a single row has no variance: layers refuse it, and here 0 stays 0
        unbiased = var * (rows / max(rows - 1, 1))
        written["running_var"] = (1 - op.momentum) * a["running_var"] + op.momentum * unbiased
    return written


def _batch_norm(op: BatchNorm, a: Arrays, step: Step) -> Arrays:
    y = (a["x"] - a["mean"]) / np.sqrt(a["var"] + op.eps)
    if op.gamma:
        y = y * a["gamma"]
    if op.beta:
        y = y + a["beta"]
    return {"y": activation(op.activation, op.alpha, 0.0, y)}


def _batch_norm_grad(op: BatchNormGrad, a: Arrays, step: Step) -> Arrays:
    g, x = a["dy"], a["x"]
    rows = _rows_of(x)
    if op.y:
        g = g * slope(op.activation, op.alpha, 0.0, a["y"])
    rstd = 1 / np.sqrt(a["var"] + op.eps)
    xhat = (x - a["mean"]) * rstd
    scale = a["gamma"] * rstd if op.gamma else rstd
    centred = g
    if op.batch_statistics:
        centred = g - np.mean(g, axis=rows) - xhat * np.mean(g * xhat, axis=rows)
    gradients = {"dgamma": np.sum(g * xhat, axis=rows), "dbeta": np.sum(g, axis=rows)}
    return {"dx": scale * centred, **accumulated(op, a, gradients)}


def _layer_norm(op: LayerNorm, a: Arrays, step: Step) -> Arrays:
    x = a["x"]
    inner = tuple(range(x.ndim - op.axes, x.ndim))
    mean = np.mean(x, axis=inner, keepdims=True)
    var = np.mean((x - mean) ** 2, axis=inner, keepdims=True)
    rstd = 1 / np.sqrt(var + op.eps)
    y = (x - mean) * rstd
    if op.gamma:
        y = y * a["gamma"]
    if op.beta:
        y = y + a["beta"]
    return {"y": y, "mean": np.squeeze(mean, inner), "rstd": np.squeeze(rstd, inner)}


def _layer_norm_grad(op: LayerNormGrad, a: Arrays, step: Step) -> Arrays:
    dy, x = a["dy"], a["x"]
    outer = tuple(range(x.ndim - op.axes))
    inner = tuple(range(x.ndim - op.axes, x.ndim))
    rstd = np.expand_dims(a["rstd"], inner)
    xhat = (x - np.expand_dims(a["mean"], inner)) * rstd
    g = dy * a["gamma"] if op.gamma else dy
    mean_g = np.mean(g, axis=inner, keepdims=True)
    mean_g_xhat = np.mean(g * xhat, axis=inner, keepdims=True)
    gradients = {"dgamma": np.sum(dy * xhat, axis=outer), "dbeta": np.sum(dy, axis=outer)}
    dx = rstd * (g - mean_g - xhat * mean_g_xhat)
    return {"dx": dx, **accumulated(op, a, gradients)}


NORM_OPS: dict[type[Op], Callable[..., Arrays]] = {
    ChannelMoments: _channel_moments,
    BatchNorm: _batch_norm,
    BatchNormGrad: _batch_norm_grad,
    LayerNorm: _layer_norm,
    LayerNormGrad: _layer_norm_grad,
}
