"""Feeding: the rows of ``Source``s, read for the steps of one call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pybp.arrays import Array
from pybp.backends import Spans
from pybp.data.sources import Source
from pybp.program.program import DATA_ROLES, Program

_MOST_BYTES = 1 << 26  # that the rows of one call take


class Fed(NamedTuple):
    """The arguments of ``Executor.run`` that say where rows lie."""

    data: list[Any]
    order: Array | None
    starts: Array
    spans: Spans


def needs_feeding(data: Sequence[Any]) -> bool:
    """Tell whether some of the data must be read first."""
    return any(isinstance(array, Source) for array in data)


def most_steps(data: Sequence[Any], starts: Array) -> int:
    """Return how many of these steps one call takes, at least one."""
    row_bytes = sum(array.row_bytes for array in data if isinstance(array, Source))
    if not row_bytes:
        return len(starts) - 1
    rows = max(1, _MOST_BYTES // row_bytes)
    return max(1, int(np.searchsorted(starts, starts[0] + rows, side="right")) - 1)


def calls(data: Sequence[Any], starts: Array) -> Iterator[slice]:
    """Yield the steps of each call, as slices of ``starts`` with both ends."""
    begin, steps = 0, len(starts) - 1
    while begin < steps:
        count = most_steps(data, starts[begin:])
        yield slice(begin, begin + count + 1)
        begin += count


def feed(
    program: Program, data: Sequence[Any], order: Array | None, starts: Array, spans: Spans
) -> Fed:
    """Return the data with the rows of these steps read, and nothing but these rows.

    Packed arrays stay as they are: ``spans`` says where their rows lie.
    """
    if not needs_feeding(data):
        return Fed(list(data), order, starts, spans)
    first, last = int(starts[0]), int(starts[-1])
    rows = np.arange(first, last) if order is None else order[first:last]
    fed = []
    for buffer, array in zip(program.of_role(*DATA_ROLES), data, strict=True):
        if array is None or buffer.packing is not None:
            fed.append(array)
        elif buffer.role == "output":
            fed.append(array[first:last])
        elif order is None:
            fed.append(array.read(first, last) if isinstance(array, Source) else array[first:last])
        else:
            fed.append(array.take(rows) if isinstance(array, Source) else array[rows])
    here = [(begin[rows], length[rows]) for begin, length in spans]
    return Fed(fed, None, starts - first, here)
