"""The steps of optimisers, and what acts on gradients and weights around them, in NumPy.

Updates change their arrays in place, since parameters are views that the caller holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.backends.numpy_step import Arrays, Step
from pybp.program.ops import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    ClipNorm,
    ClipValue,
    MaxNorm,
    Nadam,
    Op,
    Penalty,
    Radam,
    RMSProp,
    SGDDense,
    Update,
)


def _scalars(op: Any, a: Arrays, step: Step) -> Array:
    """Return the scalars of the step in the dtype of w; the rate leads them."""
    hyper = step.hyper.copy()
    hyper[0] *= op.scale
    return hyper.astype(a["w"].dtype)


def _sgd(op: SGD, a: Arrays, step: Step) -> Arrays:
    lr, sign, weight_decay, momentum, gain = _scalars(op, a, step)
    g = sign * a["g"] + weight_decay * a["w"]
    if op.v:
        a["v"][...] = momentum * a["v"] + gain * g
        g = g + momentum * a["v"] if op.nesterov else a["v"]
    a["w"] -= lr * g
    return {}


def _sgd_dense(op: SGDDense, a: Arrays, step: Step) -> Arrays:
    lr, sign, weight_decay, _, _ = _scalars(op, a, step)
    x = a["x"].reshape(-1, a["x"].shape[-1])
    dy = a["dy"].reshape(-1, a["dy"].shape[-1])
    a["w"] -= lr * (sign * (x.T @ dy) + weight_decay * a["w"])
    if op.b:
        a["b"] -= lr * (sign * np.sum(dy, axis=0) + weight_decay * a["b"])
    return {}


def _means(op: Adam | Nadam | Radam, a: Arrays, scalars: Array) -> Array:
    """Take the decay and both means of Adam and its kin; return the gradient."""
    w = a["w"]
    lr, sign, weight_decay, beta1, gain1, beta2, gain2 = scalars[:7]
    g = sign * a["g"]
    if op.decoupled:
        w *= 1 - lr * weight_decay
    else:
        g = g + weight_decay * w
    a["m"][...] = beta1 * a["m"] + gain1 * g
    a["v"][...] = beta2 * a["v"] + gain2 * g * g
    return g


def _adam(op: Adam, a: Arrays, step: Step) -> Arrays:
    scalars = _scalars(op, a, step)
    lr, eps, correction1, root2 = scalars[[0, 7, 8, 9]]
    _means(op, a, scalars)
    v = a["v"]
    if op.vmax:
        v = a["vmax"][...] = np.maximum(a["vmax"], v)
    a["w"] -= lr / correction1 * a["m"] / (np.sqrt(v) / root2 + eps)
    return {}


def _nadam(op: Nadam, a: Arrays, step: Step) -> Arrays:
    scalars = _scalars(op, a, step)
    lr, eps, slope_part, mean_part, root2 = scalars[[0, 7, 8, 9, 10]]
    g = _means(op, a, scalars)
    a["w"] -= (lr * slope_part * g + lr * mean_part * a["m"]) / (np.sqrt(a["v"]) / root2 + eps)
    return {}


def _radam(op: Radam, a: Arrays, step: Step) -> Arrays:
    scalars = _scalars(op, a, step)
    lr, eps, correction1, rectifier = scalars[[0, 7, 8, 9]]
    _means(op, a, scalars)
    move = lr / correction1 * a["m"]
    a["w"] -= move * rectifier / (np.sqrt(a["v"]) + eps) if rectifier else move
    return {}


def _adamax(op: Adamax, a: Arrays, step: Step) -> Arrays:
    lr, sign, weight_decay, beta1, gain1, beta2, eps, correction1 = _scalars(op, a, step)
    g = sign * a["g"] + weight_decay * a["w"]
    a["m"][...] = beta1 * a["m"] + gain1 * g
    a["u"][...] = np.maximum(beta2 * a["u"], np.abs(g) + eps)
    a["w"] -= lr / correction1 * a["m"] / a["u"]
    return {}


def _adagrad(op: Adagrad, a: Arrays, step: Step) -> Arrays:
    lr, sign, weight_decay, eps = _scalars(op, a, step)
    g = sign * a["g"] + weight_decay * a["w"]
    a["sum"] += g * g
    a["w"] -= lr * g / (np.sqrt(a["sum"]) + eps)
    return {}


def _rms_prop(op: RMSProp, a: Arrays, step: Step) -> Arrays:
    lr, sign, weight_decay, alpha, gain, eps, momentum = _scalars(op, a, step)
    g = sign * a["g"] + weight_decay * a["w"]
    a["v"][...] = alpha * a["v"] + gain * g * g
    v = a["v"]
    if op.m:
        a["m"][...] = alpha * a["m"] + gain * g
        v = np.maximum(v - a["m"] * a["m"], 0)
    move = g / (np.sqrt(v) + eps)
    if op.velocity:
        move = a["velocity"][...] = momentum * a["velocity"] + move
    a["w"] -= lr * move
    return {}


def _adadelta(op: Adadelta, a: Arrays, step: Step) -> Arrays:
    lr, sign, weight_decay, rho, gain, eps = _scalars(op, a, step)
    g = sign * a["g"] + weight_decay * a["w"]
    a["v"][...] = rho * a["v"] + gain * g * g
    move = np.sqrt(a["u"] + eps) / np.sqrt(a["v"] + eps) * g
    a["u"][...] = rho * a["u"] + gain * move * move
    a["w"] -= lr * move
    return {}


def _by_rows(update: Callable[..., Arrays]) -> Callable[..., Arrays]:
    """Return an update that, where the op names rows, changes only these of w and the states."""

    def run(op: Update, a: Arrays, step: Step) -> Arrays:
        if "rows" not in a:
            return update(op, a, step)
        rows = a["rows"].ravel()
        named = rows[rows >= 0]
        changed = [field for field in op.writes if field in a]
        part = {field: a[field][named] for field in changed}
        update(op, part | {"g": a["g"].reshape(-1, a["g"].shape[-1])[rows >= 0]}, step)
        for field in changed:
            a[field][named] = part[field]
        return {}

    return run


# ------------------------------------------------------------------------- around the updates


def _counted(g: Array, rows: Array | None) -> Array:
    """Return a view of the gradients that count: all, or those of the rows that are named."""
    if rows is None:
        return g
    return g.reshape(-1, g.shape[-1])[: np.count_nonzero(rows >= 0)]


def _penalty(op: Penalty, a: Arrays, step: Step) -> Arrays:
    w, l1, l2 = a["w"], a["w"].dtype.type(op.l1), a["w"].dtype.type(op.l2)
    if op.rows:
        rows = a["rows"].ravel()
        w = w[rows[rows >= 0]]
    g = _counted(a["g"], a.get("rows"))
    g += l2 * w + l1 * np.sign(w)
    return {}


def _clip_value(op: ClipValue, a: Arrays, step: Step) -> Arrays:
    g = _counted(a["g"], a.get("rows"))
    np.clip(g, -op.limit, op.limit, out=g)
    return {}


def _clip_norm(op: ClipNorm, a: Arrays, step: Step) -> Arrays:
    gradients = [_counted(g, rows) for g, rows in zip(a["gradients"], a["rows"], strict=True)]
    factor = op.limit / (_norm(gradients) + 1e-6)
    if not factor >= 1:  # a NaN goes into all of them
        with np.errstate(invalid="ignore"):
            for g in gradients:
                g[...] = g * np.float64(factor)
    return {}


def _norm(arrays: list[Array]) -> float:
    """Return the 2-norm of all numbers, whatever their size."""
    unit = 2.0**-600  # keeps the squares of large doubles finite
    with np.errstate(over="ignore"):
        norm = np.sqrt(sum(np.sum(np.square(g, dtype=np.float64)) for g in arrays))
    if np.isinf(norm):
        norm = np.sqrt(sum(np.sum(np.square(g * np.float64(unit))) for g in arrays)) / unit
    return float(norm)


def _max_norm(op: MaxNorm, a: Arrays, step: Step) -> Arrays:
    w = a["w"]
    norms = np.sqrt(np.sum(np.square(w, dtype=np.float64), axis=tuple(range(w.ndim - 1))))
    above = norms > op.limit
    w[..., above] = w[..., above] * (op.limit / norms[above])
    return {}


UPDATE_OPS: dict[type[Op], Callable[..., Arrays]] = {
    SGD: _by_rows(_sgd),
    SGDDense: _sgd_dense,
    Adam: _by_rows(_adam),
    Nadam: _by_rows(_nadam),
    Radam: _by_rows(_radam),
    Adamax: _by_rows(_adamax),
    Adagrad: _by_rows(_adagrad),
    RMSProp: _by_rows(_rms_prop),
    Adadelta: _by_rows(_adadelta),
    Penalty: _penalty,
    ClipValue: _clip_value,
    ClipNorm: _clip_norm,
    MaxNorm: _max_norm,
}
