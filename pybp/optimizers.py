"""Optimisers: descriptions of an update. The state and its count live in the net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np

from pybp.arrays import Array
from pybp.program import ops
from pybp.record import Record

Rate = float | Callable[[int], float]


class Steppable(Protocol):
    """What an optimiser needs of a net."""

    def apply_gradients(self, optimizer: Any) -> None:
        """Update the parameters from the gradients by this optimiser."""


class Optimizer(Record):
    """Base of the optimisers.

    The rate ``lr`` is a number or a schedule: a function from the number of the update (0, 1, ...)
    to the rate.
    """

    def state_names(self) -> tuple[str, ...]:
        """Return the names of the state arrays, each as large as all parameters."""
        return ()

    def is_plain(self) -> bool:
        """Tell whether the update is that of plain SGD, which can be fused into the gradient."""
        return False

    def skips_zero_gradients(self) -> bool:
        """Tell whether a parameter stays as it is where its gradient is 0."""
        return False

    def has_schedule(self) -> bool:
        """Tell whether the rate follows from the number of the update."""
        return callable(vars(self)["lr"])

    def op(self, w: str, g: str, prefix: str = "") -> ops.Update:
        """Return the update op on buffers: parameters, gradients, and states by prefixed name."""
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
        """
        net.apply_gradients(self)

    def _rates(self, first: int, steps: int) -> Array | float:
        """Return the rate of each update, or of all where it is a number."""
        lr = vars(self)["lr"]
        if not callable(lr):
            return float(lr)
        rates = np.array([lr(t) for t in range(first, first + steps)], np.float64)
        if not (rates >= 0).all():
            bad = int(np.argmin(rates >= 0))
            raise ValueError(f"the schedule gave the rate {rates[bad]} for update {first + bad}")
        return rates

    def _check_rate(self, lr: Rate) -> None:
        if not callable(lr):
            _check_at_least_0(self, "lr", lr)


def _check_at_least_0(optimizer: Optimizer, name: str, value: float) -> None:
    if not (isinstance(value, int | float | np.number) and 0 <= value < float("inf")):
        raise ValueError(
            f"{type(optimizer).__name__}: {name} must be a finite number >= 0, got {value!r}"
        )


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum as PyTorch orders it.

    ``g += weight_decay * theta``; ``v = momentum * v + (1 - dampening) * g`` (``v = g`` at first);
    ``theta -= lr * v``, with Nesterov's momentum ``theta -= lr * (g + momentum * v)``.

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
        _check_at_least_0(self, "momentum", self.momentum)
        _check_at_least_0(self, "weight_decay", self.weight_decay)
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

    def op(self, w: str, g: str, prefix: str = "") -> ops.Update:
        """Return the update op."""
        v = f"{prefix}v" if self.momentum else ""
        return ops.SGD(w, g, v, bool(self.nesterov))

    def hyper(self, first: int, steps: int) -> Array:
        """Return the op's scalars for some updates."""
        table = np.empty((steps, len(ops.SGD.hyper)))
        table[:, 0] = self._rates(first, steps)
        table[:, 1:] = -1 if self.maximize else 1, self.weight_decay, self.momentum, 0
        table[:, 4] = 1 - self.dampening
        if first == 0 and steps:
            table[0, 4] = 1
        return table


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1; the epsilon outside the corrected root).

    Parameters
    ----------
    lr : float or schedule
        The rate.
    betas : pair of float
        Decay of the two running means, each in [0, 1).
    eps : float
        Added to the root.
    weight_decay : float
        L2: ``g += weight_decay * theta``.
    amsgrad : bool
        Use the running maximum of the second mean (Reddi et al. 2018).
    maximize : bool
        Climb instead of descending.
    """

    lr: Rate = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False
    maximize: bool = False
    _decoupled: ClassVar[bool] = False

    def _check(self) -> None:
        self._check_rate(self.lr)
        _check_at_least_0(self, "eps", self.eps)
        _check_at_least_0(self, "weight_decay", self.weight_decay)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"Adam: betas must be two numbers in [0, 1), got {self.betas!r}")

    def state_names(self) -> tuple[str, ...]:
        """Return the two running means, and with AMSGrad the maximum."""
        return ("m", "v", "vmax") if self.amsgrad else ("m", "v")

    def op(self, w: str, g: str, prefix: str = "") -> ops.Update:
        """Return the update op."""
        vmax = f"{prefix}vmax" if self.amsgrad else ""
        return ops.Adam(w, g, f"{prefix}m", f"{prefix}v", vmax, self._decoupled)

    def hyper(self, first: int, steps: int) -> Array:
        """Return the op's scalars for some updates."""
        beta1, beta2 = self.betas
        t = np.arange(first + 1, first + steps + 1, dtype=np.float64)
        table = np.empty((steps, len(ops.Adam.hyper)))
        sign = -1 if self.maximize else 1
        table[:, 1:8] = sign, self.weight_decay, beta1, 1 - beta1, beta2, 1 - beta2, self.eps
        table[:, 0] = self._rates(first, steps)
        table[:, 8] = 1 - beta1**t
        table[:, 9] = np.sqrt(1 - beta2**t)
        return table


class AdamW(Adam):
    """Adam with decoupled weight decay: ``theta *= 1 - lr * weight_decay`` (Loshchilov 2019)."""

    lr: Rate = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 1e-2
    amsgrad: bool = False
    maximize: bool = False
    _decoupled = True


OPTIMIZERS: tuple[type[Optimizer], ...] = (SGD, Adam, AdamW)
