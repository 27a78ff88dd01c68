"""The value and the gradient of a loss by hand: a program of one op, kept for the next call."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np

from pybp import backends
from pybp.arrays import FLOAT_TYPES, Array
from pybp.data import inputs
from pybp.losses import Judged, Loss, Target, add_loss
from pybp.program.ops import N, Shape
from pybp.program.program import Program

_MOST = 64  # programs that are kept; then all are dropped
_NOTHING = np.zeros((1, 0))


class _Case(NamedTuple):
    """What a loss program depends on."""

    shape: Shape  # of one sample of the prediction
    target: Target
    weight: Shape | None
    dtype: str
    backend: str


_kept: dict[tuple[Any, ...], backends.Executor] = {}
_lock = threading.RLock()  # one call at a time uses the workspaces; a user's loss may call others


def value_and_grad(loss: Loss, y_hat: Any, y: Any, sample_weight: Any) -> tuple[Any, Array]:
    """Return a loss and its gradient by the prediction: see ``Loss.value_and_grad``."""
    p, y = inputs.numbers(y_hat, "y_hat"), inputs.numbers(y, "y")
    inputs.same_rows(len(p), y)
    shape, rows = p.shape[1:], len(p)
    values = {"y_hat": p, "target": y}
    weight = None
    if sample_weight is not None:
        values["weight"] = inputs.weights(sample_weight, rows, shape)
        weight = values["weight"].shape[1:]
    dtype = p.dtype.name if p.dtype.name in FLOAT_TYPES else "float64"
    case = _Case(shape, loss.target_of(p, y), weight, dtype, backends.current_backend())
    results = np.zeros((1, 2))
    with _lock:
        executor = _executor(loss, case, rows)
        for name, array in values.items():
            executor.write(name, array)
        executor.run([], None, np.array([0, rows]), _NOTHING, results, 0, 0, 0, 1)
        dy = executor.read("dy", rows)
        if p.dtype.kind == "f":
            dy = dy.astype(p.dtype, copy=False)
        if loss.reduction == "none":
            return executor.read("losses", rows), dy
    total, divisor = float(results[0, 0]), float(results[0, 1])
    if loss.reduction == "sum":
        return total, dy
    return (total / divisor if divisor else 0.0), dy


def _executor(loss: Loss, case: _Case, rows: int) -> backends.Executor:
    """Return the bound program; losses with arrays of their own are bound anew each time."""
    constants = loss.constants(case.shape)
    key = None if constants else _key(loss, case)
    if key is not None and key in _kept and _kept[key].max_rows >= rows:
        return _kept[key]
    program = _program(loss, case)
    fixed = {
        name: np.ascontiguousarray(array, FLOAT_TYPES[case.dtype])
        for name, array in constants.items()
    }
    executor = backends.make_executor(case.backend, program, fixed, rows)
    if key is not None:
        if len(_kept) >= _MOST:
            _kept.clear()
        _kept[key] = executor
    return executor


def _key(loss: Loss, case: _Case) -> tuple[Any, ...] | None:
    """Return what a program is found by, None for a user's loss whose fields are no such thing."""
    key = (type(loss), *loss.to_dict().values(), *case)
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _program(loss: Loss, case: _Case) -> Program:
    program = Program("loss", case.dtype)
    program.add_buffer("y_hat", (N, *case.shape), "value")
    add_loss(
        program,
        loss,
        Judged.of("y_hat", "", case.weight is not None),
        case.target,
        case.weight,
        roles=("value", "value"),
        dy="dy",
        losses="losses" if loss.reduction == "none" else "",
    )
    program.verify()
    return program
