"""A pass by hand: forward now, backward when the caller has the gradient of the output."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pybp.arrays import Array
from pybp.parameters import GradientArrays
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
        self._run(0, self.bound.program.backward_start)
        return self.bound.executor.read(self.names.y, self.rows)

    def backward(self, dy: Array, grads: GradientArrays, *, accumulate: bool) -> Array:
        """Fill the gradients, or add to them; return that of the input."""
        before = grads.flat.copy() if accumulate and grads.known else None
        self.bound.executor.write("dy", dy)
        self._run(self.bound.program.backward_start, len(self.bound.program.ops))
        if before is not None:
            grads.flat += before
        grads.known = True
        return self.bound.executor.read(self.names.dx, self.rows)

    def _run(self, begin: int, end: int) -> None:
        starts = np.array([0, self.rows])
        self.bound.executor.run(
            [], None, starts, _NOTHING, _NOTHING, self.seed, self.step, begin, end
        )
