"""What all schedules share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.record import Record


class Schedule(Record):
    """Base of the schedules."""

    def __call__(self, t: int) -> float:
        """Return the rate of update t = 0, 1, ..."""
        return float(self.rates(range(t, t + 1))[0])

    def rates(self, updates: range) -> Array:
        """Return the rates of some updates one after the other, float64."""
        if updates.start < 0:
            raise ValueError(f"updates are counted from 0, got {updates.start}")
        return self._rates(np.arange(updates.start, updates.stop))

    def endless(self) -> bool:
        """Tell whether there is a rate for every update."""
        return True

    def _rates(self, t: Array) -> Array:
        """Return the rates of updates t, int64."""
        raise NotImplementedError

    def _at_least_0(self, *names: str) -> None:
        for name in names:
            self._require(0 <= vars(self)[name] < math.inf, name, "a finite number >= 0")

    def _positive(self, *names: str) -> None:
        for name in names:
            self._require(vars(self)[name] > 0, name, "above 0")

    def _require(self, good: bool, name: str, expected: str) -> None:
        if not good:
            got = vars(self)[name]
            raise ValueError(f"{type(self).__name__}: {name} must be {expected}, got {got!r}")


def between(low: float, high: float, part: Array) -> Array:
    """Return the numbers on half a cosine, from high (part 0) to low (part 1)."""
    return low + (high - low) / 2 * (1 + np.cos(np.pi * part))


def is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number above 0."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value > 0)
