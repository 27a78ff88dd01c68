"""Fetching data sets from the net: only when ``download`` is called, checked by their checksums."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, NamedTuple

from pybp.datasets.folder import data_folder

_CIFAR_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
_CIFAR_BYTES = 10_000 * 3073
_CIFAR_ARCHIVE = "cifar-10-binary.tar.gz"
_SECONDS = 60  # to wait for a server that says nothing


class _Source(NamedTuple):
    """Where the files of a data set lie, and their checksums."""

    folder: str
    servers: tuple[str, ...]  # tried in turn
    files: dict[str, str]


_SOURCES = {
    "mnist": _Source(
        "mnist",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        {
            "train-images-idx3-ubyte.gz": (
                "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            "train-labels-idx1-ubyte.gz": (
                "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
            ),
        },
    ),
    "fashion_mnist": _Source(
        "fashion-mnist",
        (
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        {
            "train-images-idx3-ubyte.gz": (
                "sha256:3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            "train-labels-idx1-ubyte.gz": (
                "sha256:a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "sha256:346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "sha256:67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
            ),
        },
    ),
    "cifar10": _Source(
        "cifar10",
        ("https://www.cs.toronto.edu/~kriz/", "http://www.cs.toronto.edu/~kriz/"),
        {_CIFAR_ARCHIVE: "md5:c32a1d4ab5d03f1284b67883e8d87530"},
    ),
}


def download(
    name: str, folder: str | os.PathLike[str] | None = None, *, base_url: str | None = None
) -> Path:
    """Fetch a data set from the net, where it is not there yet.

    Parameters
    ----------
    name : {"mnist", "fashion_mnist", "cifar10"}
        The data set.
    folder : str or path, optional
        Where its files shall lie; made if it is not there. By default the folder where the reader
        looks for it: one of its name in the folder that ``PYBP_DATA`` names.
    base_url : str, optional
        Where the files lie on a server of your own, in place of the usual ones.

    Returns
    -------
    Path
        The folder, for the reader: ``datasets.mnist(datasets.download("mnist", "data/mnist"))``.

    Raises
    ------
    ImportError
        Without the pooch package, which does the work.
    OSError
        When no server could be reached, or the files can't be written.
    ValueError
        For an unknown name, and when what the servers gave has other checksums than the published
        files; then no file is left.

    Notes
    -----
    Each file is written to a temporary one, checked (SHA-256; MD5 for CIFAR-10, as its makers
    publish it) and then renamed. Files that are there already are not fetched again if they are
    right. Nothing else in pybp uses the net.
    """
    source = _SOURCES.get(name.replace("-", "_") if isinstance(name, str) else "")
    if source is None:
        raise ValueError(f"name is one of {', '.join(_SOURCES)}, got {name!r}")
    where = data_folder(source.folder, folder, "download puts its files there")
    if name == "cifar10" and all(_is_batch(where / file) for file in _CIFAR_FILES):
        return where
    for file, checksum in source.files.items():
        _fetch(file, checksum, where, source.servers if base_url is None else (base_url,))
    if name == "cifar10":
        _take_apart(where)
    return where


def _fetch(file: str, checksum: str, folder: Path, servers: tuple[str, ...]) -> None:
    """Fetch one file from the first server that has the right one."""
    try:
        pooch: Any = importlib.import_module("pooch")
    except ImportError as error:
        raise ImportError(
            "datasets.download needs the pooch package: pip install 'pybp-nn[data]'"
        ) from error
    downloader = pooch.HTTPDownloader(timeout=_SECONDS)
    errors: list[Exception] = []
    for server in servers:
        url = f"{server.rstrip('/')}/{file}"
        try:
            pooch.retrieve(url, checksum, file, folder, downloader=downloader)
        except (OSError, ValueError) as error:
            errors.append(error)
        else:
            return
    text = "; ".join(f"{server}: {error}" for server, error in zip(servers, errors, strict=True))
    wrong = all(isinstance(error, ValueError) for error in errors)
    raise (ValueError if wrong else OSError)(f"{file} could not be fetched: {text}")


def _is_batch(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == _CIFAR_BYTES


def _write(target: Path, data: bytes) -> None:
    from pybp.files.atomic import replace_file

    def fill(path: Path) -> None:
        path.write_bytes(data)

    replace_file(target, fill)


def _take_apart(folder: Path) -> None:
    """Write the six files of the archive of CIFAR-10, and remove it."""
    import tarfile

    archive = folder / _CIFAR_ARCHIVE
    with tarfile.open(archive, "r:gz") as packed:
        for member in packed:
            name = Path(member.name).name
            stream = packed.extractfile(member) if name in _CIFAR_FILES else None
            if stream is not None and member.size == _CIFAR_BYTES:
                _write(folder / name, stream.read())
    missing = [name for name in _CIFAR_FILES if not _is_batch(folder / name)]
    if missing:
        raise ValueError(f"{archive} does not hold {', '.join(missing)}")
    archive.unlink()
