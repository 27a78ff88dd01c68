"""Valid and damaged files of data sets: IDX, with and without gzip, and NumPy's own."""

from __future__ import annotations

import functools
import gzip
import io
import random
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from fuzz.damage import CHANGES, HUGE, damaged

CODES = {"u1": 8, "i2": 0x0B, "f8": 0x0E}


def idx_bytes(array: np.ndarray) -> bytes:
    """Return an array as an IDX file."""
    sizes = b"".join(struct.pack(">I", size) for size in array.shape)
    start = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim])
    return start + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def idx_files(folder: Path) -> list[bytes]:
    """Return IDX files, each plain and compressed."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (5, 4, 3)).astype(np.uint8),
        np.arange(6, dtype=np.int16),
        rng.normal(size=(2, 3)),
        np.zeros((0, 28, 28), np.uint8),
    ]
    plain = [idx_bytes(array) for array in arrays]
    return [*plain, *(gzip.compress(data, mtime=0) for data in plain)]


@functools.cache
def _zeros(megabytes: int) -> bytes:
    """Return the deflated form of many zeros, without an end: blocks may follow each other."""
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(bytes(megabytes << 20)) + packer.flush(zlib.Z_FULL_FLUSH)


def idx_bomb(rng: random.Random, seeds: list[bytes]) -> bytes:
    """Return a gzip file that unpacks to far more than its size, with a header that may agree."""
    count = rng.choice((0, 1, 1, 3, 10, 40))
    size = (count * 16) << 20
    sizes = [size] if rng.random() < 0.5 else [rng.choice(HUGE) % 2**32 for _ in range(2)]
    head = bytes([0, 0, rng.choice((8, 11, 14)), len(sizes)])
    head += b"".join(struct.pack(">I", each) for each in sizes)
    packer = zlib.compressobj(9, wbits=-15)
    body = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH) + _zeros(16) * count
    end = zlib.compressobj(9, wbits=-15).flush()
    checksum = zlib.crc32(bytes(size), zlib.crc32(head)) if count < 4 else rng.getrandbits(32)
    tail = struct.pack("<II", checksum, (len(head) + size) % 2**32)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + body + end + tail * rng.choice((1, 1, 0))


def npy_files(folder: Path) -> list[bytes]:
    """Return ``.npy`` files."""
    arrays = [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        np.array(3, np.uint8),
        np.zeros((0, 5), np.float32),
    ]
    return [_npy(array) for array in arrays]


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz_files(folder: Path) -> list[bytes]:
    """Return ``.npz`` files, compressed and not."""
    files = []
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, x=np.arange(12.0).reshape(3, 4), y=np.arange(5, dtype=np.uint8))
        files.append(stream.getvalue())
    return files


def npz_damage(rng: random.Random, seeds: list[bytes]) -> bytes:
    """Return a whole zip file with a damaged array, or with damage to the names and sizes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as z:
        for name in rng.choice((("x.npy",), ("x.npy", "y.npy"), ("x",), ("../x.npy", "."))):
            z.writestr(name, damaged(rng, npy_files(Path())))
    data = bytearray(stream.getvalue())
    if rng.random() < 0.5:
        tail = data[-150:]
        rng.choice(CHANGES[:-1])(rng, tail, seeds)
        data[-150:] = tail
    return bytes(data)
