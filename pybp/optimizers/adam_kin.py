"""The kin of Adam: other norms, Nesterov's momentum, a rectified rate."""

from __future__ import annotations

import functools
import math

import numpy as np

from pybp.arrays import Array
from pybp.optimizers.adam import WithMeans, numbers_from_1
from pybp.optimizers.base import Rate
from pybp.program import ops

_DECAY = 0.96  # of NAdam's momentum schedule
_NOTHING = 1e-17  # less than half a unit in the last place of 1


class Adamax(WithMeans):
    """Adam with the maximum norm (Kingma and Ba 2015, algorithm 2).

    ``u = max(beta2 * u, |g| + eps)``; ``theta -= lr / (1 - beta1^t) * m / u``.

    Parameters
    ----------
    lr : float or schedule
        The rate.
    betas : pair of float
        Decay of the running mean and of the maximum, each in [0, 1).
    eps : float
        Added to the size of the gradient.
    weight_decay : float
        L2: ``g += weight_decay * theta``.
    maximize : bool
        Climb instead of descending.
    """

    lr: Rate = 2e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    maximize: bool = False

    def state_names(self) -> tuple[str, ...]:
        """Return the running mean and the maximum norm."""
        return ("m", "u")

    def op(self, w: str, g: str) -> ops.Update:
        """Return the update op."""
        return ops.Adamax(w, g, "m", "u")

    def hyper(self, first: int, steps: int) -> Array:
        """Return the op's scalars for some updates."""
        beta1, beta2 = self.betas
        correction1, _ = self._corrections(first, steps)
        gains = (beta1, 1 - beta1, beta2)
        return self._scalars(first, steps, self.weight_decay, *gains, self.eps, correction1)


class NAdam(WithMeans):
    """Adam with Nesterov's momentum (Dozat 2016).

    With ``mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2)`` and P_t the product of mu_1 ... mu_t
    ``theta -= lr * (g * (1 - mu_t) / (1 - P_t) + m * mu_(t+1) / (1 - P_(t+1)))
    / (sqrt(v / (1 - beta2^t)) + eps)``.

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
    momentum_decay : float
        As in the equations.
    decoupled_weight_decay : bool
        ``theta *= 1 - lr * weight_decay`` instead of L2.
    maximize : bool
        Climb instead of descending.
    """

    lr: Rate = 2e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum_decay: float = 4e-3
    decoupled_weight_decay: bool = False
    maximize: bool = False

    def _check(self) -> None:
        super()._check()
        self._at_least_0(momentum_decay=self.momentum_decay)

    def op(self, w: str, g: str) -> ops.Update:
        """Return the update op."""
        return ops.Nadam(w, g, "m", "v", self.decoupled_weight_decay)

    def hyper(self, first: int, steps: int) -> Array:
        """Return the op's scalars for some updates."""
        beta1, decay = self.betas[0], self.momentum_decay
        mu = _momenta(beta1, decay, numbers_from_1(first, steps + 1))
        products = _products(beta1, decay, first, steps + 1)
        slope_part = (1 - mu[:-1]) / (1 - products[:-1])
        mean_part = mu[1:] / (1 - products[1:])
        _, correction2 = self._corrections(first, steps)
        return self._means(first, steps, slope_part, mean_part, np.sqrt(correction2))


def _momenta(beta1: float, decay: float, t: Array) -> Array:
    """Return NAdam's momentum of updates t = 1, 2, ..."""
    return beta1 * (1 - 0.5 * _DECAY ** (t * decay))


def _products(beta1: float, decay: float, first: int, count: int) -> Array:
    """Return the products of the momenta up to updates first + 1 ... first + count.

    They are 0 from where they no longer change 1 - product, so that no more is multiplied than
    that, however many updates have been made.
    """
    enough = 1 if beta1 == 0 else math.ceil(math.log(_NOTHING) / math.log(beta1))
    needed = min(first + count, enough)
    size = min(1 << max(needed, 1024).bit_length(), enough)
    known = _first_products(beta1, decay, size)[first : first + count]
    return np.concatenate([known, np.zeros(count - len(known))])


@functools.lru_cache(maxsize=8)
def _first_products(beta1: float, decay: float, count: int) -> Array:
    """Return the products of the first momenta, each from the one before."""
    return np.cumprod(_momenta(beta1, decay, numbers_from_1(0, count)))


class RAdam(WithMeans):
    """Adam with a rectified rate (Liu et al. 2020, algorithm 2).

    With ``rho_inf = 2 / (1 - beta2) - 1`` and
    ``rho = rho_inf - 2 t beta2^t / (1 - beta2^t)`` the length of the mean of squares:
    ``theta -= lr * m / (1 - beta1^t)``, from rho > 5 on times
    ``sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho)) * sqrt(1 - beta2^t)
    / (sqrt(v) + eps)``.

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
    decoupled_weight_decay : bool
        ``theta *= 1 - lr * weight_decay`` instead of L2.
    maximize : bool
        Climb instead of descending.
    """

    lr: Rate = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    decoupled_weight_decay: bool = False
    maximize: bool = False

    def op(self, w: str, g: str) -> ops.Update:
        """Return the update op."""
        return ops.Radam(w, g, "m", "v", self.decoupled_weight_decay)

    def hyper(self, first: int, steps: int) -> Array:
        """Return the op's scalars for some updates."""
        correction1, correction2 = self._corrections(first, steps)
        longest = 2 / (1 - self.betas[1]) - 1
        t = numbers_from_1(first, steps)
        length = longest - 2 * t * self.betas[1] ** t / correction2
        rectifier = np.zeros(steps)
        long = length > 5
        rho = length[long]
        square = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
        rectifier[long] = np.sqrt(square) * np.sqrt(correction2[long])
        return self._means(first, steps, correction1, rectifier)
