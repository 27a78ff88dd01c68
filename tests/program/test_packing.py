"""Packed sequences: the order of their time steps, by plain loops, and how executors bring them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from conftest import require_native
from hypothesis import given, settings
from hypothesis import strategies as st

from pybp import backends
from pybp.program import ops
from pybp.program.ops import N, packed
from pybp.program.packing import Packing
from pybp.program.program import Program

LENGTHS = st.lists(st.integers(0, 7), max_size=9)


def _steps_in_order(lengths: list[int]) -> list[tuple[int, int]]:
    """Return (sample, time step) of each packed row."""
    by_length = sorted(range(len(lengths)), key=lambda sample: -lengths[sample])
    return [
        (sample, t)
        for t in range(max(lengths, default=0))
        for sample in by_length
        if lengths[sample] > t
    ]


@settings(deadline=None, derandomize=True, database=None)
@given(LENGTHS)
def test_rows_stand_in_the_order_of_a_plain_loop(lengths: list[int]) -> None:
    packing, expected = Packing(np.array(lengths, np.int64)), _steps_in_order(lengths)
    rows = list(zip(packing.samples().tolist(), packing.steps().tolist(), strict=True))
    assert rows == expected
    assert packing.count == len(expected)
    assert packing.lengths.tolist() == lengths
    assert sorted(packing.order.tolist()) == list(range(len(lengths)))
    for t, size in enumerate(packing.sizes):
        begin, end = packing.offsets[t], packing.offsets[t + 1]
        assert end - begin == size > 0
        assert rows[begin:end] == [(sample, t) for sample in packing.order[:size]]


@settings(deadline=None, derandomize=True, database=None)
@given(LENGTHS, st.integers(0, 5))
def test_places_are_those_of_the_steps_of_each_sample(lengths: list[int], gap: int) -> None:
    first = np.cumsum([0, *(length + gap for length in lengths)])[:-1]
    places = Packing(np.array(lengths, np.int64)).places(first)
    assert places.tolist() == [first[sample] + t for sample, t in _steps_in_order(lengths)]


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(1, 7), max_size=9))
def test_last_is_the_row_of_each_sample_s_last_step(lengths: list[int]) -> None:
    rows = _steps_in_order(lengths)
    last = Packing(np.array(lengths, np.int64)).last()
    assert [rows[row] for row in last] == [(i, length - 1) for i, length in enumerate(lengths)]


# ------------------------------------------------------------------------------- both executors

STEPS = 7  # room for the steps of a sample in whole samples


def _copier(
    backend: str, dtype: str, max_rows: int, max_packed: int, steps: int = 0
) -> backends.Executor:
    """Make an executor that copies x, packed, to y, packed, and to whole samples."""
    program = Program("copy", dtype)
    program.add_packing(steps)
    program.add_buffer("x", (packed(0), 2), "input")
    program.add_buffer("y", (packed(0), 2), "output")
    program.add_buffer("whole", (N, steps or STEPS, 2), "output")
    program.append(ops.Activate("x", "y", "identity"))
    program.append(ops.Unpack("y", "whole", steps or STEPS))
    program.verify()
    return backends.make_executor(backend, program, {}, max_rows, max_packed=(max_packed,))


def _run(
    executor: backends.Executor, data: list[Any], order: Any, starts: list[int], spans: Any
) -> None:
    steps = len(starts) - 1
    nothing = np.zeros((steps, 0))
    order = None if order is None else np.array(order, np.int64)
    executor.run(data, order, np.array(starts), nothing, nothing, 0, 0, 0, 2, spans)


def _span(first: Any, length: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.array(first, np.int64), np.array(length, np.int64)


@st.composite
def _batches(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return lengths and beginnings of rows, their order, and where the steps of a run begin."""
    lengths = draw(st.lists(st.integers(0, STEPS), min_size=1, max_size=12))
    gaps = draw(st.lists(st.integers(0, 3), min_size=len(lengths), max_size=len(lengths)))
    places = draw(st.permutations(range(len(lengths))))
    first = np.zeros(len(lengths), np.int64)
    end = 0
    for row, gap in zip(places, gaps, strict=True):
        first[row] = end + gap
        end += gap + lengths[row]
    order = draw(st.permutations(range(len(lengths))))
    cuts = draw(st.sets(st.integers(1, len(lengths))))
    return lengths, first.tolist(), list(order), sorted({0, *cuts, len(lengths)})


