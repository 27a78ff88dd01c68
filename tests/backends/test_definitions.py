"""What windows, pools and norms mean: by plain loops over the equation, and by hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import op_cases
import pytest
from op_cases import OP_CASES, Case, ids
from op_cases.case import Fill

from pybp.program import ops
from pybp.program.ops.pool import AveragePooling
from pybp.program.ops.window import Window

NAN, LOW = np.nan, -np.inf


def _cells(
    op: Window, p: tuple[int, ...], kernel: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield each tap of window p with the cell it reads, wherever that lies."""
    for t in itertools.product(*map(range, kernel)):
        yield (
            t,
            tuple(
                p[i] * op.stride[i] + t[i] * op.dilation[i] - op.padding[2 * i]
                for i in range(len(p))
            ),
        )


def _is_inside(cell: tuple[int, ...], size: tuple[int, ...]) -> bool:
    return all(0 <= c < s for c, s in zip(cell, size, strict=True))


def _small(*kinds: type[ops.Op]) -> list[Case]:
    return [c for c in OP_CASES if isinstance(c.op, kinds) and not c.bench]


@pytest.mark.parametrize(
    "case", [c for c in _small(ops.Conv) if c.op.activation == "identity"], ids=ids
)
def test_convolution_is_its_equation(case: Case) -> None:
    op, a = case.op, op_cases.make_arrays(case, "float64")
    x, w, size = a["x"], a["w"], a["x"].shape[1:-1]
    kernel, inner, outer = w.shape[:-2], w.shape[-2], w.shape[-1] // op.groups
    expected = np.zeros(a["y"].shape) + a.get("b", 0.0)
    for p in np.ndindex(expected.shape[1:-1]):
        for t, cell in _cells(op, p, kernel):
            tap = tuple(k - 1 - i for k, i in zip(kernel, t, strict=True)) if op.flip else t
            for g in range(op.groups if _is_inside(cell, size) else 0):
                of_in, of_out = slice(g * inner, (g + 1) * inner), slice(g * outer, (g + 1) * outer)
                read = x[:, *cell, of_in]
                expected[:, *p, of_out] += np.einsum("ni,io->no", read, w[*tap, :, of_out])
    got = op_cases.run(case, "float64", "numpy")["y"]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", _small(ops.Im2Col), ids=ids)
def test_columns_are_the_cells_of_each_window(case: Case) -> None:
    x = op_cases.make_arrays(case, "float64")["x"]
    y = op_cases.run(case, "float64", "numpy")["y"]
    taps = y.reshape(*y.shape[:-1], -1, x.shape[-1])
    for p in np.ndindex(y.shape[1:-1]):
        for k, (_, cell) in enumerate(_cells(case.op, p, case.op.kernel)):
            expected = x[:, *cell] if _is_inside(cell, x.shape[1:-1]) else 0.0
            np.testing.assert_array_equal(taps[:, *p, k], expected)


@pytest.mark.parametrize("case", _small(ops.MaxPool, ops.AvgPool), ids=ids)
def test_pools_are_their_equations(case: Case) -> None:
    op, x = case.op, op_cases.make_arrays(case, "float64")["x"]
    got = op_cases.run(case, "float64", "numpy")
    for place in np.ndindex(got["y"].shape):
        n, *p, c = place
        cells = list(_cells(op, tuple(p), op.kernel))
        inside = {
            k: x[n, *cell, c]
            for k, (_, cell) in enumerate(cells)
            if _is_inside(cell, x.shape[1:-1])
        }
        if isinstance(op, AveragePooling):
            divisor = op.divisor or _divisor(op, [cell for _, cell in cells], x.shape[1:-1])
            expected = sum(inside.values()) / divisor
            np.testing.assert_allclose(got["y"][place], expected, rtol=1e-13, atol=1e-15)
            continue
        best = min(inside)
        for k, value in inside.items():  # in the order of the taps
            if not np.isnan(inside[best]) and (value > inside[best] or np.isnan(value)):
                best = k
        np.testing.assert_array_equal(got["y"][place], inside[best])
        assert got.get("argmax", {place: best})[place] == best


def _divisor(op: AveragePooling, cells: list[tuple[int, ...]], size: tuple[int, ...]) -> int:
    """Count the cells in the input, or in the padded input."""
    sides = list(zip(op.padding[::2], op.padding[1::2], strict=True))
    if not op.count_padding:
        sides = [(0, 0)] * len(size)
    counted = [
        cell
        for cell in cells
        if all(-b <= c < s + a for c, s, (b, a) in zip(cell, size, sides, strict=True))
    ]
    return len(counted)


