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

    The gradient is the same op on dy, so no mask is stored.
    """

    x: Read
    y: Write
    p: float
    stream: int

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
        return {"y": (N, *self.shape)}
