"""Where a loss became NaN: the step is run again in NumPy, op by op."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pybp.arrays import Array
from pybp.backends.numpy_executor import NumpyExecutor
from pybp.data.feeding import Fed
from pybp.nets.network import Network
from pybp.nets.programs import Bound
from pybp.program.ops import Op
from pybp.program.program import DATA_ROLES, Program


def nan_error(net: Network, bound: Bound, fed: Fed, step: int) -> FloatingPointError:
    """Return the error for a step whose loss is NaN; the net is as it was before this step."""
    number = net.state.steps + step
    where = _find(net, bound, fed, step) or "no array in it could be found to hold NaN first"
    return FloatingPointError(
        f"the loss is NaN in training step {number} (counted from 0): {where}; the parameters are "
        "those before this step. A smaller rate, clip_norm=, or other data may help"
    )


def _find(net: Network, bound: Bound, fed: Fed, step: int) -> str:
    """Return what the first NaN of a step is, or "" where NumPy finds none."""
    program = bound.program
    fixed = {name: np.array(array) for name, array in bound.fixed.items()}  # a step changes some
    for name, array in fixed.items():
        if program.buffers[name].role in ("param", "buffer") and np.isnan(array).any():
            return f"{name} holds NaN, from an earlier step"
    rows = fed.starts[step : step + 2]
    found = _nan_in_data(net, program, fed, rows)
    if found:
        return found
    executor = NumpyExecutor(program, fixed, 0, max_packed=(), keep_forward=True)
    results = np.zeros((1, 2 * len(program.results)))
    nothing = np.zeros((1, 0))
    seed_and_step = (net.seed, net.state.steps + step)
    for begin, end, op in _forward(program):
        with np.errstate(all="ignore"):
            executor.run(
                *(fed.data, fed.order, rows, nothing, results, *seed_and_step, begin, end),
                fed.spans,
            )
        if _makes_nan(program, executor, op) or np.isnan(results).any():
            return f"it begins {_place(net, op)}"
    return ""


def _nan_in_data(net: Network, program: Program, fed: Fed, rows: Array) -> str:
    """Return which row of the caller's arrays holds NaN, "" for none."""
    places = np.arange(*rows) if fed.order is None else fed.order[rows[0] : rows[1]]
    names = dict(zip((port.name for port in net.recipe.ports), net.made.intake.names, strict=True))
    for buffer, array in zip(program.of_role(*DATA_ROLES), fed.data, strict=True):
        if array is None or buffer.role == "output" or array.dtype.kind != "f":
            continue
        for row in places.tolist():
            if buffer.packing is None:
                values = array[row]
            else:
                first, length = (int(span[row]) for span in fed.spans[buffer.packing])
                values = array[first : first + length]
            if np.isnan(values).any():
                return f"{names.get(buffer.name, buffer.name)} holds NaN in row {row}"
    return ""


def _forward(program: Program) -> Iterator[tuple[int, int, Op]]:
    """Yield the range of each op before the backward part, a loop with all of its ops."""
    places = [(place, op) for place, op in program.outer() if place < program.backward_start]
    ends = [*(place for place, _ in places[1:]), program.backward_start]
    for (place, op), end in zip(places, ends, strict=True):
        yield place, end, op


def _makes_nan(program: Program, executor: NumpyExecutor, op: Op) -> bool:
    real = [name for name in op.outputs() if program.buffers[name].dtype == "real"]
    return any(bool(np.isnan(executor.read(name, 0)).any()) for name in real)


def _place(net: Network, op: Op) -> str:
    """Return which layer an op belongs to, by the names of its parameters and values."""
    names = [*op.inputs(), *op.outputs()] if op.outputs() else []
    paths = sorted({node.path for node in net.graph.nodes}, key=len, reverse=True)
    for name in reversed(names):
        for path in paths:
            if name.startswith(f"{path}."):
                layer = next(node.layer for node in net.graph.nodes if node.path == path)
                return f"in layer {path} ({type(layer).__name__})"
    return f"in the {op.kind.replace('_', ' ')}"
