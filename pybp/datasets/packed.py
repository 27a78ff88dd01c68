"""Reading what may be compressed, in memory that the size of the file bounds."""

from __future__ import annotations

from collections.abc import Callable

_CHUNK = 1 << 20
_SMALL = 48 << 20
_RATIO = 6


def most_unpacked(packed: int) -> int:
    """Return how many bytes a compressed file of a data set may unpack to.

    Pictures shrink to no less than a fifth or so. What goes far beyond is damage, or was made to
    fill the memory.
    """
    return _SMALL + _RATIO * packed


def take(read: Callable[[int], bytes], size: int) -> bytearray:
    """Read up to ``size`` bytes, in memory that grows with what is really there."""
    data = bytearray()
    while len(data) < size:
        chunk = read(min(_CHUNK, size - len(data)))
        if not chunk:
            break
        data += chunk
    return data
