"""The native executor: data arrays of every kind, their order, outputs, results, weights."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
import pytest
from native_programs import (
    ROWS,
    bind,
    copier,
    loss_fields,
    make,
    numbers,
    read_only,
    run,
    squared_error,
)

NUMBER_TYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]
F4 = np.float32


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


def test_arrays_live_as_long_as_they_are_bound() -> None:
    executor = make("float32", [(0, 0, "real", (4,))], [], [])
    array = np.zeros(16, np.uint8)
    alive = ref(array)
    executor.bind([array], np.zeros(0, np.uint8))
    del array
    assert alive() is not None
    executor.bind([np.zeros(16, np.uint8)], np.zeros(0, np.uint8))
    assert alive() is None


def test_data_arrays_are_let_go_after_a_run() -> None:
    executor = copier("float32")
    x = numbers("f8", 4)
    alive = ref(x)
    run(executor, [x, np.zeros((4, 3), F4)], [0, 4])
    with pytest.raises(ValueError, match="data 0: has 4 rows"):
        run(executor, [x, np.zeros((5, 3), F4)], [0, 5])
    del x
    assert alive() is None
