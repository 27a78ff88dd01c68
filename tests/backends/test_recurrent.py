"""What the recurrent ops mean, by plain loops over one sequence; what they do with odd numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import op_cases
import pytest
from conftest import require_native
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from op_cases import OP_CASES, BoundCase, Case, ids
from op_cases.recurrent import (
    BACKWARD,
    FORWARD,
    RAGGED,
    Net,
    backward_case,
    forward_case,
    weight_case,
)
from op_cases.running import check_arrays

from pybp.program import ops
from pybp.program.ops import N
from pybp.program.ops.recurrent import GATES
from pybp.program.packing import Packing

CELLS = list(GATES)
FORWARD_CASES = [c for c in OP_CASES if isinstance(c.op, ops.Recurrent) and not c.bench]
Arrays = dict[str, np.ndarray]


def _of_sample(case: Case, arrays: Arrays, sample: int) -> Arrays:
    """Return what belongs to one sample: its rows of all batched arrays, the others whole."""
    mine = Packing(np.array(case.lengths)).samples() == sample
    rows: dict[Any, Any] = {N: slice(sample, sample + 1)}
    return {
        name: array[rows.get(case.shapes[name][0], mine)] if case.shapes[name][0] <= N else array
        for name, array in arrays.items()
    }


def _alone(case: Case, sample: int) -> Case:
    return case._replace(rows=1, lengths=(case.lengths[sample],))


# ----------------------------------------------------------------------------- by plain loops


def _plain_step(cell: str, z: Any, q: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """Return h and c after a step, unit by unit, by the formulas in the op's module."""
    size = len(h)
    part = np.zeros(size), np.zeros(size)
    for k in range(size):
        zs, qs = z[k::size], q[k::size]
        if cell == "rnn_tanh":
            part[0][k] = np.tanh(zs[0] + qs[0])
        elif cell == "rnn_relu":
            part[0][k] = max(zs[0] + qs[0], 0)
        elif cell == "lstm":
            i, f, o = (1 / (1 + np.exp(-zs[j] - qs[j])) for j in (0, 1, 3))
            part[1][k] = f * c[k] + i * np.tanh(zs[2] + qs[2])
            part[0][k] = o * np.tanh(part[1][k])
        else:
            r, u = (1 / (1 + np.exp(-zs[j] - qs[j])) for j in (0, 1))
            part[0][k] = (1 - u) * np.tanh(zs[2] + r * qs[2]) + u * h[k]
    return part


def _plain(case: Case, a: Arrays) -> Arrays:
    """Return y, hn, cn of one sequence."""
    op: Any = case.op
    size = len(a["w_hh"])
    h, c = (np.ravel(a.get(name, np.zeros(size))) for name in ("h0", "c0"))
    y = np.zeros((len(a["x"]), size))
    steps = range(len(y))
    for t in reversed(steps) if op.reverse else steps:
        z = a["x"][t] @ a["w_ih"] + a.get("b_ih", 0)
        q = (h * np.ravel(a.get("mask", 1))) @ a["w_hh"] + a.get("b_hh", 0)
        h, c = _plain_step(op.cell, z, q, h, c)
        y[t] = h
    return {"y": y, "hn": h[np.newaxis], "cn": c[np.newaxis]}


@pytest.mark.parametrize("case", [c for c in FORWARD_CASES if str(RAGGED) in c.name], ids=ids)
def test_each_sequence_of_a_batch_is_its_equation(case: Case, backend: str) -> None:
    arrays = op_cases.make_arrays(case, "float64")
    written = op_cases.run(case, "float64", backend)
    for sample in range(case.rows):
        expected = _plain(case, _of_sample(case, arrays, sample))
        found = _of_sample(case, written, sample)
        for name in {"y", "hn", "cn"} & set(found):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", FORWARD_CASES, ids=ids)
