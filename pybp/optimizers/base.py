"""What all optimisers share: the rate, the checks of arguments, what they ask of a net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np

from pybp.arrays import Array
from pybp.program import ops
from pybp.record import Record
from pybp.schedules import Schedule

Rate = float | Callable[[int], float]


class Steppable(Protocol):
    """What an optimiser needs of a net."""

    def apply_gradients(self, optimizer: Any) -> None:
        """Update the parameters from the gradients by this optimiser."""


class Problem(Protocol):
    """One training step as an optimiser sees it that works with the loss (``needs_loss``)."""

    @property
    def params(self) -> Array:
        """All trainable numbers, a flat live view: writing moves the net."""

    @property
    def state(self) -> dict[str, Any]:
        """All that the optimiser remembers: arrays and numbers, kept with the net."""

    @property
    def update(self) -> int:
        """The number of this update: 0, 1, ..."""

    @property
    def lr(self) -> float:
        """The rate of this update."""

    def loss_and_grad(self) -> tuple[float, Array]:
        """Return loss and gradient of the batch at the present parameters.

        The gradient is a flat view that the next call overwrites. Dropout masks stay the same
        within a step.
        """

    def rng(self, stream: int) -> np.random.Generator:
        """Return random numbers keyed by the net's seed, the number of the update and a stream."""


class Optimizer(Record):
    """Base of the optimisers.

    The rate ``lr`` is a number or a schedule: a function from the number of the update (0, 1, ...)
    to the rate.
    """

    needs_loss: ClassVar[bool] = False

    def state_names(self) -> tuple[str, ...]:
        """Return the names of the state arrays, each as large as all parameters."""
        return ()

    def initial_state(self, name: str) -> float:
        """Return the number that a state array is full of before the first update."""
        return 0.0

    def is_plain(self) -> bool:
        """Tell whether the update is that of plain SGD, which can be fused into the gradient."""
        return False

    def skips_zero_gradients(self) -> bool:
        """Tell whether a parameter stays as it is where its gradient is 0."""
        return False

    def has_schedule(self) -> bool:
        """Tell whether the rate of an update may be asked for in its turn alone."""
        lr = vars(self)["lr"]
        return callable(lr) and not (isinstance(lr, Schedule) and lr.endless())

    def op(self, w: str, g: str) -> ops.Update:
        """Return the update op on buffers: parameters, gradients, and states by their names."""
        raise NotImplementedError

    def hyper(self, first: int, steps: int) -> Array:
        """Return the op's scalars for updates ``first ... first + steps - 1``, (steps, k)."""
        raise NotImplementedError

    def step(self, net: Steppable) -> None:
        """Update the parameters of a net from ``net.grads``.

        Raises
        ------
        RuntimeError
            When the net has no gradients yet.
        TypeError
            For an optimiser that needs the loss.
        """
        net.apply_gradients(self)

    def rates(self, first: int, steps: int) -> Array:
        """Return the rates of updates ``first ... first + steps - 1``, float64 (steps,).

        Raises
        ------
        ValueError
            When the schedule gives a rate that is negative, infinite or NaN.
        """
        lr = vars(self)["lr"]
        numbers = range(first, first + steps)
        if isinstance(lr, Schedule):
            rates = lr.rates(numbers)
        elif callable(lr):
            rates = np.array([lr(t) for t in numbers], np.float64)
        else:
            return np.full(steps, float(lr))
        good = (rates >= 0) & (rates < np.inf)
        if not good.all():
            bad = int(np.argmin(good))
            raise ValueError(f"the schedule gave the rate {rates[bad]} for update {first + bad}")
        return rates

    def _scalars(self, first: int, steps: int, *rest: Array | float) -> Array:
        """Return the table of ``hyper``: the rates, the sign of the gradient, and the rest."""
        table = np.empty((steps, 2 + len(rest)))
        columns = (self.rates(first, steps), -1.0 if vars(self)["maximize"] else 1.0, *rest)
        for k, column in enumerate(columns):
            table[:, k] = column
        return table

    def _check_rate(self, lr: Rate) -> None:
        if not callable(lr):
            self._at_least_0(lr=lr)

    def _at_least_0(self, **values: Any) -> None:
        for name, value in values.items():
            self._require(_is_number(value) and 0 <= value < np.inf, name, "a finite number >= 0")

    def _below_1(self, **values: Any) -> None:
        for name, value in values.items():
            self._require(_is_number(value) and 0 <= value < 1, name, "a number in [0, 1)")

    def _check_betas(self, betas: Any) -> None:
        pair = isinstance(betas, tuple | list) and len(betas) == 2
        good = pair and all(_is_number(beta) and 0 <= beta < 1 for beta in betas)
        self._require(good, "betas", "two numbers in [0, 1)")

    def _require(self, good: bool, name: str, expected: str) -> None:
        if not good:
            got = vars(self)[name]
            raise ValueError(f"{type(self).__name__}: {name} must be {expected}, got {got!r}")


class LossOptimizer(Optimizer):
    """Base of the optimisers that need the loss: they work in ``fit`` and ``Trainer`` alone.

    They have no op, and keep all that they remember in ``Problem.state``.
    """

    needs_loss: ClassVar[bool] = True

    def run_step(self, problem: Problem) -> None:
        """Make one update."""
        raise NotImplementedError

    def hyper(self, first: int, steps: int) -> Array:
        """Return a table without columns: there is no op."""
        return np.zeros((steps, 0))

    def step(self, net: Steppable) -> None:
        """Refuse to update a net from gradients alone: always a TypeError."""
        name = type(self).__name__
        raise TypeError(
            f"{name} needs the loss, not gradients alone: use it in net.fit or pybp.Trainer"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