@pytest.mark.parametrize("name", backends.BACKENDS)
@settings(deadline=None, derandomize=True, database=None)
@given(_batches(), st.booleans(), st.sampled_from(["float32", "float64"]))
def test_sequences_come_and_go(
    name: str,
    batch: tuple[list[int], list[int], list[int], list[int]],
    in_order: bool,
    dtype: str,
) -> None:
    """In several steps, from and to rows with gaps; data in float64 for either type."""
    if name == "native":
        require_native()
    lengths, first, order, starts = batch
    order = list(range(len(lengths))) if in_order else order
    total = max(f + n for f, n in zip(first, lengths, strict=True)) + 2
    x = np.arange(2.0 * total).reshape(total, 2)
    y = np.full((total, 2), np.nan, dtype)
    whole = np.full((len(lengths), STEPS, 2), np.nan, dtype)
    rows = max(b - a for a, b in itertools.pairwise(starts))
    executor = _copier(name, dtype, rows, max(sum(lengths), 1))
    _run(executor, [x, y, whole], None if in_order else order, starts, [_span(first, lengths)])
    expected, expected_whole = np.full((total, 2), np.nan), np.zeros((len(lengths), STEPS, 2))
    for i, row in enumerate(order):
        steps = slice(first[row], first[row] + lengths[row])
        expected[steps] = expected_whole[i, : lengths[row]] = x[steps]
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(whole, expected_whole)
    assert executor.steps_done == len(starts) - 1


def test_rows_that_lie_packed_are_used_where_they_are(backend: str, dtype: str) -> None:
    """One sample, and samples of one step side by side: nothing is moved, in or out."""
    x = np.arange(20.0).reshape(10, 2).astype(dtype)
    for first, length in (([3], [5]), ([4, 5, 6], [1, 1, 1])):
        y = np.zeros_like(x)
        executor = _copier(backend, dtype, len(first), 5)
        whole = np.zeros((len(first), STEPS, 2), dtype)
        _run(executor, [x, y, whole], None, [0, len(first)], [_span(first, length)])
        used = slice(first[0], first[-1] + length[-1])
        np.testing.assert_array_equal(y[used], x[used])
        assert np.count_nonzero(y) == y[used].size


def test_sequences_may_overlap_in_what_is_read(backend: str) -> None:
    """Windows that slide over one long sequence are not copied by the caller."""
    program = Program("windows", "float64")
    program.add_packing()
    program.add_buffer("x", (packed(0), 1), "input")
    program.add_buffer("whole", (N, 4, 1), "output")
    program.append(ops.Unpack("x", "whole", 4))
    executor = backends.make_executor(backend, program, {}, 3, max_packed=(12,))
    x, whole, nothing = np.arange(6.0)[:, np.newaxis], np.zeros((3, 4, 1)), np.zeros((1, 0))
    spans = [_span([0, 1, 2], [4, 4, 4])]
    executor.run([x, whole], None, np.array([0, 3]), nothing, nothing, 0, 0, 0, 1, spans)
    assert whole[..., 0].tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]


def test_each_packing_has_its_own_sequences(backend: str) -> None:
    """Two inputs of other lengths, as in nets from sequence to sequence."""
    program = Program("two", "float32")
    for name in ("a", "b"):
        k = program.add_packing()
        program.add_buffer(name, (packed(k),), "input")
        program.add_buffer(f"{name} whole", (N, 3), "output")
        program.append(ops.Unpack(name, f"{name} whole", 3, k))
    executor = backends.make_executor(backend, program, {}, 2, max_packed=(4, 5))
    a, b = np.arange(10.0), np.arange(10.0) + 100
    outputs, nothing = np.zeros((2, 2, 3), np.float32), np.zeros((1, 0))
    spans = [_span([1, 5], [1, 3]), _span([0, 7], [3, 2])]
    data = [a, outputs[0], b, outputs[1]]
    executor.run(data, None, np.array([0, 2]), nothing, nothing, 0, 0, 0, 2, spans)
    assert outputs[0].tolist() == [[1, 0, 0], [5, 6, 7]]
    assert outputs[1].tolist() == [[100, 101, 102], [107, 108, 0]]


