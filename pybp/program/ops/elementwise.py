"""Ops that act element by element, along one axis, or not at all on the numbers."""

from __future__ import annotations

import math

from pybp.program.ops.base import N, Op, Read, Shape, Write, check_activation


class Activate(Op):
    """``y = act(x)``, element by element; alpha and beta are the activation's parameters."""

    x: Read
    y: Write
    function: str
    alpha: float = 0.0
    beta: float = 0.0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        check_activation(self, self.function)
        return {"y": shape["x"]}


class ActivateGrad(Op):
    """``dx = dy * act'``; ``saved`` is y where the slope follows from the output, else x."""

    dy: Read
    saved: Read
    dx: Write
    function: str
    alpha: float = 0.0
    beta: float = 0.0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        check_activation(self, self.function)
        if shape["dy"] != shape["saved"]:
            raise self.fail(f"dy and saved differ: {shape['dy']} and {shape['saved']}")
        return {"dx": shape["dy"]}


class Add(Op):
    """``y = act(a + b)``, element by element."""

    a: Read
    b: Read
    y: Write
    activation: str = "identity"
    alpha: float = 0.0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        check_activation(self, self.activation, fused=True, alpha=self.alpha)
        if shape["a"] != shape["b"]:
            raise self.fail(f"a and b must have one shape, got {shape['a']} and {shape['b']}")
        return {"y": shape["a"]}


class Multiply(Op):
    """``y = a * b``, element by element."""

    a: Read
    b: Read
    y: Write

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if shape["a"] != shape["b"]:
            raise self.fail(f"a and b must have one shape, got {shape['a']} and {shape['b']}")
        return {"y": shape["a"]}


class Bias(Op):
    """``y = act(x + b)``, with an entry of b for each entry of the last axis."""

    x: Read
    b: Read
    y: Write
    activation: str = "identity"
    alpha: float = 0.0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        check_activation(self, self.activation, fused=True, alpha=self.alpha)
        if shape["b"] != shape["x"][-1:]:
            raise self.fail(f"b must be {shape['x'][-1:]}, got {shape['b']}")
        return {"y": shape["x"]}


class BiasGrad(Op):
    """``db (+)= sum of the rows of dy``."""

    dy: Read
    db: Write
    accumulate: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        return {"db": shape["dy"][-1:]}


class Softmax(Op):
    """``y = softmax(x)`` along one axis, or its logarithm; the axis counts the rows' axis as 0."""

    x: Read
    y: Write
    axis: int
    log: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if not 1 <= self.axis < len(shape["x"]):
            raise self.fail(f"axis must be 1 ... {len(shape['x']) - 1}, got {self.axis}")
        return {"y": shape["x"]}


class SoftmaxGrad(Op):
    """``dx = y * (dy - sum(dy * y))``; for the logarithm ``dx = dy - exp(y) * sum(dy)``."""

    dy: Read
    y: Read
    dx: Write
    axis: int
    log: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if shape["dy"] != shape["y"]:
            raise self.fail(f"dy and y differ: {shape['dy']} and {shape['y']}")
        return {"dx": shape["dy"]}


class Dropout(Op):
    """``y = x * mask / (1 - p)``; the mask is drawn from (seed, stream, step, index).

    With ``per_channel`` one draw holds for all places of a channel of a sample: the index is that
    of (row, last axis). The gradient is the same op on dy, so no mask is stored.
    """

    x: Read
    y: Write
    p: float
    stream: int
    per_channel: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if not 0.0 <= self.p <= 1.0:
            raise self.fail(f"p must lie in [0, 1], got {self.p}")
        return {"y": shape["x"]}


class Reshape(Op):
    """The same numbers under another shape; the memory plan lets y share x's storage."""

    x: Read
    y: Write
    shape: tuple[int, ...]

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if math.prod(self.shape) != math.prod(shape["x"][1:]):
            raise self.fail(f"{shape['x'][1:]} can't become {self.shape}: other element count")
        return {"y": (shape["x"][0], *self.shape)}


class MoveChannels(Op):
    """The channels from the first to the last axis of a sample (``last``), or back."""

    x: Read
    y: Write
    last: bool

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        n, *space = shape["x"]
        if n != N or len(space) < 2:
            raise self.fail(f"x must have channels and at least one more axis, got {shape['x']}")
        moved = (*space[1:], space[0]) if self.last else (space[-1], *space[:-1])
        return {"y": (N, *moved)}
