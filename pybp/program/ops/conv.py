"""Convolution: forward, and the gradients by the input and by the weight; im2col and col2im.

x [n, *space, in], w [*kernel, in / groups, out], y [n, *space', out]. Output channels lie group by
group. A convolution is a cross-correlation, ``y[p] = sum over taps t of x[p * stride + t * dilation
- before] @ w[t]``, with zeros outside of x; ``flip`` takes the taps in the opposite order.
"""

from __future__ import annotations

import math

from pybp.program.ops.base import MaybeRead, MaybeWrite, N, Read, Shape, Write, check_activation
from pybp.program.ops.window import Window


class Convolution(Window):
    """Base of the three ops of a convolution."""

    groups: int
    flip: bool

    def check_weight(self, w: Shape, channels: int, space: Shape) -> None:
        """Refuse a kernel that does not go with this number of input channels."""
        if len(w) != len(space) + 2:
            raise self.fail(f"w must be (*kernel, in / groups, out), got w {w} and space {space}")
        if self.groups < 1 or channels % self.groups or w[-1] % self.groups:
            raise self.fail(
                f"groups must divide the channels {channels} and {w[-1]}, got {self.groups}"
            )
        if w[-2] * self.groups != channels:
            raise self.fail(f"w must have {channels // self.groups} inputs a group, got {w[-2]}")


class Conv(Convolution):
    """``y = act(conv(x, w) + b)``."""

    x: Read
    w: Read
    y: Write
    b: MaybeRead = ""
    activation: str = "identity"
    alpha: float = 0.0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x, w = shape["x"], shape["w"]
        check_activation(self, self.activation, fused=True, alpha=self.alpha)
        self.check_weight(w, x[-1], x[1:-1])
        if self.b and shape["b"] != (w[-1],):
            raise self.fail(f"b must be ({w[-1]},), got {shape['b']}")
        return {"y": (N, *self.steps(x[1:-1], w[:-2]), w[-1])}


class ConvGradInput(Convolution):
    """``dx[i] = (sum of dy[p] @ w[t].T over all p, t that read x[i]) * act'``.

    ``size`` is the space of dx; the slope is taken from x, the output of the layer below. This is
    the forward op of a transposed convolution too.
    """

    size: tuple[int, ...]
    dy: Read
    w: Read
    dx: Write
    x: MaybeRead = ""
    activation: str = "identity"
    alpha: float = 0.0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        dy, w = shape["dy"], shape["w"]
        check_activation(self, self.activation)
        channels = w[-2] * self.groups
        self.check_weight(w, channels, self.size)
        self.check_steps(dy, self.size, w[:-2])
        if dy[-1] != w[-1]:
            raise self.fail(f"dy must have {w[-1]} channels, got {dy[-1]}")
        dx = (N, *self.size, channels)
        if (self.activation != "identity") != bool(self.x):
            raise self.fail("x is given exactly when there is an activation")
        if self.x and shape["x"] != dx:
            raise self.fail(f"x must be {dx}, got {shape['x']}")
        return {"dx": dx}


class ConvGradWeight(Convolution):
    """``dw[t] (+)= sum over p of x[p, t].T @ dy[p]``, and ``db (+)= sum over p of dy[p]``."""

    kernel: tuple[int, ...]
    x: Read
    dy: Read
    dw: Write
    db: MaybeWrite = ""
    accumulate: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x, dy = shape["x"], shape["dy"]
        dw = (*self.kernel, x[-1] // max(self.groups, 1), dy[-1])
        self.check_weight(dw, x[-1], x[1:-1])
        self.check_steps(dy, x[1:-1], self.kernel)
        return {"dw": dw, "db": (dy[-1],)}


class Im2Col(Window):
    """The windows of x as rows: y [n, *space', taps * channels], taps in row-major order."""

    kernel: tuple[int, ...]
    x: Read
    y: Write

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x = shape["x"]
        return {"y": (N, *self.steps(x[1:-1], self.kernel), math.prod(self.kernel) * x[-1])}


class Col2Im(Window):
    """The transpose of ``Im2Col``: each entry of x is added to the cell it would come from."""

    kernel: tuple[int, ...]
    size: tuple[int, ...]  # the space of y
    x: Read
    y: Write

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x = shape["x"]
        self.check_steps(x, self.size, self.kernel)
        taps = math.prod(self.kernel)
        if x[-1] % taps:
            raise self.fail(f"x must have a multiple of {taps} columns, got {x[-1]}")
        return {"y": (N, *self.size, x[-1] // taps)}
