"""Rows of the table: files that can't be read or written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from errors.table import Row, Setting

import pybp as bp


def _in_folder(call: Any) -> Any:
    """Return a call that gets a folder of its own, which is empty again afterwards."""

    def run(setting: Setting) -> None:
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            try:
                call(setting, here)
            finally:
                left = [path.name for path in here.iterdir() if path.is_file()]
                assert left in ([], ["file"])

    return run


def _unreadable(_: Setting, folder: Path) -> None:
    path = folder / "file"
    path.write_bytes(b"12345678")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read every file")
    bp.load(path)


def _text(content: bytes) -> Any:
    def run(_: Setting, folder: Path) -> None:
        (folder / "file").write_bytes(content)
        bp.load(folder / "file")

    return run


OS = "a file that is not there, a folder in its place, one that can't be read or written"
ROWS = [
    Row(OS, _in_folder(lambda s, f: bp.load(f / "none")), OSError, "none"),
    Row(OS, _in_folder(lambda s, f: bp.load(f)), OSError, "irectory"),
    Row(OS, _in_folder(lambda s, f: bp.load_arrays(f / "none")), OSError, "none"),
    Row(OS, _in_folder(lambda s, f: s.net.save(f / "none" / "net")), OSError, "none"),
    Row(OS, _in_folder(lambda s, f: s.net.save(f)), OSError, "irectory|exist|plain"),
    Row(OS, _in_folder(_unreadable), OSError, "file"),
    Row(OS, _in_folder(lambda s, f: s.fit(callbacks=[bp.CSVLogger(f)])), OSError, "irectory"),
    Row(OS, _in_folder(lambda s, f: s.fit(callbacks=[bp.CSVLogger(f / "none" / "log")])),
        OSError, "none"),
    *(
        Row("a file that holds something else", _in_folder(_text(content)), ValueError, "")
        for content in (b"", b"12345678", b"\xff" * 64, b"PK\x03\x04" + bytes(60),
                        (2**62).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"{}")
    ),
]  # fmt: skip
