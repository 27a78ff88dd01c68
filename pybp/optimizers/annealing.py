"""Simulated annealing of weight updates."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from pybp.arrays import Array
from pybp.optimizers.base import LossOptimizer, Problem, Rate

_STREAM = 1  # of the random numbers of a step
_BEST, _LOWEST = "best_params", "best_loss"


class _Memory(Protocol):
    """What ``restore_best`` needs of the state of a net."""

    memory: dict[str, Any]


class Remembering(Protocol):
    """What ``restore_best`` needs of a net."""

    @property
    def state(self) -> _Memory:
        """Its state, with what an optimiser that needs the loss remembers."""

    def take_trained(self, numbers: Array) -> None:
        """Write all trainable numbers, as ``Problem.params`` holds them."""


class Annealing(LossOptimizer):
    """Gradient descent with random moves that grow rare (after Kirkpatrick et al. 1983).

    Update t = 0, 1, ... is, with probability ``p0 * gamma^t``, a random change of every weight,
    drawn from N(0, sigma^2), else the step ``theta -= lr * g``. It works in ``fit`` and in
    ``Trainer``.

    Parameters
    ----------
    lr : float or schedule
        The rate of the gradient steps.
    p0 : float
        The probability of a random move at the first update, in [0, 1].
    gamma : float
        What the probability is multiplied with at each update, in [0, 1].
    sigma : float
        The standard deviation of a move.
    keep_best : bool
        Remember the weights with the lowest loss of a batch, for ``restore_best``.
    """

    lr: Rate = 1e-2
    p0: float = 0.5
    gamma: float = 0.98
    sigma: float = 0.5
    keep_best: bool = False

    def _check(self) -> None:
        self._check_rate(self.lr)
        self._require(0 <= self.p0 <= 1, "p0", "in [0, 1]")
        self._require(0 <= self.gamma <= 1, "gamma", "in [0, 1]")
        self._at_least_0(sigma=self.sigma)

    def run_step(self, problem: Problem) -> None:
        """Make one update."""
        loss, gradient = problem.loss_and_grad()
        if self.keep_best and loss < problem.state.get(_LOWEST, np.inf):
            problem.state[_LOWEST] = loss
            problem.state[_BEST] = problem.params.copy()
        rng = problem.rng(_STREAM)
        if rng.random() < self.p0 * self.gamma**problem.update:
            problem.params[...] += self.sigma * rng.standard_normal(len(problem.params))
        else:
            problem.params[...] -= problem.lr * gradient

    def restore_best(self, net: Remembering) -> float:
        """Give a net the weights with the lowest loss that ``keep_best`` has seen; return the loss.

        Raises
        ------
        RuntimeError
            When no update with ``keep_best`` has been made.
        """
        memory = net.state.memory
        if _BEST not in memory:
            raise RuntimeError("no weights are kept: train with Annealing(keep_best=True) first")
        net.take_trained(memory[_BEST])
        return float(memory[_LOWEST])
