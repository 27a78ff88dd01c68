"""The memory plan: where each value of a program lies in one workspace.

A value is alive from the op that writes it to the last op that reads it; two values may share
bytes when they are never alive together. All that the ops of a loop touch is alive from its first
op to its last. The NumPy executor ignores all of this, so an error here shows as a difference
between the executors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pybp.program.ops import Loop, Op, Reshape
from pybp.program.program import Buffer, Program, run_time_sizes

ELEMENT_BYTES = {"float64": 8, "float32": 4, "int32": 4, "uint8": 1}
ALIGNMENT = 64  # bytes: one cache line, one AVX-512 vector


class Plan(NamedTuple):
    """Where things lie.

    ``offsets`` gives the byte offset in the workspace of each value and of the staging area of
    each data buffer (rows that must be gathered or converted); ``aliases`` names, for a reshaped
    buffer, the buffer whose storage it shares; ``size`` is the workspace's size in bytes.
    """

    offsets: dict[str, int]
    aliases: dict[str, str]
    size: int


class _Interval(NamedTuple):
    name: str
    first: int
    last: int
    size: int


def make_plan(
    program: Program,
    max_rows: int,
    *,
    max_packed: tuple[int, ...] = (),
    keep_forward: bool = False,
) -> Plan:
    """Plan the workspace of a program for at most ``max_rows`` samples.

    ``max_packed`` holds the most time steps of each packing.

    ``keep_forward`` keeps all values of the forward part until the end, so that the backward part
    can run several times.
    """
    aliases = _aliases(program)
    capacity = run_time_sizes(max_rows, max_packed)
    intervals = _intervals(program, aliases, capacity, keep_forward)
    offsets, size = _first_fit(intervals)
    return Plan(offsets, aliases, size)


def _aliases(program: Program) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for op in program.ops:
        if not isinstance(op, Reshape) or program.buffers[op.x].role == "view":
            continue
        if program.buffers[op.y].role == "value":
            aliases[op.y] = aliases.get(op.x, op.x)
    return aliases


def buffer_bytes(buffer: Buffer, dtype: str, capacity: dict[int, int]) -> int:
    """Return the most bytes a buffer needs, rounded up to the alignment."""
    size = ELEMENT_BYTES[dtype if buffer.dtype == "real" else buffer.dtype]
    size *= math.prod(buffer.full_shape(capacity))
    return -(-size // ALIGNMENT) * ALIGNMENT


def _intervals(
    program: Program, aliases: dict[str, str], capacity: dict[int, int], keep_forward: bool
) -> list[_Interval]:
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    end = len(program.ops)
    read = {name for op in program.ops for name in program.behind(op.inputs())}
    for op, begin, until in _moments(program):
        for name in program.behind([*op.inputs(), *op.outputs()]):
            root = aliases.get(name, name)
            first.setdefault(root, begin)
            last[root] = max(until, last.get(root, until))
            if name not in read:
                last[root] = end  # nobody reads it here: it is for the caller
    written = {name for op in program.ops for name in op.outputs() if name not in aliases}
    staged = [
        *program.of_role("value", "input", "target", "weight"),
        *(b for b in program.of_role("output") if b.packing is not None),
    ]
    for buffer in staged:
        name = buffer.name
        if buffer.role == "output":
            last[name] = end  # its rows go to the caller when the ops have run
        elif name not in written:
            first[name] = 0  # filled before the first op
            last.setdefault(name, 0)
        if name not in written and buffer.role == "value":
            last[name] = end  # written by the caller, who may run a part of the ops again
        if keep_forward and first.get(name, end) < program.backward_start:
            last[name] = end
    return [
        _Interval(b.name, first[b.name], last[b.name], buffer_bytes(b, program.dtype, capacity))
        for b in staged
        if b.name not in aliases
    ]


def _moments(program: Program) -> Iterator[tuple[Op, int, int]]:
    """Yield each op with the places between which it runs: in a loop, those of the whole loop."""
    for place, op in program.outer():
        until = place + (op.count if isinstance(op, Loop) else 0)
        for each in program.ops[place : until + 1]:
            yield each, place, until


def _first_fit(intervals: list[_Interval]) -> tuple[dict[str, int], int]:
    """Place the largest first, each at the lowest offset that is free during its life."""
    offsets: dict[str, int] = {}
    placed = np.zeros((4, len(intervals)), np.int64)  # by start
    first, last, start, end = placed
    for count, item in enumerate(sorted(intervals, key=lambda i: (-i.size, i.first, i.name))):
        together = (first[:count] <= item.last) & (last[:count] >= item.first)
        ends = np.maximum.accumulate(np.append(0, end[:count][together]))
        fits = ends[:-1] + item.size <= start[:count][together]  # into the gap before each
        offset = int(ends[fits.argmax()] if fits.any() else ends[-1])
        place = int(np.searchsorted(start[:count], offset, side="right"))
        placed[:, place + 1 : count + 1] = placed[:, place:count].copy()
        placed[:, place] = item.first, item.last, offset, offset + item.size
        offsets[item.name] = offset
    return offsets, int(end.max(initial=0))
