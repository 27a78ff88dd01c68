"""How PyTorch lays out each parameter and running statistic of a net.

==================  ========================  =========================
array               here                      PyTorch
==================  ========================  =========================
Linear              (in, out)                 (out, in)
convolution         (*kernel, in / groups,    (out, in / groups,
                    out)                      *kernel)
transposed          (*kernel, out / groups,   (in, out / groups,
convolution         in)                       *kernel)
recurrent layers    (in, gates * units),      (gates * units, in),
                    (units, gates * units)    (gates * units, units)
embeddings          (count, size)             the same
norms, biases       (channels,)               the same
LayerNorm of an     (*space, channels)        (channels, *space)
image
==================  ========================  =========================

The gates of an LSTM (i, f, g, o) and of a GRU (r, z, n) have one order on both sides.

The features of a flattened image are another axis of this kind: see ``ChannelOrder``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pybp.arrays import Array
from pybp.interop.channel_order import ChannelOrder
from pybp.program.ops import (
    BatchNorm,
    Bias,
    Conv,
    ConvGradInput,
    Dense,
    Embedding,
    EmbeddingBag,
    LayerNorm,
    Op,
    Recurrent,
    Shape,
)
from pybp.program.program import Program


class Layout(NamedTuple):
    """How PyTorch sees an array of a net: its axes split, reversed, reordered and joined again."""

    split: Shape  # the array with more axes: one for each axis of a flattened image
    reversed: tuple[int, ...]  # axes of ``split`` that run the other way
    order: tuple[int, ...]  # axes of ``split`` in PyTorch's order
    shape: Shape  # PyTorch's shape

    def export(self, array: Array) -> Array:
        """Return a copy of an array of the net as PyTorch has it."""
        view = np.flip(array.reshape(self.split), self.reversed).transpose(self.order)
        return np.array(view, order="C").reshape(self.shape)

    def take(self, array: Array) -> Array:
        """Return a copy of PyTorch's array as the net has it, still of the split shape."""
        joined = array.reshape([self.split[axis] for axis in self.order])
        view = np.flip(joined.transpose(np.argsort(self.order)), self.reversed)
        return np.array(view, order="C")


def layouts(program: Program, *, channels_first: bool) -> dict[str, Layout]:
    """Return the layout of each parameter and buffer of a net's forward program.

    Parameters
    ----------
    program : Program
        The forward program of a net.
    channels_first : bool
        Whether PyTorch flattens images (channels, *space), as it does unless the axes are moved.

    Raises
    ------
    ValueError
        When an op is none that PyTorch has, when the order of features is not known, or when
        two uses of a shared layer would need two layouts.
    """
    order = ChannelOrder(program) if channels_first else None
    kept = [buffer.name for buffer in program.of_role("param", "buffer")]
    found: dict[str, Layout] = {}
    for op in program.ops:
        for name, layout in _of_op(op, program, order).items():
            if name not in kept:
                continue
            if found.setdefault(name, layout) != layout:
                raise ValueError(
                    f"{name} is shared by layers that need it in two layouts of PyTorch"
                )
    for name in kept:
        if name not in found:
            raise ValueError(f"how PyTorch keeps {name} is not known")
    return found


def _of_op(op: Op, program: Program, order: ChannelOrder | None) -> dict[str, Layout]:
    """Return the layouts of what one op reads; "" stands for what it does without."""
    if isinstance(op, Dense):
        rows, columns = _axis(op.x, program, order), _axis(op.y, program, order)
        return {op.w: _matrix(rows, columns), op.b: _vector(columns)}
    if isinstance(op, Conv):
        kernel = _kernel(program.shape(op.w), op.flip)
        return {op.w: kernel, op.b: _vector(program.shape(op.y)[-1:])}
    if isinstance(op, ConvGradInput):
        return {op.w: _kernel(program.shape(op.w), op.flip)}
    if isinstance(op, Bias):
        return {op.b: _vector(_axis(op.y, program, order))}
    if isinstance(op, BatchNorm):
        vector = _vector(_axis(op.y, program, order))
        return dict.fromkeys((op.gamma, op.beta, op.mean, op.var), vector)
    if isinstance(op, LayerNorm):
        inner = _inner(op, program, order)
        return {op.gamma: inner, op.beta: inner}
    if isinstance(op, Recurrent):
        wide = program.shape(op.w_ih)[-1:]
        matrices = {w: _matrix(program.shape(w)[:1], wide) for w in (op.w_ih, op.w_hh)}
        return matrices | {op.b_ih: _vector(wide), op.b_hh: _vector(wide)}
    if isinstance(op, Embedding | EmbeddingBag):
        return {op.w: _same(program.shape(op.w))}
    return {}


def _axis(value: str, program: Program, order: ChannelOrder | None) -> Shape:
    """Return the last axis of a value, split into the axes of the image it was flattened from."""
    last = program.shape(value)[-1:]
    return order.flat.get(value, last) if order else last


def _channels_first(split: Shape, start: int = 0) -> tuple[int, ...]:
    """Return the axes of one split axis with the channels, its last, in front."""
    axes = range(start, start + len(split))
    return (axes[-1], *axes[:-1])


def _vector(split: Shape) -> Layout:
    return Layout(split, (), _channels_first(split), (int(np.prod(split)),))


def _same(shape: Shape) -> Layout:
    return Layout(shape, (), tuple(range(len(shape))), shape)


def _matrix(rows: Shape, columns: Shape) -> Layout:
    order = (*_channels_first(columns, len(rows)), *_channels_first(rows))
    shape = (int(np.prod(columns)), int(np.prod(rows)))
    return Layout((*rows, *columns), (), order, shape)


def _kernel(shape: Shape, flip: bool) -> Layout:
    """Return the layout of a kernel; PyTorch has cross-correlations alone."""
    axes = len(shape) - 2
    order = (axes + 1, axes, *range(axes))
    reversed_axes = tuple(range(axes)) if flip else ()
    return Layout(shape, reversed_axes, order, tuple(shape[axis] for axis in order))


def _inner(op: LayerNorm, program: Program, order: ChannelOrder | None) -> Layout:
    """Return the layout of what a layer norm scales by: of all axes of a sample, or the last."""
    sample = program.shape(op.y)[1:]
    if op.axes == 1:
        return _vector(_axis(op.y, program, order))
    inner = sample[-op.axes :]
    axes = tuple(range(op.axes))
    if order and op.y in order.images and op.axes == len(sample):
        axes = _channels_first(inner)
    return Layout(inner, (), axes, tuple(inner[axis] for axis in axes))
