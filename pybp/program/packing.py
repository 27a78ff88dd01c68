"""The packing of a batch of sequences: the order in which ops see their time steps.

Step 0 of all samples comes first, then step 1 of those that have one, and so on; the samples of a
step stand in the order of falling length (equal ones as they come). So the samples of each step are
the first rows of those of the step before, and nothing is computed for steps that don't exist.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Packing:
    """Where the time steps of a batch lie.

    Parameters
    ----------
    lengths : int array (n,)
        The number of steps of each sample, at least 1 (bags may have 0).

    Attributes
    ----------
    lengths : int64 array (n,)
        As given.
    order : int64 array (n,)
        The samples, longest first: row k of a step belongs to sample ``order[k]``.
    sizes : int64 array (steps,)
        How many samples have a step t.
    offsets : int64 array (steps + 1,)
        Step t lies in the rows ``offsets[t] ... offsets[t + 1] - 1`` of a packed array.
    """

    def __init__(self, lengths: Array) -> None:
        self.lengths = np.asarray(lengths, np.int64)
        self.order = np.argsort(-self.lengths, kind="stable")
        ordered = self.lengths[self.order]
        steps = int(ordered[0]) if len(ordered) else 0
        self.sizes = np.searchsorted(-ordered, -np.arange(steps), side="left")
        self.offsets = np.append(0, np.cumsum(self.sizes))

    @property
    def count(self) -> int:
        """The number of rows of a packed array."""
        return int(self.offsets[-1])

    def samples(self) -> Array:
        """Return the sample of each row of a packed array, (count,)."""
        return self.order[self._ranks()]

    def steps(self) -> Array:
        """Return the time step of each row of a packed array, (count,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def places(self, first: Array) -> Array:
        """Return where each packed row lies if sample i begins at first[i], (count,)."""
        return first[self.samples()] + self.steps()

    def last(self) -> Array:
        """Return the row of the last step of each sample, (n,); all have at least one."""
        rows = np.empty(len(self.order), np.int64)
        rows[self.order] = self.offsets[self.lengths[self.order] - 1] + np.arange(len(self.order))
        return rows

    def _ranks(self) -> Array:
        return np.arange(self.count) - np.repeat(self.offsets[:-1], self.sizes)
