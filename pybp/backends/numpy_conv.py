"""Convolution in NumPy, through explicit im2col; and the windows that the pools use too."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pybp.arrays import Array
from pybp.backends.numpy_step import Arrays, Step, accumulated, activation, slope
from pybp.program.ops import Col2Im, Conv, ConvGradInput, ConvGradWeight, Im2Col, Op, Shape
from pybp.program.ops.conv import Convolution
from pybp.program.ops.window import Window, span


def windows(x: Array, op: Window, kernel: Shape, counts: Shape, fill: float = 0.0) -> Array:
    """Return the cells that each window reads, ``fill`` where it reads outside of x.

    x [n, *space, c] gives [n, *counts, *kernel, c]: window p and tap t of an axis meet at the cell
    ``p * stride + t * dilation - before``.
    """
    space = _padded_space(x.shape[1:-1], op, kernel, counts)
    padded = np.full((len(x), *space, x.shape[-1]), fill, x.dtype)
    padded[_inside(x.shape[1:-1], op)] = x
    n, *axes, c = padded.strides
    return np.lib.stride_tricks.as_strided(
        padded,
        (len(x), *counts, *kernel, x.shape[-1]),
        (
            n,
            *(stride * cell for stride, cell in zip(op.stride, axes, strict=True)),
            *(dilation * cell for dilation, cell in zip(op.dilation, axes, strict=True)),
            c,
        ),
        writeable=False,
    )


def add_windows(cells: Array, op: Window, kernel: Shape, size: Shape) -> Array:
    """Return the transpose of ``windows``: each entry is added to the cell it was read from.

    cells [n, *counts, *kernel, c] gives [n, *size, c]; what fell into the padding is lost.
    """
    n, *counts, c = cells.shape[: 1 + len(size)] + cells.shape[-1:]
    padded = np.zeros((n, *_padded_space(size, op, kernel, tuple(counts)), c), cells.dtype)
    for tap in np.ndindex(kernel):
        places = tuple(
            slice(t * dilation, t * dilation + (count - 1) * stride + 1, stride)
            for t, dilation, count, stride in zip(tap, op.dilation, counts, op.stride, strict=True)
        )
        padded[:, *places] += cells[(slice(None),) * (1 + len(size)) + tap]
    return padded[_inside(size, op)]


def _padded_space(size: Shape, op: Window, kernel: Shape, counts: Shape) -> Shape:
    """Return the cells of each axis with its padding; with ``ceil`` a window may need more."""
    return tuple(
        max(
            op.padding[2 * i] + size[i] + op.padding[2 * i + 1],
            (counts[i] - 1) * op.stride[i] + span(kernel[i], op.dilation[i]),
        )
        for i in range(len(size))
    )


def _inside(size: Shape, op: Window) -> tuple[slice, ...]:
    """Return where the input lies in its padded form."""
    starts = op.padding[::2]
    return (slice(None), *(slice(b, b + s) for b, s in zip(starts, size, strict=True)))


# A convolution is a product of matrices for each group: the windows as rows [group, row, tap and
# input], the kernel as [group, tap and input, output].


def _rows(op: Convolution, x: Array, kernel: Shape, counts: Shape) -> Array:
    """Return the windows of x as a matrix for each group, [groups, rows, taps * in / groups]."""
    taps = math.prod(kernel)
    cells = windows(x, op, kernel, counts).reshape(-1, taps, op.groups, x.shape[-1] // op.groups)
    return cells.transpose(2, 0, 1, 3).reshape(op.groups, len(cells), -1)


def _kernel_matrix(op: Convolution, w: Array) -> Array:
    """Return w [*kernel, in / groups, out] as [groups, taps * in / groups, out / groups]."""
    if op.flip:
        w = np.flip(w, tuple(range(w.ndim - 2)))
    return _by_group(w.reshape(-1, w.shape[-1]), op.groups)


def _by_group(y: Array, groups: int) -> Array:
    """Return rows [..., out] as [groups, rows, out / groups]."""
    return y.reshape(-1, groups, y.shape[-1] // groups).transpose(1, 0, 2)


def _conv(op: Conv, a: Arrays, step: Step) -> Arrays:
    x, w = a["x"], a["w"]
    kernel = w.shape[:-2]
    counts = op.steps(x.shape[1:-1], kernel)
    y = _rows(op, x, kernel, counts) @ _kernel_matrix(op, w)
    y = y.transpose(1, 0, 2).reshape(len(x), *counts, w.shape[-1])
    if op.b:
        y = y + a["b"]
    return {"y": activation(op.activation, op.alpha, 0.0, y)}


def _conv_grad_input(op: ConvGradInput, a: Arrays, step: Step) -> Arrays:
    dy, w = a["dy"], a["w"]
    kernel, counts = w.shape[:-2], dy.shape[1:-1]
    rows = _by_group(dy, op.groups) @ _kernel_matrix(op, w).transpose(0, 2, 1)
    cells = rows.reshape(op.groups, -1, math.prod(kernel), w.shape[-2]).transpose(1, 2, 0, 3)
    dx = add_windows(cells.reshape(len(dy), *counts, *kernel, -1), op, kernel, op.size)
    if op.x:
        dx = dx * slope(op.activation, op.alpha, 0.0, a["x"])
    return {"dx": dx}


def _conv_grad_weight(op: ConvGradWeight, a: Arrays, step: Step) -> Arrays:
    x, dy = a["x"], a["dy"]
    rows = _rows(op, x, op.kernel, dy.shape[1:-1])
    dw = rows.transpose(0, 2, 1) @ _by_group(dy, op.groups)
    dw = dw.transpose(1, 0, 2).reshape(*op.kernel, -1, dy.shape[-1])
    if op.flip:
        dw = np.flip(dw, tuple(range(len(op.kernel))))
    return accumulated(op, a, {"dw": dw, "db": np.sum(dy, axis=tuple(range(dy.ndim - 1)))})


def _im2col(op: Im2Col, a: Arrays, step: Step) -> Arrays:
    x = a["x"]
    counts = op.steps(x.shape[1:-1], op.kernel)
    return {"y": windows(x, op, op.kernel, counts).reshape(len(x), *counts, -1)}


def _col2im(op: Col2Im, a: Arrays, step: Step) -> Arrays:
    x = a["x"]
    cells = x.reshape(*x.shape[:-1], *op.kernel, -1)
    return {"y": add_windows(cells, op, op.kernel, op.size)}


CONV_OPS: dict[type[Op], Callable[..., Arrays]] = {
    Conv: _conv,
    ConvGradInput: _conv_grad_input,
    ConvGradWeight: _conv_grad_weight,
    Im2Col: _im2col,
    Col2Im: _col2im,
}
