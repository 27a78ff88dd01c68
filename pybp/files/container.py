"""Arrays with a description in one safetensors file, sealed by a checksum over every byte.

The safetensors package reads these files. It isn't used here: it takes headers that the format
forbids, opens a file by its name once more for each look at it, and leaves files of its own behind
where a process is killed. Here the arrays are the very bytes that were checked.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pybp.arrays import Array
from pybp.data.inputs import whole_number
from pybp.files.header import DTYPES, Entry, most_bytes, parse, parse_json

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

FORMAT = 2  # files of format 1, nets alone, have no checksum
_KEY = "pybp"  # in the metadata; the description is its only entry
_DIGEST = "sha256"
_HEX = re.compile("[0-9a-f]{64}")
_UNSET = b"0" * 64  # what the checksum counts in its own place
_NAMES = {code: name for name, code in DTYPES.items()}
_CHUNK = 1 << 20
_LENGTH = 8  # bytes before the header, which tell its size


class Content(NamedTuple):
    """What a file holds; no description in files that pybp has not written."""

    description: dict[str, Any] | None
    arrays: dict[str, Array]


def write(
    path: str | os.PathLike[str],
    description: Mapping[str, Any],
    arrays: Mapping[str, Array],
    keep: int = 0,
) -> None:
    """Write a file, whole or not at all (``replace_file``).

    Parameters
    ----------
    path : str or path
        The file.
    description : dict
        What JSON can hold, without "format" and "sha256".
    arrays : dict
        Name -> array of any shape; numbers or bool.
    keep : int
        How many older files to keep.

    Raises
    ------
    TypeError
        For what a file can't hold.
    ValueError
        For a description beyond the limit: 2 MiB as JSON, or an eighth of the file.
    OSError
        When the file can't be written.
    """
    import json

    from pybp.files.atomic import replace_file

    keep = whole_number(keep, "keep", 0)
    text = json.dumps({"format": FORMAT, **description, _DIGEST: _UNSET.decode()})
    ready = [(name, _ready(name, array)) for name, array in arrays.items()]
    ready.sort(key=lambda item: (-item[1].itemsize, item[0]))  # so that all are aligned
    header, size = _header(text, ready)
    whole = _LENGTH + len(header) + size
    if len(header) > most_bytes(whole):
        raise ValueError(
            f"the description takes {len(header)} bytes of JSON, more than a file of {whole} bytes "
            f"may have ({most_bytes(whole)}): long lists of numbers belong into arrays"
        )

    def fill(temporary: Path) -> None:
        _fill(temporary, header, [array for _, array in ready])

    replace_file(path, fill, keep)


def _ready(name: str, array: Array) -> Array:
    """Return an array as it stands in a file: row by row, the low bytes first."""
    if not isinstance(name, str) or name == "__metadata__":
        raise TypeError(f"an array in a file can't be named {name!r}")
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask no file can hold: fill it")
    if not isinstance(array, np.ndarray) or array.dtype.newbyteorder("<").str not in _NAMES:
        raise TypeError(f"{name} must be an array of numbers, got {array!r:.80}")
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")


def _header(text: str, arrays: list[tuple[str, Array]]) -> tuple[bytes, int]:
    """Return the header, the description standing last in it, and how many bytes follow."""
    import json

    entries: dict[str, Any] = {}
    at = 0
    for name, array in arrays:
        offsets = [at, at + array.nbytes]
        dtype, shape = _NAMES[array.dtype.str], list(array.shape)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        at = offsets[1]
    raw = json.dumps({**entries, "__metadata__": {_KEY: text}}).encode()
    return raw + b" " * (-len(raw) % _LENGTH), at


def _fill(path: Path, header: bytes, arrays: list[Array]) -> None:
    """Write the file, and then the checksum into its place."""
    from hashlib import sha256

    with path.open("r+b") as file:
        start = len(header).to_bytes(_LENGTH, "little") + header
        file.write(start)
        digest = sha256(start)
        for array in arrays:
            data = array.reshape(-1).view(np.uint8).data
            for at in range(0, len(data), _CHUNK):
                chunk = bytes(data[at : at + _CHUNK])  # another thread may be changing the array
                file.write(chunk)
                digest.update(chunk)
        file.seek(start.rindex(_UNSET))
        file.write(digest.hexdigest().encode())


def read(
    path: str | os.PathLike[str],
    kinds: Collection[str] | None = None,
    otherwise: str = "",
    *,
    mapped: bool = False,
) -> Content:
    """Read a safetensors file; one that pybp has written is checked byte by byte.

    Parameters
    ----------
    path : str or path
        The file.
    kinds : collection of str, optional
        The kinds of content that are wanted, of a format that this version knows; any file for
        None.
    otherwise : str
        What the error says that the file doesn't hold.
    mapped : bool
        Return read-only views of the file's memory map instead of arrays of the caller's own.

    Raises
    ------
    ValueError
        For a file that is damaged or no safetensors file, or holds something else.
    OSError
        When the file can't be read.
    """
    name = os.fspath(path)
    with open(name, "rb", opener=_open) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{name!r} is no regular file")
        try:
            head = _head(file, found.st_size)
            if kinds is not None:
                _check_kind(head.description, kinds, otherwise)
            return Content(head.description, _arrays(file, head, mapped=mapped))
        except _OtherError as error:
            raise ValueError(f"{name!r} {error}") from error
        except ValueError as error:
            raise ValueError(f"{name!r} is damaged or no safetensors file: {error}") from error


class _OtherError(ValueError):
    """The file is whole, but not what is wanted."""


def _check_kind(description: dict[str, Any] | None, kinds: Collection[str], otherwise: str) -> None:
    """Refuse a file of a newer version, or that holds something else than one of these kinds."""
    if description is None:
        raise _OtherError(f"holds {otherwise}; bp.load_arrays reads its arrays")
    number, kind = description.get("format"), description.get("kind")
    if type(number) is not int or number < 1:
        raise _OtherError(f"states the format {number!r}: it is damaged")
    if number > FORMAT:
        raise _OtherError(
            f"is of format {number}, and this version of pybp reads formats up to {FORMAT}: a "
            "newer version of pybp can read it"
        )
    if kind not in list(kinds):
        raise _OtherError(f"holds {otherwise}: it is of kind {kind!r:.80}")


def _open(name: str, flags: int) -> int:
    """Open a file; one that nobody writes to, such as a pipe, must not be waited for."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


