"""Stochastic gradient descent."""

from __future__ import annotations

from pybp.arrays import Array
from pybp.optimizers.base import Optimizer, Rate
from pybp.program import ops


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum as PyTorch orders it.

    ``g += weight_decay * theta``; ``v = momentum * v + (1 - dampening) * g`` (``v = g`` at first);
    ``theta -= lr * v``, with Nesterov's momentum ``theta -= lr * (g + momentum * v)``.
    Momentum: Polyak 1964; Nesterov's: Sutskever et al. 2013.

    Parameters
    ----------
    lr : float or schedule
        The rate.
    momentum, dampening, weight_decay : float
        As in the equations.
    nesterov : bool
        Nesterov's momentum; needs a momentum and no dampening.
    maximize : bool
        Climb instead of descending.
    """

    lr: Rate = 1e-3
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    maximize: bool = False

    def _check(self) -> None:
        self._check_rate(self.lr)
        self._at_least_0(momentum=self.momentum, weight_decay=self.weight_decay)
        self._require(abs(self.dampening) < float("inf"), "dampening", "a finite number")
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise ValueError(
                "SGD: nesterov needs momentum > 0 and dampening = 0, "
                f"got {self.momentum} and {self.dampening}"
            )

    def state_names(self) -> tuple[str, ...]:
        """Return ("v",) with momentum."""
        return ("v",) if self.momentum else ()

    def is_plain(self) -> bool:
        """Tell whether an update reads only the gradient and the parameter itself."""
        return not self.momentum

    def skips_zero_gradients(self) -> bool:
        """Tell whether a parameter stays as it is where its gradient is 0."""
        return not self.momentum and not self.weight_decay

    def op(self, w: str, g: str) -> ops.Update:
        """Return the update op."""
        v = "v" if self.momentum else ""
        return ops.SGD(w, g, v, bool(self.nesterov))

    def hyper(self, first: int, steps: int) -> Array:
        """Return the op's scalars for some updates."""
        gain = 1 - self.dampening
        table = self._scalars(first, steps, self.weight_decay, self.momentum, gain)
        if first == 0 and steps:
            table[0, 4] = 1
        return table
