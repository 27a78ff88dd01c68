"""Sequences at the border: padded arrays with lengths, lists of arrays, or ``Ragged``."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pybp.arrays import Array
from pybp.data import inputs
from pybp.data.ragged import Ragged
from pybp.program.packing import Packing


class Layout(NamedTuple):
    """Where the sequences of a batch lie in flat arrays of all their time steps.

    ``first`` and ``length`` (int64, a number for each sample); ``steps`` is the time axis of padded
    arrays, or 0 where the batch came as a list; ``rows`` is the length of the flat arrays.
    """

    first: Array
    length: Array
    steps: int
    rows: int

    def packing(self) -> Packing:
        """Return the packing of the whole batch."""
        return Packing(self.length)

    def same_steps(self, other: Layout) -> bool:
        """Tell whether arrays of both layouts hold the same steps in the same places."""
        if self is other:
            return True
        return np.array_equal(self.length, other.length) and np.array_equal(self.first, other.first)

    def give_back(self, flat: Array) -> Any:
        """Return a flat array as the caller gave his: padded, or a list of arrays."""
        if self.steps:
            return flat.reshape(len(self.first), self.steps, *flat.shape[1:])
        ends = self.first + self.length
        return [flat[a:b] for a, b in zip(self.first.tolist(), ends.tolist(), strict=True)]


def padded_layout(rows: int, steps: int, length: Array | None = None) -> Layout:
    """Return the layout of padded arrays (rows, steps, ...)."""
    first = np.arange(0, rows * steps, steps, dtype=np.int64)
    if length is None:
        length = np.full(rows, steps, np.int64)
    return Layout(first, length, steps, rows * steps)


def is_ragged(value: Any) -> bool:
    """Tell whether an argument is a batch of sequences of different lengths."""
    return isinstance(value, list | Ragged)


def take(value: Any, name: str, lengths: Any, *, empty: bool) -> tuple[Array, Layout]:
    """Return a batch of sequences as one flat array, and where they lie in it.

    Parameters
    ----------
    value : array (n, steps, ...), list of n arrays (steps, ...), or Ragged
        The sequences.
    name : str
        Of the argument, for errors.
    lengths : int array (n,), optional
        The steps of each sample that count, for padded arrays.
    empty : bool
        Whether a sequence may have no steps.

    Raises
    ------
    TypeError, ValueError
        For what holds no sequences, and for lengths that don't fit.
    """
    if is_ragged(value):
        if lengths is not None:
            raise ValueError(f"{name} is a list of sequences, which have their own lengths")
        ragged = value if isinstance(value, Ragged) else Ragged.of(value, name)
        layout = Layout(ragged.first, ragged.lengths, 0, len(ragged.values))
        flat = inputs.numbers(ragged.values, name) if len(ragged.values) else ragged.values
        _check_lengths(layout.length, name, empty=empty)
        return flat, layout
    array = inputs.numbers(value, name)
    if array.ndim < 2:
        raise ValueError(f"{name} must hold sequences, (n, steps, ...), got {array.shape}")
    rows, steps = array.shape[:2]
    if steps == 0 and not empty:
        raise ValueError(f"{name} has no time steps: its shape is {array.shape}")
    length = None if lengths is None else take_lengths(lengths, rows, steps, empty=empty)
    return array.reshape(rows * steps, *array.shape[2:]), padded_layout(rows, steps, length)


def take_lengths(lengths: Any, rows: int, steps: int, *, empty: bool = False) -> Array:
    """Return the lengths of padded sequences as int64 (rows,)."""
    array = np.asarray(lengths)
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths must be whole numbers, got the dtype {array.dtype}")
    if array.shape != (rows,):
        raise ValueError(f"lengths must have shape ({rows},), one for each row, got {array.shape}")
    _check_lengths(array, "lengths", empty=empty, most=steps)
    return array.astype(np.int64)


def _check_lengths(length: Array, name: str, *, empty: bool, most: int | None = None) -> None:
    if length.size == 0:
        raise ValueError(f"{name} has no rows")
    least = 0 if empty else 1
    top = int(length.max()) if most is None else most
    wrong = (length < least) | (length > top)
    if wrong.any():
        row = int(np.argmax(wrong))
        wanted = f"{least} ... {top}" if most is not None else f"at least {least} time steps"
        raise ValueError(f"{name}: expected {wanted}, got {int(length[row])} in row {row}")


def flat_like(value: Any, name: str, layout: Layout) -> Array:
    """Return what belongs to each time step (targets, weights) as a flat array of a layout.

    Parameters
    ----------
    value : array (n, steps, ...), list of n arrays, or Ragged
        As the sequences came; a padded array beside a list counts as far as the sequences go.
    name : str
        Of the argument, for errors.
    layout : Layout
        Of the sequences.
    """
    rows = len(layout.first)
    if is_ragged(value):
        flat, own = take(value, name, None, empty=True)
        if len(own.first) != rows or not np.array_equal(own.length, layout.length):
            raise ValueError(f"{name} must have the time steps of the sequences, got others")
        if own.same_steps(layout):
            return flat
        spread = np.zeros((layout.rows, *flat.shape[1:]), flat.dtype)
        packing = layout.packing()
        spread[packing.places(layout.first)] = flat[packing.places(own.first)]
        return spread
    array = inputs.numbers(value, name)
    if len(array) != rows:
        raise ValueError(f"x has {rows} rows and {name} has {len(array)}")
    steps = layout.steps or int(layout.length.max())
    if array.ndim < 2 or (array.shape[1] != steps if layout.steps else array.shape[1] < steps):
        raise ValueError(
            f"{name} must have one entry for each time step, shape ({rows}, {steps}, ...), "
            f"got {array.shape}"
        )
    if layout.steps:
        return array.reshape(layout.rows, *array.shape[2:])
    parts = [row[:length] for row, length in zip(array, layout.length.tolist(), strict=True)]
    return np.concatenate(parts)
