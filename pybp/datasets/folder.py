"""Where the data sets lie: a folder that the caller names, or one in ``PYBP_DATA``."""

from __future__ import annotations

import os
from pathlib import Path

from pybp.arrays import Array

Pair = tuple[Array, Array]


def data_folder(name: str, folder: str | os.PathLike[str] | None, files: str) -> Path:
    """Return the folder of a data set; ``files`` tells in the error what should be in it."""
    if folder is not None:
        return Path(folder)
    root = os.environ.get("PYBP_DATA")
    if not root:
        raise FileNotFoundError(
            f"where is {name}? Pass its folder, or set the environment variable PYBP_DATA to a "
            f"folder with {name}/ in it; {files}"
        )
    return Path(root) / name
