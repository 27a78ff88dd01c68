"""The loss of one batch as a function of the parameters, for optimisers that ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pybp.arrays import Array
from pybp.nets.programs import Bound
from pybp.nets.update_programs import Pieces
from pybp.training.evaluation import Examples

if TYPE_CHECKING:
    from pybp.training.steps import Steps

_STREAM = 3  # of random numbers: weights, shuffles and statistics have 0, 1, 2
_NO_SCALARS = np.zeros((1, 0))


class BatchProblem:
    """What ``Optimizer.run_step`` gets: see ``pybp.optimizers.base.Problem``.

    Parameters
    ----------
    steps : Steps
        Whose net and rules these are.
    bound : Bound
        A train program without an update.
    examples, order, starts
        The batch.
    lr : float
        The rate of this update.
    """

    def __init__(
        self,
        steps: Steps,
        bound: Bound,
        examples: Examples,
        order: Array | None,
        starts: Array,
        lr: float,
    ) -> None:
        self._steps, self._bound = steps, bound
        self._batch = (examples, order, starts)
        net = steps.net
        self._net = net
        self._parts = Pieces(net.recipe.parts, net.state.params.layout)
        self.lr, self.update = lr, net.state.updates
        self.params = self._parts.gather(net.state.params.flat)
        self.state: dict[str, Any] = net.state.memory
        self._first: tuple[float, Array] | None = None

    def first(self, results: Array) -> None:
        """Compute the loss and the gradient at the present parameters, and the results."""
        self._steps.call(self._bound, *self._batch, _NO_SCALARS, results, (0, self._end()))
        self._first = self._seen(results)

    def loss_and_grad(self) -> tuple[float, Array]:
        """Return the loss at ``params`` with its penalties, and its gradient (a fresh array)."""
        if self._first is not None:
            known, self._first = self._first, None
            return known
        self.finish()
        program = self._bound.program
        results = np.zeros((1, 2 * len(program.results)))
        self._steps.call(self._bound, *self._batch, _NO_SCALARS, results, (0, program.keep_start))
        seen = results.copy()  # what changes the gradients runs in a call of its own
        rules = (program.update_start, self._end())
        self._steps.call(self._bound, *self._batch, _NO_SCALARS, results, rules)
        return self._seen(seen)

    def finish(self) -> None:
        """Let the net have ``params``."""
        self._parts.scatter(self.params, self._net.state.params.flat)

    def rng(self, stream: int = 0) -> np.random.Generator:
        """Return random numbers that follow from the net's seed and the number of the update."""
        return np.random.default_rng([self._net.seed, _STREAM, stream, self.update])

    def _end(self) -> int:
        return len(self._bound.program.ops)

    def _seen(self, results: Array) -> tuple[float, Array]:
        """Return the loss of the step with its penalties, and the gradients."""
        value = self._steps.objective.loss_of(results[0]) + self._penalty()
        return value, self._parts.gather(self._net.state.grads.flat)

    def _penalty(self) -> float:
        rules, state = self._steps.rules, self._net.state
        if not rules.has_penalty():
            return 0.0
        weights = [state.params[name].astype(np.float64) for name in self._net.recipe.parts.weights]
        squares = sum(float(np.square(w).sum()) for w in weights)
        return rules.l1 * sum(float(np.abs(w).sum()) for w in weights) + rules.l2 * squares / 2
