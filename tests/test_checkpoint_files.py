"""Checkpoint files: what was written comes back, and whatever was changed is refused."""

from __future__ import annotations

import json
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import pybp as bp
from pybp.files import container, read_checkpoint, write_checkpoint

DESCRIPTION = {
    "epoch": 3,
    "losses": [0.5, float("inf"), float("nan"), 1e-310, -0.0],
    "callbacks": [{"class": "EarlyStopping", "best": None, "stopped": False}],
    "text": 'né "\\ \n 0000',
}
ARRAYS = {
    "params": np.arange(6, dtype=np.float32).reshape(2, 3),
    "moments/v": np.linspace(0, 1, 5),
    "order": np.arange(7)[::-1],
    "bytes": np.arange(3, dtype=np.uint8),
    "flags": np.array([True, False]),
    "count": np.array(2**40),
    "empty": np.zeros((0, 4), np.float32),
    "turned": np.arange(6.0).reshape(2, 3).T,
    "big": np.arange(3, dtype=">i4"),
}


def same(a: object, b: object) -> bool:
    return json.dumps(a) == json.dumps(b)  # NaN included


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.ckpt"


def versions(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


# ------------------------------------------------------------------------------- what comes back


def test_what_was_written_is_read(path: Path) -> None:
    write_checkpoint(path, DESCRIPTION, ARRAYS)
    description, arrays = read_checkpoint(path)
    assert same(description, DESCRIPTION)
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        got = arrays[name]
        assert (got.shape, got.dtype) == (array.shape, array.dtype.newbyteorder("="))
        assert got.dtype.isnative
        assert got.flags.writeable
        assert got.tobytes() == array.astype(got.dtype).tobytes()


def test_the_same_content_makes_the_same_file_and_others_read_it(path: Path) -> None:
    write_checkpoint(path, DESCRIPTION, ARRAYS)
    first = path.read_bytes()
    write_checkpoint(str(path), DESCRIPTION, ARRAYS, keep=0)
    assert path.read_bytes() == first
    others = load_file(path)
    assert others.keys() == ARRAYS.keys() == bp.load_arrays(path).keys()
    np.testing.assert_array_equal(others["order"], ARRAYS["order"])


def test_no_arrays_and_no_description(path: Path) -> None:
    write_checkpoint(path, {}, {})
    assert read_checkpoint(path) == ({}, {})


@pytest.mark.parametrize(
    ("description", "arrays", "error"),
    [
        ([], {}, TypeError),
        ({"a": {1, 2}}, {}, TypeError),
        ({"a": np.float32(1)}, {}, TypeError),
        ({}, {"a": [1.0]}, TypeError),
        ({}, {"a": np.array(["x"])}, TypeError),
        ({}, {"a": np.array([None])}, TypeError),
        ({}, {"a": np.ma.masked_array([1.0, 2.0], [True, False])}, TypeError),
        ({}, {"a": np.zeros(2, np.longdouble)}, TypeError),
        ({}, {"__metadata__": np.zeros(2)}, TypeError),
        ({}, {3: np.zeros(2)}, TypeError),
        ({"history": list(range(500_000))}, {}, ValueError),
    ],
)
def test_what_a_file_can_not_hold(
    path: Path, description: object, arrays: object, error: type[Exception]
) -> None:
    write_checkpoint(path, DESCRIPTION, ARRAYS)
    before = path.read_bytes()
    with pytest.raises(error):
        write_checkpoint(path, description, arrays)
    assert path.read_bytes() == before
    assert versions(path) == ["run.ckpt"]


def test_a_long_description_needs_an_array_or_a_large_file(path: Path) -> None:
    history = {"history": list(range(500_000))}  # 3.4 MB as JSON
    with pytest.raises(ValueError, match="long lists of numbers belong into arrays"):
        write_checkpoint(path, history, {})
    write_checkpoint(path, history, {"a": np.zeros(30_000_000, np.uint8)})
    assert read_checkpoint(path)[0] == history


# --------------------------------------------------------------------------- damage, foreign files


def test_each_damaged_byte_is_noticed(path: Path) -> None:
    write_checkpoint(path, {"a": [1, "x"]}, {"w": np.arange(5.0), "b": np.array([True])})
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in range(len(whole)):
        damaged = bytearray(whole)
        for change in {1 << int(rng.integers(8)), int(rng.integers(1, 256)), 0x20 ^ 0x09}:
            damaged[at] = whole[at] ^ change
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match=r"damaged|format|kind"):
                read_checkpoint(path)


