"""The native executor by itself: data arrays, order, outputs, errors, signals, threads."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from conftest import require_native
from pybp.arrays import FLOAT_TYPES, aligned_zeros

ROWS = 8  # the most rows of a step in these programs
NUMBER_TYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]
NO_HYPER = 0


@pytest.fixture(autouse=True)
def _native() -> None:
    require_native()


def make(
    dtype: str,
    buffers: list[tuple[int, int, str, tuple[int, ...]]],
    data: list[tuple[int, int, int, bool]],
    ops: list[tuple[str, dict[str, Any]]],
    max_rows: int = ROWS,
) -> Any:
    from pybp import _core

    return _core.Executor(dtype, buffers, data, ops, max_rows)


def bind(executor: Any, *sizes: int) -> list[np.ndarray]:
    """Bind to fresh segments of these sizes in bytes, filled with bytes that no result has."""
    segments = [aligned_zeros(size, np.uint8) for size in sizes]
    for segment in segments:
        segment.fill(0xA5)
    executor.bind(segments, aligned_zeros(executor.scratch_bytes, np.uint8))
    return segments


def run(
    executor: Any,
    data: list[Any],
    starts: Any,
    order: Any = None,
    *,
    hyper: Any = None,
    columns: int = 0,
    ops: tuple[int, int] = (0, 1),
    seed: int = 0,
    first_step: int = 0,
) -> np.ndarray:
    """Run and return the results."""
    starts = np.asarray(starts, np.int64)
    steps = len(starts) - 1
    hyper = np.zeros((steps, NO_HYPER)) if hyper is None else hyper
    results = np.full((steps, columns), np.nan)
    order = None if order is None else np.asarray(order, np.int64)
    executor.run(data, order, starts, hyper, results, seed, first_step, *ops)
    return results


def copier(dtype: str, width: int = 3) -> Any:
    """Make an executor that copies its data array 0 to its output, data array 1."""
    executor = make(
        dtype,
        [(1, 0, "real", (-1, width)), (2, 0, "real", (-1, width))],
        [(0, 0, 0, False), (1, 0, 0, True)],
        [("reshape", {"x": 0, "y": 1, "shape": (width,)})],
    )
    bind(executor, ROWS * width * 8)
    return executor


def loss_fields(prediction: int = 0, target: int = 1, **changes: Any) -> dict[str, Any]:
    fields = {
        "prediction": prediction,
        "target": target,
        "weight": -1,
        "dy": -1,
        "losses": -1,
        "reduction": "mean",
        "scale": 1.0,
        "result": 0,
        "function": "squared",
        "parameter": 0.0,
        "full": False,
    }
    return {**fields, **changes}


def squared_error(width: int, max_rows: int = ROWS) -> Any:
    """Make an executor for the squared error of data array 0 against data array 1."""
    executor = make(
        "float32",
        [(1, 0, "real", (-1, width)), (2, 0, "real", (-1, width))],
        [(0, 0, 0, False), (1, 0, 0, False)],
        [("elementwise_loss", loss_fields())],
        max_rows,
    )
    bind(executor, max_rows * width * 4)
    return executor


def numbers(kind: str, rows: int, width: int = 3) -> np.ndarray:
    values = np.arange(rows * width).reshape(rows, width) * 5 % 23
    return values.astype(kind) if kind == "?" or kind[0] == "u" else (values - 9).astype(kind)


# --------------------------------------------------------------------------- how arrays may lie


def as_it_is(array: np.ndarray) -> np.ndarray:
    return array


def every_other_row(array: np.ndarray) -> np.ndarray:
    spread = np.zeros((2 * len(array), *array.shape[1:]), array.dtype)
    spread[::2] = array
    return spread[::2]


def backwards(array: np.ndarray) -> np.ndarray:
    return array[::-1].copy()[::-1]


def columns_of_a_wider_one(array: np.ndarray) -> np.ndarray:
    wide = np.zeros((len(array), array.shape[1] + 2), array.dtype)
    wide[:, 1:-1] = array
    return wide[:, 1:-1]


def off_alignment(array: np.ndarray) -> np.ndarray:
    raw = np.zeros(array.nbytes + 1, np.uint8)
    moved = raw[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


LAYOUTS = [
    as_it_is,
    every_other_row,
    backwards,
    columns_of_a_wider_one,
    off_alignment,
    read_only,
]
ORDERS = {
    "none": None,
    "consecutive": list(range(9)),
    "permuted": [3, 7, 1, 0, 2, 8, 8, 5, 4],
    "within steps": [6, 7, 8, 0, 1, 2, 3, 4, 5],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("kind", NUMBER_TYPES)
def test_rows_of_every_type_and_layout_arrive(
    kind: str, layout: Any, order: list[int] | None, dtype: str
) -> None:
    x = layout(numbers(kind, 9))
    out = np.full((9, 3), 99, dtype)
    run(copier(dtype), [x, out], [0, 3, 8, 9], order)
    expected = x if order is None else x[order]
    assert out.tolist() == expected.astype(dtype).tolist()


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("layout", [as_it_is, every_other_row, off_alignment])
@pytest.mark.parametrize("kind", [kind for kind in NUMBER_TYPES if kind[0] not in "f?"])
def test_labels_of_every_integer_type_arrive(
    kind: str, layout: Any, order: list[int] | None
) -> None:
    fields = {"prediction": 0, "target": 1, "weight": -1, "binary": False, "threshold": 0.0}
    fields |= {"ignore_index": -100, "result": 0}
    executor = make(
        "float32",
        [(1, 0, "real", (-1, 5)), (2, 0, "int32", (-1,))],
        [(0, 0, 0, False), (1, 0, 256, False)],
        [("accuracy", fields)],
    )
    bind(executor, 512)
    labels = np.arange(9) % 5
    predictions = np.eye(5, dtype=np.float32)[labels]
    predictions[4] = 0  # the first maximum is class 0, the label is 4
    given = layout(labels.astype(kind).reshape(-1, 1))[:, 0]
    rows = range(9) if order is None else order
    right = [sum(row != 4 for row in list(rows)[a:b]) for a, b in ((0, 3), (3, 8), (8, 9))]
    results = run(executor, [predictions, given], [0, 3, 8, 9], order, columns=2)
    assert results.tolist() == [[right[0], 3], [right[1], 5], [right[2], 1]]


def test_whole_arrays_are_used_where_they_lie() -> None:
    executor = copier("float32")
    [staging] = bind(executor, ROWS * 12)
    run(executor, [numbers("f4", 4), np.zeros((4, 3), np.float32)], [0, 4])
    assert np.all(staging == 0xA5)
    run(executor, [numbers("f8", 4), np.zeros((4, 3), np.float32)], [0, 4])
    assert not np.all(staging == 0xA5)


def test_an_image_is_one_row() -> None:
    executor = make(
        "float64",
        [(1, 0, "real", (-1, 2, 3)), (2, 0, "real", (-1, 6))],
        [(0, 0, 0, False), (1, 0, 0, True)],
        [("reshape", {"x": 0, "y": 1, "shape": (6,)})],
    )
    bind(executor, ROWS * 48)
    x = np.arange(30, dtype=np.uint8).reshape(5, 2, 3)
    out = np.zeros((5, 6))
    run(executor, [x, out], [0, 5], [4, 2, 0, 1, 3])
    assert out.tolist() == x[[4, 2, 0, 1, 3]].reshape(5, 6).tolist()


def test_outputs_go_to_the_rows_of_their_step_and_nowhere_else() -> None:
    out = np.full((9, 3), 99, np.float32)
    run(copier("float32"), [numbers("f4", 9), out], [2, 4, 7], [8, 7, 6, 5, 4, 3, 2, 1, 0])
    assert out[2:7].tolist() == numbers("f4", 9)[[6, 5, 4, 3, 2]].tolist()
    assert np.all(out[:2] == 99)
    assert np.all(out[7:] == 99)


def test_a_reshaped_buffer_may_share_a_data_slot() -> None:
    executor = make(
        "float32",
        [(1, 0, "real", (-1, 2, 3)), (1, 0, "real", (-1, 6)), (2, 0, "real", (-1, 6))],
        [(0, 0, 0, False), (2, 0, 0, True)],
        [
            ("reshape", {"x": 0, "y": 1, "shape": (6,)}),
            ("activate", {"x": 1, "y": 2, "function": "relu", "alpha": 0.0, "beta": 0.0}),
        ],
    )
    bind(executor, ROWS * 24)
    x = np.arange(-9, 9, dtype=np.float64).reshape(3, 2, 3)
    out = np.zeros((3, 6), np.float32)
    run(executor, [x, out], [0, 3], [2, 0, 1], ops=(0, 2))
    assert out.tolist() == np.maximum(x[[2, 0, 1]], 0).reshape(3, 6).tolist()
    out.fill(99)
    run(executor, [x, out], [0, 3], [2, 0, 1], ops=(1, 2))  # the alias alone brings the data
    assert out.tolist() == np.maximum(x[[2, 0, 1]], 0).reshape(3, 6).tolist()


def test_data_that_no_op_of_the_range_uses_may_be_none() -> None:
    executor = copier("float32")
    run(executor, [None, None], [0, 1], ops=(1, 1))
    with pytest.raises(ValueError, match=r"data 0: expected a NumPy array, got None"):
        run(executor, [None, np.zeros((1, 3), np.float32)], [0, 1])


def test_results_are_set_anew_in_each_step() -> None:
    executor = squared_error(3)
    p, t = numbers("f4", 6), numbers("f4", 6)[::-1].copy()
    results = run(executor, [p, t], [0, 1, 4, 6], columns=3)
    squares = ((p - t) ** 2).sum(axis=1)
    assert results[:, 0].tolist() == [squares[:1].sum(), squares[1:4].sum(), squares[4:].sum()]
    assert results[:, 1].tolist() == [3, 9, 6]
    assert results[:, 2].tolist() == [0, 0, 0]
    assert executor.steps_done == 3


def test_losses_that_share_a_column_add_up() -> None:
    executor = make(
        "float64",
        [(1, 0, "real", (-1, 3)), (2, 0, "real", (-1, 3))],
        [(0, 0, 0, False), (1, 0, 0, False)],
        [("elementwise_loss", loss_fields()), ("elementwise_loss", loss_fields(scale=3.0))],
    )
    bind(executor, ROWS * 24)
    p, t = numbers("f8", 4), numbers("f8", 4)[::-1].copy()
    results = run(executor, [p, t], [0, 4], columns=2, ops=(0, 2))
    assert results.tolist() == [[4 * ((p - t) ** 2).sum(), 24]]


# --------------------------------------------------------------- weights of positions and columns


def weighted_loss(
    kind: str, fields: dict[str, Any], shapes: list[tuple[int, ...]], arrays: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Run a loss in float64 on data arrays; return dy and the two results."""
    data = len(arrays)
    executor = make(
        "float64",
        [(1 + i, 0, "real", shape) for i, shape in enumerate([*shapes, shapes[0]])],
        [(i, 0, 0, i == data) for i in range(data + 1)],
        [(kind, {**fields, "dy": data})],
    )
    bind(executor, 4096)
    dy = np.full(arrays[0].shape, np.nan)
    results = run(executor, [*arrays, dy], [0, len(dy)], columns=2)
    return dy, results[0]


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_weights_may_lead_the_axes_of_the_positions(axes: int) -> None:
    rng = np.random.default_rng(5)
    p, t = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3, 2))
    w = rng.uniform(1, 2, p.shape[:axes])
    fields = loss_fields(weight=2)
    dy, (total, divisor) = weighted_loss(
        "elementwise_loss", fields, [(-1, 3, 2), (-1, 3, 2), (-1, 3, 2)[:axes]], [p, t, w]
    )
    wide = np.broadcast_to(w.reshape(w.shape + (1,) * (3 - axes)), p.shape)
    assert total == pytest.approx((wide * (p - t) ** 2).sum(), rel=1e-13)
    assert divisor == pytest.approx(wide.sum(), rel=1e-13)
    np.testing.assert_allclose(dy, 2 * wide * (p - t) / wide.sum(), rtol=1e-13)


