"""Ops that run a user's NumPy code. The native executor calls these functions too.

Users get views that they can't write through. What they return is checked and copied: it may be an
array that they keep, and change later.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.backends.numpy_losses import loss_op
from pybp.backends.numpy_step import Arrays, Step
from pybp.program.ops import Call, CallGrad, CallLoss


def _call(op: Call, a: Arrays, step: Step) -> Arrays:
    function = step.functions[op.function]
    xs, params = _views([a["x"], *a["others"]]), _views(a["params"])
    y = function.forward(xs, params)
    what = f"{function.title}: forward"
    return {"y": _checked(what, y, (len(a["x"]), *op.shape), a["x"].dtype)}


def _call_grad(op: CallGrad, a: Arrays, step: Step) -> Arrays:
    function = step.functions[op.function]
    xs, params = [a["x"], *a["others"]], a["params"]
    y, dy = _views([a["y"], a["dy"]])
    dxs, dparams = function.backward(_views(xs), y, dy, _views(params))
    what = f"{function.title}: backward"
    dx, *dothers = (
        _checked(f"{what}, gradient of input {i}", dxs[i], x.shape, x.dtype) if name else None
        for i, (name, x) in enumerate(zip((op.dx, *op.dothers), xs, strict=True))
    )
    found = [
        _checked(f"{what}, gradient of {function.parameters[i]}", dparams[i], p.shape, p.dtype)
        if name
        else None
        for i, (name, p) in enumerate(zip(op.dparams, params, strict=True))
    ]
    if op.accumulate:
        before = a["dparams"]
        found = [g if g is None else before[i] + g for i, g in enumerate(found)]
    return {"dx": dx, "dothers": dothers, "dparams": found}


def _call_loss(op: CallLoss, a: Arrays, step: Step) -> Arrays:
    written, total, divisor = loss_op(op, a, step.rows, _terms(op, a, step))
    step.results[op.result] += total
    step.results[op.result + 1] += divisor
    return written


def _terms(op: CallLoss, a: Arrays, step: Step) -> tuple[Array, Array, Array]:
    """Return the losses, their slopes by the prediction, and what each counts."""
    function = step.functions[op.function]
    p, t = _views([a["prediction"], a["target"]])
    found = function.forward(p, t)
    axes = _axes_of(found, p) if op.axes < 0 else 1 + op.axes
    losses = _checked(f"{function.title}: forward", found, p.shape[:axes], p.dtype)
    w = a.get("weight")
    if w is not None and w.shape != losses.shape[: w.ndim]:
        raise ValueError(
            f"{function.title}: the weights of shape {w.shape} don't lead its losses, "
            f"{losses.shape}"
        )
    if not op.dy:
        return losses, np.zeros_like(p), np.ones_like(losses)
    slopes = function.backward(p, t)
    slopes = _checked(f"{function.title}: backward", slopes, p.shape, p.dtype)
    return losses, slopes, np.ones_like(losses)


def _axes_of(losses: Any, p: Array) -> int:
    """Return how many leading axes of the prediction the losses have: at least that of the rows."""
    return min(max(np.ndim(losses), 1), p.ndim) if isinstance(losses, np.ndarray) else 1


def _views(arrays: list[Array]) -> list[Array]:
    """Return views that refuse to be written through."""
    views = [array.view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return views


def _checked(what: str, found: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return a copy of what a user's function has returned.

    Raises
    ------
    ValueError
        For anything but an array of this shape and dtype.
    """
    expected = f"{what} must return an array of shape {shape}, {dtype}"
    if not isinstance(found, np.ndarray | np.generic):
        raise ValueError(f"{expected}, got {'None' if found is None else type(found).__name__}")
    if found.shape != shape or found.dtype != dtype:
        raise ValueError(f"{expected}, got shape {found.shape}, {found.dtype}")
    return np.array(found, order="C")


CALL_OPS: dict[Any, Any] = {Call: _call, CallGrad: _call_grad, CallLoss: _call_loss}
