"""Rates that fall, or rise for a while, and stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pybp.arrays import Array
from pybp.schedules.base import Schedule


class StepLR(Schedule):
    """``lr * gamma^floor(t / step_size)``."""

    lr: float
    step_size: int
    gamma: float = 0.1

    def _check(self) -> None:
        self._at_least_0("lr", "gamma")
        self._positive("step_size")

    def _rates(self, t: Array) -> Array:
        return self.lr * self.gamma ** (t // self.step_size)


class MultiStepLR(Schedule):
    """``lr`` times ``gamma`` for each milestone that is reached, ``milestone <= t``."""

    lr: float
    milestones: Sequence[int]
    gamma: float = 0.1

    def _check(self) -> None:
        self._at_least_0("lr", "gamma")
        whole = isinstance(self.milestones, tuple | list) and all(
            isinstance(each, int | np.integer) and each >= 0 for each in self.milestones
        )
        self._require(whole, "milestones", "a list of whole numbers >= 0")

    def _rates(self, t: Array) -> Array:
        reached = np.searchsorted(np.sort(np.array(self.milestones, np.int64)), t, side="right")
        return self.lr * self.gamma**reached


class ExponentialLR(Schedule):
    """``lr * gamma^t``."""

    lr: float
    gamma: float

    def _check(self) -> None:
        self._at_least_0("lr", "gamma")

    def _rates(self, t: Array) -> Array:
        return self.lr * self.gamma**t


class InverseTimeLR(Schedule):
    """``lr / (1 + k * t)``."""

    lr: float
    k: float

    def _check(self) -> None:
        self._at_least_0("lr", "k")

    def _rates(self, t: Array) -> Array:
        return self.lr / (1 + self.k * t)


class LinearLR(Schedule):
    """``lr`` times a factor that goes from ``start_factor`` to ``end_factor`` and stays there.

    It takes ``total_iters`` updates.
    """

    lr: float
    start_factor: float = 1 / 3
    end_factor: float = 1.0
    total_iters: int = 5

    def _check(self) -> None:
        self._at_least_0("lr")
        self._require(0 < self.start_factor <= 1, "start_factor", "in (0, 1]")
        self._require(0 <= self.end_factor <= 1, "end_factor", "in [0, 1]")
        self._positive("total_iters")

    def _rates(self, t: Array) -> Array:
        part = np.minimum(t, self.total_iters) / self.total_iters
        return self.lr * (self.start_factor + (self.end_factor - self.start_factor) * part)


class ConstantLR(Schedule):
    """``lr * factor`` for ``total_iters`` updates, then ``lr``."""

    lr: float
    factor: float = 1 / 3
    total_iters: int = 5

    def _check(self) -> None:
        self._at_least_0("lr", "total_iters")
        self._require(0 <= self.factor <= 1, "factor", "in [0, 1]")

    def _rates(self, t: Array) -> Array:
        return self.lr * np.where(t < self.total_iters, self.factor, 1.0)


class PolynomialLR(Schedule):
    """``lr * (1 - t / total_iters)^power``, then 0."""

    lr: float
    total_iters: int = 5
    power: float = 1.0

    def _check(self) -> None:
        self._at_least_0("lr", "power")
        self._positive("total_iters")

    def _rates(self, t: Array) -> Array:
        return self.lr * (1 - np.minimum(t, self.total_iters) / self.total_iters) ** self.power


class WarmupLR(Schedule):
    """A linear rise before another schedule.

    ``after(0)`` times a factor that goes from ``start_factor`` to 1 in ``steps`` updates, then
    ``after(t - steps)``; ``after`` is a rate or a schedule.
    """

    after: float | Callable[[int], float]
    steps: int
    start_factor: float = 1 / 3

    def _check(self) -> None:
        if not callable(self.after):
            good = isinstance(self.after, int | float | np.number) and 0 <= self.after < np.inf
            self._require(good, "after", "a schedule, or a finite number >= 0")
        self._positive("steps")
        self._require(0 <= self.start_factor <= 1, "start_factor", "in [0, 1]")

    def endless(self) -> bool:
        """Tell whether there is a rate for every update."""
        if isinstance(self.after, Schedule):
            return self.after.endless()
        return not callable(self.after)

    def _rates(self, t: Array) -> Array:
        rises = t < self.steps
        factor = self.start_factor + (1 - self.start_factor) * (t[rises] / self.steps)
        before = self._after(0, 1)[0] * factor if rises.any() else factor
        stays = t[~rises] - self.steps
        after = self._after(int(stays[0]), len(stays)) if len(stays) else np.zeros(0)
        return np.concatenate([before, after])

    def _after(self, first: int, count: int) -> Array:
        updates = range(first, first + count)
        if isinstance(self.after, Schedule):
            return self.after.rates(updates)
        if callable(self.after):
            return np.array([self.after(t) for t in updates], np.float64)
        return np.full(count, float(self.after))
