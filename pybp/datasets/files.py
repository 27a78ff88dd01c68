"""Readers for NumPy's own files. Only plain numbers: a pickle is refused, so no code runs."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np

from pybp.arrays import Array
from pybp.datasets.packed import take

_KINDS = {".npy": b"\x93NUMPY", ".npz": b"PK"}  # how the files begin


def load_npy(path: str | os.PathLike[str]) -> Array:
    """Read one array from a ``.npy`` file.

    Parameters
    ----------
    path : str or path
        The file; its first bytes tell what it is, not its name.

    Returns
    -------
    array
        The array in the shape and dtype of the file.

    Raises
    ------
    ValueError
        When the file is damaged or something else, or holds Python objects: those are pickled,
        and unpickling could run any code.
    OSError
        When the file can't be read.
    """
    return _load(Path(path), ".npy")


def load_npz(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read all arrays of a ``.npz`` file, compressed or not.

    Parameters
    ----------
    path : str or path
        The file; its first bytes tell what it is, not its name.

    Returns
    -------
    dict
        Name -> array, in the order of the file.

    Raises
    ------
    ValueError, OSError
        As ``load_npy``.

    Examples
    --------
    ``np.savez("digits.npz", x=x, y=y)`` writes such a file; then
    ``arrays = bp.datasets.load_npz("digits.npz")`` and ``arrays["x"]``.
    """
    return _load(Path(path), ".npz")


def _load(path: Path, kind: str) -> Any:
    import tokenize
    import zipfile
    import zlib

    start = _KINDS[kind]
    with path.open("rb") as file:
        found = file.read(len(start))
        if found != start:
            raise ValueError(
                f"{path} is no {kind} file: it begins with the bytes {found.hex(' ') or '-'}"
            )
        file.seek(0)
        try:
            if kind == ".npz":
                return _members(file)
            return _array(file, os.fstat(file.fileno()).st_size)
        except (
            ValueError, EOFError, LookupError, MemoryError, OverflowError, RecursionError,
            NotImplementedError, RuntimeError, SyntaxError, TypeError, tokenize.TokenError,
            zipfile.BadZipFile, zlib.error,
        ) as error:  # fmt: skip
            raise ValueError(f"{path} can't be read: {error}") from error


def _members(file: IO[bytes]) -> dict[str, Array]:
    """Read all arrays of a zip file, in the two ways of packing that NumPy uses."""
    import zipfile

    arrays = {}
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{member.filename!r} is packed as NumPy doesn't")
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise ValueError(f"it has two arrays {name!r}")
            with archive.open(member) as stream:
                try:
                    arrays[name] = _array(stream, member.file_size)
                except ValueError as error:
                    raise ValueError(f"its member {name!r} is no array: {error}") from error
    return arrays


def _array(stream: IO[bytes], room: int) -> Array:
    """Read an array of plain numbers; ``room`` bounds its bytes."""
    form = np.lib.format
    version = form.read_magic(stream)
    if version != (1, 0):  # others are for records with many fields
        raise ValueError(f"format {version[0]}.{version[1]} of .npy is for no plain numbers")
    shape, by_columns, dtype = form.read_array_header_1_0(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, and unpickling them could run any code")
    wanted = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or wanted > room:
        raise ValueError(f"it states the shape {shape} of {dtype}, which can't be in the file")
    data = take(stream.read, wanted)
    if len(data) < wanted:
        raise ValueError(f"it is cut off: {len(data)} of {wanted} bytes are there")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")
