"""Where PyTorch keeps features in another order, read off a net's lowered program.

Samples are channels-last here and channels-first there, so the features of a flattened image come
in another order too: (row, column, channel) here, (channel, row, column) there.
"""

from __future__ import annotations

import math

from pybp.program.ops import (
    Activate,
    Add,
    BatchNorm,
    Bias,
    Concat,
    Dense,
    Dropout,
    LayerNorm,
    MoveChannels,
    Op,
    Reshape,
    Shape,
    Softmax,
)
from pybp.program.ops.window import Window
from pybp.program.program import Program

_HINT = "channels_first=False keeps the order of pybp"


class ChannelOrder:
    """The images of a program, and which flat values have the order of an image's features.

    An image is a value with two axes of space that is not made of ids, and whatever a convolution
    or a pool reads or makes. A flat value has an image's order from ``Flatten`` on through all ops
    that act feature by feature, and in the same way before a ``Reshape`` into an image.

    Parameters
    ----------
    program : Program
        The forward program of a net.

    Attributes
    ----------
    images : set of str
        The values (n, *space, channels) that are (n, channels, *space) in PyTorch.
    flat : dict
        Value (n, features) -> (*space, channels) of the image whose order it has.

    Raises
    ------
    ValueError
        When an op mixes features whose order in PyTorch is not known.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self.images = {name for name in program.buffers if len(self._sample(name)) == 3}
        self.images -= _made_of_ids(program)
        self.flat: dict[str, Shape] = {}
        for op in program.ops:
            if isinstance(op, MoveChannels):
                self.images.discard(op.x if op.last else op.y)
        while any(self._learn(op) for op in program.ops):
            pass  # what one op has told may help those before it
        for op in program.ops:
            self._check(op)

    def _sample(self, name: str) -> Shape:
        """Return the shape of a sample of a value; () for what has no rows."""
        buffer = self._program.buffers[name]
        return buffer.shape[1:] if buffer.batched else ()

    def _learn(self, op: Op) -> bool:
        """Apply the rule of one op; return whether it told anything new."""
        before = len(self.images), len(self.flat)
        if isinstance(op, Window):
            values = [*op.inputs(), *op.outputs()]
            self.images.update(name for name in values if self._sample(name))
        elif isinstance(op, MoveChannels):
            self.images.add(op.y if op.last else op.x)
        elif isinstance(op, Reshape):
            self._learn_reshape(op)
        elif isinstance(op, _FEATURE_BY_FEATURE):
            self._learn_same(op, _same_features(op))
        elif isinstance(op, Concat) and self.images & {op.a, op.b, op.y}:
            self.images |= {op.a, op.b, op.y}
        return before != (len(self.images), len(self.flat))

    def _learn_reshape(self, op: Reshape) -> None:
        if len(self._sample(op.x)) == len(self._sample(op.y)) == 1:
            self._learn_same(op, [op.x, op.y])
        for name, other in ((op.x, op.y), (op.y, op.x)):
            if name in self.images and len(self._sample(other)) == 1:
                self._set(op, other, self._sample(name))

    def _learn_same(self, op: Op, values: list[str]) -> None:
        """Record that some values have the same features in the same order."""
        if any(name in self.images for name in values):
            self.images.update(values)
        for order in [self.flat[name] for name in values if name in self.flat]:
            for name in values:
                self._set(op, name, order)

    def _set(self, op: Op, name: str, order: Shape) -> None:
        if self.flat.setdefault(name, order) != order:
            raise ValueError(
                f"{op.kind} reads features in the orders of two images, {self.flat[name]} and "
                f"{order}, so their order in PyTorch is not known; {_HINT}"
            )

    def _check(self, op: Op) -> None:
        """Refuse an op that reads an image, flattened or not, and may mix its features."""
        if isinstance(op, (Dense, *_FEATURE_BY_FEATURE)):
            return
        if isinstance(op, Reshape):
            self._check_reshape(op)
            return
        for name in op.inputs():
            if math.prod(self.flat.get(name, ())[:-1]) > 1:
                raise _unknown(op, "a flattened image")

    def _check_reshape(self, op: Reshape) -> None:
        if op.y in self.flat:
            return
        if math.prod(self.flat.get(op.x, ())[:-1]) > 1 and op.y not in self.images:
            raise _unknown(op, "a flattened image")
        x, y = self._sample(op.x), self._sample(op.y)
        if op.x in self.images and len(y) > 1 and x[-1] not in (1, math.prod(x), y[-1]):
            raise _unknown(op, "an image")  # the channels leave the last axis


def _made_of_ids(program: Program) -> set[str]:
    """Return the values that depend on ids: PyTorch too has the size of an embedding last."""
    made = {buffer.name for buffer in program.of_role("input") if buffer.dtype == "int32"}
    for op in program.ops:
        if not made.isdisjoint(op.inputs()):
            made.update(op.outputs())
    return made


def _unknown(op: Op, what: str) -> ValueError:
    """Return the error of an op that reads an image in a way that has no counterpart."""
    return ValueError(
        f"{op.kind} reads {what}, and in which order PyTorch has its features after that is not "
        f"known; {_HINT}"
    )


_FEATURE_BY_FEATURE = (Activate, Add, BatchNorm, Bias, Dropout, LayerNorm, Softmax)


def _same_features(op: Op) -> list[str]:
    """Return the values that an op reads and writes feature by feature."""
    fields = ("a", "b", "y") if isinstance(op, Add) else ("x", "y")
    return [getattr(op, field) for field in fields]
