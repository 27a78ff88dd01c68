"""`datasets.download`: what a server gives is checked first. These tests need no internet."""

from __future__ import annotations

import functools
import gc
import gzip
import hashlib
import http.server
import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pybp import datasets
from pybp.datasets import fetching

pooch = pytest.importorskip("pooch", reason='pip install ".[data]"')
# requests leaves it to the garbage collector to close the connections of failed requests
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SIZES = {"train-images": (6, 28, 28), "train-labels": (6,), "t10k-images": (2, 28, 28)} | {
    "t10k-labels": (2,)
}


@pytest.fixture(autouse=True)
def no_open_connections() -> Iterator[None]:
    """Have the connections closed here, and not while another test runs."""
    yield
    gc.collect()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and notes what it is asked for."""

    asked: list[str]

    def log_message(self, *_: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str, list[str]]]:
    """Serve an empty folder; return it, its address, and the list of requests."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = type("Handler", (Quiet,), {"asked": []})
    make = functools.partial(handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}", handler.asked
        server.shutdown()
        thread.join()


@pytest.fixture
def digits(served, monkeypatch) -> tuple[Path, str, list[str]]:
    """Serve four small files as MNIST, their checksums being the published ones."""
    folder, _, _ = served
    sums = {}
    for number, (part, shape) in enumerate(SIZES.items()):
        kind = "idx3" if len(shape) == 3 else "idx1"
        head = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
        data = np.full(shape, number, np.uint8).tobytes()
        packed = gzip.compress(head + data)
        name = f"{part}-{kind}-ubyte.gz"
        (folder / name).write_bytes(packed)
        sums[name] = "sha256:" + hashlib.sha256(packed).hexdigest()
    for name in ("mnist", "fashion_mnist"):
        source = fetching._SOURCES[name]._replace(files=sums)
        monkeypatch.setitem(fetching._SOURCES, name, source)
    return served


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_folder_is_filled_once(digits, tmp_path):
    served, url, asked = digits
    folder = datasets.download("mnist", tmp_path / "new" / "mnist", base_url=url)
    assert folder == tmp_path / "new" / "mnist"
    assert names(folder) == names(served)
    (x, y), (x_test, _) = datasets.mnist(folder)
    assert (x.shape, x_test.shape, set(y)) == ((6, 28, 28), (2, 28, 28), {1})
    assert len(asked) == 4
    datasets.download("mnist", folder, base_url=url + "/")
    assert len(asked) == 4  # what is there and right is not fetched again
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    datasets.download("mnist", folder, base_url=url)
    assert len(asked) == 5
    assert datasets.mnist(folder)[0][1].shape == (6,)


def test_the_folder_of_all_data_sets(digits, tmp_path, monkeypatch):
    _, url, _ = digits
    monkeypatch.setenv("PYBP_DATA", str(tmp_path / "all"))
    for name in ("fashion_mnist", "fashion-mnist"):
        assert datasets.download(name, base_url=url) == tmp_path / "all" / "fashion-mnist"
    assert datasets.fashion_mnist()[0][0].shape == (6, 28, 28)
    monkeypatch.delenv("PYBP_DATA")
    with pytest.raises(FileNotFoundError, match="where is mnist"):
        datasets.download("mnist", base_url=url)


def test_servers_are_tried_in_turn(digits, tmp_path, monkeypatch):
    _, url, asked = digits
    dead = "http://127.0.0.1:9"  # nobody listens
    source = fetching._SOURCES["mnist"]._replace(servers=(dead, f"{url}/not-here/", url))
    monkeypatch.setitem(fetching._SOURCES, "mnist", source)
    datasets.download("mnist", tmp_path / "mnist")
    assert datasets.mnist(tmp_path / "mnist")[1][0].shape == (2, 28, 28)
    assert len(asked) > 8
    source = source._replace(servers=(dead, f"{url}/not-here/"))
    monkeypatch.setitem(fetching._SOURCES, "mnist", source)
    with pytest.raises(OSError, match=r"train-images.*could not be fetched.*:9.*; .*not-here"):
        datasets.download("mnist", tmp_path / "other")
    assert names(tmp_path / "other") == []


def test_a_wrong_checksum_leaves_nothing(digits, tmp_path):
    served, url, _ = digits
    (served / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(ValueError, match=r"train-labels.*could not be fetched.*hash"):
        datasets.download("mnist", tmp_path / "mnist", base_url=url)
    assert names(tmp_path / "mnist") == ["train-images-idx3-ubyte.gz"]


def test_what_can_not_be_written_is_an_oserror(digits, tmp_path):
    _, url, _ = digits
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        datasets.download("mnist", tmp_path / "file" / "mnist", base_url=url)


@pytest.mark.parametrize("name", ["imagenet", "", None, 3, "MNIST"])
def test_unknown_names(name):
    with pytest.raises(ValueError, match="one of mnist, fashion_mnist, cifar10"):
        datasets.download(name, "anywhere")


def _archive(path: Path, batches: dict[str, bytes]) -> str:
    with tarfile.open(path, "w:gz", compresslevel=1) as packed:
        for name, data in {"readme.html": b"about", **batches}.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    return "md5:" + hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_cifar10_is_taken_apart(served, tmp_path, monkeypatch):
    folder, url, asked = served
    monkeypatch.setattr(fetching, "_CIFAR_BYTES", 2 * 3073)
    batches = {name: bytes([i % 10]) * 6146 for i, name in enumerate(fetching._CIFAR_FILES)}

    def publish(batches: dict[str, bytes]) -> None:
        checksum = _archive(folder / "cifar-10-binary.tar.gz", batches)
        source = fetching._SOURCES["cifar10"]._replace(files={"cifar-10-binary.tar.gz": checksum})
        monkeypatch.setitem(fetching._SOURCES, "cifar10", source)

    publish(batches)
    for _ in range(2):
        got = datasets.download("cifar10", tmp_path / "cifar10", base_url=url)
    assert len(asked) == 1
    assert names(got) == sorted(batches)
    (x, y), (_, y_test) = datasets.cifar10(got)
    assert (x.shape, y[2], y_test[0]) == ((10, 32, 32, 3), 1, 5)
    publish({name: data for name, data in batches.items() if name != "data_batch_3.bin"})
    with pytest.raises(ValueError, match=r"does not hold data_batch_3\.bin"):
        datasets.download("cifar10", tmp_path / "other", base_url=url)


def test_without_pooch_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pybp-nn\[data\]"):
        datasets.download("mnist", tmp_path)
    assert names(tmp_path) == []


def test_readers_load_nothing_that_could_fetch(tmp_path):
    code = (
        "import sys; from pybp import datasets\n"
        "try: datasets.mnist('nowhere')\n"
        "except FileNotFoundError: pass\n"
        "assert not {'pooch', 'requests', 'http', 'socket', 'ssl'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.slow
def test_the_checksums_are_those_of_the_published_files(data_folder):
    for source in list(fetching._SOURCES.values())[:2]:
        for name, checksum in source.files.items():
            data = (data_folder / source.folder / name).read_bytes()
            assert checksum == "sha256:" + hashlib.sha256(data).hexdigest()
