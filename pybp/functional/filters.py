"""Filters, and windows as rows: one op each, run by the backend that is in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pybp import backends
from pybp.arrays import FLOAT_TYPES, Array
from pybp.data import inputs
from pybp.layers.base import rule_of
from pybp.layers.window import (
    check_padding,
    per_axis,
    plain,
    resolve_padding,
)
from pybp.program.ops import Col2Im, Conv, Im2Col, N, Op, OpError
from pybp.program.program import Program

_NOTHING = np.zeros((1, 0))  # no hyper-parameters, no results


def filter_image(image: Any, kernel: Any, padding: Any = "same", flip: bool = False) -> Array:
    """Apply one filter to each channel of an image.

    Parameters
    ----------
    image : array (height, width), (height, width, channels) or (n, height, width, channels)
        One image or several, of any real dtype.
    kernel : array (kh, kw)
        The filter.
    padding : "same", "valid", int, or one number or a pair (before, after) for each axis
        Zeros around the image; "same" keeps its size.
    flip : bool
        Turn the kernel by 180 degrees: the convolution of mathematics, not the cross-correlation.

    Returns
    -------
    array
        The filtered image, with as many axes as the image; float32 for a float32 image, else
        float64.

    Raises
    ------
    ValueError
        For arrays of another shape, and for a kernel larger than the padded image.
    """
    picture, taps = inputs.numbers(image, "image"), inputs.numbers(kernel, "kernel")
    if picture.ndim not in (2, 3, 4):
        raise ValueError(
            "image must be (height, width), (height, width, channels) or (n, height, width, "
            f"channels), got the shape {picture.shape}"
        )
    if taps.ndim != 2 or 0 in taps.shape:
        raise ValueError(f"kernel must be (kh, kw), got the shape {taps.shape}")
    x = picture[None, :, :, None] if picture.ndim == 2 else picture
    x = x[None] if x.ndim == 3 else x
    padding = plain(padding)
    check_padding("filter_image", padding, 2)
    around = resolve_padding("filter_image", padding, x.shape[1:3], taps.shape, (1, 1), (1, 1))
    op = Conv(
        x="x",
        w="kernel",
        y="y",
        stride=(1, 1),
        padding=around,
        dilation=(1, 1),
        groups=x.shape[3],
        flip=bool(flip),
    )
    filters = np.repeat(taps[:, :, None, None], x.shape[3], axis=3)
    y = _run("filter_image", op, x, {"kernel": filters})
    return y.reshape((*y.shape[1:3], *picture.shape[2:])) if picture.ndim < 4 else y


def im2col(x: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Array:
    """Return the windows of images or sequences as rows.

    With them a convolution is one matrix product: ``im2col(x, k) @ w.reshape(-1, out)``
    (Chellapilla et al. 2006).

    Parameters
    ----------
    x : array (n, height, width, c) or (n, length, c)
        Samples of any real dtype.
    kernel_size, stride, dilation : int or one int an axis
        As for ``Conv2d`` and ``Conv1d``.
    padding : int, one number or a pair (before, after) for each axis, "valid" or "same"
        Zeros around each sample.

    Returns
    -------
    array (n, height', width', kh * kw * c) or (n, length', k * c)
        The taps in row-major order, the channels of a tap together; float32 for float32, else
        float64.

    Raises
    ------
    ValueError
        For other shapes, and for a window larger than the padded sample.
    """
    x = inputs.numbers(x, "x")
    axes = _axes("x", x)
    kernel, steps, apart = _geometry("im2col", axes, kernel_size, stride, dilation)
    padding = plain(padding)
    check_padding("im2col", padding, axes)
    around = resolve_padding("im2col", padding, x.shape[1:-1], kernel, steps, apart)
    op = Im2Col(x="x", y="y", kernel=kernel, stride=steps, padding=around, dilation=apart)
    return _run("im2col", op, x)


def col2im(
    columns: Any,
    size: Any,
    kernel_size: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
) -> Array:
    """Add windows back to the places they come from: the transpose of ``im2col``.

    Parameters
    ----------
    columns : array (n, height', width', kh * kw * c) or (n, length', k * c)
        Windows as ``im2col`` gives them.
    size : (int, int) or int
        Height and width, or length, of the result.
    kernel_size, stride, padding, dilation
        As for ``im2col``.

    Returns
    -------
    array (n, height, width, c) or (n, length, c)
        The sum of all windows; float32 for float32, else float64.

    Raises
    ------
    ValueError
        For columns that don't fit the size.
    """
    columns = inputs.numbers(columns, "columns")
    axes = _axes("columns", columns)
    kernel, steps, apart = _geometry("col2im", axes, kernel_size, stride, dilation)
    space = per_axis("col2im", "size", plain(size), axes, 1)
    padding = plain(padding)
    check_padding("col2im", padding, axes)
    around = resolve_padding("col2im", padding, space, kernel, steps, apart)
    op = Col2Im(
        x="x", y="y", size=space, kernel=kernel, stride=steps, padding=around, dilation=apart
    )
    with _errors_of("col2im"):
        windows = op.steps(space, kernel)
    if columns.shape[1:-1] != windows:
        raise ValueError(
            f"columns must have the windows {windows}, as the size is {space}, got "
            f"{columns.shape[1:-1]}"
        )
    return _run("col2im", op, columns)


def _axes(name: str, x: Array) -> int:
    if x.ndim not in (3, 4):
        raise ValueError(
            f"{name} must be (n, height, width, channels) or (n, length, channels), got the shape "
            f"{x.shape}"
        )
    return x.ndim - 2


def _geometry(title: str, axes: int, *arguments: Any) -> tuple[tuple[int, ...], ...]:
    names = ("kernel_size", "stride", "dilation")
    return tuple(
        per_axis(title, name, plain(value), axes, 1)
        for name, value in zip(names, arguments, strict=True)
    )


@contextmanager
def _errors_of(title: str) -> Iterator[None]:
    """Let the errors of an op name the function."""
    try:
        yield
    except OpError as error:
        raise ValueError(f"{title}: {rule_of(error)}") from error


def _run(title: str, op: Op, x: Array, constants: dict[str, Array] | None = None) -> Array:
    """Run a program of one op that reads x and writes y."""
    dtype = x.dtype.name if x.dtype.name in FLOAT_TYPES else "float64"
    rows = len(x)
    fixed = {
        name: np.ascontiguousarray(array, FLOAT_TYPES[dtype])
        for name, array in (constants or {}).items()
    }
    program = Program("function", dtype)
    program.add_buffer("x", (N, *x.shape[1:]), "value")
    for name, array in fixed.items():
        program.add_buffer(name, array.shape, "constant")
    with _errors_of(title):
        program.append(op)
    program.verify()
    executor = backends.make_executor(backends.current_backend(), program, fixed, rows)
    executor.write("x", x)
    executor.run([], None, np.array([0, rows]), _NOTHING, _NOTHING, 0, 0, 0, 1)
    return executor.read("y", rows)
