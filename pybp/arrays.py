"""Type names for arrays, and the float types a net may have."""

from __future__ import annotations

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


def each_once(array: Array) -> Array:
    """Return an array without the copies that broadcasting stands for: fewer numbers to check."""
    if 0 not in array.strides:
        return array
    return array[tuple(slice(1) if step == 0 else slice(None) for step in array.strides)]


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


def aligned_empty(size: int, dtype: Any) -> Array:
    """Return an uninitialised 1-D array whose data begin at a multiple of 64 bytes.

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
    raw = make(bytes_wanted + 64, np.uint8)
    start = -raw.__array_interface__["data"][0] % 64
    aligned: Array = raw[start : start + bytes_wanted].view(dtype)
    return aligned
