"""Losses and their gradients in NumPy: the definition.

Each function gets the op and its arrays and returns ``(losses, slopes, weights)``: the unreduced
losses [positions], their derivatives by the prediction [prediction's shape], and how much each
position counts in the divisor of "mean" [positions]. ``loss_op`` applies sample weights, scale and
reduction, the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.backends.numpy_activations import sigmoid, softplus
from pybp.program.ops import (
    BCEWithLogitsLoss,
    DistributionLoss,
    ElementwiseLoss,
    LabelLoss,
    Loss,
    NormLoss,
)

Terms = tuple[Array, Array, Array]


def log_softmax(x: Array, axis: int = -1) -> Array:
    """Return x minus the logarithm of the sum of exp(x) along an axis, without overflow."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def loss_op(
    op: Loss, arrays: dict[str, Any], samples: int, terms: Terms | None = None
) -> tuple[dict[str, Array], float, float]:
    """Return what the op writes (dy, losses), and its two results.

    ``terms`` are those of the op, where it has none in the table.
    """
    p = arrays["prediction"]
    if terms is None:
        terms = LOSS_TERMS[type(op)](op, arrays, p, arrays["target"])
    losses, slopes, counts = terms
    w = arrays.get("weight")
    if w is None:
        w = np.ones(len(p), p.dtype)
    by_position = w.reshape(w.shape + (1,) * (losses.ndim - w.ndim))
    by_element = w.reshape(w.shape + (1,) * (p.ndim - w.ndim))
    # a position that weighs 0 counts nothing, even where its loss is NaN or infinite
    losses = np.where(by_position == 0, 0, op.scale * by_position * losses).astype(p.dtype)
    divisor = _divisor(op.reduction, by_position * counts, w)
    if op.reduction == "samples":
        divisor = float(samples)
    factor = op.scale / divisor if divisor else 0.0
    dy = np.where(by_element == 0, 0, factor * by_element * slopes).astype(p.dtype)
    return {"dy": dy, "losses": losses}, float(np.sum(losses, dtype=np.float64)), divisor


def _divisor(reduction: str, counts: Array, weight: Array) -> float:
    if reduction == "mean":
        return float(np.sum(counts, dtype=np.float64))
    if reduction == "batch":
        return float(np.sum(weight, dtype=np.float64)) if weight.ndim == 1 else float(len(weight))
    return 1.0


def _elementwise(op: ElementwiseLoss, arrays: dict[str, Any], p: Array, t: Array) -> Terms:
    value, slope = ELEMENTWISE[op.function]
    losses = value(p, t, op.parameter)
    if op.full:
        stirling = t * np.log(np.maximum(t, 1)) - t + np.log(2 * np.pi * np.maximum(t, 1)) / 2
        losses = losses + np.where(t > 1, stirling, 0)
    return losses, slope(p, t, op.parameter), np.ones_like(p)


def _huber(p: Array, t: Array, delta: float) -> Array:
    error = np.abs(p - t)
    return np.where(error <= delta, error * error / 2, delta * (error - delta / 2))


def _log(x: Array) -> Array:
    """Return max(log x, -100), as the binary cross entropy of PyTorch."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(x), -100)


def _bce_slope(p: Array, t: Array, _: float) -> Array:
    return (p - t) / np.maximum(p * (1 - p), 1e-12)


def _kl_div(p: Array, t: Array, _: float) -> Array:
    return t * (np.log(np.where(t == 0, 1, t)) - p)


# function -> (loss, slope) of the prediction p, the target t and the parameter
ELEMENTWISE: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "squared": (lambda p, t, _: (p - t) ** 2, lambda p, t, _: 2 * (p - t)),
    "absolute": (lambda p, t, _: np.abs(p - t), lambda p, t, _: np.sign(p - t)),
    "huber": (_huber, lambda p, t, delta: np.clip(p - t, -delta, delta)),
    "quantile": (
        lambda p, t, q: np.maximum(q * (t - p), (q - 1) * (t - p)),
        lambda p, t, q: np.where(p > t, 1 - q, np.where(p < t, -q, 0 * (p - t))),
    ),
    "bce": (lambda p, t, _: -t * _log(p) - (1 - t) * _log(1 - p), _bce_slope),
    "kl_div": (_kl_div, lambda p, t, _: -t),
    "kl_div_log": (lambda p, t, _: np.exp(t) * (t - p), lambda p, t, _: -np.exp(t)),
    "poisson_log": (lambda p, t, _: np.exp(p) - t * p, lambda p, t, _: np.exp(p) - t),
    "poisson_rate": (
        lambda p, t, eps: p - t * np.log(p + eps),
        lambda p, t, eps: 1 - t / (p + eps),
    ),
}


def _bce_with_logits(op: BCEWithLogitsLoss, arrays: dict[str, Any], p: Array, t: Array) -> Terms:
    c = arrays.get("column_weight", p.dtype.type(1))
    q = arrays.get("positive_weight", p.dtype.type(1))
    weight = 1 + (q - 1) * t
    losses = c * ((1 - t) * p + weight * softplus(-p))
    slopes = c * ((1 - t) - weight * sigmoid(-p))
    return losses, slopes, np.ones_like(p)


def _norm(op: NormLoss, arrays: dict[str, Any], p: Array, t: Array) -> Terms:
    norms = np.sqrt(np.sum((p - t) ** 2, axis=-1))
    safe = np.where(norms == 0, 1, norms)
    return norms, (p - t) / safe[..., None], np.ones_like(norms)


def _label(op: LabelLoss, arrays: dict[str, Any], p: Array, labels: Array) -> Terms:
    classes = p.shape[-1]
    c = arrays.get("class_weight", np.ones(classes, p.dtype))
    valid = labels != op.ignore_index
    onehot = np.arange(classes) == np.where(valid, labels, 0)[..., None]
    e = op.label_smoothing
    mixed = c * ((1 - e) * onehot + e / classes) * valid[..., None]  # [positions, classes]
    counts = np.where(valid, c[np.where(valid, labels, 0)], 0).astype(p.dtype)
    losses, slopes = _cross_entropy(mixed, p, logits=op.logits)
    losses = np.where(valid, losses, 0)
    return losses, np.where(valid[..., None], slopes, 0), counts


def _distribution(op: DistributionLoss, arrays: dict[str, Any], p: Array, t: Array) -> Terms:
    classes = p.shape[-1]
    c = arrays.get("class_weight", np.ones(classes, p.dtype))
    e = op.label_smoothing
    mixed = c * ((1 - e) * t + e / classes)
    losses, slopes = _cross_entropy(mixed, p, logits=True)
    return losses, slopes, np.ones_like(losses)


def _cross_entropy(mixed: Array, p: Array, *, logits: bool) -> tuple[Array, Array]:
    """Return ``-sum_j m_j log p_j`` and its slopes, p being logits or log-probabilities."""
    log_p = log_softmax(p) if logits else p
    # 0 * (-inf) counts 0: what has no weight has no say
    losses = -np.sum(np.where(mixed == 0, 0, mixed * log_p), axis=-1)
    if not logits:
        return losses, -mixed
    return losses, np.sum(mixed, axis=-1, keepdims=True) * np.exp(log_p) - mixed


LOSS_TERMS: dict[type[Loss], Callable[..., Terms]] = {
    ElementwiseLoss: _elementwise,
    BCEWithLogitsLoss: _bce_with_logits,
    NormLoss: _norm,
    LabelLoss: _label,
    DistributionLoss: _distribution,
}
