"""Checkpoints: a description and arrays in one file that is whole, checked, or refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pybp.arrays import Array
from pybp.files import container

_KIND = "checkpoint"


def write_checkpoint(
    path: str | os.PathLike[str],
    description: Mapping[str, Any],
    arrays: Mapping[str, Array],
    keep: int = 1,
) -> None:
    """Write a checkpoint: the file at ``path`` is at every moment a whole one, old or new.

    Parameters
    ----------
    path : str or path
        The file. Its folder must exist.
    description : dict
        What JSON can hold: texts, numbers (NaN and the infinities too), True, False, None, lists,
        dictionaries by text. Tuples come back as lists. All together at most 2 MiB of JSON, or an
        eighth of the file: long lists of numbers, such as histories, belong into ``arrays``.
    arrays : dict
        Name -> array of any shape, 0-d and empty ones too; numbers or bool.
    keep : int
        How many older checkpoints to keep, as ``path + ".1"`` (the one before), ".2" ...

    Raises
    ------
    OSError
        When the file can't be written, the disk being full for one; the old one is then as it was.
    TypeError, ValueError
        For what a file can't hold; nothing is written then.
    """
    if not isinstance(description, Mapping):
        raise TypeError(f"description must be a dict, got {description!r:.80}")
    body = {"kind": _KIND, "description": dict(description)}
    container.write(path, body, arrays, keep)


def read_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the description and the arrays of a checkpoint, which are the caller's own.

    Raises
    ------
    ValueError
        For a file that is damaged, cut off, of a newer format, or no checkpoint.
    OSError
        When the file can't be read.
    """
    found, arrays = container.read(path, (_KIND,), "no checkpoint of pybp")
    description = None if found is None else found.get("description")
    if not isinstance(description, dict):
        raise ValueError(f"{os.fspath(path)!r} is a checkpoint without a description")
    return description, arrays