@pytest.mark.parametrize("axes", [1, 2])
def test_columns_keep_their_weights_whatever_the_positions_weigh(axes: int) -> None:
    rng = np.random.default_rng(6)
    p, t = rng.normal(size=(4, 3)), rng.uniform(size=(4, 3))
    w, column, positive = rng.uniform(1, 2, p.shape[:axes]), np.array([1.0, 2, 3]), np.ones(3) * 4
    fields = {**loss_fields(weight=2), "column_weight": 4, "positive_weight": 5}
    for unused in ("function", "parameter", "full"):
        del fields[unused]
    executor = make(
        "float64",
        [
            (1 + 1, 0, "real", (-1, 3)),
            (2 + 1, 0, "real", (-1, 3)),
            (3 + 1, 0, "real", (-1, 3)[:axes]),
            (4 + 1, 0, "real", (-1, 3)),
            (0, 0, "real", (3,)),
            (0, 24, "real", (3,)),
        ],
        [(0, 1, 0, False), (1, 1, 0, False), (2, 1, 0, False), (3, 1, 0, True)],
        [("bce_with_logits_loss", {**fields, "dy": 3})],
    )
    constants, _ = bind(executor, 48, 1024)
    constants.view(np.float64)[:] = [*column, *positive]
    dy = np.zeros((4, 3))
    results = run(executor, [p, t, w, dy], [0, 4], columns=2)
    wide = np.broadcast_to(w.reshape(w.shape + (1,) * (2 - axes)), p.shape)
    factor = 1 + (positive - 1) * t
    losses = column * ((1 - t) * p + factor * np.log1p(np.exp(-p)))
    slopes = column * ((1 - t) - factor / (1 + np.exp(p)))
    np.testing.assert_allclose(results, [[(wide * losses).sum(), wide.sum()]], rtol=1e-12)
    np.testing.assert_allclose(dy, wide * slopes / wide.sum(), rtol=1e-12)


