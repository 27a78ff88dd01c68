"""The NumPy executor: the readable definition of what a program does.

It makes a new array for every value and ignores the memory plan.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pybp.arrays import FLOAT_TYPES, Array, element_type
from pybp.backends.numpy_ops import NUMPY_OPS
from pybp.backends.numpy_step import Step
from pybp.program.ops import Loop, Op
from pybp.program.packing import Packing
from pybp.program.program import Buffer, Program


class NumpyExecutor:
    """Runs a program op by op in NumPy.

    Parameters
    ----------
    program : Program
        A verified program.
    fixed : dict
        Buffer name -> array, for the parameters, gradients, states and constants.
    max_rows, max_packed : int, tuple of int
        The most samples, and time steps of each packing, in a step; only the native executor needs
        them.
    keep_forward : bool
        Whether forward values outlive the backward part; here they always do.
    """

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
        self.steps_done = 0
        self._thread = 0  # that runs it now
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
        spans: Sequence[tuple[Array, Array]] = (),
        check_at: int = -1,
    ) -> None:
        """Run ops[begin:end] for each step: see ``pybp.backends.Executor``."""
        with self._alone():
            self.steps_done = 0
            self.program.check_range(begin, end, check_at)
            middle = check_at if check_at > 0 else begin
            for s in range(len(starts) - 1):
                results[s] = 0
                rows = np.arange(starts[s], starts[s + 1])
                if order is not None:
                    rows = order[rows]
                packings = tuple(Packing(length[rows]) for _, length in spans)
                step = Step(
                    *(seed, first_step + s, hyper[s], results[s], len(rows), packings),
                    real=FLOAT_TYPES[self.program.dtype],
                    functions=self.program.functions,
                )
                pairs = zip(packings, spans, strict=True)
                places = [packing.places(first[rows]) for packing, (first, _) in pairs]
                self._take(data, rows, places)
                self._execute_range(begin, middle, step)
                if check_at > 0 and np.isnan(results[s, ::2]).any():
                    return
                self._execute_range(middle, end, step)
                self._deliver(data, int(starts[s]), places)
                self.steps_done += 1

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse a run inside of a run: a user's layer that calls its own net would never end."""
        if self._thread == threading.get_ident():
            raise RuntimeError(
                "this executor is running: neither a signal handler nor a layer or loss that it "
                "calls can use it"
            )
        self._thread = threading.get_ident()
        try:
            yield
        finally:
            self._thread = 0

    def read(self, name: str, rows: int, packed_rows: Sequence[int] = ()) -> Array:
        """Return a copy of a value."""
        return np.array(self._values[name])

    def write(self, name: str, value: Array) -> None:
        """Set a value that the caller provides."""
        self._values[name] = np.array(value, self._type(self.program.buffers[name]))

    def _type(self, buffer: Buffer) -> type[np.generic]:
        return element_type(buffer.dtype, self.program.dtype)

    def _take(self, data: Sequence[Array | None], rows: Array, places: list[Array]) -> None:
        for buffer, array in zip(self._data, data, strict=True):
            if buffer.role != "output" and array is not None:
                at = rows if buffer.packing is None else places[buffer.packing]
                self._values[buffer.name] = array[at].astype(self._type(buffer))

    def _execute_range(self, begin: int, end: int, step: Step) -> None:
        for place, op in self.program.outer():
            if begin <= place < end:
                self._execute(op, step)

    def _execute(self, op: Op, step: Step) -> None:
        if isinstance(op, Loop):
            self._loop(op, step)
            return
        arrays = {
            field: self._values.get(getattr(op, field))
            for field in (*op.reads, *op.writes)
            if getattr(op, field)
        }
        for field in (*op.read_lists, *op.write_lists):
            arrays[field] = [self._values.get(name) for name in getattr(op, field)]
        for field, array in NUMPY_OPS[type(op)](op, arrays, step).items():
            if field in op.write_lists:
                for name, each in zip(getattr(op, field), array, strict=True):
                    self._store(name, each)
            else:
                self._store(getattr(op, field), array)

    def _store(self, name: str, array: Array) -> None:
        """Let a buffer hold what an op has written; nothing where the field names none."""
        if not name:
            return
        if self.program.buffers[name].role in ("value", "output"):
            self._values[name] = array
        else:
            self._values[name][...] = array  # a view that the caller holds

    def _loop(self, loop: Loop, step: Step) -> None:
        """Run the ops of a loop at each time step, on views of the rows of that step."""
        body = self.program.body(loop)
        packing = step.packings[loop.packing]
        for name in set(loop.made) - set(loop.taken):
            buffer = self.program.buffers[name]
            if buffer.role in ("value", "output"):
                shape = (packing.count, *buffer.shape[1:])
                self._values[name] = np.zeros(shape, self._type(buffer))
        steps = range(len(packing.sizes))
        for t in reversed(steps) if loop.backward else steps:
            self._set_views(body, packing, t)
            for op in body:
                self._execute(op, step._replace(rows=int(packing.sizes[t])))

    def _set_views(self, body: list[Op], packing: Packing, t: int) -> None:
        first, size = packing.offsets[t], packing.sizes[t]
        for name in (name for op in body for name in (*op.inputs(), *op.outputs())):
            view = self.program.views.get(name)
            if view is None:
                continue
            if not view.start:
                rows = self._values[view.of][first : first + size]
            elif t == 0:
                rows = self._values[view.start][:size]
            else:
                rows = self._values[view.of][packing.offsets[t - 1] :][:size]
            self._values[name] = rows

    def _deliver(self, data: Sequence[Array | None], start: int, places: list[Array]) -> None:
        for buffer, array in zip(self._data, data, strict=True):
            if buffer.role == "output" and array is not None:
                value = self._values[buffer.name]
                if buffer.packing is None:
                    array[start : start + len(value)] = value
                else:
                    array[places[buffer.packing]] = value
