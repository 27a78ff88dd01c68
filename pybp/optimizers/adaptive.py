"""A rate for each weight, from the sizes of its gradients: Adagrad, RMSprop, Adadelta."""

from __future__ import annotations

from pybp.arrays import Array
from pybp.optimizers.adam import numbers_from_1
from pybp.optimizers.base import Optimizer, Rate
from pybp.program import ops


class Adagrad(Optimizer):
    """Rates that fall with the squares of all gradients so far (Duchi et al. 2011).

    ``sum += g^2``; ``theta -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(sum) + eps)``, t = 1, 2 ...

    Parameters
    ----------
    lr : float or schedule
        The rate.
    lr_decay : float
        As in the equation.
    weight_decay : float
        L2: ``g += weight_decay * theta``.
    initial_accumulator_value : float
        What ``sum`` starts at.
    eps : float
        Added to the root.
    maximize : bool
        Climb instead of descending.
    """

    lr: Rate = 1e-2
    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10
    maximize: bool = False

    def _check(self) -> None:
        self._check_rate(self.lr)
        self._at_least_0(lr_decay=self.lr_decay, weight_decay=self.weight_decay, eps=self.eps)
        self._at_least_0(initial_accumulator_value=self.initial_accumulator_value)

    def state_names(self) -> tuple[str, ...]:
        """Return the sum of squares."""
        return ("sum",)

    def initial_state(self, name: str) -> float:
        """Return what the sum starts at."""
        return self.initial_accumulator_value

    def skips_zero_gradients(self) -> bool:
        """Tell whether a parameter stays as it is where its gradient is 0."""
        return self.weight_decay == 0 and self.eps > 0

    def op(self, w: str, g: str) -> ops.Update:
        """Return the update op."""
        return ops.Adagrad(w, g, "sum")

    def hyper(self, first: int, steps: int) -> Array:
        """Return the op's scalars for some updates."""
        table = self._scalars(first, steps, self.weight_decay, self.eps)
        table[:, 0] /= 1 + (numbers_from_1(first, steps) - 1) * self.lr_decay
        return table


class RMSprop(Optimizer):
    """Gradients divided by the root of their running mean square (Tieleman and Hinton 2012).

    ``v = alpha * v + (1 - alpha) * g^2``; ``theta -= lr * g / (sqrt(v) + eps)``. ``centered``: with
    the running mean ``m`` of the gradient, ``v - m^2`` stands in the root (Graves 2013), and 0
    where rounding makes that negative. With momentum
    ``velocity = momentum * velocity + g / (sqrt(v) + eps)``; ``theta -= lr * velocity``.

    Parameters
    ----------
    lr : float or schedule
        The rate.
    alpha : float
        Decay of the running means, in [0, 1).
    eps : float
        Added to the root.
    weight_decay : float
        L2: ``g += weight_decay * theta``.
    momentum : float
        As in the equation.
    centered : bool
        As in the equation.
    maximize : bool
        Climb instead of descending.
    """

    lr: Rate = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False
    maximize: bool = False

    def _check(self) -> None:
        self._check_rate(self.lr)
        self._below_1(alpha=self.alpha)
        self._at_least_0(eps=self.eps, weight_decay=self.weight_decay, momentum=self.momentum)

    def state_names(self) -> tuple[str, ...]:
        """Return the mean of the squares, and those that the options ask for."""
        mean, velocity = ("m",) * self.centered, ("velocity",) * (self.momentum > 0)
        return ("v", *mean, *velocity)

    def op(self, w: str, g: str) -> ops.Update:
        """Return the update op."""
        m, velocity = "m" if self.centered else "", "velocity" if self.momentum else ""
        return ops.RMSProp(w, g, "v", m, velocity)

    def hyper(self, first: int, steps: int) -> Array:
        """Return the op's scalars for some updates."""
        gains = (self.alpha, 1 - self.alpha)
        return self._scalars(first, steps, self.weight_decay, *gains, self.eps, self.momentum)


class Adadelta(Optimizer):
    """Moves in the size of the moves before (Zeiler 2012, algorithm 1).

    ``v = rho * v + (1 - rho) * g^2``; ``move = sqrt(u + eps) / sqrt(v + eps) * g``;
    ``u = rho * u + (1 - rho) * move^2``; ``theta -= lr * move``.

    Parameters
    ----------
    lr : float or schedule
        A factor of the moves.
    rho : float
        Decay of the running means, in [0, 1).
    eps : float
        Added under the roots.
    weight_decay : float
        L2: ``g += weight_decay * theta``.
    maximize : bool
        Climb instead of descending.
    """

    lr: Rate = 1.0
    rho: float = 0.9
    eps: float = 1e-6
    weight_decay: float = 0.0
    maximize: bool = False

    def _check(self) -> None:
        self._check_rate(self.lr)
        self._below_1(rho=self.rho)
        self._at_least_0(eps=self.eps, weight_decay=self.weight_decay)

    def state_names(self) -> tuple[str, ...]:
        """Return the running means of squared gradients and of squared moves."""
        return ("v", "u")

    def op(self, w: str, g: str) -> ops.Update:
        """Return the update op."""
        return ops.Adadelta(w, g, "v", "u")

    def hyper(self, first: int, steps: int) -> Array:
        """Return the op's scalars for some updates."""
        gains = (self.rho, 1 - self.rho)
        return self._scalars(first, steps, self.weight_decay, *gains, self.eps)
