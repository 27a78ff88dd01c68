"""Run a program on both executors, op by op, and name the first op that differs.

For whoever looks for an error in a kernel, in the memory plan or in a new op: a wrong result shows
at the end of a step, and this shows where it began.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pybp import backends
from pybp.arrays import Array
from pybp.backends import Spans
from pybp.program.ops import Loop, Op
from pybp.program.packing import Packing
from pybp.program.program import DATA_ROLES, FIXED_ROLES, Program


class Difference(NamedTuple):
    """The first place where the executors disagree."""

    position: int  # of the op in the program
    op: Op
    buffer: str  # what the op wrote
    element: tuple[int, ...]  # the one that differs most
    native: float
    numpy: float

    def __str__(self) -> str:
        return (
            f"op {self.position} ({self.op.kind}) writes {self.buffer}{list(self.element)}: "
            f"native {self.native!r}, numpy {self.numpy!r}; {self.op!r}"
        )


class Inputs(NamedTuple):
    """What a program reads: arrays by buffer, and what else varies from step to step."""

    fixed: dict[str, Array]  # parameters, gradients, states, constants; copied, not changed
    values: dict[str, Array]  # inputs, targets, weights, and values that no op writes; see spans
    rows: int
    hyper: tuple[float, ...] = ()
    seed: int = 0
    step: int = 0
    spans: Spans = ()  # where the rows of each packing lie in the values of its time steps


def first_difference(
    program: Program, given: Inputs, *, tolerance: float = 64.0
) -> Difference | None:
    """Return the first difference between the executors in one step of a program.

    Parameters
    ----------
    program : Program
        Any program.
    given : Inputs
        What it reads.
    tolerance : float
        How many machine epsilons of the largest element an element may differ by.

    Returns
    -------
    Difference or None
        None when all ops agree.
    """
    both = {name: _Run(program, given, name) for name in backends.BACKENDS}
    for position, op in program.outer():
        for run in both.values():
            run.execute(position, position + 1 + (op.count if isinstance(op, Loop) else 0))
        for name in op.outputs():
            native, exact = both["native"].array(name), both["numpy"].array(name)
            index = _worst(native, exact, tolerance)
            if index is not None:
                found = float(native[index]), float(exact[index])
                return Difference(position, op, name, index, *found)
    return None


class _Run:
    """A program bound to one backend, with all data as values, so that it can stop anywhere."""

    def __init__(self, program: Program, given: Inputs, backend: str) -> None:
        self.given = given
        self.program = Program(program.name, program.dtype)
        self.program.ops, self.program.results = program.ops, program.results
        self.program.packings, self.program.views = program.packings, program.views
        self.program.functions = program.functions
        self.program.buffers = {
            name: buffer._replace(role="value") if buffer.role in DATA_ROLES else buffer
            for name, buffer in program.buffers.items()
        }
        self.fixed = _copies(self.program, given.fixed)
        packings = [Packing(length[: given.rows]) for _, length in given.spans]
        self.packed_rows = tuple(packing.count for packing in packings)
        self.executor = backends.make_executor(
            *(backend, self.program, self.fixed, given.rows),
            max_packed=tuple(max(count, 1) for count in self.packed_rows),
        )
        for name, array in given.values.items():
            k = program.buffers[name].packing
            places = slice(None) if k is None else packings[k].places(given.spans[k][0])
            self.executor.write(name, array[places])
        self.starts = np.array([0, given.rows])
        self.hyper = np.array([given.hyper], np.float64).reshape(1, -1)
        self.results = np.zeros((1, 2 * len(program.results)))

    def execute(self, begin: int, end: int) -> None:
        g = self.given
        self.executor.run(
            *([], None, self.starts, self.hyper, self.results),
            *(g.seed, g.step, begin, end, g.spans),
        )

    def array(self, name: str) -> Array:
        if name in self.fixed:
            return self.fixed[name]
        return self.executor.read(name, self.given.rows, self.packed_rows)


def _copies(program: Program, fixed: dict[str, Array]) -> dict[str, Array]:
    """Copy arrays so that those which share memory go on sharing it."""
    copies: dict[str, Array] = {}
    flat = {name: array.copy() for name, array in fixed.items() if name in ("params", "grads")}
    for buffer in program.of_role(*FIXED_ROLES):
        array = fixed[buffer.name]
        copies[buffer.name] = flat.get(buffer.name, array.copy())
        for whole, copy in flat.items():
            if array is not fixed[whole] and np.may_share_memory(array, fixed[whole]):
                start = (_address(array) - _address(fixed[whole])) // array.itemsize
                copies[buffer.name] = copy[start : start + array.size].reshape(array.shape)
    return copies


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _worst(native: Array, exact: Array, tolerance: float) -> tuple[int, ...] | None:
    if native.size == 0:
        return None
    finite = np.abs(exact[np.isfinite(exact)])
    size = float(finite.max()) if finite.size else 0.0
    epsilon = np.finfo(exact.dtype).eps if exact.dtype.kind == "f" else 0.0
    same = (native == exact) | (np.isnan(native) & np.isnan(exact))
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0, np.abs(native - exact))
    distance = np.where(np.isnan(distance), np.inf, distance)
    worst = tuple(int(i) for i in np.unravel_index(int(distance.argmax()), distance.shape))
    return worst if distance[worst] > tolerance * epsilon * size else None