@pytest.mark.parametrize(
    ("x", "y", "argmax"),
    [
        ([3, 3, 1, 3], [3, 3], [0, 1]),  # the first maximum
        ([1, NAN, NAN, 5], [NAN, NAN], [1, 0]),  # the first NaN, whatever comes after it
        ([LOW, LOW, LOW, LOW], [LOW, LOW], [0, 0]),
        ([-1, LOW, LOW, -2], [-1, -2], [0, 1]),
    ],
)
def test_the_winner_of_a_window(
    x: list[float], y: list[float], argmax: list[int], backend: str
) -> None:
    op = ops.MaxPool((2,), (0, 0), (1,), (2,), False, "x", "y", "argmax")
    _check_winners(op, x, y, argmax, backend)


def test_padding_never_wins(backend: str) -> None:
    op = ops.MaxPool((2,), (1, 1), (1,), (3,), False, "x", "y", "argmax")
    _check_winners(op, [LOW, LOW, LOW], [LOW, LOW], [1, 0], backend)
    _check_winners(op, [-9, -8, -7], [-8, -7], [2, 1], backend)


def _check_winners(
    op: ops.MaxPool, x: list[float], y: list[float], argmax: list[int], backend: str
) -> None:
    shapes = {"x": (ops.N, len(x), 1), "y": (ops.N, len(y), 1), "argmax": (ops.N, len(y), 1)}
    fills = {"x": lambda rng, shape: np.reshape(np.asarray(x, float), shape)}
    written = op_cases.run(Case("by hand", op, 1, shapes, 1, 1, fills), "float32", backend)
    np.testing.assert_array_equal(written["y"].ravel(), np.float32(y))
    assert written["argmax"].ravel().tolist() == argmax


def test_the_moments_of_a_channel_by_hand(backend: str, dtype: str) -> None:
    """Of 1, 3: mean 2, biased variance 1, unbiased 2; a quarter of them enters what was 4."""
    op = ops.ChannelMoments("x", "mean", "var", "running_mean", "running_var", 0.25)
    shapes: dict[str, ops.Shape] = dict.fromkeys(op.writes, (2,)) | {"x": (ops.N, 2)}
    fills = {
        "x": lambda rng, shape: np.array([[1.0, -5.0], [3.0, -5.0]]),
        "running_mean": lambda rng, shape: np.full(shape, 4.0),
        "running_var": lambda rng, shape: np.full(shape, 4.0),
    }
    written = op_cases.run(Case("by hand", op, 2, shapes, 1, 1, fills), dtype, backend)
    assert written["mean"].tolist() == [2.0, -5.0]
    assert written["var"].tolist() == [1.0, 0.0]
    assert written["running_mean"].tolist() == [3.5, 1.75]
    assert written["running_var"].tolist() == [3.5, 3.0]


def test_normalised_rows_and_channels_by_hand(backend: str) -> None:
    """With 3 + 1 under the root: (x - 1) / 2, times 4, plus 1; and 1, 7 less 4 over 3 + 0."""
    x = {"x": lambda rng, shape: np.array([[1.0, 7.0]])}
    given = {"mean": [1.0, 1.0], "var": [3.0, 3.0], "gamma": [4.0, 4.0], "beta": [1.0, 1.0]}
    fills = {name: _constant(value) for name, value in given.items()}
    batch = ops.BatchNorm("x", "mean", "var", "y", "gamma", "beta", 1.0)
    shapes: dict[str, ops.Shape] = dict.fromkeys(given, (2,))
    shapes |= dict.fromkeys("xy", (ops.N, 2))
    written = op_cases.run(Case("by hand", batch, 1, shapes, 1, 1, fills | x), "float64", backend)
    assert written["y"].tolist() == [[1.0, 13.0]]
    layer = ops.LayerNorm("x", "y", "mean", "rstd", eps=0.0)
    shapes = {"x": (ops.N, 2), "y": (ops.N, 2), "mean": (ops.N,), "rstd": (ops.N,)}
    written = op_cases.run(Case("by hand", layer, 1, shapes, 1, 1, x), "float64", backend)
    np.testing.assert_allclose(written["y"], [[-1.0, 1.0]], rtol=1e-15)
    np.testing.assert_allclose(written["rstd"], [1 / 3], rtol=1e-15)


def _constant(value: list[float]) -> Fill:
    return lambda rng, shape: np.array(value)