def test_each_flipped_bit_is_noticed_by_load_too(path: Path) -> None:
    bp.Sequential([bp.Linear(2)]).build((2,)).save(path)
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"damaged|format|kind|holds"):
            bp.load(path)


def test_files_that_are_cut_off_or_go_on(path: Path) -> None:
    write_checkpoint(path, DESCRIPTION, ARRAYS)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"cut off|bytes"):
            read_checkpoint(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="the file holds"):
        read_checkpoint(path)


def test_newer_and_foreign_files(path: Path) -> None:
    container.write(path, {"format": 3, "kind": "checkpoint", "description": {}}, {})
    with pytest.raises(ValueError, match=r"run\.ckpt' is of format 3.* newer version of pybp"):
        read_checkpoint(path)
    container.write(path, {"kind": "checkpoint", "description": 3}, {})
    with pytest.raises(ValueError, match="without a description"):
        read_checkpoint(path)
    save_file({"a": np.zeros(3)}, str(path))
    with pytest.raises(ValueError, match=r"no checkpoint of pybp; bp\.load_arrays"):
        read_checkpoint(path)
    save_file({"a": np.zeros(3)}, str(path), metadata={"pybp": "[1]"})
    with pytest.raises(ValueError, match="no JSON object"):
        read_checkpoint(path)
    bp.Sequential([bp.Linear(2)]).build((2,)).save(path)
    with pytest.raises(ValueError, match="no checkpoint of pybp: it is of kind 'Sequential'"):
        read_checkpoint(path)
    write_checkpoint(path, {}, {})
    with pytest.raises(ValueError, match="no pybp net: it is of kind 'checkpoint'"):
        bp.load(path)
    path.write_text("something else altogether, long enough to hold a length")
    with pytest.raises(ValueError, match="damaged or no safetensors file"):
        read_checkpoint(path)


def _with_header(header: str | bytes, data: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(raw)) + raw + data


