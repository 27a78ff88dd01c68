"""Adam and AdamW, and what the kin of Adam share."""

from __future__ import annotations

import numpy as np

from pybp.arrays import Array
from pybp.optimizers.base import Optimizer, Rate
from pybp.program import ops


def numbers_from_1(first: int, steps: int) -> Array:
    """Return first + 1 ... first + steps: the numbers of updates, counted from 1."""
    return np.arange(first + 1, first + steps + 1, dtype=np.float64)


class WithMeans(Optimizer):
    """Base of Adam and its kin: running means of the gradient and of its square.

    They all have the fields of this class; each names its own in the order of PyTorch.
    """

    lr: Rate = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def _check(self) -> None:
        self._check_rate(self.lr)
        self._check_betas(self.betas)
        self._at_least_0(eps=self.eps, weight_decay=self.weight_decay)

    def state_names(self) -> tuple[str, ...]:
        """Return the two running means."""
        return ("m", "v")

    def _means(self, first: int, steps: int, *rest: Array | float) -> Array:
        """Return the scalars that all share, and the rest."""
        beta1, beta2 = self.betas
        gains = (beta1, 1 - beta1, beta2, 1 - beta2)
        return self._scalars(first, steps, self.weight_decay, *gains, self.eps, *rest)

    def _corrections(self, first: int, steps: int) -> tuple[Array, Array]:
        """Return 1 - beta^t of both means, t = 1, 2, ... being the number of the update."""
        t = numbers_from_1(first, steps)
        beta1, beta2 = self.betas
        return 1 - beta1**t, 1 - beta2**t


class PlainAdam(WithMeans):
    """What Adam and AdamW share."""

    amsgrad: bool = False
    maximize: bool = False

    def is_decoupled(self) -> bool:
        """Tell whether the weights decay apart from the gradient."""
        raise NotImplementedError

    def state_names(self) -> tuple[str, ...]:
        """Return the two running means, and with AMSGrad the maximum of the second."""
        return ("m", "v", "vmax") if self.amsgrad else ("m", "v")

    def op(self, w: str, g: str) -> ops.Update:
        """Return the update op."""
        vmax = "vmax" if self.amsgrad else ""
        return ops.Adam(w, g, "m", "v", vmax, self.is_decoupled())

    def hyper(self, first: int, steps: int) -> Array:
        """Return the op's scalars for some updates."""
        correction1, correction2 = self._corrections(first, steps)
        return self._means(first, steps, correction1, np.sqrt(correction2))


class Adam(PlainAdam):
    """Adam (Kingma and Ba 2015, algorithm 1; the epsilon outside the corrected root).

    ``m`` and ``v`` are running means of the gradient and of its square;
    ``theta -= lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)``.

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
    decoupled_weight_decay : bool
        Decay as in ``AdamW``.
    """

    decoupled_weight_decay: bool = False

    def is_decoupled(self) -> bool:
        """Tell whether the weights decay apart from the gradient."""
        return self.decoupled_weight_decay


class AdamW(PlainAdam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    ``theta *= 1 - lr * weight_decay``, then the step of ``Adam``, whose arguments it takes.
    """

    lr: Rate = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 1e-2
    amsgrad: bool = False
    maximize: bool = False

    def is_decoupled(self) -> bool:
        """Tell whether the weights decay apart from the gradient."""
        return True
