"""Damage to files: of their bytes, of safetensors headers, and of descriptions."""

from __future__ import annotations

import copy
import hashlib
import json
import random
import struct
from typing import Any

HUGE = (0, 1, 2, 3, 127, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**48, 2**62, 2**63, 2**64 - 1)


def damaged(rng: random.Random, seeds: list[bytes]) -> bytes:
    """Return one of the files after one to three changes of its bytes."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(CHANGES)(rng, data, seeds)
    return bytes(data)


def _span(rng: random.Random, data: bytearray) -> slice:
    start = rng.randrange(len(data) + 1)
    return slice(start, start + int(2 ** rng.uniform(0, 9)))


def flip_bits(rng: random.Random, data: bytearray, seeds: list[bytes]) -> None:
    for _ in range(rng.randrange(1, 9)):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def set_bytes(rng: random.Random, data: bytearray, seeds: list[bytes]) -> None:
    for _ in range(rng.randrange(1, 5)):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)


def at_the_start(rng: random.Random, data: bytearray, seeds: list[bytes]) -> None:
    """Change what says how to read the rest."""
    for _ in range(rng.randrange(1, 4)):
        if data:
            data[rng.randrange(min(len(data), 32))] = rng.choice((0, 1, 8, 255, rng.randrange(256)))


def cut_off(rng: random.Random, data: bytearray, seeds: list[bytes]) -> None:
    del data[rng.randrange(len(data) + 1) :]


def insert(rng: random.Random, data: bytearray, seeds: list[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(int(2 ** rng.uniform(0, 9)))


def remove(rng: random.Random, data: bytearray, seeds: list[bytes]) -> None:
    del data[_span(rng, data)]


def duplicate(rng: random.Random, data: bytearray, seeds: list[bytes]) -> None:
    at, chunk = rng.randrange(len(data) + 1), data[_span(rng, data)]
    data[at:at] = chunk * rng.choice((1, 1, 1, 50))


def clear(rng: random.Random, data: bytearray, seeds: list[bytes]) -> None:
    span = _span(rng, data)
    data[span] = bytes([rng.choice((0, 32, 255))]) * len(data[span])


def huge_number(rng: random.Random, data: bytearray, seeds: list[bytes]) -> None:
    code = rng.choice(("<I", ">I", "<Q", ">Q", "<H"))
    raw = struct.pack(code, rng.choice(HUGE) % 2 ** (8 * struct.calcsize(code)))
    at = rng.choice((0, 4, rng.randrange(len(data) + 1)))
    data[at : at + len(raw)] = raw


def splice(rng: random.Random, data: bytearray, seeds: list[bytes]) -> None:
    other = rng.choice(seeds)
    data[rng.randrange(len(data) + 1) :] = other[rng.randrange(len(other) + 1) :]


CHANGES = (
    *(flip_bits, set_bytes, at_the_start, cut_off, insert, remove, duplicate, clear, huge_number),
    splice,
)


# ------------------------------------------------------------------------------------- JSON

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 255, 2**31, 2**63, -(2**63), 10**30, 10**400),
    *(0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), float("-inf")),
    *("", "x", "0", "same", "valid", "float32", "int64", "mean", "Linear", "\ud800", "é" * 9),
    *([], {}, [0], [-1], [None], [[]], [[1, 2], [3]], [0] * 200, [10**18] * 3),
    *({"type": "ReLU", "name": None}, {"type": "Linear", "units": 3}, {"type": "Cell"}),
    *({"type": "Zeros"}, {"custom": "Own", "fields": {}}, {"array": [1.0], "dtype": "float32"}),
    *({"type": "LSTM", "units": 10**9, "num_layers": 10**9}, {"type": "Orthogonal", "gain": 1e300}),
    {"type": "Reshape", "shape": [-1, 2]},
)


def edit(rng: random.Random, value: Any) -> Any:
    """Return a copy of a JSON value after one to three random changes."""
    box = [copy.deepcopy(value)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places: list[tuple[Any, Any]] = []
        _collect(box, places)
        holder, key = rng.choice(places)
        kind = rng.randrange(8)
        if kind < 3:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind == 3:
            other, name = rng.choice(places)
            holder[key] = copy.deepcopy(other[name])
        elif kind == 4 and isinstance(holder, dict):
            del holder[key]
        elif kind == 5 and isinstance(holder, dict):
            holder[rng.choice((*holder, "units", "name", "shape"))] = holder.pop(key)
        elif kind == 6 and isinstance(holder[key], list):
            holder[key] *= rng.choice((0, 2, 2, 30))
        elif isinstance(holder[key], int | float):
            holder[key] = rng.choice((holder[key] + 1, holder[key] - 1, -holder[key], 7))
    return box[0]


def _collect(value: Any, places: list[tuple[Any, Any]]) -> None:
    """List all places of a JSON value as (what holds it, key)."""
    keys = range(len(value)) if isinstance(value, list) else value
    for key in list(keys)[:200]:
        places.append((value, key))
        if isinstance(value[key], list | dict):
            _collect(value[key], places)


# ------------------------------------------------------------------------------- safetensors


def pack(header: bytes, data: bytes) -> bytes:
    """Return a safetensors file."""
    return struct.pack("<Q", len(header)) + header + data


def unpack(file: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the data of a whole safetensors file."""
    end = 8 + struct.unpack("<Q", file[:8])[0]
    return json.loads(file[8:end]), file[end:]


