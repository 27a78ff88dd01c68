"""`pybp.datasets`: what is read is what was written, and damage is an error, never an array."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pybp import datasets
from pybp.datasets import load_idx

CODES = {"u1": 8, "i1": 9, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
FUZZ_SEEDS = range(300)


def idx_bytes(array: np.ndarray) -> bytes:
    code = CODES[array.dtype.newbyteorder("=").str[1:]]
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    big_endian = array.astype(array.dtype.newbyteorder(">"))
    return bytes([0, 0, code, array.ndim]) + sizes + big_endian.tobytes()


def header(*sizes: int, code: int = 8) -> bytes:
    return bytes([0, 0, code, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], np.ndarray]:
    """Return a function that writes some bytes to a file and loads it."""
    path = tmp_path / "some-idx"

    def write_and_load(data: bytes) -> np.ndarray:
        path.write_bytes(data)
        return load_idx(path)

    return write_and_load


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)


# ---------------------------------------------------------------------------------- good files


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4, 1), (0, 28, 28)])
def test_what_was_written_is_read(read, pack, dtype, shape):
    values = np.random.default_rng(1).normal(scale=40, size=shape)
    expected = np.abs(values).astype(dtype) if dtype == "u1" else values.astype(dtype)
    got = read(pack(idx_bytes(expected)))
    assert got.dtype == expected.dtype
    assert got.dtype.isnative
    np.testing.assert_array_equal(got, expected)
    got[...] = 1  # it is the caller's own


def test_the_first_bytes_tell_gzip_not_the_name(tmp_path, picture):
    plain, packed = tmp_path / "a.gz", tmp_path / "b"
    plain.write_bytes(idx_bytes(picture))
    packed.write_bytes(gzip.compress(idx_bytes(picture)))
    np.testing.assert_array_equal(load_idx(plain), load_idx(str(packed)))


# ------------------------------------------------------------------------------- damaged files


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no IDX file"),
        (b"\0\0\x08", "no IDX file"),
        (b"\0\1\x08\1" + bytes(8), "no IDX file"),
        (header(2, code=0x0A) + bytes(2), "no IDX file"),
        (b"\x89PNG\r\n\x1a\n", "89 50 4e 47"),
        (header(), "states 0"),
        (bytes([0, 0, 8, 200]) + bytes(900), "states 200"),
        (header(2, 3)[:-1], "header needs 12 bytes"),
        (header(2, 3) + bytes(5), "6 bytes of data, but holds only 5"),
        (header(2, 3) + bytes(7), "6 bytes of data, but holds more"),
        (header(2**32 - 1) + bytes(9), "can't be in the file"),
        (header(*3 * [2**32 - 1]) + bytes(9), "beyond all memory"),
        (header(2**31, 2**31, 4) + bytes(9), "beyond all memory"),  # 2**64: 0 in 64 bits
        (header(*32 * [2**32 - 1]), "beyond all memory"),
        (header(0, *3 * [2**32 - 1]), "beyond all memory"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_damage_is_named(read, pack, data, says):
    with pytest.raises(ValueError, match=says):
        read(pack(data))


def peak_memory(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="states"):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_stated_size_allocates_nothing(read):
    # 2**31 bytes of data could be in the gzip file by its size alone, yet they are not
    noise = np.random.default_rng(2).integers(0, 256, 2_200_000).astype(np.uint8).tobytes()
    assert peak_memory(lambda: read(gzip.compress(header(2**31) + noise, 1))) < 16_000_000
    assert peak_memory(lambda: read(header(2**31) + noise)) < 16_000_000


def test_a_small_file_does_not_unpack_without_end(read):
    bomb = gzip.compress(header(10) + bytes(200_000_000), 1)
    assert peak_memory(lambda: read(bomb)) < 16_000_000


def test_a_bomb_that_states_its_size_is_refused(read):
    """What a compressed file may unpack to is bounded by its size, even if it is really there."""
    bomb = gzip.compress(header(2**26) + bytes(2**26), 1)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="can't be in the file"):
            read(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert read(header(2**26) + bytes(2**26)).shape == (2**26,)


@pytest.mark.parametrize("seed", FUZZ_SEEDS)
def test_fuzz_gzip_gives_the_array_or_valueerror(read, picture, seed):
    """Some bytes of gzip's header don't matter; its checksum covers all else."""
    rng = np.random.default_rng(seed)
    good = gzip.compress(idx_bytes(picture), mtime=0)
    damaged = bytearray(good)
    for _ in range(rng.integers(1, 4)):
        damaged[rng.integers(len(good))] ^= 1 << rng.integers(8)
    if seed % 3 == 0:
        damaged = bytearray(good[: rng.integers(len(good))])
    try:
        got = read(bytes(damaged))
    except ValueError:
        return
    assert seed % 3 != 0, "a file that was cut off was read"
    np.testing.assert_array_equal(got, picture)


@pytest.mark.parametrize("seed", FUZZ_SEEDS)
def test_fuzz_plain_gives_what_the_header_states_or_valueerror(read, picture, seed):
    rng = np.random.default_rng(seed)
    good = idx_bytes(picture)
    if seed % 3 == 0:
        with pytest.raises(ValueError, match=r"no IDX file|cut off|holds only|can't be"):
            read(good[: rng.integers(len(good))])
        return
    damaged = bytearray(good)
    place = rng.integers(16)  # in the header; a changed element can't be noticed
    damaged[place] = rng.integers(256)
    try:
        got = read(bytes(damaged))
    except ValueError:
        return
    stated = tuple(int.from_bytes(damaged[4 + 4 * i : 8 + 4 * i], "big") for i in range(3))
    assert damaged[3] == 3
    assert got.shape == stated
    assert got.tobytes() == picture.tobytes()


def test_what_can_not_be_read_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_idx(tmp_path / "nothing-here")
    with pytest.raises(OSError, match=r"directory|denied"):
        load_idx(tmp_path)
    with pytest.raises(TypeError):
        load_idx(3)


# ------------------------------------------------------------------------------------- MNIST


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Make a folder with four small files, two of them compressed."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for part, n in (("train", 6), ("t10k", 4)):
        images = rng.integers(0, 256, (n, 28, 28)).astype(np.uint8)
        labels = rng.integers(0, 10, n).astype(np.uint8)
        name = folder / f"{part}-images-idx3-ubyte.gz"
        name.write_bytes(gzip.compress(idx_bytes(images)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return folder


def test_mnist_from_a_folder_and_from_the_environment(digits, monkeypatch):
    (x, y), (x_test, y_test) = datasets.mnist(digits)
    assert (x.shape, y.shape, x.dtype, y.dtype) == ((6, 28, 28), (6,), np.uint8, np.uint8)
    assert (x_test.shape, y_test.shape) == ((4, 28, 28), (4,))
    monkeypatch.setenv("PYBP_DATA", str(digits.parent))
    np.testing.assert_array_equal(datasets.mnist()[0][0], x)
    digits.rename(digits.with_name("fashion-mnist"))
    np.testing.assert_array_equal(datasets.fashion_mnist()[1][1], y_test)


def test_without_a_folder_the_error_says_what_to_set(monkeypatch):
    monkeypatch.delenv("PYBP_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"PYBP_DATA.* mnist/ .*t10k-images-idx3"):
        datasets.mnist()
    with pytest.raises(FileNotFoundError, match="fashion-mnist/"):
        datasets.fashion_mnist()


def test_a_missing_file_is_named(digits):
    (digits / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"t10k-labels-idx1-ubyte\.gz"):
        datasets.mnist(digits)


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("train-images-idx3-ubyte.gz", np.zeros((6, 27, 28), np.uint8), r"\(6, 27, 28\)"),
        ("train-images-idx3-ubyte.gz", np.zeros((6, 28, 28), np.int8), "int8"),
        ("train-images-idx3-ubyte.gz", np.zeros(6, np.uint8), "uint8 images"),
        ("train-labels-idx1-ubyte", np.zeros(5, np.uint8), "each of the 6 images"),
        ("train-labels-idx1-ubyte", np.full(6, 10, np.uint8), "got 10"),
    ],
)
def test_other_arrays_are_refused(digits, name, array, says):
    (digits / name).write_bytes(idx_bytes(array))
    with pytest.raises(ValueError, match=says):
        datasets.mnist(digits)


# ------------------------------------------------------------------------------------ CIFAR-10


def smooth_photos(n: int, seed: int) -> np.ndarray:
    """Return pictures without sharp edges, which JPEG hardly changes."""
    corners = np.random.default_rng(seed).integers(40, 216, (n, 2, 2, 3))
    ways = np.linspace(1, 0, 32)
    ways = np.stack([ways, 1 - ways])
    return np.einsum("nabc,ah,bw->nhwc", corners, ways, ways).astype(np.uint8)


def write_binary(folder: Path, batches: int = 5) -> None:
    names = [f"data_batch_{i}.bin" for i in range(1, batches + 1)] + ["test_batch.bin"]
    for seed, name in enumerate(names):
        photos = smooth_photos(4, seed).transpose(0, 3, 1, 2).reshape(4, -1)
        labels = np.arange(seed, seed + 4, dtype=np.uint8)[:, None]
        (folder / name).write_bytes(np.concatenate([labels, photos], 1).tobytes())


def jpeg(photo: np.ndarray) -> bytes:
    image = pytest.importorskip("PIL.Image", reason='pip install ".[examples]"')
    stream = io.BytesIO()
    image.fromarray(photo).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def write_jpegs(folder: Path) -> None:
    for part, n, seed in (("train", 6, 0), ("test", 3, 1)):
        stream = b"".join(map(jpeg, smooth_photos(n, seed)))
        (folder / f"{part}.mjpeg.gz").write_bytes(gzip.compress(stream))
        (folder / f"{part}-labels.bin.gz").write_bytes(gzip.compress(bytes(range(n))))


def test_cifar10_from_the_binary_files(tmp_path, monkeypatch):
    folder = tmp_path / "cifar10"
    folder.mkdir()
    write_binary(folder)
    (x, y), (x_test, y_test) = datasets.cifar10(folder)
    assert (x.shape, x.dtype, y.dtype) == ((20, 32, 32, 3), np.uint8, np.uint8)
    np.testing.assert_array_equal(x[4:8], smooth_photos(4, 1))
    np.testing.assert_array_equal(y[:8], [0, 1, 2, 3, 1, 2, 3, 4])
    np.testing.assert_array_equal(x_test, smooth_photos(4, 5))
    np.testing.assert_array_equal(y_test, [5, 6, 7, 8])
    x[...], y[...] = 1, 1  # they are the caller's own
    monkeypatch.setenv("PYBP_DATA", str(tmp_path))
    np.testing.assert_array_equal(datasets.cifar10()[1][0], x_test)


def test_cifar10_from_jpeg_pictures(tmp_path):
    write_jpegs(tmp_path)
    (x, y), (x_test, y_test) = datasets.cifar10(tmp_path)
    assert (x.shape, x.dtype, x_test.shape) == ((6, 32, 32, 3), np.uint8, (3, 32, 32, 3))
    assert np.abs(x.astype(int) - smooth_photos(6, 0)).mean() < 2
    assert np.abs(x_test.astype(int) - smooth_photos(3, 1)).mean() < 2
    np.testing.assert_array_equal(y, range(6))
    np.testing.assert_array_equal(y_test, range(3))
    x[...], y[...] = 1, 1


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("train.mjpeg.gz", b"no gzip", "damaged gzip"),
        ("train.mjpeg.gz", gzip.compress(b"no jpeg"), "whole JPEG pictures"),
        ("train-labels.bin.gz", gzip.compress(bytes(5)), "5 labels"),
        ("train-labels.bin.gz", gzip.compress(bytes([10] * 6)), "labels are 0 to 9, got 10"),
        ("test-labels.bin.gz", gzip.compress(bytes(3))[:-9], "damaged gzip"),
    ],
    ids=["no gzip", "no jpeg", "too few", "label 10", "cut off"],
)
def test_cifar10_damage_is_named(tmp_path, name, data, says):
    write_jpegs(tmp_path)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=rf"{name}.*{says}|{says}.*{name}"):
        datasets.cifar10(tmp_path)


def test_cifar10_damaged_pictures_are_numbered(tmp_path):
    write_jpegs(tmp_path)
    good = jpeg(smooth_photos(1, 0)[0])
    for bad, says in ((good[:300] + good[-2:], "damaged"), (jpeg(np.zeros((8, 8, 3), "u1")), "8")):
        (tmp_path / "train.mjpeg.gz").write_bytes(gzip.compress(good * 2 + bad + good * 3))
        with pytest.raises(ValueError, match=rf"image 2.*{says}"):
            datasets.cifar10(tmp_path)


def test_cifar10_missing_and_odd_files(tmp_path, monkeypatch):
    monkeypatch.delenv("PYBP_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"PYBP_DATA.* cifar10/ .*train\.mjpeg\.gz"):
        datasets.cifar10()
    with pytest.raises(FileNotFoundError, match=r"train-labels\.bin\.gz"):
        datasets.cifar10(tmp_path)
    write_binary(tmp_path, batches=4)
    with pytest.raises(FileNotFoundError, match=r"data_batch_5\.bin"):
        datasets.cifar10(tmp_path)
    for size in (0, 3072, 3074):
        (tmp_path / "data_batch_1.bin").write_bytes(bytes(size))
        with pytest.raises(ValueError, match=rf"records of 3073 bytes, got {size}"):
            datasets.cifar10(tmp_path)


# --------------------------------------------------------------------------------------- for real


@pytest.mark.slow
def test_the_real_cifar10(data_folder):
    """Counts, and mean and deviation of the colours, nearly those commonly quoted."""
    pytest.importorskip("PIL.Image", reason='pip install ".[examples]"')
    (x, y), (x_test, y_test) = datasets.cifar10(data_folder / "cifar10")
    assert (x.shape, x_test.shape) == ((50_000, 32, 32, 3), (10_000, 32, 32, 3))
    np.testing.assert_array_equal(np.bincount(y), [5000] * 10)
    np.testing.assert_array_equal(np.bincount(y_test), [1000] * 10)
    assert x.mean((0, 1, 2)) / 255 == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.005)
    assert x.std((0, 1, 2)) / 255 == pytest.approx([0.247, 0.243, 0.262], abs=0.005)


@pytest.mark.slow
def test_the_real_files(data_folder):
    """Counts, and mean and standard deviation of the training pixels, as commonly quoted."""
    known = {"mnist": (0.1307, 0.3081), "fashion-mnist": (0.2860, 0.3530)}
    for load, name in ((datasets.mnist, "mnist"), (datasets.fashion_mnist, "fashion-mnist")):
        (x, y), (x_test, y_test) = load(data_folder / name)
        assert (len(x), len(x_test)) == (60_000, 10_000)
        assert set(y) == set(y_test) == set(range(10))
        assert (x.mean() / 255, x.std() / 255) == pytest.approx(known[name], abs=5e-5)


def test_reached_through_the_package_and_not_loaded_before(tmp_path):
    code = (
        "import sys, pybp; assert 'pybp.datasets' not in sys.modules\n"
        "assert pybp.datasets.load_idx.__module__ == 'pybp.datasets.idx'\n"
        "assert not {'gzip', 'zipfile', 'PIL'} & set(sys.modules)\n"
        "try: pybp.nothing\n"
        "except AttributeError as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "module 'pybp' has no attribute 'nothing'"