class _Head(NamedTuple):
    """What stands before the arrays, and the checksum so far; ``stated`` is b"" without one."""

    description: dict[str, Any] | None
    entries: dict[str, Entry]
    end: int
    stated: bytes
    digest: Any


def _head(file: BufferedReader, size: int) -> _Head:
    from hashlib import sha256

    start = file.read(_LENGTH)
    length = int.from_bytes(start, "little")
    if len(start) < _LENGTH or length > size - _LENGTH:
        raise ValueError(f"it is cut off: {size} bytes, its header alone has {length}")
    if length > most_bytes(size):
        raise ValueError(f"its header has {length} bytes, the most are {most_bytes(size)}")
    header = file.read(length)
    metadata, entries = parse(header, size - _LENGTH - length)
    description = parse_json(metadata[_KEY]) if _KEY in metadata else None
    if description is not None and not isinstance(description, dict):
        raise ValueError("its description is no JSON object")
    if _KEY in metadata and description is None:
        raise ValueError("its description is empty")
    stated = _stated(description)
    digest = sha256(start + (header.replace(stated, _UNSET) if stated else header))
    return _Head(description, entries, _LENGTH + length, stated, digest)


def _arrays(file: BufferedReader, head: _Head, *, mapped: bool) -> dict[str, Array]:
    """Return the arrays, if the checksum over all bytes is the one that the file states."""
    digest = head.digest if head.stated else None
    arrays = (_mapped if mapped else _copied)(file, head.end, head.entries, digest)
    if digest is not None and digest.hexdigest().encode() != head.stated:
        raise ValueError("its checksum is wrong: at least one byte has changed")
    return arrays


def _stated(description: dict[str, Any] | None) -> bytes:
    """Return the checksum that a file states, b"" where none can be checked."""
    if description is None:
        return b""
    stated, number = description.get(_DIGEST), description.get("format")
    if type(number) is not int or number > FORMAT or (number < FORMAT and stated is None):
        return b""  # of a newer version, which may count otherwise, or of an older one
    if not isinstance(stated, str) or not _HEX.fullmatch(stated):
        raise ValueError("it states no checksum")
    return stated.encode()


def _copied(
    file: BufferedReader, at: int, entries: dict[str, Entry], digest: Any
) -> dict[str, Array]:
    """Read the arrays, which lie one after the other from here on."""
    arrays = {}
    for name, entry in entries.items():
        data = np.empty(entry.end - entry.start, np.uint8)
        if file.readinto(data.data) != data.size:
            raise ValueError(f"it ends within {name!r}")
        arrays[name] = _shaped(name, data, entry, digest)
    return arrays


def _mapped(
    file: BufferedReader, at: int, entries: dict[str, Entry], digest: Any
) -> dict[str, Array]:
    """Return views of the arrays, which begin ``at`` bytes into the file."""
    import mmap

    whole = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    return {
        name: _shaped(name, whole[at + entry.start : at + entry.end], entry, digest)
        for name, entry in entries.items()
    }


def _shaped(name: str, data: Array, entry: Entry, digest: Any) -> Array:
    if digest is not None:
        digest.update(data)
    array = data.view(entry.dtype).reshape(entry.shape)
    if entry.dtype == "|b1" and data.size and data.max() > 1:
        raise ValueError(f"{name!r} of type BOOL holds more than 0 and 1")
    return array
