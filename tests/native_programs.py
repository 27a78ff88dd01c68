"""Small programs for the native executor, built by hand, and the means to bind and run them."""

from __future__ import annotations

from typing import Any

import numpy as np
from conftest import require_native

from pybp.arrays import aligned_zeros

Buffers = list[tuple[int, int, str, tuple[int, ...]]]

ROWS = 8  # the most rows of a step in these programs


def make(
    dtype: str,
    buffers: Buffers,
    data: list[tuple[int, int, int, bool]],
    ops: list[tuple[str, dict[str, Any]]],
    max_rows: int = ROWS,
) -> Any:
    require_native()
    from pybp import _core

    return _core.Executor(dtype, buffers, data, ops, [max_rows], [])


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
    hyper = np.zeros((steps, 0)) if hyper is None else hyper
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


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


X, W, Y, B = 0, 1, 2, 3
DENSE = {"x": X, "w": W, "y": Y, "b": B, "activation": "identity", "alpha": 0.0}


def dense_buffers(**changes: Any) -> Buffers:
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
