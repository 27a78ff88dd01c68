"""A pass by hand: forward now, backward when the caller has the gradient of the output."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pybp.arrays import FLOAT_TYPES, Array
from pybp.parameters import GradientArrays
from pybp.program.program import DATA_ROLES
from pybp.programs import Bound, GradientProgram

_NOTHING = np.zeros((1, 0))  # no hyper-parameters, no results


class HandPass(NamedTuple):
    """A bound gradient program, and the batch that is on its way through it."""

    bound: Bound
    names: GradientProgram
    rows: int
    seed: int
    step: int  # with the seed the key of the dropout masks, the same forward and backward

    def forward(self, x: Array) -> Array:
        """Return the output for a batch; what the backward part needs stays in the workspace."""
        self.bound.executor.write("x", x)
        return self._run(0, self.bound.program.backward_start, self.names.y, {})

    def backward(self, dy: Array, grads: GradientArrays, *, accumulate: bool) -> Array:
        """Fill the gradients, or add to them; return that of the input."""
        before = grads.flat.copy() if accumulate and grads.known else None
        begin, end = self.bound.program.backward_start, len(self.bound.program.ops)
        dx = self._run(begin, end, self.names.dx, {"dy": dy})
        if before is not None:
            grads.flat += before
        grads.known = True
        return dx

    def _run(self, begin: int, end: int, wanted: str, data: dict[str, Array]) -> Array:
        """Run some ops on arrays of the caller; return a fresh array of what is wanted."""
        program, executor = self.bound.program, self.bound.executor
        buffer = program.buffers[wanted]
        result = np.array(data[wanted], FLOAT_TYPES[program.dtype]) if wanted in data else None
        if buffer.role == "output":
            result = np.empty((self.rows, *buffer.shape[1:]), FLOAT_TYPES[program.dtype])
            data = {**data, wanted: result}
        arrays = [data.get(each.name) for each in program.of_role(*DATA_ROLES)]
        starts = np.array([0, self.rows])
        executor.run(arrays, None, starts, _NOTHING, _NOTHING, self.seed, self.step, begin, end)
        return executor.read(wanted, self.rows) if result is None else result
