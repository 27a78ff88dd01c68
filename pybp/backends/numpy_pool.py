"""Pooling in NumPy: the maximum or the average of each window."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from pybp.arrays import Array
from pybp.backends.numpy_conv import add_windows, windows
from pybp.backends.numpy_step import Arrays, Step, slope
from pybp.program.ops import AvgPool, AvgPoolGrad, MaxPool, MaxPoolGrad, Op, Shape
from pybp.program.ops.pool import AveragePooling, Pool, argmax_dtype


def _taps(op: Pool, x: Array, counts: Shape, fill: float) -> Array:
    """Return the cells of each window, [n, *counts, taps, c]."""
    return windows(x, op, op.kernel, counts, fill).reshape(len(x), *counts, op.taps, x.shape[-1])


def _max_pool(op: MaxPool, a: Arrays, step: Step) -> Arrays:
    x = a["x"]
    counts = op.pooled(x.shape[1:-1])
    cells = _taps(op, x, counts, -np.inf)
    y = np.max(cells, axis=-2)
    first = np.argmax(cells, axis=-2)  # NumPy's rule too: the first maximum, or the first NaN
    in_x = _taps(op, np.ones((1, *x.shape[1:-1], 1)), counts, 0.0)
    argmax = np.where(y == -np.inf, np.argmax(in_x, axis=-2), first)  # padding never wins
    return {"y": y, "argmax": argmax.astype(argmax_dtype(op))}


def _max_pool_grad(op: MaxPoolGrad, a: Arrays, step: Step) -> Arrays:
    dy = a["dy"]
    if op.y:
        dy = dy * slope(op.activation, op.alpha, 0.0, a["y"])
    taps = np.arange(op.taps)[:, np.newaxis]
    cells = np.where(taps == a["argmax"][..., np.newaxis, :], dy[..., np.newaxis, :], 0)
    cells = cells.reshape(*dy.shape[:-1], *op.kernel, -1)
    return {"dx": add_windows(cells.astype(dy.dtype), op, op.kernel, op.size)}


def _divisors(op: AveragePooling, size: Shape, counts: Shape) -> Array:
    """Return what each window is divided by, [*counts, 1]."""
    if op.divisor:
        return np.full((*counts, 1), op.divisor)
    cells = []
    for i, count in enumerate(counts):
        before, after = op.padding[2 * i : 2 * i + 2] if op.count_padding else (0, 0)
        starts = np.arange(count)[:, np.newaxis] * op.stride[i] - op.padding[2 * i]
        places = starts + np.arange(op.kernel[i]) * op.dilation[i]
        cells.append(np.sum((places >= -before) & (places < size[i] + after), axis=1))
    return reduce(np.multiply.outer, cells)[..., np.newaxis]


def _avg_pool(op: AvgPool, a: Arrays, step: Step) -> Arrays:
    x = a["x"]
    size = x.shape[1:-1]
    counts = op.pooled(size)
    sums = np.sum(_taps(op, x, counts, 0.0), axis=-2)
    return {"y": (sums / _divisors(op, size, counts)).astype(x.dtype)}


def _avg_pool_grad(op: AvgPoolGrad, a: Arrays, step: Step) -> Arrays:
    dy = a["dy"]
    n, *counts, c = dy.shape
    g = (dy / _divisors(op, op.size, tuple(counts))).astype(dy.dtype)
    g = g.reshape(n, *counts, *(1,) * len(counts), c)
    cells = np.broadcast_to(g, (n, *counts, *op.kernel, c))
    return {"dx": add_windows(cells, op, op.kernel, op.size)}


POOL_OPS: dict[type[Op], Callable[..., Arrays]] = {
    MaxPool: _max_pool,
    MaxPoolGrad: _max_pool_grad,
    AvgPool: _avg_pool,
    AvgPoolGrad: _avg_pool_grad,
}
