"""Pooling: the maximum or the average of each window, channel by channel.

The padding is no more than half a window, and no window lies only in padding.
"""

from __future__ import annotations

from pybp.program.ops.base import MaybeRead, MaybeWrite, N, Read, Shape, Write, check_activation
from pybp.program.ops.window import Window, span

SMALL_WINDOW = 256  # taps that a byte can tell apart


class Pool(Window):
    """Base of the pools."""

    kernel: tuple[int, ...]
    ceil: bool

    def pooled(self, space: Shape) -> Shape:
        """Return the number of windows along each axis."""
        counts = self.steps(space, self.kernel, ceil=self.ceil)
        for axis, size in enumerate(space):
            self._check_padding(axis, size, counts[axis])
        return counts

    def _check_padding(self, axis: int, size: int, count: int) -> None:
        before, after = self.padding[2 * axis : 2 * axis + 2]
        reach = span(self.kernel[axis], self.dilation[axis])
        if max(before, after) > reach // 2:
            raise self.fail(f"padding is at most half a window of {reach}, got {before}, {after}")
        if size >= self.dilation[axis]:
            return  # the first tap that is not before the input lies in it
        for step in range(count if before or after or self.ceil else 0):
            start = step * self.stride[axis] - before
            taps = range(start, start + reach, self.dilation[axis])
            if not any(0 <= tap < size for tap in taps):
                raise self.fail(
                    f"window {step} of axis {axis + 1} lies only in padding: the input has {size} "
                    f"cells, the window reads {len(taps)} cells from {start} to {taps[-1]}"
                )

    @property
    def taps(self) -> int:
        """The number of cells in a window."""
        taps = 1
        for size in self.kernel:
            taps *= size
        return taps


class MaxPool(Pool):
    """``y = max of each window``; NaN wins. ``argmax`` is the tap of the first maximum."""

    x: Read
    y: Write
    argmax: MaybeWrite = ""

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x = shape["x"]
        y = (N, *self.pooled(x[1:-1]), x[-1])
        return {"y": y, "argmax": y}

    def dtypes(self) -> dict[str, str]:
        return {"argmax": argmax_dtype(self)}


class MaxPoolGrad(Pool):
    """``dx = dy * act'`` at each window's maximum, 0 elsewhere; windows that overlap add up.

    The slope is that of an activation below the pool, taken from y, the maximum itself.
    """

    size: tuple[int, ...]
    dy: Read
    argmax: Read
    dx: Write
    y: MaybeRead = ""
    activation: str = "identity"
    alpha: float = 0.0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        dy = shape["dy"]
        check_activation(self, self.activation)
        if (self.activation != "identity") != bool(self.y):
            raise self.fail("y is given exactly when there is an activation")
        for name in ("argmax", "y"):
            if name in shape and shape[name] != dy:
                raise self.fail(f"{name} must be {dy}, got {shape[name]}")
        if dy[1:-1] != self.pooled(self.size):
            raise self.fail(f"dy must have the space {self.pooled(self.size)}, got {dy[1:-1]}")
        return {"dx": (N, *self.size, dy[-1])}


class AveragePooling(Pool):
    """Base of the average: the sum of a window over ``divisor``.

    ``divisor`` 0: the number of cells of the window that lie in the input or, with
    ``count_padding``, in the padded input.
    """

    divisor: int
    count_padding: bool


class AvgPool(AveragePooling):
    """``y = sum of each window / divisor``."""

    x: Read
    y: Write

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x = shape["x"]
        return {"y": (N, *self.pooled(x[1:-1]), x[-1])}


class AvgPoolGrad(AveragePooling):
    """``dx = dy / divisor`` in each cell of a window; windows that overlap add up.

    With a divisor of 1 and windows that touch this is an upsampling by repetition.
    """

    size: tuple[int, ...]
    dy: Read
    dx: Write

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        dy = shape["dy"]
        if dy[1:-1] != self.pooled(self.size):
            raise self.fail(f"dy must have the space {self.pooled(self.size)}, got {dy[1:-1]}")
        return {"dx": (N, *self.size, dy[-1])}


def argmax_dtype(op: Pool) -> str:
    """Return the type that tells the taps of a window apart."""
    return "uint8" if op.taps <= SMALL_WINDOW else "int32"
