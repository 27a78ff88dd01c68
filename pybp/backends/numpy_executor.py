"""The NumPy executor: the readable definition of what a program does.

It makes a new array for every value and ignores the memory plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pybp.arrays import Array, element_type
from pybp.backends.numpy_ops import NUMPY_OPS
from pybp.backends.numpy_step import Step
from pybp.program.ops import Op
from pybp.program.program import Buffer, Program


class NumpyExecutor:
    """Runs a program op by op in NumPy.

    Parameters
    ----------
    program : Program
        A verified program.
    fixed : dict
        Buffer name -> array, for the parameters, gradients, states and constants.
    max_rows : int
        The largest number of samples in a step; only the native executor needs it.
    keep_forward : bool
        Whether forward values outlive the backward part; here they always do.
    """

    def __init__(
        self, program: Program, fixed: dict[str, Array], max_rows: int, *, keep_forward: bool
    ) -> None:
        self.program = program
        self.max_rows = max_rows
        self.steps_done = 0
        self._values: dict[str, Any] = dict(fixed)
        self._data = program.of_role("input", "target", "weight", "output")

    def run(
        self,
        data: Sequence[Array | None],
        order: Array | None,
        starts: Array,
        hyper: Array,
        results: Array,
        seed: int,
        first_step: int,
        begin: int,
        end: int,
    ) -> None:
        """Run ops[begin:end] for each step: see ``pybp.backends.Executor``."""
        self.steps_done = 0
        results.fill(0)
        ops = self.program.ops[begin:end]
        for s in range(len(starts) - 1):
            rows: Any = slice(starts[s], starts[s + 1])
            if order is not None:
                rows = order[rows]
            step = Step(seed, first_step + s, hyper[s], results[s])
            self._take(data, rows)
            for op in ops:
                self._execute(op, step)
            self._deliver(data, int(starts[s]))
            self.steps_done += 1

    def read(self, name: str, rows: int) -> Array:
        """Return a copy of a value."""
        return np.array(self._values[name])

    def write(self, name: str, value: Array) -> None:
        """Set a value that the caller provides."""
        self._values[name] = np.array(value, self._type(self.program.buffers[name]))

    def _type(self, buffer: Buffer) -> type[np.generic]:
        return element_type(buffer.dtype, self.program.dtype)

    def _take(self, data: Sequence[Array | None], rows: Any) -> None:
        for buffer, array in zip(self._data, data, strict=True):
            if buffer.role != "output" and array is not None:
                self._values[buffer.name] = array[rows].astype(self._type(buffer))

    def _execute(self, op: Op, step: Step) -> None:
        arrays = {
            field: self._values.get(getattr(op, field))
            for field in (*op.reads, *op.writes)
            if getattr(op, field)
        }
        for field, array in NUMPY_OPS[type(op)](op, arrays, step).items():
            name = getattr(op, field)
            if not name:
                continue
            if self.program.buffers[name].role in ("value", "output"):
                self._values[name] = array
            else:
                self._values[name][...] = array  # a view that the caller holds

    def _deliver(self, data: Sequence[Array | None], start: int) -> None:
        for buffer, array in zip(self._data, data, strict=True):
            if buffer.role == "output" and array is not None:
                value = self._values[buffer.name]
                array[start : start + len(value)] = value
