"""Windows that slide over the space of a sample: sizes, paddings and their rules.

Samples are channels-last: x [n, *space, channels]. A window of ``kernel`` taps along each axis,
``dilation`` cells apart, moves in steps of ``stride`` over the axis, which ``before`` and ``after``
cells of padding make longer.
"""

from __future__ import annotations

from pybp.program.ops.base import Op, Shape

_MOST = 2**30  # of each number of a window: products of two, and of a padded plane, don't overflow


class Window(Op):
    """Base of the ops with windows. All tuples have one entry an axis; ``padding`` has two."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]  # before, after of the first axis; before, after of the second ...
    dilation: tuple[int, ...]

    def check_window(self, space: Shape, kernel: Shape) -> None:
        """Refuse geometry that makes no sense, or that has no output."""
        axes = len(space)
        if axes not in (1, 2):
            raise self.fail(f"x must be (n, space, channels) with 1 or 2 axes of space, got {axes}")
        for name, entries, count, least in (
            ("kernel", kernel, axes, 1),
            ("stride", self.stride, axes, 1),
            ("padding", self.padding, 2 * axes, 0),
            ("dilation", self.dilation, axes, 1),
        ):
            if len(entries) != count or any(entry < least for entry in entries):
                raise self.fail(f"{name} must have {count} entries >= {least}, got {entries}")
            if max(entries) >= _MOST:
                raise self.fail(
                    f"{name} must be below 2**30, as all that is more is larger than any memory; "
                    f"got {entries}"
                )
        spans = tuple(map(span, kernel, self.dilation))
        if max(spans) >= _MOST:
            raise self.fail(f"the window must span less than 2**30 cells, got {spans}")

    def steps(self, space: Shape, kernel: Shape, *, ceil: bool = False) -> Shape:
        """Return how many windows there are along each axis."""
        self.check_window(space, kernel)
        counts = []
        for axis, size in enumerate(space):
            before, after = self.padding[2 * axis : 2 * axis + 2]
            count = window_count(
                size, kernel[axis], self.stride[axis], before, after, self.dilation[axis], ceil
            )
            if count < 1:
                raise self.fail(
                    f"the window is larger than the padded input along axis {axis + 1}: it spans "
                    f"{span(kernel[axis], self.dilation[axis])}, got {size} + {before} + {after}"
                )
            counts.append(count)
        return tuple(counts)

    def check_steps(self, dy: Shape, size: Shape, kernel: Shape, *, ceil: bool = False) -> None:
        """Refuse a gradient whose space is not that of the windows over ``size``."""
        expected = self.steps(size, kernel, ceil=ceil)
        if dy[1:-1] != expected:
            raise self.fail(f"dy must have the space {expected}, got {dy[1:-1]}")


def span(kernel: int, dilation: int) -> int:
    """Return the cells from the first to the last tap of a window."""
    return (kernel - 1) * dilation + 1


def window_count(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int, ceil: bool
) -> int:
    """Return the number of windows along an axis; below 1 when none fits.

    With ``ceil`` a last window may reach past the end, if it starts before the padding after it
    (PyTorch's rule).
    """
    room = size + before + after - span(kernel, dilation)
    if room < 0:
        return 0
    count = room // stride + 1
    if ceil and room % stride and count * stride < size + before:
        count += 1
    return count
