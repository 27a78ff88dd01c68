"""The native executor: the same program, planned, bound once, and run by the C++ extension."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

import pybp._core as _core
from pybp.arrays import FLOAT_TYPES, Array, aligned_empty, element_type
from pybp.backends.numpy_ops import NUMPY_OPS
from pybp.backends.numpy_step import Arrays, Step
from pybp.program.ops import Op, Shape
from pybp.program.plan import make_plan
from pybp.program.program import DATA_ROLES, Buffer, Program, run_time_sizes

_NO_SCALARS = np.zeros(0)  # those of updates, which run natively


class NativeExecutor:
    """Runs a program in C++; the parameters are those of ``NumpyExecutor``."""

    def __init__(
        self,
        program: Program,
        fixed: dict[str, Array],
        max_rows: int,
        *,
        max_packed: tuple[int, ...],
        keep_forward: bool,
    ) -> None:
        self.program = program
        self.max_rows, self.max_packed = max_rows, max_packed
        plan = make_plan(program, max_rows, max_packed=max_packed, keep_forward=keep_forward)
        layout = _Layout(program, list(fixed), plan.offsets, plan.aliases)
        self._offsets = {
            name: plan.offsets.get(plan.aliases.get(name, name), -1) for name in program.buffers
        }
        self._work = aligned_empty(plan.size, np.uint8)  # no op reads what none has written
        self._core = _core.Executor(
            program.dtype,
            layout.buffers(),
            layout.data(),
            layout.ops(),
            [max_rows, *max_packed],
            program.packings,
            layout.views(),
        )
        scratch = aligned_empty(self._core.scratch_bytes, np.uint8)
        self._core.bind([*fixed.values(), self._work], scratch)
        self.run = self._core.run
        if program.functions:
            self.run = partial(self._core.run, call=_Calls(program))

    @property
    def steps_done(self) -> int:
        """The number of steps that the last run finished."""
        return self._core.steps_done

    def read(self, name: str, rows: int, packed_rows: Sequence[int] = ()) -> Array:
        """Return a copy of a value."""
        shape = self.program.buffers[name].full_shape(run_time_sizes(rows, packed_rows))
        return self._view(name, shape).copy()

    def write(self, name: str, value: Array) -> None:
        """Set a value that the caller provides."""
        buffer = self.program.buffers[name]
        shape = (len(value), *buffer.shape[1:]) if buffer.batched else buffer.shape
        self._view(name, shape)[...] = value

    def _view(self, name: str, shape: Shape) -> Array:
        buffer = self.program.buffers[name]
        dtype = element_type(buffer.dtype, self.program.dtype)
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        offset = self._offsets[name]
        return self._work[offset : offset + size].view(dtype).reshape(shape)


class _Calls:
    """What the extension calls to run an op of a program in Python: ``numpy_call`` does it."""

    def __init__(self, program: Program) -> None:
        self._ops, self._functions = program.ops, program.functions
        self._real = FLOAT_TYPES[program.dtype]

    def __call__(
        self, place: int, arrays: list[Array | None], rows: int, results: Array
    ) -> list[Array | None]:
        """Run one op.

        Parameters
        ----------
        place : int
            Which op of the program.
        arrays : list
            What it reads, in the order of its fields, None for all others.
        rows : int
            Number of samples.
        results : array (m,)
            The results of this step; changed.

        Returns
        -------
        list
            What it writes, in the order of its fields.
        """
        op = self._ops[place]
        step = Step(
            *(0, 0, _NO_SCALARS, results, rows, ()), real=self._real, functions=self._functions
        )
        found = NUMPY_OPS[type(op)](op, _by_field(op, arrays), step)
        written: list[Array | None] = []
        for field in op._fields:
            if field in op.writes and getattr(op, field):
                written.append(found[field])
            elif field in op.write_lists:
                named = zip(getattr(op, field), found[field], strict=True)
                written += [array for name, array in named if name]
        return written


def _by_field(op: Op, arrays: list[Array | None]) -> Arrays:
    """Return the arrays of an op by field, from those of all fields one after the other."""
    given = iter(arrays)
    named: Arrays = {}
    for field in op._fields:
        if field in (*op.reads, *op.writes):
            named[field] = next(given)
        elif field in (*op.read_lists, *op.write_lists):
            named[field] = [next(given) for _ in getattr(op, field)]
    return named


class _Layout:
    """Translates names into what the extension takes: slots, byte offsets, buffer indices.

    Slots: one for each fixed array, then the workspace, then one for each data buffer, then one for
    each view.
    """

    def __init__(
        self,
        program: Program,
        fixed: list[str],
        offsets: dict[str, int],
        aliases: dict[str, str],
    ) -> None:
        self.program = program
        self.index = {name: i for i, name in enumerate(program.buffers)}
        self.fixed = {name: slot for slot, name in enumerate(fixed)}
        self.work = len(fixed)
        self.data_slots = {
            buffer.name: self.work + 1 + i for i, buffer in enumerate(program.of_role(*DATA_ROLES))
        }
        first_view = self.work + 1 + len(self.data_slots)
        self.view_slots = {name: first_view + i for i, name in enumerate(program.views)}
        self.offsets = offsets
        self.aliases = aliases

    def buffers(self) -> list[tuple[int, int, str, tuple[int, ...]]]:
        return [
            (*self._place(buffer), buffer.dtype, buffer.shape)
            for buffer in self.program.buffers.values()
        ]

    def data(self) -> list[tuple[int, int, int, bool]]:
        return [
            (
                self.index[buffer.name],
                self.work,
                self.offsets.get(buffer.name, 0),
                buffer.role == "output",
            )
            for buffer in self.program.of_role(*DATA_ROLES)
        ]

    def views(self) -> list[tuple[int, int, int]]:
        return [
            (self.index[name], self.index[view.of], self.index[view.start] if view.start else -1)
            for name, view in self.program.views.items()
        ]

    def ops(self) -> list[tuple[str, dict[str, Any]]]:
        return [(op.kind, self._fields(op)) for op in self.program.ops]

    def _place(self, buffer: Buffer) -> tuple[int, int]:
        name = self.aliases.get(buffer.name, buffer.name)
        if name in self.fixed:
            return self.fixed[name], 0
        if name in self.data_slots:
            return self.data_slots[name], 0
        if name in self.view_slots:
            return self.view_slots[name], 0
        return self.work, self.offsets[name]

    def _fields(self, op: Op) -> dict[str, Any]:
        fields = op.to_dict()
        for field in (*op.reads, *op.writes):
            fields[field] = self.index[fields[field]] if fields[field] else -1
        for field in (*op.read_lists, *op.write_lists):
            fields[field] = tuple(self.index[name] if name else -1 for name in fields[field])
        return fields
