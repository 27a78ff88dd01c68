"""Readers for data sets in the IDX format: MNIST, Fashion-MNIST, and any other file of the kind."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pybp.arrays import Array
from pybp.datasets.folder import Pair, data_folder
from pybp.datasets.packed import most_unpacked, take

if TYPE_CHECKING:
    from collections.abc import Callable

# third byte of a file -> what one element is; numbers of several bytes are big-endian
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 32  # NumPy before 2.0 has no more
_GZIP = b"\x1f\x8b"
_SIDE = 28
_CLASSES = 10
_FILES = (
    "the four files are called train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
    "t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz"
)


def load_idx(path: str | os.PathLike[str]) -> Array:
    """Read an array from a file in the IDX format.

    Parameters
    ----------
    path : str or path
        The file, plain or compressed by gzip (its first bytes tell which, not its name).

    Returns
    -------
    array
        A fresh, writable array in the shape and element type that the file states (8-bit, 16-bit
        or 32-bit integers, float32, float64), in the byte order of the machine.

    Raises
    ------
    ValueError
        When the file is damaged: it doesn't begin as IDX files do, ends too early, goes on after
        its last element, states a size that the file can't hold, or is broken inside gzip. A
        compressed file may unpack to 48 MiB and six times its size: unpack larger ones first.
    OSError
        When the file can't be read.

    Notes
    -----
    The format (LeCun's MNIST page): two zero bytes, one byte for the type of the elements, one for
    the number of axes, the size of each axis as a 32-bit big-endian number, then the elements in
    row-major order.
    """
    path = Path(path)
    with path.open("rb") as file:
        start = file.read(len(_GZIP))
        file.seek(0)
        room = os.fstat(file.fileno()).st_size
        if start != _GZIP:
            return _read(file.read, path, room)
        import gzip
        import zlib

        try:
            with gzip.open(file) as stream:
                return _read(stream.read, path, most_unpacked(room))
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise ValueError(f"{path}: damaged gzip data ({error})") from error


def mnist(folder: str | os.PathLike[str] | None = None) -> tuple[Pair, Pair]:
    """Return the MNIST digits, 60 000 to train and 10 000 to test.

    Parameters
    ----------
    folder : str or path, optional
        Where the four IDX files lie under their original names, with or without ``.gz``. By
        default ``mnist`` in the folder that the environment variable ``PYBP_DATA`` names.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images uint8 (n, 28, 28), 0 is background; labels uint8 (n,), 0 to 9.

    Raises
    ------
    FileNotFoundError
        When no folder is known, or a file is missing in it.
    ValueError
        When a file is damaged, or holds something else than such images or labels.
    """
    return _images_and_labels("mnist", folder)


def fashion_mnist(folder: str | os.PathLike[str] | None = None) -> tuple[Pair, Pair]:
    """Return the Fashion-MNIST pictures of clothes; files and result are those of ``mnist``.

    The default folder is ``fashion-mnist`` in the folder that ``PYBP_DATA`` names. Labels: T-shirt,
    trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot.
    """
    return _images_and_labels("fashion-mnist", folder)


def _read(read: Callable[[int], bytes], path: Path, room: int) -> Array:
    """Read header and elements; ``room`` bounds the bytes that there can be."""
    head = read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES:
        raise ValueError(f"{path} is no IDX file: it begins with the bytes {head.hex(' ') or '-'}")
    axes = head[3]
    if not 1 <= axes <= _MOST_AXES:
        raise ValueError(f"{path}: an IDX file has 1 to {_MOST_AXES} axes, this one states {axes}")
    raw = read(4 * axes)
    if len(raw) < 4 * axes:
        raise ValueError(f"{path} is cut off: its header needs {4 + 4 * axes} bytes")
    shape = tuple(int.from_bytes(raw[4 * i : 4 * i + 4], "big") for i in range(axes))
    dtype = np.dtype(_TYPES[head[2]])
    # Python's integers don't overflow. NumPy refuses an empty array whose other sizes are absurd.
    if math.prod(max(size, 1) for size in shape) * dtype.itemsize > sys.maxsize:
        raise ValueError(f"{path} states a size beyond all memory: {shape}")
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > room:
        raise ValueError(
            f"{path} states the shape {shape}, {wanted} bytes of data: that can't be in the file"
        )
    data = take(read, wanted + 1)
    if len(data) != wanted:
        found = f"only {len(data)}" if len(data) < wanted else "more"
        raise ValueError(
            f"{path} states the shape {shape}, {wanted} bytes of data, but holds {found}"
        )
    array = np.frombuffer(data, dtype).reshape(shape)
    if dtype.isnative:
        return array
    return array.byteswap(inplace=True).view(dtype.newbyteorder("="))


def _images_and_labels(name: str, folder: str | os.PathLike[str] | None) -> tuple[Pair, Pair]:
    where = data_folder(name, folder, _FILES)
    return _pair(where, "train"), _pair(where, "t10k")


def _pair(folder: Path, part: str) -> Pair:
    image_file = _existing(folder, f"{part}-images-idx3-ubyte")
    label_file = _existing(folder, f"{part}-labels-idx1-ubyte")
    images, labels = load_idx(image_file), load_idx(label_file)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (_SIDE, _SIDE):
        raise ValueError(
            f"{image_file} must hold uint8 images (n, {_SIDE}, {_SIDE}), "
            f"got {images.dtype} {images.shape}"
        )
    if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{label_file} must hold one uint8 label for each of the {len(images)} images, "
            f"got {labels.dtype} {labels.shape}"
        )
    if labels.size and labels.max() >= _CLASSES:
        raise ValueError(f"{label_file}: labels are 0 to {_CLASSES - 1}, got {labels.max()}")
    return images, labels


def _existing(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise FileNotFoundError(f"there is neither {name}.gz nor {name} in {folder}")
