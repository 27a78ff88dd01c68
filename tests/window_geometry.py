"""Geometries of layers with windows, drawn by hypothesis."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import pybp as bp

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """What is drawn for a layer with windows over one or two axes."""

    rows: int
    space: tuple[int, ...]
    channels: int  # of the input
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    filters: int = 1  # channels of the output
    flip: bool = False

    @property
    def axes(self) -> int:
        return len(self.space)

    @property
    def taps(self) -> int:
        return int(np.prod(self.kernel))

    def spans(self) -> tuple[int, ...]:
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def counts(self) -> tuple[int, ...]:
        """Return how many windows there are along each axis; below 1 where none fits."""
        parts = zip(self.space, self.padding, self.spans(), self.stride, strict=True)
        return tuple((size + sum(pad) - reach) // step + 1 for size, pad, reach, step in parts)

    def x(self, kind: str = "float64") -> np.ndarray:
        rng = np.random.default_rng(self.rows + 7 * self.channels + sum(self.space))
        return rng.normal(size=(self.rows, *self.space, self.channels)).astype(kind)


@st.composite
def geometries(draw: st.DrawFn, largest: int = 13, padded: int = 3) -> Geometry:
    """Draw sizes, odd ones above all, so that at least one window fits."""
    axes = draw(st.sampled_from([1, 2, 2]))

    def each(numbers: st.SearchStrategy[Any]) -> tuple[Any, ...]:
        return tuple(draw(numbers) for _ in range(axes))

    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    depthwise = draw(st.booleans()) and draw(st.booleans())
    channels = groups * draw(st.integers(1, 5))
    filters = groups * draw(st.integers(1, 5))
    if depthwise:
        groups, filters = channels, channels * draw(st.integers(1, 2))
    side = st.integers(0, padded)
    return Geometry(
        rows=draw(st.integers(1, 3)),
        space=each(st.integers(1, largest)),
        channels=channels,
        kernel=each(st.integers(1, 5)),
        stride=each(st.integers(1, 3)),
        padding=each(st.tuples(side, side)),
        dilation=each(st.integers(1, 3)),
        groups=groups,
        filters=filters,
        flip=draw(st.booleans()),
    )


def conv(g: Geometry, **options: Any) -> bp.layers.Layer:
    kind = bp.Conv1d if g.axes == 1 else bp.Conv2d
    fields = {
        "stride": g.stride,
        "padding": g.padding,
        "dilation": g.dilation,
        "groups": g.groups,
        "flip": g.flip,
    }
    return kind(g.filters, g.kernel, **{**fields, **options})


def pool(kind: str, g: Geometry, **options: Any) -> bp.layers.Layer:
    layer = getattr(bp, f"{kind}Pool{g.axes}d")
    return layer(g.kernel, stride=g.stride, padding=g.padding, dilation=g.dilation, **options)


def fits_pool(g: Geometry) -> bool:
    """Tell whether padding is at most half a window and each window meets the input."""
    if min(g.counts()) < 1:
        return False
    for axis, reach in enumerate(g.spans()):
        if max(g.padding[axis]) > reach // 2:
            return False
    return not lonely_windows(g)


def lonely_windows(g: Geometry) -> list[tuple[int, int]]:
    """Return (axis, number) of the windows that read padding alone."""
    found = []
    for axis, count in enumerate(g.counts()):
        for step in range(count):
            start = step * g.stride[axis] - g.padding[axis][0]
            cells = [start + tap * g.dilation[axis] for tap in range(g.kernel[axis])]
            if not any(0 <= cell < g.space[axis] for cell in cells):
                found.append((axis, step))
    return found
