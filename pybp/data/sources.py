"""Arrays that are read bit by bit: what only has ``shape`` and slices, or needs a conversion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pybp.arrays import FLOAT_TYPES, Array

_BLOCK_BYTES = 1 << 24  # of a block that is read to be checked
_GAP = 8  # rows between two that are wanted which are read along, for fewer reads
DIRECT = frozenset(np.dtype(code) for code in "?bBhHiIlLqQfd")  # executors convert them


class Source:
    """Rows of something array-like, read as native arrays when a step needs them.

    Parameters
    ----------
    value : object
        Has ``shape``, and slices ``value[a:b]`` that NumPy makes arrays of.
    name : str
        For errors.
    dtype : str
        The net's float type, to which numbers that executors don't take are converted.

    Raises
    ------
    TypeError
        Where slices hold no real numbers.
    ValueError
        For no axis, or no rows.
    """

    def __init__(self, value: Any, name: str, dtype: str = "float64") -> None:
        self._value = value
        self._name = name
        self.shape = tuple(int(size) for size in value.shape)
        if not self.shape:
            raise ValueError(f"{name} must have a batch axis, got a single number")
        if self.shape[0] == 0:
            raise ValueError(f"{name} has no rows: its shape is {self.shape}")
        first = np.asarray(value[:1])
        if first.dtype.kind not in "fiub":
            raise TypeError(f"{name} must hold real numbers, got the dtype {first.dtype}")
        self.dtype = readable(first, dtype)
        self._check(first, 0, 1)

    def to(self, dtype: str) -> Source:
        """Return the same rows, for a net of this float type."""
        return Source(self._value, self._name, dtype)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def row_bytes(self) -> int:
        """The bytes of a row as executors get it."""
        size = self.dtype.itemsize
        for extent in self.shape[1:]:
            size *= extent
        return size

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int, stop: int) -> Array:
        """Return the rows ``start ... stop - 1`` as a contiguous array."""
        rows = np.ascontiguousarray(self._value[start:stop], self.dtype)
        self._check(rows, start, stop)
        return rows

    def take(self, rows: Array) -> Array:
        """Return rows in any order, by as few slices as reasonable."""
        result = np.empty((len(rows), *self.shape[1:]), self.dtype)
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        cuts = np.flatnonzero(np.diff(wanted) > _GAP) + 1
        for begin, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(rows)], strict=True):
            start = int(wanted[begin])
            block = self.read(start, int(wanted[end - 1]) + 1)
            result[order[begin:end]] = block[wanted[begin:end] - start]
        return result

    def blocks(self) -> Iterator[Array]:
        """Yield all rows, block by block."""
        rows = max(1, _BLOCK_BYTES // max(1, self.row_bytes))
        for start in range(0, len(self), rows):
            yield self.read(start, min(start + rows, len(self)))

    def _check(self, rows: Array, start: int, stop: int) -> None:
        if rows.shape != (stop - start, *self.shape[1:]):
            raise ValueError(
                f"{self._name}[{start}:{stop}] must have shape "
                f"{(stop - start, *self.shape[1:])}, got {rows.shape}"
            )


Rows = Array | Source  # what a call may be given


def readable(array: Array, dtype: str) -> np.dtype[Any]:
    """Return the dtype in which executors take an array, for a net of this float type."""
    own = array.dtype.newbyteorder("=")
    return own if own in DIRECT else np.dtype(FLOAT_TYPES[dtype])


def is_array_like(value: Any) -> bool:
    """Tell whether something is no NumPy array, but has a shape and slices."""
    return (
        not isinstance(value, np.ndarray | np.generic)
        and isinstance(getattr(value, "shape", None), tuple)
        and hasattr(value, "__getitem__")
    )
