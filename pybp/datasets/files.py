"""Readers for NumPy's own files. Only plain numbers: a pickle is refused, so no code runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from pybp.arrays import Array

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
            loaded = np.load(file, allow_pickle=False)
            return loaded if kind == ".npy" else _members(loaded)
        except (
            ValueError, EOFError, MemoryError, OverflowError, NotImplementedError, RuntimeError,
            zipfile.BadZipFile, zlib.error,
        ) as error:  # fmt: skip
            raise ValueError(f"{path} can't be read: {error}") from error


def _members(archive: Any) -> dict[str, Array]:
    with archive:
        arrays = {name: archive[name] for name in archive.files}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"its member {name!r} is no array")
    return arrays
