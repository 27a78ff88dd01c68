"""The states that stateful recurrent layers carry from batch to batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp.arrays import Array, aligned_zeros


class Carried:
    """A row of each state for each sequence of a batch: the batches must have equal rows.

    Parameters
    ----------
    units : dict
        Name -> size of a state.
    dtype : NumPy float type
        Of the arrays.

    Attributes
    ----------
    arrays : dict
        Name -> array (rows, units).
    generation : int
        Rises when the arrays are made anew: programs bound to older ones are of no use.
    """

    def __init__(self, units: dict[str, int], dtype: Any) -> None:
        self.units, self.dtype = units, dtype
        self.arrays: dict[str, Array] = {}
        self.rows = 0  # 0: a batch of any size may come
        self.generation = 0

    def use(self, rows: int) -> None:
        """Have arrays for batches of this size.

        Raises
        ------
        ValueError
            When the states of another number of sequences are carried.
        """
        if not self.units or rows == self.rows:
            return
        if self.rows:
            raise ValueError(
                f"stateful layers carry the states of {self.rows} sequences, got a batch of "
                f"{rows}: net.reset_states() starts anew"
            )
        self.rows = rows
        if any(len(array) != rows for array in self.arrays.values()) or not self.arrays:
            self.generation += 1
            self.arrays = {
                name: aligned_zeros(rows * size, self.dtype).reshape(rows, size)
                for name, size in self.units.items()
            }

    def reset(self) -> None:
        """Start from zero states, with a batch of any size."""
        self.rows = 0
        for array in self.arrays.values():
            array.fill(0)

    def export(self) -> dict[str, Array]:
        """Return copies of the states, none if no batch has come yet."""
        return {name: array.copy() for name, array in self.arrays.items()} if self.rows else {}

    def restore(self, exported: dict[str, Array]) -> None:
        """Take over what ``export`` has returned."""
        self.reset()
        if exported:
            self.use(len(next(iter(exported.values()))))
            for name, array in exported.items():
                np.copyto(self.arrays[name], array)
