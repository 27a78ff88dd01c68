"""The header of a safetensors file, read strictly: what the format forbids is refused."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

# The format's names of the types of elements -> NumPy's. It has some that NumPy has not.
DTYPES = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4",
    "I32": "<i4", "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
    "C64": "<c8",
}  # fmt: skip
_SIZES = {name: int(code[2:]) for name, code in DTYPES.items()}
_FIELDS = {"dtype", "shape", "data_offsets"}
_INT = frozenset([int])  # bool is none of them
_MOST_AXES = 32  # NumPy before 2.0 has no more
_MOST_BYTES = 2**62  # of an array, an empty one's other sizes taken together too
_FORMAT_LIMIT = 100_000_000  # bytes of a header
_SMALL = 1 << 21


class Entry(NamedTuple):
    """An array: where its data lie, counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def most_bytes(file_size: int) -> int:
    """Return the most bytes that a header may have.

    Its JSON takes up to some thirty times its size in memory, so the size of the file bounds it.
    """
    return min(max(_SMALL, file_size // 8), _FORMAT_LIMIT)


def parse_json(text: str) -> Any:
    """Return what a JSON text holds.

    Raises
    ------
    ValueError
        For no JSON, too deep JSON, and for a name that stands twice in one object.
    """
    import json  # its import would cost every program half a millisecond

    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError("JSON of too many levels") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} stands there twice")
    return found


def parse(raw: bytes, data_size: int) -> tuple[dict[str, str], dict[str, Entry]]:
    """Return the metadata and the arrays of a header, in the order of their data.

    Parameters
    ----------
    raw : bytes
        The header.
    data_size : int
        How many bytes follow it.

    Raises
    ------
    ValueError
        For anything that the format forbids: duplicate names, leading white space, data that
        overlap, leave gaps, or do not fill the file; and for numbers that NumPy has no type for.
    """
    text = raw.decode("utf-8").rstrip(" ")
    if not text.startswith("{") or not text.endswith("}"):
        raise ValueError("its header is no JSON object")
    found = parse_json(text)
    metadata = found.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its metadata are not texts by name")
    entries = {name: _entry(name, value) for name, value in found.items()}
    ordered = sorted(entries.items(), key=lambda item: item[1][2:])
    at = 0
    for name, entry in ordered:
        if entry.start != at:
            raise ValueError(f"the data of {name!r} begin at {entry.start}, expected {at}")
        at = entry.end
    if at != data_size:
        raise ValueError(f"its arrays have {at} bytes, the file holds {data_size}")
    return metadata, dict(ordered)


def _entry(name: str, value: Any) -> Entry:
    if not isinstance(value, dict) or value.keys() != _FIELDS:
        raise ValueError(f"{name!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"shape and data_offsets of {name!r} must be lists of sizes")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{name!r} holds numbers that NumPy has no type for: {dtype!r}")
    start, end = offsets
    room = math.prod(size or 1 for size in shape) if 0 in shape else math.prod(shape)
    if len(shape) > _MOST_AXES or room > _MOST_BYTES // _SIZES[dtype]:
        raise ValueError(f"{name!r} has the shape {shape}, which no array can have")
    if end - start != math.prod(shape) * _SIZES[dtype]:
        raise ValueError(f"{name!r} of shape {shape} and type {dtype} has {end - start} bytes")
    return Entry(DTYPES[dtype], tuple(shape), start, end)


def _are_sizes(value: Any) -> bool:
    """Tell whether this is a list of whole numbers that are not negative, nor beyond all size."""
    if not isinstance(value, list) or not _INT.issuperset(map(type, value)):
        return False
    return not value or (min(value) >= 0 and max(value) <= _MOST_BYTES)
