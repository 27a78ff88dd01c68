"""The border: arrays of the user are checked and converted here, once a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pybp.arrays import Array, each_once
from pybp.data.sources import DIRECT, Rows, Source, is_array_like, readable

_SMALL = 1 << 20  # bytes of an array that is converted at once


def check_shape(shape: Any) -> tuple[int | None, ...]:
    """Return the shape of one sample: positive sizes, the first of which may be None."""
    if isinstance(shape, int | np.integer):
        raise TypeError(f"a shape is a tuple such as ({shape},), got {shape!r}")
    sizes = tuple(shape)
    for position, size in enumerate(sizes):
        if size is None and position == 0:
            continue
        if isinstance(size, bool) or not isinstance(size, int | np.integer):
            raise TypeError(f"a shape holds whole numbers, got {sizes}")
        if size < 1:
            raise ValueError(f"sizes must be >= 1, got {sizes}")
    return tuple(None if size is None else int(size) for size in sizes)


def numbers(value: Any, name: str) -> Array:
    """Return an argument as an array of real numbers with at least one axis.

    What is no NumPy array, but has a shape and slices, is read as a whole.

    Raises
    ------
    TypeError
        For lists (they mean ragged batches), masked arrays, and dtypes that hold no real numbers.
    ValueError
        For no axis, or no rows.
    """
    if isinstance(value, list | tuple | dict) or value is None:
        raise TypeError(f"{name} must be an array, got {type(value).__name__}: use numpy.asarray")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: fill it, and pass the mask as sample_weight")
    if not isinstance(value, np.ndarray) and is_array_like(value):
        source = Source(value, name)
        return source.read(0, len(source))
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got the dtype {array.dtype}")
    if array.ndim == 0:
        raise ValueError(f"{name} must have a batch axis, got a single number")
    if array.shape[0] == 0:
        raise ValueError(f"{name} has no rows: its shape is {array.shape}")
    return array


def rows_of(value: Any, name: str) -> Rows:
    """Return an argument as ``numbers`` does, but read bit by bit what is array-like."""
    if isinstance(value, np.ndarray) or not is_array_like(value):
        return numbers(value, name)
    return Source(value, name)


def samples(value: Any, name: str, shape: tuple[int | None, ...] | None) -> Rows:
    """Return a batch of samples of a shape (any shape for None)."""
    array = rows_of(value, name)
    if shape is not None and array.shape[1:] != shape:
        sizes = "".join(f", {size}" for size in shape)
        raise ValueError(f"{name} must have shape (n{sizes}), got {array.shape}")
    return array


def ready(array: Rows, dtype: str) -> Rows:
    """Return rows that executors can read, or that are read and converted when they are needed."""
    if isinstance(array, Source):
        return array.to(dtype)
    if is_readable(array):
        return array
    return whole(array, dtype) if array.nbytes <= _SMALL else Source(array, "x", dtype)


def whole(array: Rows, dtype: str) -> Array:
    """Return an array that executors can read: contiguous, native byte order, known dtype."""
    if isinstance(array, Source):
        return array.to(dtype).read(0, len(array))
    return array if is_readable(array) else np.ascontiguousarray(array, readable(array, dtype))


def is_readable(array: Array) -> bool:
    """Tell whether executors can read an array as it lies."""
    if not (array.dtype.isnative and array.dtype in DIRECT):
        return False
    row = array[:1]  # only the batch axis may have a stride of its own
    contiguous: bool = array.flags.c_contiguous
    return contiguous or (row.flags.c_contiguous and array.strides[0] > 0)


def weights(value: Any, rows: int, shape: Sequence[int | None]) -> Array:
    """Return sample weights: (n,) or the leading axes of samples of this shape."""
    array = numbers(value, "sample_weight")
    if array.shape[0] != rows or array.shape[1:] != tuple(shape[: array.ndim - 1]):
        sizes = "".join(f", {size}" for size in shape)
        raise ValueError(
            f"sample_weight must have shape ({rows},) or lead ({rows}{sizes}), got {array.shape}"
        )
    distinct = each_once(array)
    if not ((distinct >= 0) & (distinct < np.inf)).all():
        raise ValueError("sample_weight must be >= 0 and finite everywhere")
    return array


def same_rows(rows: int, y: Rows) -> None:
    """Refuse targets of another length than the inputs."""
    if rows != len(y):
        raise ValueError(f"x has {rows} rows and y has {len(y)}")


def whole_number(value: Any, name: str, least: int) -> int:
    """Return an argument as an int that is at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be >= {least}, got {value}")
    return int(value)


def real_number(value: Any, name: str) -> float:
    """Return an argument as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    return float(value)


def check_seed(seed: int | None) -> int:
    """Return a seed in 0 ... 2**64 - 1; None draws one."""
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    seed = whole_number(seed, "seed", 0)
    if seed >= 2**64:
        raise ValueError(f"seed must be below 2**64, got {seed}")
    return seed
