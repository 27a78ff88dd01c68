"""What acts on gradients and weights around an update, by hand: penalties, clipping, max-norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import op_cases
import pytest
from conftest import require_native
from native_programs import make
from op_cases import Case

from pybp.arrays import FLOAT_TYPES
from pybp.program import ops
from pybp.program.ops import N, OpError
from pybp.program.program import Program

NAN, INF = np.nan, np.inf


def _run(op: ops.Op, dtype: str, backend: str, **arrays: Any) -> dict[str, np.ndarray]:
    """Run an op on arrays by buffer; rows and what they belong to have a row for each sample."""
    given = {name: np.asarray(array) for name, array in arrays.items()}
    by_rows = {"rows", "g"} if "rows" in given else set()
    count = len(given["rows"]) if by_rows else 1
    shapes = {
        name: (N, *array.shape[1:]) if name in by_rows else array.shape
        for name, array in given.items()
    }
    fills = {name: _constant(array) for name, array in given.items()}
    return op_cases.run(Case("by hand", op, count, shapes, 1, 1, fills), dtype, backend)


def _constant(array: np.ndarray) -> Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]:
    return lambda rng, shape: array.copy()


# -------------------------------------------------------------------------------------- penalty


def test_a_penalty_pulls_weights_to_0(dtype: str, backend: str) -> None:
    op = ops.Penalty("w", "g", 0.5, 0.25)
    written = _run(op, dtype, backend, w=[2.0, -4.0, 0.0, -0.0, NAN], g=[1.0, 1.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(written["g"], [2.0, -0.5, 1.0, 1.0, NAN])


def test_a_penalty_of_rows_takes_the_weights_of_these_rows(dtype: str, backend: str) -> None:
    op = ops.Penalty("w", "g", 0.5, 0.25, "rows")
    w = [[2.0, 4.0], [8.0, 8.0], [-4.0, 0.0]]
    g = [[1.0, 1.0], [0.0, 0.0], [7.0, 7.0]]
    written = _run(op, dtype, backend, w=w, g=g, rows=[0, 2, -1])
    assert written["g"].tolist() == [[2.0, 2.5], [-1.5, 0.0], [7.0, 7.0]]


# ------------------------------------------------------------------------------------ clipping


def test_values_are_clipped_and_nan_stays(dtype: str, backend: str) -> None:
    g = [3.0, -3.0, 0.5, NAN, INF, -INF, -0.0]
    written = _run(ops.ClipValue("g", 1.5), dtype, backend, g=g)
    np.testing.assert_array_equal(written["g"], [1.5, -1.5, 0.5, NAN, 1.5, -1.5, -0.0])


def test_values_of_no_row_do_not_count(dtype: str, backend: str) -> None:
    g, rows = [[3.0, 4.0], [30.0, 40.0], [NAN, 9.0]], [5, -1, -1]
    written = _run(ops.ClipValue("g", 3.5, "rows"), dtype, backend, g=g, rows=rows)
    assert written["g"][0].tolist() == [3.0, 3.5]
    written = _run(ops.ClipNorm(("g",), ("rows",), 2.5), dtype, backend, g=g, rows=rows)
    np.testing.assert_allclose(written["g"][0], [1.5, 2.0], rtol=1e-6)


def test_no_row_at_all_leaves_the_others(dtype: str, backend: str) -> None:
    op = ops.ClipNorm(("h", "g"), ("", "rows"), 2.5)
    written = _run(op, dtype, backend, g=[[NAN], [NAN]], rows=[-1, -1], h=[3.0, 4.0])
    np.testing.assert_allclose(written["h"], [1.5, 2.0], rtol=1e-6)


def test_the_norm_is_that_of_all_gradients(dtype: str, backend: str) -> None:
    """2, 3 and 6 together have the norm 7."""
    op = ops.ClipNorm(("g", "h"), ("", ""), 3.5)
    written = _run(op, dtype, backend, g=[2.0, 0.0], h=[[3.0], [-6.0]])
    factor = 3.5 / (7 + 1e-6)
    np.testing.assert_allclose(written["g"], [2 * factor, 0], rtol=1e-7)
    np.testing.assert_allclose(written["h"], [[3 * factor], [-6 * factor]], rtol=1e-7)


def test_short_gradients_stay_as_they_are(dtype: str, backend: str) -> None:
    g = np.random.default_rng(0).normal(size=20)
    expected = g.astype(FLOAT_TYPES[dtype])
    for limit in (1e3, INF):
        written = _run(ops.ClipNorm(("g",), ("",), limit), dtype, backend, g=g)
        np.testing.assert_array_equal(written["g"], expected)


def test_a_nan_goes_into_all_gradients(dtype: str, backend: str) -> None:
    op = ops.ClipNorm(("g", "h"), ("", ""), 1e6)
    written = _run(op, dtype, backend, g=[1.0, NAN], h=[0.0, 1.0])
    assert np.isnan(written["g"]).all()
    assert np.isnan(written["h"]).all()


def test_an_infinite_gradient_does_not_pass_for_a_short_one(dtype: str, backend: str) -> None:
    written = _run(ops.ClipNorm(("g",), ("",), 1.0), dtype, backend, g=[INF, 1.0])
    np.testing.assert_array_equal(written["g"], [NAN, 0.0])


@pytest.mark.parametrize(("dtype", "size"), [("float32", 2e38), ("float64", 1e300)])
def test_large_gradients_have_a_norm(dtype: str, size: float, backend: str) -> None:
    written = _run(ops.ClipNorm(("g",), ("",), 1.0), dtype, backend, g=[size, -size, size, size])
    np.testing.assert_allclose(written["g"], [0.5, -0.5, 0.5, 0.5], rtol=1e-6)


# ------------------------------------------------------------------------------------ max-norm


def test_long_columns_are_shortened(dtype: str, backend: str) -> None:
    w = [[3.0, 0.3, 0.0, NAN, -6.0], [4.0, 0.4, 0.0, 100.0, 8.0]]
    written = _run(ops.MaxNorm("w", 2.5), dtype, backend, w=w)
    expected = np.array([[1.5, 0.3, 0.0, NAN, -1.5], [2.0, 0.4, 0.0, 100.0, 2.0]])
    np.testing.assert_array_equal(written["w"], expected.astype(FLOAT_TYPES[dtype]))


def test_a_column_of_a_kernel_is_all_that_enters_an_output(dtype: str, backend: str) -> None:
    w = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    written = _run(ops.MaxNorm("w", 3.0), dtype, backend, w=w)
    norms = np.linalg.norm(written["w"].reshape(-1, 5), axis=0)
    before = np.linalg.norm(w.reshape(-1, 5), axis=0)
    assert (before > 3.0).any()
    np.testing.assert_allclose(norms, np.minimum(before, 3.0), rtol=1e-6)


# ---------------------------------------------------------------------------- wrong programs


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (ops.ClipValue("g", 0.0), "clip_value: limit must be above 0, got 0.0"),
        (ops.ClipValue("g", NAN), "clip_value: limit must be above 0, got nan"),
        (ops.ClipValue("h", 1.0), "clip_value: g='h' names no buffer"),
        (ops.ClipValue("g", 1.0, "rows"), r"rows must lead g \(4, 2\), got \(3,\)"),
        (ops.ClipNorm((), (), 1.0), "clip_norm: rows must have an entry for each"),
        (ops.ClipNorm(("g",), (), 1.0), "clip_norm: rows must have an entry for each"),
        (ops.ClipNorm(("g",), ("",), -1.0), "clip_norm: limit must be above 0"),
        (ops.MaxNorm("rows", 1.0), "max_norm: w must be a plain array of 2 axes or more"),
        (ops.MaxNorm("g", 0.0), "max_norm: limit must be above 0"),
        (ops.Penalty("w", "g", 0.1, 0.1), r"penalty: g must have shape \(4, 3\), got \(4, 2\)"),
    ],
)
def test_a_wrong_op_is_refused(op: ops.Op, message: str) -> None:
    program = Program("wrong", "float32")
    program.add_buffer("w", (4, 3), "param")
    program.add_buffer("g", (4, 2), "grad")
    program.add_buffer("rows", (3,), "constant", "int32")
    with pytest.raises(OpError, match=message):
        program.append(op)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("penalty", {"w": 0, "g": 1, "l1": 0.1, "l2": 0.1, "rows": -1}, r"g: .*\(4, 3\), got"),
        ("penalty", {"w": 0, "g": 1, "l1": 0.1, "l2": 0.1, "rows": 2}, r"w: .*\(count, 2\), got"),
        ("clip_value", {"g": 1, "limit": 0.0, "rows": -1}, "limit: expected a number above 0"),
        (
            "clip_value",
            {"g": 1, "limit": 1.0, "rows": 3},
            r"rows: expected shape \(4,\), got \(3,\)",
        ),
        ("clip_value", {"g": 1, "limit": 1.0, "rows": 4}, "rows: expected dtype int32, got real"),
        ("clip_norm", {"gradients": (), "rows": (), "limit": 1.0}, "rows: expected one entry"),
        ("clip_norm", {"gradients": (1,), "rows": (), "limit": 1.0}, "rows: expected one entry"),
        ("clip_norm", {"gradients": (-1,), "rows": (-1,), "limit": 1.0}, "entry 0 is absent"),
        ("clip_norm", {"gradients": (9,), "rows": (-1,), "limit": 1.0}, "gradients: .* got 9"),
        ("clip_norm", {"gradients": (1,), "rows": (-2,), "limit": 1.0}, "rows: .* got -2"),
        (
            "clip_norm",
            {"gradients": (1,), "rows": (3,), "limit": 1.0},
            r"rows: .*\(4,\), got \(3,\)",
        ),
        ("clip_norm", {"gradients": (2,), "rows": (-1,), "limit": 1.0}, "dtype real, got int32"),
        ("max_norm", {"w": 4, "limit": 1.0}, "w: expected at least 2 axes"),
        ("max_norm", {"w": 0, "limit": float("nan")}, "limit: expected a number above 0, got nan"),
    ],
)
def test_the_executor_refuses_it_too(kind: str, fields: dict[str, Any], message: str) -> None:
    require_native()
    buffers = [
        (0, 0, "real", (4, 3)),
        (0, 64, "real", (4, 2)),
        (0, 128, "int32", (4,)),
        (0, 192, "int32", (3,)),
        (0, 256, "real", (4,)),
    ]
    with pytest.raises(ValueError, match=message):
        make("float32", buffers, [], [(kind, fields)])
