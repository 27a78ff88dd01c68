"""Type names for arrays, and the float types a net may have."""

from __future__ import annotations

import contextlib
import mmap
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray  # at run time its import would cost a millisecond

    Array: TypeAlias = NDArray[Any]
else:
    Array = np.ndarray

FLOAT_TYPES: dict[str, type[np.floating[Any]]] = {"float32": np.float32, "float64": np.float64}
INTEGER_TYPES: dict[str, type[np.integer[Any]]] = {"int32": np.int32, "uint8": np.uint8}
_FEW = 32  # numbers that Python compares sooner than a call to NumPy returns


def each_once(array: Array) -> Array:
    """Return an array without the copies that broadcasting stands for: fewer numbers to check."""
    if 0 not in array.strides:
        return array
    return array[tuple(slice(1) if step == 0 else slice(None) for step in array.strides)]


def extremes(array: Array) -> tuple[Any, Any]:
    """Return the least and the largest number of an array that has some."""
    if array.size <= _FEW:
        numbers = array.ravel().tolist()
        return min(numbers), max(numbers)
    distinct = each_once(array)
    return distinct.min(), distinct.max()


def element_type(kind: str, float_type: str) -> type[np.generic]:
    """Return the type of a buffer's elements: "real" is the float type of its program."""
    return FLOAT_TYPES[float_type] if kind == "real" else INTEGER_TYPES[kind]


def check_dtype(dtype: object) -> str:
    """Return "float32" or "float64" for a name or a NumPy type; anything else raises."""
    try:
        name = "None" if dtype is None else np.dtype(dtype).name  # type: ignore[call-overload]
    except TypeError:
        name = str(dtype)
    if name not in FLOAT_TYPES:
        raise ValueError(f'dtype must be "float32" or "float64", got {dtype!r}')
    return str(name)


def _memory() -> int:
    """Return the bytes of the machine's memory, or what no machine has where it can't be asked."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2**62


_MEMORY = _memory()


_HAS_HUGE_PAGES = hasattr(mmap, "MADV_HUGEPAGE")
_HUGE_PAGE = 2 << 20
_HUGE_FROM = 4 << 20  # bytes of an array from which on huge pages are asked for


def aligned_empty(size: int, dtype: Any) -> Array:
    """Return a 1-D array, not set to anything, whose data begin at a multiple of 64 bytes.

    From 4 MiB on the data begin at a multiple of 2 MiB, and on Linux huge pages are asked for: they
    are there if the system's setting is "madvise" or "always".

    Raises
    ------
    MemoryError
        For more than the machine has, which the system might promise and then not keep.
    """
    return _aligned(np.empty, size, dtype)


def aligned_zeros(size: int, dtype: Any) -> Array:
    """Return a 1-D array of zeros as ``aligned_empty`` does.

    The system clears the memory when it is first written: what nothing touches takes none.
    """
    return _aligned(np.zeros, size, dtype)


def _aligned(make: Any, size: int, dtype: Any) -> Array:
    bytes_wanted = size * np.dtype(dtype).itemsize
    if bytes_wanted > _MEMORY:
        raise MemoryError(
            f"{bytes_wanted / 2**30:.3g} GiB are needed, the machine has {_MEMORY / 2**30:.3g} GiB"
        )
    if bytes_wanted >= _HUGE_FROM and _HAS_HUGE_PAGES:
        return _cut(_mapped(bytes_wanted + _HUGE_PAGE), bytes_wanted, _HUGE_PAGE).view(dtype)
    return _cut(make(bytes_wanted + 64, np.uint8), bytes_wanted, 64).view(dtype)


def _mapped(size: int) -> Array:
    """Return bytes that are 0, on huge pages; NumPy would let the array begin within one."""
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"{size / 2**30:.3g} GiB can't be had: {error}") from error
    with contextlib.suppress(OSError):  # a kernel built without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)


def _cut(raw: Array, size: int, alignment: int) -> Array:
    start = -raw.__array_interface__["data"][0] % alignment
    return raw[start : start + size]
