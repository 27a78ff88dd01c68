"""Folders of pictures and NumPy's files as data: what they hold, or a clear error."""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pybp import datasets

CODES = {"u1": 8, "i1": 9, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
FUZZ_SEEDS = range(300)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)


# --------------------------------------------------------------------------- folders of pictures


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., np.ndarray]:
    """Return a function that saves a random picture under a name and returns its pixels."""
    image = pytest.importorskip("PIL.Image", reason='pip install ".[examples]"')
    rng = np.random.default_rng(4)

    def save_picture(name: str, shape: tuple[int, ...] = (6, 5, 3)) -> np.ndarray:
        pixels = rng.integers(0, 256, shape).astype(np.uint8)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        image.fromarray(pixels).save(path)
        return pixels

    return save_picture


def test_a_folder_of_pictures_in_the_order_of_names(tmp_path, save):
    expected = {name: save(name) for name in ("b.png", "a.PNG", "c.bmp")}
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture either")
    x = datasets.load_images(tmp_path)
    np.testing.assert_array_equal(x, [expected[name] for name in sorted(expected)])
    grey = datasets.load_images(str(tmp_path), mode="L")
    assert (grey.shape, grey.dtype) == ((3, 6, 5, 1), np.uint8)
    luma = np.stack(list(x)) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(grey[..., 0], luma, atol=1)
    opaque = datasets.load_images(tmp_path, mode="RGBA")
    np.testing.assert_array_equal(opaque[..., :3], x)
    assert (opaque[..., 3] == 255).all()


