"""Batches of sequences of different lengths, as one array and the places where they begin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from pybp.arrays import Array


class Ragged:
    """A batch of sequences, or of bags of ids, that lie one after the other in one array.

    Nothing is copied: the batch reads the arrays it was made from.

    Parameters
    ----------
    values : array (p, ...)
        The time steps of all sequences.
    offsets : int array (n,)
        Where each sequence begins, as in PyTorch's ``EmbeddingBag``: 0 first, never falling, within
        the values. Each ends where the next begins.
    weights : array (p,), optional
        Factors of the ids, for an ``EmbeddingBag`` with the mode "sum".

    Raises
    ------
    TypeError
        For anything but arrays of numbers, and offsets that are no whole numbers.
    ValueError
        For offsets or weights that don't fit the values.
    """

    def __init__(self, values: Any, offsets: Any, weights: Any = None) -> None:
        self._values = _numbers(values, "values")
        self._first = _offsets(offsets, len(self._values))
        self._lengths = np.diff(self._first, append=len(self._values))
        self._weights = None if weights is None else _numbers(weights, "weights")
        if self._weights is not None and self._weights.shape != self._values.shape[:1]:
            raise ValueError(
                f"weights must have shape ({len(self._values)},), one for each of the values, "
                f"got {self._weights.shape}"
            )
        for array in (self._first, self._lengths):
            array.flags.writeable = False

    @classmethod
    def of(cls, sequences: Iterable[Any], name: str = "sequences") -> Self:
        """Return the batch of a list of arrays (steps, ...).

        Parameters
        ----------
        sequences : list of arrays
            At least one; all but the first axis and the kind of numbers must be the same.
        name : str
            What errors call the list.

        Raises
        ------
        TypeError
            For entries that are no arrays of numbers.
        ValueError
            For no entries, and for one that differs from the first.
        """
        arrays = [_entry(entry, f"{name}[{i}]") for i, entry in enumerate(sequences)]
        if not arrays:
            raise ValueError(f"{name} holds no arrays")
        kinds = [_kind(array) for array in arrays]
        like = next((i for i, array in enumerate(arrays) if array.size), 0)
        for i, array in enumerate(arrays):
            if array.shape[1:] != arrays[like].shape[1:]:
                raise ValueError(
                    f"{name}[{i}] must have shape (steps{_sizes(arrays[like])}) as {name}[{like}], "
                    f"got {array.shape}"
                )
            if kinds[i] != kinds[like] and array.size:
                raise ValueError(
                    f"{name}[{i}] must hold {kinds[like]} as {name}[{like}], got {kinds[i]}"
                )
        # an empty array has a dtype of its own, and nothing to say
        values = np.concatenate([array for array in arrays if array.size] or arrays[:1])
        lengths = [len(array) for array in arrays]
        return cls(values, np.cumsum([0, *lengths[:-1]]))

    @property
    def values(self) -> Array:
        """The time steps of all sequences, (p, ...)."""
        return self._values

    @property
    def weights(self) -> Array | None:
        """The factors of the values, (p,), or None."""
        return self._weights

    @property
    def rows(self) -> int:
        """The number of sequences n."""
        return len(self._first)

    @property
    def first(self) -> Array:
        """Where each sequence begins, int64 (n,)."""
        return self._first

    @property
    def lengths(self) -> Array:
        """The number of time steps of each sequence, int64 (n,)."""
        return self._lengths

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        weights = ", with weights" if self._weights is not None else ""
        return (
            f"<Ragged: {self.rows} sequences, {len(self._values)} steps"
            f"{' of shape ' + str(self._values.shape[1:]) if self._values.ndim > 1 else ''} "
            f"({self._values.dtype}){weights}>"
        )


def _numbers(value: Any, name: str) -> Array:
    if isinstance(value, list | tuple) or value is None or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"Ragged: {name} must be an array, got {type(value).__name__}")
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"Ragged: {name} must hold real numbers, got the dtype {array.dtype}")
    if array.ndim == 0:
        raise ValueError(f"Ragged: {name} must have at least one axis, got a single number")
    return array


def _offsets(offsets: Any, steps: int) -> Array:
    array = np.asarray(offsets)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"Ragged: offsets must be whole numbers, got the dtype {array.dtype}")
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"Ragged: offsets must have shape (n,) with at least one entry, got {array.shape}"
        )
    if array[0] != 0:
        raise ValueError(f"Ragged: offsets must begin at 0, got {int(array[0])}")
    falls = array[1:] < array[:-1]
    if falls.any():
        i = int(np.argmax(falls))
        raise ValueError(
            f"Ragged: offsets must never fall, got {int(array[i])} and then {int(array[i + 1])} "
            f"in place {i + 1}"
        )
    if array[-1] > steps:
        raise ValueError(
            f"Ragged: offsets must lie within the {steps} values, got {int(array[-1])}"
        )
    return array.astype(np.int64)


def _entry(entry: Any, name: str) -> Array:
    if not isinstance(entry, np.ndarray) or isinstance(entry, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array, got {type(entry).__name__}")
    if entry.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got the dtype {entry.dtype}")
    if entry.ndim == 0:
        raise ValueError(f"{name} must have a time axis, got a single number")
    return entry


def _kind(array: Array) -> str:
    return "real numbers" if array.dtype.kind == "f" else "whole numbers"


def _sizes(array: Array) -> str:
    return "".join(f", {size}" for size in array.shape[1:]) or ","
