"""Clipping of gradients by hand, between ``net.backward`` and ``optimizer.step(net)``."""

from __future__ import annotations

import numpy as np

from pybp.data import inputs
from pybp.nets.network import Network


def clip_grad_norm(net: Network, max_norm: float, norm_type: float = 2.0) -> float:
    """Scale ``net.grads`` by ``min(1, max_norm / (norm + 1e-6))`` (Pascanu et al. 2013).

    Parameters
    ----------
    net : Network
        Has gradients.
    max_norm : float
        The largest norm of all gradients together, > 0.
    norm_type : float
        2, 1, or any p >= 1 of the p-norm; ``float("inf")`` for the largest absolute value.

    Returns
    -------
    float
        The norm before; NaN or infinite where the gradients are, which then become NaN or 0 as
        the formula says: nothing is hidden.

    Raises
    ------
    ValueError, TypeError
        For a limit that is not finite and > 0, or a norm below 1.
    RuntimeError
        Where there are no gradients.
    """
    limit = _limit(max_norm, "max_norm")
    p = inputs.real_number(norm_type, "norm_type")
    if not p >= 1:
        raise ValueError(f"norm_type must be >= 1, got {norm_type!r}")
    arrays = [net.grads[name] for name in net.params]
    each = [np.abs(array.astype(np.float64)).ravel() for array in arrays]
    norm = float(np.linalg.norm(np.concatenate(each), p)) if each else 0.0
    factor = limit / (norm + 1e-6)
    if not factor >= 1:
        for name, array in zip(net.params, arrays, strict=True):
            net.grads[name] = array * array.dtype.type(factor)
    return norm


def clip_grad_value(net: Network, clip_value: float) -> None:
    """Limit each number of ``net.grads`` to ``-clip_value ... clip_value``; NaN stays NaN.

    Raises
    ------
    ValueError, TypeError
        For a limit that is not finite and > 0.
    RuntimeError
        Where there are no gradients.
    """
    limit = _limit(clip_value, "clip_value")
    for name in net.params:
        net.grads[name] = np.clip(net.grads[name], -limit, limit)


def _limit(value: float, name: str) -> float:
    limit = inputs.real_number(value, name)
    if not 0 < limit < float("inf"):
        raise ValueError(f"{name} must be a finite number > 0, got {value!r}")
    return limit
