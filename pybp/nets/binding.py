"""A net's programs, bound to its arrays for one backend: when first used, and for larger steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pybp import backends
from pybp.arrays import FLOAT_TYPES, Array
from pybp.data.batches import most_packed
from pybp.data.sequences import Layout
from pybp.nets.built import Built
from pybp.nets.programs import Bound, least_rows
from pybp.program.program import DATA_ROLES, FIXED_ROLES, Buffer, Program


class Binding(Built):
    """Base of ``Network``: programs and the executors that run them."""

    @property
    def current_backend(self) -> str:
        """The name of the backend that the next call uses."""
        return self.backend or backends.current_backend()

    def bind(
        self,
        program: Program,
        rows: int,
        constants: dict[str, Any],
        *,
        max_packed: tuple[int, ...],
        keep_forward: bool,
    ) -> Bound:
        """Verify a program and bind it to the arrays of this net.

        ``rows`` and ``max_packed`` are the most samples, and time steps of each packing, of a step.
        """
        program.verify()
        given = {
            name: np.ascontiguousarray(value, FLOAT_TYPES[self.dtype])
            for name, value in constants.items()
        }
        fixed = {
            buffer.name: given[buffer.name] if buffer.name in given else self._array(buffer)
            for buffer in program.of_role(*FIXED_ROLES)
        }
        executor = backends.make_executor(
            self.current_backend,
            program,
            fixed,
            rows,
            max_packed=max_packed,
            keep_forward=keep_forward,
        )
        names = tuple(buffer.name for buffer in program.of_role(*DATA_ROLES))
        generation = self.carried.generation
        return Bound(program, executor, least_rows(program), generation, names, fixed)

    def _array(self, buffer: Buffer) -> Array:
        if buffer.role == "carry":
            return self.carried.arrays[buffer.name]
        return self.state.array(buffer.name)

    def use_states(self, rows: int) -> int:
        """Let stateful layers go on with a batch of this size; return the states' generation.

        Raises
        ------
        ValueError
            When they carry the states of another number of sequences.
        """
        self.carried.use(rows)
        return self.carried.generation

    def _cached(
        self,
        name: str,
        make: Callable[[], Program],
        rows: int,
        layouts: Sequence[Layout] = (),
        *,
        keep_forward: bool = False,
    ) -> Bound:
        """Bind a program when it is first used, and again for more rows or another backend."""
        key = (name, self.current_backend)
        bound = self._bound.get(key)
        self._bound[key] = self.with_room(bound, make, rows, layouts, keep_forward=keep_forward)
        return self._bound[key]

    def with_room(
        self,
        bound: Bound | None,
        make: Callable[[], Program],
        rows: int,
        layouts: Sequence[Layout],
        constants: Callable[[], dict[str, Any]] = dict,
        *,
        keep_forward: bool = False,
    ) -> Bound:
        """Return a bound program with room for steps of this size.

        That is ``bound``, or its program (``make()`` where there is none yet) bound anew with room
        for these steps and for those before, so that steps of two sizes in turn bind nothing.
        """
        generation = self.carried.generation
        most = most_packed(layouts, rows)
        if bound is not None and bound.holds(rows, most, generation):
            return bound
        program = make() if bound is None else bound.program
        if bound is not None and bound.generation == generation:
            rows = max(rows, bound.executor.max_rows)
            most = tuple(max(pair) for pair in zip(most, bound.executor.max_packed, strict=False))
        fixed = program.packings[len(most) :]
        most = (*most, *(steps * rows for steps in fixed))
        return self.bind(program, rows, constants(), max_packed=most, keep_forward=keep_forward)