ONE = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (_with_header("{" + ONE + "," + ONE + "}", bytes(4)), "'a' stands there twice"),
        (_with_header('{"a":{"dtype":"F32","dtype":"F32"}}'), "'dtype' stands there twice"),
        (_with_header(" {" + ONE + "}", bytes(4)), "no JSON object"),
        (_with_header("{" + ONE + "}\n", bytes(4)), "no JSON object"),
        (_with_header("{" + ONE + "} x ", bytes(4)), "no JSON object"),
        (_with_header("{" + ONE + "}{}", bytes(4)), "Extra data"),
        (_with_header(b"{\xff}"), "utf-8"),
        (_with_header("[" * 100_000), "no JSON object"),
        (_with_header('{"a":' * 100_000 + "}"), "too many levels"),
        (struct.pack("<Q", 2**63) + b"{}", "its header alone"),
        (struct.pack("<Q", 3 << 20) + bytes(3 << 20), "the most are"),
        (b"", "cut off"),
        (b"\0" * 7, "cut off"),
        (b"\0" * 8, "no JSON object"),
        (_with_header("{" + ONE + "}", bytes(3)), "the file holds 3"),
        (_with_header("{" + ONE.replace("0,4", "4,8") + "}", bytes(8)), "begin at 4"),
        (_with_header("{" + ONE.replace("0,4", "4,0") + "}", bytes(4)), "has -4 bytes"),
        (_with_header("{" + ONE.replace("0,4", "0,8") + "}", bytes(8)), "has 8 bytes"),
        (_with_header("{" + ONE.replace("0,4", "0,4,4") + "}", bytes(4)), "lists of sizes"),
        (_with_header("{" + ONE.replace("[1]", "[true]") + "}", bytes(4)), "lists of sizes"),
        (_with_header("{" + ONE.replace("[1]", "[1.0]") + "}", bytes(4)), "lists of sizes"),
        (_with_header("{" + ONE.replace("[1]", "[-1]") + "}", bytes(4)), "lists of sizes"),
        (_with_header("{" + ONE.replace("[1]", "[1" + "0" * 4000 + "]") + "}"), "lists of sizes"),
        (_with_header("{" + ONE.replace("[1]", "[4e9999]") + "}"), "lists of sizes"),
        (_with_header("{" + ONE.replace("[1]", f"[0,{2**61}]") + "}"), "no array"),
        (
            _with_header("{" + ONE.replace("[1]", str([1] * 33)) + "}", bytes(4)),
            "no array can have",
        ),
        (_with_header("{" + ONE.replace("F32", "F99") + "}", bytes(4)), "no type for"),
        (_with_header("{" + ONE.replace('"F32"', "[]") + "}", bytes(4)), "no type for"),
        (_with_header('{"a":3}'), "not described by"),
        (_with_header('{"a":{"dtype":"F32"}}'), "not described by"),
        (_with_header('{"__metadata__":3}'), "metadata"),
        (_with_header('{"__metadata__":{"a":3}}'), "metadata"),
        (_with_header('{"__metadata__":{"pybp":"{"}}'), "Expecting"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "data",
)
def test_headers_that_the_format_forbids(path: Path, data: bytes, says: str) -> None:
    path.write_bytes(data)
    for read in (read_checkpoint, bp.load, bp.load_arrays):
        with pytest.raises(ValueError, match=says):
            read(path)


def test_a_bool_that_is_neither_0_nor_1(path: Path) -> None:
    header = ONE.replace("F32", "BOOL").replace("4]", "1]")
    path.write_bytes(_with_header("{" + header + "}", b"\1"))
    assert bp.load_arrays(path)["a"].tolist() == [True]
    path.write_bytes(_with_header("{" + header + "}", b"\2"))
    with pytest.raises(ValueError, match="of type BOOL holds more than 0 and 1"):
        bp.load_arrays(path)


def test_what_can_not_be_read_is_an_os_error(path: Path) -> None:
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    for read in (read_checkpoint, bp.load, bp.load_arrays):
        with pytest.raises(FileNotFoundError):
            read(path)
        with pytest.raises(IsADirectoryError):
            read(path.parent)
        with pytest.raises(OSError, match="no regular file"):
            read(pipe)  # without waiting for somebody who writes to it
        with pytest.raises(OSError, match="no regular file"):
            read("/dev/zero")


# -------------------------------------------------------------------------------------- memory

MEMORY = """
import resource, sys, numpy as np, pybp as bp
import hashlib, json, mmap, pathlib
def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024
bp.Sequential([bp.Linear(2)]).build((2,)).predict(np.zeros((1, 2)))
before = peak()
net = bp.load(sys.argv[1])
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_loading_takes_no_more_than_twice_the_file(tmp_path: Path) -> None:
    """The net's parameters, and the pages of the file's memory map, which the system may drop."""
    file = tmp_path / "net.safetensors"
    bp.Sequential([bp.Linear(4096), bp.Linear(2048)]).build((4096,)).save(file)
    command = [sys.executable, "-P", "-c", MEMORY, str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(result.stdout) < 2 * file.stat().st_size + 8_000_000


def test_a_stated_size_allocates_nothing(path: Path) -> None:
    write_checkpoint(path, {}, {"a": np.zeros(10, np.uint8)})
    header = ONE.replace("[1]", f"[{2**34}]").replace("0,4", f"0,{2**36}")
    path.write_bytes(_with_header("{" + header + "}", bytes(64)))
    limit = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(ValueError, match="the file holds 64"):
        read_checkpoint(path)
    assert resource.getrlimit(resource.RLIMIT_AS) == limit