def test_a_sequence_alone_gives_the_bits_that_it_gives_in_a_batch(case: Case, dtype: str) -> None:
    require_native()
    arrays = op_cases.make_arrays(case, dtype)
    written = op_cases.run(case, dtype, "native")
    for sample in range(0, case.rows, max(case.rows // 5, 1)):
        bound = BoundCase(_alone(case, sample), dtype, "native", _of_sample(case, arrays, sample))
        bound.run()
        expected = _of_sample(case, written, sample)
        for name, array in bound.outputs().items():
            assert array.tobytes() == expected[name].tobytes(), (name, sample)


@pytest.mark.parametrize(("p", "size"), [(0.0, 3), (0.3, 41), (1.0, 2)])
def test_a_mask_is_the_dropout_of_ones(p: float, size: int, backend: str, dtype: str) -> None:
    shapes = {"x": (N, size), "y": (N, size)}
    fills = {"x": lambda rng, shape: np.ones(shape)}
    dropout = Case("dropout", ops.Dropout("x", "y", p, 9), 7, shapes, 1, 1, fills)
    mask = Case("mask", ops.DropMask("y", size, p, 9), 7, {"y": (N, size)}, 1, 1)
    one, other = (op_cases.run(case, dtype, backend)["y"] for case in (dropout, mask))
    assert one.dtype == other.dtype
    assert one.tobytes() == other.tobytes()


# ------------------------------------------------------------------------------- odd numbers


def _cases_of_cell(cell: str) -> Iterator[Case]:
    for reverse in (False, True):
        yield forward_case(cell, RAGGED, FORWARD[cell], reverse=reverse)
        yield backward_case(cell, RAGGED, BACKWARD[cell], reverse=reverse)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("cell", CELLS)
def test_an_odd_number_goes_where_numpy_lets_it_go(cell: str, odd: float, dtype: str) -> None:
    """One in each array in turn: no other sequence, and no step before it, may notice."""
    require_native()
    for case in _cases_of_cell(cell):
        for name in case.op.inputs():
            arrays = op_cases.make_arrays(case, dtype)
            place = np.random.default_rng(5).integers(arrays[name].size)
            arrays[name].flat[place] = odd
            with np.errstate(all="ignore"):
                check_arrays(case, dtype, "native", arrays)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_not_a_number_stays_from_its_step_on(cell: str, reverse: bool, backend: str) -> None:
    case = forward_case(cell, RAGGED, ("hn", "cn"), reverse=reverse)
    arrays = op_cases.make_arrays(case, "float32")
    packing = Packing(np.array(case.lengths))
    sample, step = 3, 1
    row = np.flatnonzero((packing.samples() == sample) & (packing.steps() == step))[0]
    arrays["x"][row, 2] = np.nan
    bound = BoundCase(case, "float32", backend, arrays)
    bound.run()
    written = bound.outputs()
    later = packing.steps() <= step if reverse else packing.steps() >= step
    hit = (packing.samples() == sample) & later
    for name, reached in (("y", hit), ("hn", np.arange(case.rows) == sample)):
        expected = np.broadcast_to(reached[:, np.newaxis], written[name].shape)
        np.testing.assert_array_equal(np.isnan(written[name]), expected)
    assert np.isnan(written.get("cn", written["hn"])[sample]).all()


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_large_numbers_saturate(cell: str, backend: str, dtype: str) -> None:
    """No exponential overflows, and h stays within -1 ... 1."""
    case = forward_case(cell, RAGGED, ("gates", "cells"))
    arrays = op_cases.make_arrays(case, dtype)
    for scale in (1e3, 1e30):
        large = {**arrays, "x": (arrays["x"] * scale).astype(dtype)}
        bound = BoundCase(case, dtype, backend, large)
        bound.run()
        written = bound.outputs()
        assert all(np.isfinite(array).all() for array in written.values())
        assert np.abs(written["y"]).max() <= 1


# ------------------------------------------------------------------------------- drawn cases


@st.composite
def _drawn(draw: st.DrawFn) -> tuple[str, Net, tuple[list[str], list[str], list[str]], bool]:
    """Return a cell, its sizes, the optional fields of its three ops, and the direction."""
    cell = draw(st.sampled_from(CELLS))
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=20))
    net = Net(draw(st.integers(1, 40)), draw(st.integers(1, 70)), tuple(lengths))
    # A tolerance relative to an array's root mean square means nothing for a few sums that may all
    # happen to cancel; the listed cases have the smallest sizes.
    assume(len(lengths) * net.size >= 16)
    forward, backward, weight = (
        draw(st.lists(st.sampled_from(fields), unique=True))
        for fields in (FORWARD[cell], BACKWARD[cell], ("db", "h0", "mask"))
    )
    if not set(backward) & {"dy", "dhn", "dcn"}:
        backward.append("dy")
    return cell, net, (forward, backward, weight), draw(st.booleans())


@settings(deadline=None, derandomize=True, database=None)
@given(_drawn(), st.sampled_from(["float32", "float64"]), st.booleans())
def test_native_equals_numpy_on_drawn_cases(drawn: Any, dtype: str, accumulate: bool) -> None:
    require_native()
    cell, net, (forward, backward, weight), reverse = drawn
    for case in (
        forward_case(cell, net, forward, reverse=reverse),
        backward_case(cell, net, backward, reverse=reverse),
        weight_case(cell, net, weight, reverse=reverse, accumulate=accumulate),
    ):
        op_cases.check_case(case, dtype, "native")


def _few(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-1, 2, shape).astype(float)


@settings(deadline=None, derandomize=True, database=None)
@given(_drawn(), st.sampled_from(["float32", "float64"]))
def test_whole_numbers_stay_exact(drawn: Any, dtype: str) -> None:
    """Sums of small whole numbers have the same bits in any order: no term is lost or doubled."""
    require_native()
    _, net, (forward, backward, weight), reverse = drawn
    net = net._replace(size=1 + net.size % 12, lengths=tuple(min(k, 4) for k in net.lengths))
    cell = "rnn_relu"
    for case in (
        forward_case(cell, net, sorted({*forward} & {*FORWARD[cell]}), reverse=reverse),
        backward_case(cell, net, sorted({"dy", *backward} & {*BACKWARD[cell]}), reverse=reverse),
        weight_case(cell, net, weight, reverse=reverse),
    ):
        whole = case._replace(fills=dict.fromkeys(case.shapes, _few))
        numpy, native = (op_cases.run(whole, dtype, name) for name in ("numpy", "native"))
        for name, expected in numpy.items():
            np.testing.assert_array_equal(native[name], expected, name)