# ------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([], "spans: expected those of 1 packings, got 0"),
        ([_span([0, 1], [1, 1])] * 2, "spans: expected those of 1 packings, got 2"),
        ([_span([0], [1])], "spans 0: has 1 rows, but the steps use row 1"),
        ([_span([0, 1], [1, -1])], "spans 0: row 1 has -1 time steps from 1 on"),
        ([_span([0, 2], [2, 8])], "spans 0: row 1 has 8 time steps .* at most 7 within 10"),
        ([_span([0, 2], [6, 6])], "spans 0: expected steps of at most 9 time steps, got 12"),
        ([_span([0, 8], [2, 3])], "spans 0: row 1 has 3 time steps from 8 on, .* within 10"),
        ([_span([-1, 8], [2, 1])], "spans 0: row 0 has 2 time steps from -1 on"),
        ([_span([2**63 - 1, 8], [2, 1])], f"spans 0: row 0 has 2 time steps from {2**63 - 1} on"),
        ([_span([0, 1], [2**63 - 1, 1])], f"spans 0: row 0 has {2**63 - 1} time steps"),
        ([_span([0, 1], [1])], "spans: expected as many lengths as beginnings"),
        ([_span([0, 1], [1, 1])[:1]], r"spans: expected \(first, length\)"),
        ([(np.zeros(2, np.int32), np.ones(2, np.int64))], "first: expected"),
        ([(np.zeros(2, np.int64), np.ones(2))], "length: expected"),
    ],
)
def test_wrong_spans_are_refused_and_nothing_is_written(spans: Any, message: str) -> None:
    """In the second step too: all are looked at before the first one runs."""
    require_native()
    executor = _copier("native", "float32", 2, 9)
    x, y = np.ones((10, 2)), np.full((10, 2), 5, np.float32)
    whole = np.full((2, STEPS, 2), 5, np.float32)
    for starts in ([0, 2], [0, 1, 2]):
        if "got 12" in message and len(starts) == 3:
            continue  # in two steps there is room
        with pytest.raises(ValueError, match=message):
            _run(executor, [x, y, whole], None, starts, spans)
        assert np.all(y == 5)
        assert np.all(whole == 5)
        assert executor.steps_done == 0


def test_a_row_that_is_not_used_may_lie_anywhere(backend: str) -> None:
    executor = _copier(backend, "float64", 1, 4)
    x, y, whole = np.ones((4, 2)), np.zeros((4, 2)), np.zeros((1, STEPS, 2))
    _run(executor, [x, y, whole], [1], [0, 1], [_span([-5, 1], [99, 3])])
    assert y[:, 0].tolist() == [0, 1, 1, 1]


def test_a_packing_of_fixed_length_takes_no_other() -> None:
    require_native()
    executor = _copier("native", "float32", 2, 6, steps=3)
    x, y, whole = np.ones((10, 2)), np.zeros((10, 2), np.float32), np.zeros((2, 3, 2), np.float32)
    with pytest.raises(ValueError, match="spans 0: row 1 has 2 time steps"):
        _run(executor, [x, y, whole], None, [0, 2], [_span([0, 3], [3, 2])])
    assert not y.any()
    _run(executor, [x, y, whole], None, [0, 2], [_span([0, 3], [3, 3])])
    assert y.sum() == whole.sum() == 12


def test_too_short_an_array_for_the_spans_is_refused() -> None:
    """The output is the shorter one."""
    require_native()
    executor = _copier("native", "float32", 2, 6)
    x, y, whole = (
        np.ones((10, 2)),
        np.zeros((4, 2), np.float32),
        np.zeros((2, STEPS, 2), np.float32),
    )
    with pytest.raises(ValueError, match=r"row 1 has 3 time steps from 3 on, .* within 4"):
        _run(executor, [x, y, whole], None, [0, 2], [_span([0, 3], [3, 3])])
    assert not y.any()