def sealed(header: dict[str, Any], description: Any, data: bytes) -> bytes:
    """Return a file with this description and the right checksum."""
    if isinstance(description, dict):
        description = {**description, "sha256": "?" * 64}
    header = {**header, "__metadata__": {"pybp": json.dumps(description)}}
    raw = pack(json.dumps(header).encode(), data)
    mark = b"?" * 64
    digest = hashlib.sha256(raw.replace(mark, b"0" * 64, 1)).hexdigest()
    return raw.replace(mark, digest.encode(), 1)


def broken_header(rng: random.Random, seeds: list[bytes]) -> bytes:
    """Return a file with a header that was edited as JSON or as text, its length being right."""
    header, data = unpack(rng.choice(seeds))
    text = json.dumps(edit(rng, header))
    kind = rng.randrange(6)
    if kind == 0:
        text = rng.choice((" ", "\t", "\n", "[", "\ufeff")) + text
    elif kind == 1:
        text += rng.choice((" ", "\t", "\n", "\0", "{}", "]", " " * 99))
    elif kind == 2:
        text = text[:-1] + "," + text[1:]  # each name twice
    raw = bytearray(text.encode("utf-8", "surrogatepass"))
    if kind == 3:
        rng.choice(CHANGES[:-1])(rng, raw, seeds)
    return pack(bytes(raw), data)


def edited_description(rng: random.Random, seeds: list[bytes]) -> bytes:
    """Return a file with an edited description or other arrays, and the right checksum."""
    header, data = unpack(rng.choice(seeds))
    description = json.loads(header.pop("__metadata__")["pybp"])
    description.pop("sha256", None)
    if rng.random() < 0.1:
        header = edit(rng, header)
        header = header if isinstance(header, dict) else {}
    return sealed(header, edit(rng, description), data)


def bombs(rng: random.Random, seeds: list[bytes]) -> bytes:
    """Return a file whose small header asks for much work or memory."""
    size = int(2 ** rng.uniform(10, 21))
    lists = ("[" * size, "[]," * (size // 3), "300," * (size // 4), "1e9," * (size // 4))
    others = ('{"a":' * (size // 5), '{"":0},' * (size // 7), '"\U0001f600",' * (size // 7))
    dense = rng.choice((*lists, *others, "9" * size))
    kind = rng.randrange(4)
    if kind == 0:
        return pack(dense.encode(), b"")
    if kind == 1:
        return pack(('{"a":[' + dense.rstrip(",") + "]}").encode(), b"")
    if kind == 2:
        entry = '"{}":{{"dtype":"U8","shape":[],"data_offsets":[{},{}]}}'
        count = size // 60
        entries = (entry.format(i, i, i + 1) for i in range(count))
        return pack(("{" + ",".join(entries) + "}").encode(), bytes(count))
    text = '{"format":2,"kind":"Model","layers":[' + dense.rstrip(",") + "]}"
    return pack(json.dumps({"__metadata__": {"pybp": text}}).encode(), b"")
