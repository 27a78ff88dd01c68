"""The input of a graph, and layers that only give a sample another shape."""

from __future__ import annotations

import math
from typing import Any

from pybp.layers.base import Layer
from pybp.program.builder import Builder
from pybp.program.ops import MoveChannels
from pybp.program.ops import Reshape as ReshapeOp

LAYOUTS = ("channels_last", "channels_first")
DTYPES = ("float32", "float64", "int32", "int64")


class Input(Layer):
    """Where arrays enter a net: the first value of a graph, or the first entry of a ``Sequential``.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample, without the batch axis. None as the first size stands for any number
        of time steps, where recurrent layers read the input.
    dtype : {"float32", "float64", "int32", "int64"}, optional
        The net's, if it is a float type: arrays of any real dtype are converted to that. Integer
        types say that the samples are ids; arrays of any integer dtype are taken.
    layout : {"channels_last", "channels_first"}, optional
        Where the channels of the arrays stand. "channels_first" takes samples (channels, ...) and
        moves the channels to the end at the start of the net. With the default, channels last,
        images that look like (channels, height, width) are refused by a convolution or pool that
        reads them; "channels_last" says that they are what they are.
    name : str, optional
        Name of the input.
    """

    shape: tuple[Any, ...]
    dtype: str | None = None
    layout: str | None = None
    name: str | None = None

    def _converted(self, name: str, value: object) -> object:
        return tuple(value) if name == "shape" and isinstance(value, list) else value

    def _check(self) -> None:
        shape = self.shape
        if not isinstance(shape, tuple):
            raise TypeError(f"Input: shape must be a tuple such as (28, 28, 1), got {shape!r}")
        sizes = shape[1:] if shape[:1] == (None,) else shape
        for size in sizes:
            if isinstance(size, bool) or not isinstance(size, int):
                raise TypeError(f"Input: shape must hold whole numbers, got {shape!r}")
        if any(size < 1 for size in sizes):
            raise ValueError(f"Input: sizes must be >= 1, got {shape}")
        if self.dtype not in (None, *DTYPES):
            raise ValueError(f"Input: dtype is one of {', '.join(DTYPES)}, got {self.dtype!r}")
        if self.layout not in (None, *LAYOUTS):
            raise ValueError(f"Input: layout is one of {', '.join(LAYOUTS)}, got {self.layout!r}")
        if self.layout == "channels_first" and len(shape) < 2:
            raise ValueError(
                f"Input: channels_first needs samples of shape (channels, ...), got {shape}"
            )

    def is_source(self) -> bool:
        """Tell that the layer is itself a symbolic value."""
        return True

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to a move of the channels, or to nothing."""
        dtype = builder.program.dtype
        self._check_shape(builder, x, path)
        holds_ids = builder.program.buffers[x].dtype == "int32"
        if self.dtype is not None and self.dtype.startswith("int") != holds_ids:
            held = "ids" if holds_ids else "real numbers"
            raise ValueError(
                f"layer {path} (Input) has dtype {self.dtype}, but its readers take {held}"
            )
        if not holds_ids and self.dtype not in (None, dtype):
            raise ValueError(f"layer {path} (Input) has dtype {self.dtype}, the net has {dtype}")
        if self.layout != "channels_first":
            return x
        return builder.append(MoveChannels(x, builder.fresh(path), last=True))

    def _check_shape(self, builder: Builder, x: str, path: str) -> None:
        shape: tuple[int | None, ...] = builder.shape(x)
        packing = builder.packing(x)
        if packing is not None:
            shape = (builder.steps.get(packing), *shape)
        sizes = zip(self.shape, shape, strict=False)
        if len(shape) != len(self.shape) or any(a not in (None, b) for a, b in sizes):
            raise ValueError(
                f"layer {path} (Input) takes samples of shape {self.shape}, got {shape}"
            )
        if packing is not None and self.shape[0] is not None:
            builder.needs_steps = True


class Flatten(Layer):
    """All axes of a sample in one, row by row: (n, a, b, ...) to (n, a * b * ...)."""

    name: str | None = None

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to a reshape, which costs nothing."""
        size = math.prod(builder.shape(x))
        return builder.append(ReshapeOp(x, builder.fresh(path), (size,)))


class Reshape(Layer):
    """Samples under another shape, in row-major order.

    Parameters
    ----------
    shape : tuple of int
        The new shape of one sample, without the batch axis; one entry may be -1.
    name : str, optional
        Name of the layer.
    """

    shape: tuple[int, ...]
    name: str | None = None

    def _check(self) -> None:
        shape = self.shape
        if not isinstance(shape, tuple) or not all(isinstance(extent, int) for extent in shape):
            raise TypeError(f"Reshape: shape must be a tuple of whole numbers, got {shape!r}")
        if any(extent < 1 and extent != -1 for extent in shape) or shape.count(-1) > 1:
            raise ValueError(f"Reshape: sizes must be >= 1, with at most one -1, got {shape}")

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to a reshape, which costs nothing."""
        old = builder.shape(x)
        size, known = math.prod(old), math.prod(e for e in self.shape if e != -1)
        shape = tuple(size // known if extent == -1 else extent for extent in self.shape)
        if math.prod(shape) != size:
            raise ValueError(f"layer {path} (Reshape): {old} can't become {self.shape}")
        return builder.append(ReshapeOp(x, builder.fresh(path), shape))