def test_weights_that_sum_to_zero_give_slope_zero() -> None:
    p, t = np.array([[1.0, np.nan]]), np.array([[3.0, 4.0]])
    shapes: list[tuple[int, ...]] = [(-1, 2), (-1, 2), (-1,)]
    dy, results = weighted_loss(
        "elementwise_loss", loss_fields(weight=2), shapes, [p, t, np.zeros(1)]
    )
    assert dy.tolist() == [[0, 0]]
    assert results.tolist() == [0, 0]


# -------------------------------------------------------------------------------- wrong programs

X, W, Y, B = 0, 1, 2, 3
DENSE = {"x": X, "w": W, "y": Y, "b": B, "activation": "identity", "alpha": 0.0}


def dense_buffers(**changes: Any) -> list[tuple[int, int, str, tuple[int, ...]]]:
    buffers: dict[str, Any] = {
        "x": (1, 0, "real", (-1, 4)),
        "w": (0, 0, "real", (4, 2)),
        "y": (2, 0, "real", (-1, 2)),
        "b": (0, 32, "real", (2,)),
    }
    return list({**buffers, **changes}.values())


def dense(**changes: Any) -> Any:
    fields = {**DENSE, **changes.pop("fields", {})}
    return make(
        changes.pop("dtype", "float32"),
        dense_buffers(**changes.pop("buffers", {})),
        changes.pop("data", [(0, 0, 64, False), (2, 0, 0, True)]),
        [(changes.pop("kind", "dense"), fields)],
        **changes,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "float16"}, "dtype: expected 'float32' or 'float64', got 'float16'"),
        ({"max_rows": 0}, "max_rows must be at least 1, got 0"),
        ({"kind": "tense"}, r"op 0 \(tense\): there is no such kind"),
        ({"fields": {"w": 4}}, r"op 0 \(dense\), field w: expected .* one of 4 buffers, got 4"),
        ({"fields": {"w": -1}}, r"op 0 \(dense\), field w: .* got -1"),
        ({"fields": {"b": -2}}, r"op 0 \(dense\), field b: .* got -2"),
        ({"fields": {"w": "W"}}, r"op 0 \(dense\), field w: .* index of a buffer, got 'W'"),
        ({"fields": {"alpha": "a"}}, r"op 0 \(dense\), field alpha: expected float, got 'a'"),
        ({"fields": {"gamma": 1}}, r"op 0 \(dense\): has 6 fields, got .*'gamma'"),
        ({"fields": {"activation": "rely"}}, "activation: expected one of .*relu.* got 'rely'"),
        ({"buffers": {"w": (0, 0, "real", (3, 2))}}, r"field w: .*\(4, 2\), got \(3, 2\)"),
        ({"buffers": {"y": (2, 0, "real", (-1, 3))}}, r"field y: .*\(n, 2\), got \(n, 3\)"),
        ({"buffers": {"b": (0, 32, "real", (2, 1))}}, r"field b: .*\(2,\), got \(2, 1\)"),
        ({"buffers": {"b": (0, 32, "int32", (2,))}}, "field b: expected dtype real, got int32"),
        ({"buffers": {"b": (0, 32, "int8", (2,))}}, "buffer 3: expected dtype .*, got 'int8'"),
        ({"buffers": {"b": (0, 32, "real", (0,))}}, "buffer 3: expected extents of at least 1"),
        ({"buffers": {"b": (0, 32, "real", (2, -1))}}, r"buffer 3: .* \(-1 only as the first\)"),
        ({"buffers": {"b": (0, 32, "real")}}, r"buffer 3: expected \(slot, offset, dtype, shape\)"),
        ({"buffers": {"b": ("0", 32, "real", (2,))}}, "buffer 3: an entry has the wrong type"),
        ({"data": [(0, 0, 64, False), (4, 0, 0, True)]}, "data slot 1: .* 4 buffers, got 4"),
        ({"data": [(1, 0, 64, False)]}, "data slot 0: expected a buffer with one row a sample"),
    ],
)
def test_a_wrong_program_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dense(**changes)