def test_a_sub_folder_for_each_class(tmp_path, save):
    expected = [save(f"{name}/{i}.png") for name in ("cat", "dog") for i in range(3)]
    save("cat/9.png").fill(0)
    x, y, classes = datasets.load_images(tmp_path)
    assert classes == ("cat", "dog")
    np.testing.assert_array_equal(y, [0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(x[[0, 1, 2, 4, 5, 6]], expected)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no pictures in .*empty"):
        datasets.load_images(tmp_path)
    (tmp_path / "empty").rmdir()
    save("stray.png")
    with pytest.raises(ValueError, match="which are meant"):
        datasets.load_images(tmp_path)


def test_sizes_are_made_equal_or_refused(tmp_path, save):
    save("a.png", (6, 5, 3))
    save("b.png", (8, 4, 3))
    with pytest.raises(ValueError, match=r"b\.png is 8 x 4 pixels, .*a\.png is 6 x 5: pass size"):
        datasets.load_images(tmp_path)
    assert datasets.load_images(tmp_path, size=(3, 7)).shape == (2, 3, 7, 3)
    for size in (0, (3,), (3, 0), (3, 7, 3), (3.5, 7), "ab"):
        with pytest.raises(ValueError, match="two whole numbers"):
            datasets.load_images(tmp_path, size=size)


def test_a_smaller_picture_is_the_average(tmp_path):
    image = pytest.importorskip("PIL.Image", reason='pip install ".[examples]"')
    board = np.indices((32, 32)).sum(0) % 2 * 255
    image.fromarray(board.astype(np.uint8)).save(tmp_path / "a.png")
    x = datasets.load_images(tmp_path, size=(4, 4), mode="L")
    assert np.abs(x.astype(int) - 128).max() <= 4


def test_pictures_that_can_not_be_read_are_named(tmp_path, save):
    image = pytest.importorskip("PIL.Image", reason='pip install ".[examples]"')
    save("a.png")
    good = (tmp_path / "a.png").read_bytes()
    for data in (b"", b"no picture", good[: len(good) // 2]):
        (tmp_path / "b.png").write_bytes(data)
        with pytest.raises(ValueError, match=r"picture .*b\.png can't be read"):
            datasets.load_images(tmp_path)
    image.fromarray(np.zeros((6, 5), np.uint16)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png.* more than 8 bits"):
        datasets.load_images(tmp_path)
    with pytest.raises(ValueError, match="mode must be one of L, RGB, RGBA, got 'CMYK'"):
        datasets.load_images(tmp_path, mode="CMYK")


def test_no_pictures_no_folder_no_pillow(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="there are no pictures"):
        datasets.load_images(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        datasets.load_images(tmp_path / "nothing")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ImportError, match=r"load_images .*pip install 'pybp-nn\[images\]'"):
        datasets.load_images(tmp_path)


# --------------------------------------------------------------------------------- NumPy's files


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_npz_gives_all_arrays_by_name(tmp_path, picture, write):
    write(tmp_path / "a.npz", x=picture, y=np.arange(3.0))
    arrays = datasets.load_npz(tmp_path / "a.npz")
    assert list(arrays) == ["x", "y"]
    np.testing.assert_array_equal(arrays["x"], picture)
    assert arrays["y"].dtype == np.float64
    np.save(tmp_path / "a.npy", picture)
    np.testing.assert_array_equal(datasets.load_npy(str(tmp_path / "a.npy")), picture)


class Bomb:
    """Something whose pickle writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_no_pickle_is_ever_loaded(tmp_path):
    trace, data = tmp_path / "trace", pickle.dumps(Bomb(tmp_path / "trace"))
    pickle.loads(data)
    assert trace.exists()  # so the test could fail
    trace.unlink()
    bombs = np.array([Bomb(trace)], dtype=object)
    np.save(tmp_path / "objects.npy", bombs, allow_pickle=True)
    np.savez(tmp_path / "objects.npz", x=bombs)
    (tmp_path / "plain").write_bytes(data)
    for load in (datasets.load_npy, datasets.load_npz):
        for name in ("objects.npy", "objects.npz", "plain"):
            with pytest.raises(ValueError, match=name):
                load(tmp_path / name)
    assert not trace.exists()


def test_damaged_numpy_files_are_named(tmp_path, picture):
    np.save(tmp_path / "a.npy", picture)
    np.savez_compressed(tmp_path / "a.npz", x=picture)
    for name, load in (("a.npy", datasets.load_npy), ("a.npz", datasets.load_npz)):
        good = (tmp_path / name).read_bytes()
        for end in range(0, len(good), 7):
            (tmp_path / name).write_bytes(good[:end])
            with pytest.raises(ValueError, match=name):
                load(tmp_path / name)
        with pytest.raises(FileNotFoundError):
            load(tmp_path / "nothing")
    huge = good_header("(10000000000000, 1000)")
    (tmp_path / "a.npy").write_bytes(huge)
    with pytest.raises(ValueError, match=r"a\.npy can't be read"):
        datasets.load_npy(tmp_path / "a.npy")


def good_header(shape: str) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def test_members_that_are_no_arrays_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("notes.txt", "no array")
    with pytest.raises(ValueError, match=r"'notes\.txt' is no array"):
        datasets.load_npz(tmp_path / "a.npz")


def npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("names", "packing", "says"),
    [
        (["x.npy", "x"], zipfile.ZIP_STORED, "two arrays 'x'"),
        (["x.npy"], zipfile.ZIP_BZIP2, "packed as NumPy doesn't"),
        (["x.npy"], zipfile.ZIP_LZMA, "packed as NumPy doesn't"),
    ],
)
def test_archives_that_numpy_does_not_write(tmp_path, picture, names, packing, says):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", packing) as archive:
        for name in names:
            archive.writestr(name, npy_bytes(picture))
    with pytest.raises(ValueError, match=says):
        datasets.load_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (good_header("(3,)") + bytes(23), "can't be in the file|cut off"),
        (good_header("(-3,)") + bytes(24), "can't be in the file"),
        (good_header("(10000000000,)") + bytes(24), "can't be in the file"),
        (good_header("(" + "1, " * 99 + ")") + bytes(24), "maximum"),
        (good_header("3") + bytes(24), "shape"),
        (good_header("(3,)").replace(b"<f8", b"O  ") + bytes(24), "can't be read"),
        (b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little"), "no plain numbers"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "can't be read"),
        (b"\x93NUMPY", "can't be read"),
    ],
)
def test_headers_of_npy_files(tmp_path, data, says):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(ValueError, match=says):
        datasets.load_npy(tmp_path / "a.npy")


@pytest.mark.parametrize("dtype", ["<f8", ">i2", "u1", "?", "c8", "U3", "i4,f8"])
def test_npy_files_of_all_kinds_come_back(tmp_path, dtype):
    array = np.zeros((2, 3), dtype)
    for each in (array, np.asfortranarray(array), array[:0], array[0, 0]):
        np.save(tmp_path / "a.npy", each)
        got, expected = datasets.load_npy(tmp_path / "a.npy"), np.load(tmp_path / "a.npy")
        assert (got.dtype, got.shape, got.tobytes()) == (
            *(expected.dtype, expected.shape, expected.tobytes()),
        )
        assert got.flags.writeable
