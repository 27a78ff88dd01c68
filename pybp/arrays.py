"""Type names for arrays, and the float types a net may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray  # at run time its import would cost a millisecond

    Array: TypeAlias = NDArray[Any]
else:
    Array = np.ndarray

FLOAT_TYPES: dict[str, type[np.floating[Any]]] = {"float32": np.float32, "float64": np.float64}


def check_dtype(dtype: object) -> str:
    """Return "float32" or "float64" for a name or a NumPy type; anything else raises."""
    try:
        name = "None" if dtype is None else np.dtype(dtype).name  # type: ignore[call-overload]
    except TypeError:
        name = str(dtype)
    if name not in FLOAT_TYPES:
        raise ValueError(f'dtype must be "float32" or "float64", got {dtype!r}')
    return str(name)


def aligned_empty(size: int, dtype: Any) -> Array:
    """Return an uninitialised 1-D array whose data begin at a multiple of 64 bytes."""
    itemsize = np.dtype(dtype).itemsize
    raw = np.empty(size * itemsize + 64, np.uint8)
    start = -raw.__array_interface__["data"][0] % 64
    return raw[start : start + size * itemsize].view(dtype)


def aligned_zeros(size: int, dtype: Any) -> Array:
    """Return a 1-D array of zeros whose data begin at a multiple of 64 bytes."""
    array = aligned_empty(size, dtype)
    array.fill(0)
    return array