def test_a_missing_field_is_named() -> None:
    fields = {name: value for name, value in DENSE.items() if name != "alpha"}
    with pytest.raises(ValueError, match=r"op 0 \(dense\): misses the field alpha"):
        make("float32", dense_buffers(), [(0, 0, 64, False), (2, 0, 0, True)], [("dense", fields)])


def test_labels_must_be_int32() -> None:
    fields = loss_fields()
    for unused in ("function", "parameter", "full"):
        del fields[unused]
    fields |= {"class_weight": -1, "ignore_index": -100, "label_smoothing": 0.0, "logits": True}
    with pytest.raises(ValueError, match=r"label_loss\), field target: expected dtype int32"):
        make(
            "float32",
            [(0, 0, "real", (-1, 4)), (0, 0, "real", (-1,))],
            [],
            [("label_loss", fields)],
        )


# ------------------------------------------------------------------------------ wrong memory


@pytest.mark.parametrize(
    ("changes", "sizes", "message"),
    [
        ({}, (39 + 64,), r"data slot 0: .* within the 103 bytes of segment 0, got 64 ... 192"),
        ({"buffers": {"w": (0, 200, "real", (4, 2))}}, (224,), "buffer 1: .* got 200 ... 232"),
        ({"buffers": {"w": (0, -4, "real", (4, 2))}}, (224,), "buffer 1: .* got -4 ... 28"),
        ({"buffers": {"w": (0, 2, "real", (4, 2))}}, (224,), "buffer 1: offset 2 is not aligned"),
        ({"buffers": {"w": (3, 0, "real", (4, 2))}}, (224,), r"buffer 1: .* 3 slots .* slot 3"),
        ({"buffers": {"w": (-1, 0, "real", (4, 2))}}, (224,), r"buffer 1: .* got slot -1"),
        ({"buffers": {"w": (1, 0, "real", (4, 2))}}, (224,), "buffer 1: .* same size as buffer 0"),
        ({"data": [(0, 1, 64, False), (2, 0, 0, True)]}, (224,), "staging in one of 1 segments"),
        ({}, (224, 8), "data slot 0: expected its buffer in slot 2, got 1"),
    ],
)
def test_memory_that_does_not_fit_is_refused(
    changes: dict[str, Any], sizes: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bind(dense(**changes), *sizes)


def test_segments_are_writable_contiguous_arrays() -> None:
    executor = dense()
    scratch = aligned_zeros(executor.scratch_bytes, np.uint8)
    for wrong in (np.zeros(448, np.uint8)[::2], read_only(np.zeros(224, np.uint8))):
        with pytest.raises(ValueError, match="segment 0: expected a writable C-contiguous array"):
            executor.bind([wrong], scratch)
    with pytest.raises(ValueError, match="segment 0: expected a NumPy array"):
        executor.bind([bytearray(224)], scratch)


def test_scratch_has_the_size_asked_for_and_is_aligned() -> None:
    executor = squared_error(4)
    assert executor.scratch_bytes > 0
    scratch = aligned_zeros(executor.scratch_bytes + 64, np.uint8)
    segments = [np.zeros(ROWS * 16, np.uint8)]
    for wrong in (scratch[: executor.scratch_bytes - 1], scratch[8:]):
        with pytest.raises(ValueError, match=rf"scratch: expected {executor.scratch_bytes} bytes"):
            executor.bind(segments, wrong)


def test_run_needs_bind() -> None:
    executor = make("float32", [], [], [])
    with pytest.raises(RuntimeError, match=r"run\(\) before bind\(\)"):
        run(executor, [], [0, 1], ops=(0, 0))


# ----------------------------------------------------------------------------------- wrong runs

F4 = np.float32


@pytest.mark.parametrize(
    ("x", "out", "message"),
    [
        (np.zeros((4, 2), F4), np.zeros((4, 3), F4), r"data 0: .* \(n, 3\), got \(4, 2\)"),
        (np.zeros((4, 3, 1), F4), np.zeros((4, 3), F4), r"data 0: .* got \(4, 3, 1\)"),
        (np.zeros(3, F4), np.zeros((4, 3), F4), r"data 0: .* got \(3,\)"),
        (np.array(1, F4), np.zeros((4, 3), F4), r"data 0: .* got \(\)"),
        (np.zeros((3, 4), F4).T, np.zeros((4, 3), F4), "data 0: .* side by side"),
        (np.zeros((4, 3), np.complex64), np.zeros((4, 3), F4), "data 0: .* got complex64"),
        (np.zeros((4, 3), np.float16), np.zeros((4, 3), F4), "data 0: .* got float16"),
        (np.zeros((4, 3), ">f4"), np.zeros((4, 3), F4), "data 0: .* native byte order, got >f4"),
        (np.zeros((4, 3), object), np.zeros((4, 3), F4), "data 0: .* got object"),
        ([[1.0, 2, 3]], np.zeros((4, 3), F4), r"data 0: expected a NumPy array, got \[\["),
        (np.zeros((3, 3), F4), np.zeros((4, 3), F4), "data 0: has 3 rows, .* rows 0 ... 3"),
        (np.zeros((4, 3), F4), np.zeros((3, 3), F4), "data 1: has 3 rows, .* rows 0 ... 3"),
        (np.zeros((4, 3), F4), np.zeros((4, 3)), "data 1: an output must be .* float32"),
        (np.zeros((4, 3), F4), np.zeros((8, 3), F4)[::2], "data 1: an output must be .*contig"),
        (np.zeros((4, 3), F4), read_only(np.zeros((4, 3), F4)), "data 1: .* writable"),
    ],
)
def test_a_wrong_data_array_is_refused(x: Any, out: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(copier("float32"), [x, out], [0, 4])


@pytest.mark.parametrize(
    ("starts", "order", "message"),
    [
        ([0], None, "starts: expected at least 2 entries, got 1"),
        ([0, 0], None, "starts: .* step 0 from 0 to 0"),
        ([0, 2, 1], None, "starts: .* step 1 from 2 to 1"),
        ([0, 9], None, "starts: expected steps of 1 ... 8 rows, got step 0 from 0 to 9"),
        ([-1, 1], None, "starts: expected rows from 0 on, got -1"),
        ([0, 4], [0, 1, 2], "order: expected at least 4 entries, got 3"),
        ([0, 3], [0, 1, 9], "data 0: has 9 rows, but the steps use rows 0 ... 9"),
        ([0, 3], [0, -1, 2], "data 0: has 9 rows, but the steps use rows -1 ... 2"),
    ],
)
def test_wrong_rows_are_refused_before_anything_is_written(
    starts: list[int], order: list[int] | None, message: str
) -> None:
    out = np.full((9, 3), 99, F4)
    with pytest.raises(ValueError, match=message):
        run(copier("float32"), [numbers("f4", 9), out], starts, order)
    assert np.all(out == 99)


def test_wrong_scalars_and_results_are_refused() -> None:
    update = {"w": 0, "g": 1, "v": -1, "nesterov": False}
    executor = make(
        "float32", [(0, 0, "real", (4,)), (0, 16, "real", (4,))], [], [("sgd", update)]
    )
    bind(executor, 32)
    with pytest.raises(ValueError, match="hyper: op 0 takes 5 columns, got 4"):
        run(executor, [], [0, 1], hyper=np.zeros((1, 4)))
    with pytest.raises(ValueError, match="one row for each of 1 steps, got 2 and 1"):
        run(executor, [], [0, 1], hyper=np.zeros((2, 5)))
    with pytest.raises(ValueError, match="hyper: expected a C-contiguous float64 array of 2 axes"):
        run(executor, [], [0, 1], hyper=np.zeros((1, 5), F4))
    p = numbers("f4", 2)
    with pytest.raises(ValueError, match="results: op 0 writes column 1, got 1 columns"):
        run(squared_error(3), [p, p], [0, 2], columns=1)


def test_wrong_numbers_of_arrays_and_ops_are_refused() -> None:
    executor = copier("float32")
    with pytest.raises(ValueError, match="data: expected 2 arrays, got 1"):
        run(executor, [numbers("f4", 2)], [0, 2])
    x, out = numbers("f4", 2), np.zeros((2, 3), F4)
    for wrong in ((0, 2), (-1, 1), (1, 0)):
        with pytest.raises(ValueError, match="ops: expected 0 <= begin <= end <= 1"):
            run(executor, [x, out], [0, 2], ops=wrong)
    with pytest.raises(ValueError, match="order: expected a NumPy array or None"):
        executor.run([x, out], [0, 1], np.array([0, 2]), np.zeros((1, 0)), np.zeros((1, 0)), 0, 0, 0, 1)


def test_an_int32_buffer_takes_no_floats() -> None:
    executor = make(
        "float32",
        [(1, 0, "real", (-1, 2)), (2, 0, "int32", (-1,))],
        [(0, 0, 0, False), (1, 0, 0, False)],
        [
            (
                "accuracy",
                {
                    "prediction": 0,
                    "target": 1,
                    "weight": -1,
                    "binary": False,
                    "threshold": 0.0,
                    "ignore_index": -100,
                    "result": 0,
                },
            )
        ],
    )
    bind(executor, 512)
    with pytest.raises(ValueError, match="data 1: expected an integer dtype, got a float dtype"):
        run(executor, [np.zeros((2, 2), F4), np.zeros(2, F4)], [0, 2], columns=2)


# --------------------------------------------------------------------------- signals and threads

LONG = 1 << 16  # elements of a row, so that a step takes some microseconds
STEPS = 400_000  # so that a run takes some seconds; no test waits for its end


class LongRun:
    """A run of many steps on the same row; results of steps not yet run are NaN."""

    def __init__(self) -> None:
        self.executor = squared_error(LONG, max_rows=1)
        self.results = np.full((STEPS, 2), np.nan)
        self.data = [np.ones((1, LONG), F4), np.zeros((1, LONG), F4)]
        self.order = np.zeros(STEPS, np.int64)
        self.starts = np.arange(STEPS + 1)

    def run(self, steps: int = STEPS) -> None:
        self.executor.run(
            self.data,
            self.order,
            self.starts[: steps + 1],
            np.zeros((steps, 0)),
            self.results[:steps],
            *(0, 0, 0, 1),
        )

    def check_steps(self) -> None:
        """The steps counted are those that ran: not all, not none, and each to its end."""
        done = self.executor.steps_done
        assert 0 < done < STEPS
        assert np.all(self.results[:done] == LONG)
        assert np.all(np.isnan(self.results[done:]))


@pytest.fixture
def alarm() -> Iterator[Any]:
    """Give a function that makes a signal arrive soon and be handled by another function."""
    before = signal.getsignal(signal.SIGALRM)

    def arm(handler: Any, interval: float = 0.0) -> None:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05, interval)

    yield arm
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_an_interrupt_ends_the_run_after_a_whole_step(alarm: Any) -> None:
    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    long = LongRun()
    alarm(interrupt)
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        long.run()
    assert time.perf_counter() - began < 1
    long.check_steps()
    long.run(2)  # the executor is as good as before
    assert long.executor.steps_done == 2


def test_a_handler_that_raises_nothing_lets_the_run_go_on(alarm: Any) -> None:
    calls = []

    def handler(number: int, frame: Any) -> None:
        calls.append(number)
        if len(calls) == 3:
            raise KeyboardInterrupt

    long = LongRun()
    alarm(handler, 0.06)
    with pytest.raises(KeyboardInterrupt):
        long.run()
    assert len(calls) == 3
    long.check_steps()


def test_a_handler_cannot_use_the_executor_it_interrupts(alarm: Any) -> None:
    long = LongRun()
    alarm(lambda number, frame: long.run(1))
    with pytest.raises(RuntimeError, match="this executor is running"):
        long.run()
    long.check_steps()


def test_other_threads_work_on_while_a_run_goes_on(alarm: Any) -> None:
    long = LongRun()
    seen = []

    def watch() -> None:
        while not seen or seen[-1] < 200:
            seen.append(long.executor.steps_done)
        signal.pthread_kill(main, signal.SIGALRM)

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    main = threading.get_ident()
    signal.signal(signal.SIGALRM, interrupt)
    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(KeyboardInterrupt):
        long.run()
    watcher.join()
    long.check_steps()
    assert len(set(seen)) > 2  # more than "not begun" and "over"


def test_two_threads_take_turns_on_one_executor() -> None:
    executor = squared_error(LONG, max_rows=1)
    steps, rounds = 200, 4
    wrong: list[Any] = []
    barrier = threading.Barrier(2)

    def work(value: int) -> None:
        data = [np.full((1, LONG), value, np.float64), np.zeros((1, LONG), F4)]
        barrier.wait()
        for _ in range(rounds):
            results = run(
                executor, data, np.arange(steps + 1), np.zeros(steps, int), columns=2
            )
            if not np.all(results == [value * value * LONG, LONG]):
                wrong.append(results)

    threads = [threading.Thread(target=work, args=(value,)) for value in (1, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.fixture
def _threads_as_before() -> Iterator[None]:
    from pybp import _core

    before = _core.num_threads()
    yield
    _core.set_num_threads(before)


@pytest.mark.usefixtures("_threads_as_before")
def test_more_threads_than_at_bind_get_their_scratch() -> None:
    from pybp import _core

    _core.set_num_threads(1)
    sizes = {"x": (1, 0, "real", (-1, 300)), "w": (0, 0, "real", (300, 200))}
    sizes |= {"y": (2, 0, "real", (-1, 200)), "b": (0, 240_000, "real", (200,))}
    data = [(0, 0, 240_800, False), (2, 0, 0, True)]
    executor = dense(buffers=sizes, data=data, max_rows=100)
    [segment] = bind(executor, 240_800 + 120_000)
    rng = np.random.default_rng(3)
    parameters = segment[:240_800].view(F4)
    parameters[:] = rng.normal(size=parameters.shape)
    x = rng.normal(size=(100, 300)).astype(F4)
    outputs = []
    for threads in (1, 2, 5):
        _core.set_num_threads(threads)
        out = np.zeros((100, 200), F4)
        run(executor, [x, out], [0, 100])
        outputs.append(out.tobytes())
    assert outputs[0] == outputs[1] == outputs[2]
    expected = x.astype(float) @ parameters[:60_000].reshape(300, 200) + parameters[60_000:]
    np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-3)


def test_arrays_live_as_long_as_they_are_bound() -> None:
    from weakref import ref

    executor = make("float32", [(0, 0, "real", (4,))], [], [])
    array = np.zeros(16, np.uint8)
    alive = ref(array)
    executor.bind([array], np.zeros(0, np.uint8))
    del array
    assert alive() is not None
    executor.bind([np.zeros(16, np.uint8)], np.zeros(0, np.uint8))
    assert alive() is None


def test_data_arrays_are_let_go_after_a_run() -> None:
    from weakref import ref

    executor = copier("float32")
    x = numbers("f8", 4)
    alive = ref(x)
    run(executor, [x, np.zeros((4, 3), F4)], [0, 4])
    with pytest.raises(ValueError, match="data 0: has 4 rows"):
        run(executor, [x, np.zeros((5, 3), F4)], [0, 5])
    del x
    assert alive() is None
