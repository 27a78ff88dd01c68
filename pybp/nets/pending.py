"""Gradients of batches that wait for their update: ``Trainer(..., accumulate=k)``."""

from __future__ import annotations

from typing import Any

from pybp.arrays import Array, aligned_zeros


class Pending:
    """The sum of the gradients of some batches, each times the divisor of its loss.

    So k batches give the gradient of one batch that holds them all, also where their sizes or the
    weights of their samples differ.

    Parameters
    ----------
    size : int
        Of the flat array of all gradients.
    dtype : NumPy float type
        Of the gradients.
    """

    def __init__(self, size: int, dtype: Any) -> None:
        self._size, self._dtype = size, dtype
        self._sum: Array | None = None
        self.weight = 0.0  # the sum of the divisors
        self.batches = 0

    def add(self, gradients: Array, weight: float) -> None:
        """Add the gradients of a batch."""
        if self._sum is None:
            self._sum = aligned_zeros(self._size, self._dtype)
        if self.batches == 0:
            self._sum.fill(0)
        self._sum += gradients * self._sum.dtype.type(weight)
        self.weight += weight
        self.batches += 1

    def move_to(self, gradients: Array, divisor: float) -> None:
        """Write the joint gradient over those of the last batch, and have none."""
        assert self._sum is not None
        gradients[...] = self._sum / self._sum.dtype.type(divisor)
        self.clear()

    def clear(self) -> None:
        """Have no gradients."""
        self.weight, self.batches = 0.0, 0

    def export(self) -> dict[str, Any]:
        """Return a copy, for ``restore``."""
        kept: dict[str, Any] = {"weight": self.weight, "batches": self.batches}
        if self.batches and self._sum is not None:
            kept["sum"] = self._sum.copy()
        return kept

    def restore(self, exported: dict[str, Any]) -> None:
        """Take over what ``export`` has returned."""
        self.clear()
        if "sum" in exported:
            self.add(exported["sum"], 1.0)
        self.weight, self.batches = float(exported["weight"]), int(exported["batches"])
