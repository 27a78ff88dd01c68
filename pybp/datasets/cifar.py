"""Reader for CIFAR-10, as the binary files of its makers or as a stream of JPEG pictures."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.datasets.folder import Pair, data_folder
from pybp.datasets.packed import most_unpacked, take
from pybp.datasets.pillow import pillow

_SHAPE = (32, 32, 3)
_RECORD = 1 + 32 * 32 * 3  # a label, then 1024 red, 1024 green and 1024 blue values
_CLASSES = 10
_START, _END = b"\xff\xd8", b"\xff\xd9"  # of a JPEG picture; neither stands inside its data
_FILES = (
    "in it data_batch_1.bin to data_batch_5.bin and test_batch.bin, or the pictures as JPEG: "
    "train.mjpeg.gz, train-labels.bin.gz, test.mjpeg.gz, test-labels.bin.gz"
)


def cifar10(folder: str | os.PathLike[str] | None = None) -> tuple[Pair, Pair]:
    """Return the CIFAR-10 colour pictures, 50 000 to train and 10 000 to test.

    Parameters
    ----------
    folder : str or path, optional
        Where the files lie: the binary files of the data set's makers (``data_batch_1.bin`` to
        ``data_batch_5.bin``, ``test_batch.bin``), or else ``train.mjpeg.gz`` and ``test.mjpeg.gz``
        (the pictures as JPEG, one after the other) with ``train-labels.bin.gz`` and
        ``test-labels.bin.gz`` (a byte for each label). By default ``cifar10`` in the folder that
        the environment variable ``PYBP_DATA`` names.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images uint8 (n, 32, 32, 3), red, green, blue; labels uint8 (n,): airplane, automobile,
        bird, cat, deer, dog, frog, horse, ship, truck.

    Raises
    ------
    FileNotFoundError
        When no folder is known, or a file is missing in it.
    ValueError
        When a file is damaged, or holds something else than such images or labels.
    ImportError
        When JPEG pictures are to be read and Pillow is missing.

    Notes
    -----
    JPEG changes the pixels a little, so a net reaches somewhat less on such pictures than on the
    exact ones. (Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.)
    """
    where = data_folder("cifar10", folder, _FILES)
    batches = [where / f"data_batch_{i}.bin" for i in range(1, 6)]
    if batches[0].exists():
        parts = [read_records(path) for path in batches]
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return (images, labels), read_records(where / "test_batch.bin")
    return _pictures(where, "train"), _pictures(where, "test")


def read_records(path: Path) -> Pair:
    """Read a binary file: records of a label and three colour planes."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    if not data.size or data.size % _RECORD:
        raise ValueError(
            f"{path} must hold records of {_RECORD} bytes, got {data.size} bytes in all"
        )
    records = data.reshape(-1, _RECORD)
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return images, _checked(records[:, 0].copy(), path)


def _pictures(folder: Path, part: str) -> Pair:
    """Read a stream of JPEG pictures and their labels."""
    label_file, image_file = folder / f"{part}-labels.bin.gz", folder / f"{part}.mjpeg.gz"
    labels = _checked(np.frombuffer(_unpacked(label_file), np.uint8).copy(), label_file)
    data = _unpacked(image_file)
    if not (data.startswith(_START) and data.endswith(_END)):
        raise ValueError(f"{image_file} must hold whole JPEG pictures, one after the other")
    pictures = data[len(_START) : -len(_END)].split(_END + _START)
    if len(pictures) != len(labels):
        raise ValueError(
            f"{image_file} holds {len(pictures)} pictures, {label_file} {len(labels)} labels"
        )
    images = np.empty((len(pictures), *_SHAPE), np.uint8)
    reader = pillow("Image", "datasets.cifar10 from JPEG pictures")
    for number, picture in enumerate(pictures):
        images[number] = _decoded(reader, _START + picture + _END, f"{image_file}: image {number}")
    return images, labels


def _decoded(reader: Any, data: bytes, what: str) -> Array:
    try:
        with reader.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            pixels = np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged data
        raise ValueError(f"{what} is damaged: {error}") from error
    if pixels.shape != _SHAPE:
        raise ValueError(f"{what} must have the shape {_SHAPE}, got {pixels.shape}")
    return pixels


def _unpacked(path: Path) -> bytes:
    import gzip
    import zlib

    most = most_unpacked(path.stat().st_size)
    try:
        with gzip.open(path) as stream:
            data = take(stream.read, most + 1)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path}: damaged gzip data ({error})") from error
    if len(data) > most:
        raise ValueError(f"{path} unpacks to more than {most} bytes: no part of CIFAR-10 does")
    return bytes(data)


def _checked(labels: Array, path: Path) -> Array:
    if labels.size and labels.max() >= _CLASSES:
        raise ValueError(f"{path}: labels are 0 to {_CLASSES - 1}, got {labels.max()}")
    return labels
