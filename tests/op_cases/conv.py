"""Cases of the convolutions: each geometry gives the forward op and both gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from tolerance import EXACT, LINEAR

from op_cases.case import Case, Shape, not_a_number
from pybp.program import ops
from pybp.program.ops import N
from pybp.program.ops.window import window_count


class Geometry(NamedTuple):
    """Sizes of a convolution: tuples with one entry an axis, `padding` with two."""

    rows: int
    size: Shape
    channels: tuple[int, int]  # in, out
    kernel: Shape
    stride: Shape = ()  # () is 1 along each axis, or no padding
    padding: Shape = ()
    dilation: Shape = ()
    groups: int = 1
    flip: bool = False

    @property
    def name(self) -> str:
        """All that is not the default, for the name of the case."""
        parts = [_times(self.rows, *self.size), f"{self.channels[0]}-{self.channels[1]}"]
        parts.append(f"k{_times(*self.kernel)}")
        for letter, entries in (("s", self.stride), ("p", self.padding), ("d", self.dilation)):
            parts += [letter + _times(*entries)] if entries else []
        parts += [f"g{self.groups}"] if self.groups > 1 else []
        return " ".join(parts) + " flip" * self.flip

    def windows(self) -> dict[str, Any]:
        """Return the fields of every op with windows."""
        ones = (1,) * len(self.size)
        return {
            "stride": self.stride or ones,
            "padding": self.padding or (0,) * 2 * len(self.size),
            "dilation": self.dilation or ones,
        }

    def fields(self) -> dict[str, Any]:
        """Return the fields of every convolution."""
        return {**self.windows(), "groups": self.groups, "flip": self.flip}

    def shapes(self) -> dict[str, Shape]:
        """Return the shapes of x, w, y and b."""
        inner, outer = self.channels
        return {
            "x": (N, *self.size, inner),
            "w": (*self.kernel, inner // self.groups, outer),
            "y": (N, *self.counts(), outer),
            "b": (outer,),
        }

    def counts(self) -> Shape:
        """Return the number of windows along each axis."""
        stride, padding, dilation = self.windows().values()
        return tuple(
            window_count(
                size,
                self.kernel[i],
                stride[i],
                padding[2 * i],
                padding[2 * i + 1],
                dilation[i],
                False,
            )
            for i, size in enumerate(self.size)
        )


def _times(*entries: int) -> str:
    return "x".join(map(str, entries))


SMALL = [
    Geometry(1, (1, 1), (1, 1), (1, 1)),
    Geometry(3, (5, 7), (3, 8), (3, 3), padding=(1, 1, 1, 1)),
    Geometry(2, (9, 6), (1, 6), (5, 5), padding=(2, 2, 2, 2)),
    Geometry(2, (8, 8), (6, 16), (5, 5)),
    Geometry(4, (7, 5), (17, 33), (1, 1)),
    Geometry(2, (9, 7), (8, 3), (1, 1), stride=(2, 3)),
    Geometry(5, (4, 3), (3, 17), (4, 3)),  # the kernel is the whole input
    Geometry(2, (11, 9), (3, 8), (3, 3), stride=(2, 2), padding=(0, 1, 0, 1)),
    Geometry(2, (13, 10), (3, 6), (3, 2), stride=(3, 1), padding=(2, 0, 1, 2)),
    Geometry(2, (10, 11), (8, 8), (3, 3), padding=(2, 2, 2, 2), dilation=(2, 2)),
    Geometry(1, (12, 9), (6, 17), (2, 3), stride=(1, 2), padding=(3, 1, 0, 4), dilation=(3, 2)),
    Geometry(3, (3, 4), (3, 6), (2, 2), padding=(4, 3, 0, 5)),  # windows only in padding
    Geometry(2, (5, 6), (16, 8), (2, 2), stride=(3, 3), padding=(1, 0, 0, 0)),  # cells unread
    Geometry(2, (6, 6), (6, 8), (3, 3), padding=(1, 1, 1, 1), groups=2),
    Geometry(2, (7, 5), (33, 66), (3, 2), stride=(2, 1), padding=(0, 1, 1, 0), groups=3),
    Geometry(3, (6, 7), (17, 17), (3, 3), padding=(1, 1, 1, 1), groups=17),  # depthwise
    Geometry(2, (8, 9), (8, 24), (3, 3), stride=(2, 2), groups=8),  # three outputs a channel
    Geometry(2, (6, 5), (3, 8), (3, 2), padding=(1, 1, 0, 0), flip=True),
    Geometry(2, (9, 8), (6, 4), (2, 3), stride=(2, 1), dilation=(1, 2), groups=2, flip=True),
    Geometry(3, (1, 19), (8, 16), (1, 5), padding=(0, 0, 2, 2)),
    Geometry(2, (19, 1), (16, 6), (5, 1), stride=(2, 1)),
    Geometry(1, (9, 17), (64, 33), (3, 3), padding=(1, 1, 1, 1)),
    Geometry(9, (4, 4), (33, 64), (2, 2), stride=(2, 2)),
    Geometry(1, (23,), (1, 1), (3,)),
    Geometry(3, (17,), (3, 8), (3,), padding=(1, 1)),
    Geometry(2, (31,), (6, 17), (5,), stride=(2,), padding=(4, 0), dilation=(3,)),
    Geometry(4, (8,), (16, 6), (1,)),
    Geometry(2, (12,), (6, 9), (4,), stride=(3,), padding=(0, 2), groups=3, flip=True),
    Geometry(2, (15,), (33, 33), (3,), padding=(2, 2), dilation=(2,), groups=33),
    # few channels of many images, and some images more than fill the lanes of a vector
    Geometry(19, (5, 7), (3, 6), (3, 3), padding=(1, 1, 1, 1)),
    Geometry(21, (9, 6), (1, 5), (5, 5), stride=(2, 1), padding=(4, 4, 3, 4)),
    Geometry(17, (11, 9), (7, 12), (3, 3), stride=(1, 2), padding=(0, 1, 0, 1), dilation=(2, 1)),
    Geometry(18, (6, 5), (60, 3), (3, 3), padding=(2, 2, 2, 2)),  # chunks end within a row of taps
    Geometry(16, (3, 4), (3, 6), (2, 2), padding=(4, 3, 0, 5)),  # windows only in padding
    Geometry(35, (13,), (4, 1), (3,), padding=(2, 1)),
    # and so much that threads share a block of images
    Geometry(16, (19, 18), (9, 7), (4, 3), padding=(7, 0, 1, 1), dilation=(2, 1)),
]

LARGE = [
    Geometry(64, (28, 28), (1, 6), (5, 5), padding=(2, 2, 2, 2)),  # LeNet-5, first layer
    Geometry(64, (14, 14), (6, 16), (5, 5)),  # LeNet-5, second layer
    Geometry(16, (32, 32), (3, 32), (3, 3), padding=(1, 1, 1, 1)),
    Geometry(16, (32, 32), (32, 32), (3, 3), padding=(1, 1, 1, 1)),
    Geometry(2, (56, 56), (64, 64), (3, 3), padding=(1, 1, 1, 1)),
    Geometry(2, (14, 14), (256, 256), (3, 3), padding=(1, 1, 1, 1)),
    Geometry(32, (32, 32), (8, 8), (3, 3), padding=(1, 1, 1, 1)),
    Geometry(8, (28, 28), (64, 64), (3, 3), padding=(1, 1, 1, 1), groups=64),
]


def conv_cases() -> Iterator[Case]:
    for geometry in SMALL:
        yield from _three_cases(geometry, bench=False)
    for geometry in LARGE:
        yield from _three_cases(geometry, bench=True)
    yield from _variants()
    yield from _column_cases()


def _three_cases(g: Geometry, *, bench: bool) -> Iterator[Case]:
    shapes = g.shapes()
    x, w, y, b = shapes.values()
    yield Case(
        f"conv {g.name}",
        ops.Conv(x="x", w="w", y="y", b="b", **g.fields()),
        g.rows,
        shapes,
        math.prod(w[:-1]),
        LINEAR,
        bench=bench,
    )
    yield Case(
        f"conv_grad_input {g.name}",
        ops.ConvGradInput(dy="dy", w="w", dx="dx", size=g.size, **g.fields()),
        g.rows,
        {"dy": y, "w": w, "dx": x},
        math.prod(g.kernel) * y[-1] // g.groups,
        LINEAR,
        bench=bench,
    )
    yield Case(
        f"conv_grad_weight {g.name}",
        ops.ConvGradWeight(x="x", dy="dy", dw="dw", db="db", kernel=g.kernel, **g.fields()),
        g.rows,
        {"x": x, "dy": y, "dw": w, "db": b},
        g.rows * math.prod(y[1:-1]),
        LINEAR,
        {"dw": not_a_number, "db": not_a_number},
        bench=bench,
    )


VARIANTS = [
    Geometry(3, (6, 5), (3, 9), (3, 3), padding=(1, 1, 1, 1)),
    Geometry(19, (6, 5), (3, 9), (3, 3), padding=(1, 1, 1, 1)),
    Geometry(2, (9,), (4, 6), (3,), stride=(2,), padding=(0, 1), groups=2),
]


def _variants() -> Iterator[Case]:
    for g in VARIANTS:
        x, w, y, b = g.shapes().values()
        terms = math.prod(w[:-1])
        op: ops.Op = ops.Conv(x="x", w="w", y="y", **g.fields())
        shapes = {"x": x, "w": w, "y": y}
        yield Case(f"conv no bias {g.name}", op, g.rows, shapes, terms, LINEAR)
        for activation in ("relu", "leaky_relu", "sigmoid", "tanh", "straight_through_relu"):
            fused = {"activation": activation, "alpha": 0.5}
            op = ops.Conv(x="x", w="w", y="y", b="b", **fused, **g.fields())
            yield Case(f"conv {activation} {g.name}", op, g.rows, g.shapes(), terms, LINEAR)
        for activation in ("relu", "leaky_relu", "sigmoid", "tanh"):
            slope = {"x": "x", "activation": activation, "alpha": 0.5}
            op = ops.ConvGradInput(dy="dy", w="w", dx="dx", size=g.size, **slope, **g.fields())
            shapes = {"dy": y, "w": w, "x": x, "dx": x}
            terms = math.prod(g.kernel) * y[-1] // g.groups
            yield Case(
                f"conv_grad_input slope {activation} {g.name}", op, g.rows, shapes, terms, LINEAR
            )
        terms = g.rows * math.prod(y[1:-1])
        given = {"x": "x", "dy": "dy", "dw": "dw", "kernel": g.kernel, **g.fields()}
        shapes = {"x": x, "dy": y, "dw": w}
        op = ops.ConvGradWeight(**given)
        yield Case(f"conv_grad_weight no bias {g.name}", op, g.rows, shapes, terms, LINEAR)
        op = ops.ConvGradWeight(**given, db="db", accumulate=True)
        shapes = {**shapes, "db": b}
        yield Case(f"conv_grad_weight accumulate {g.name}", op, g.rows, shapes, terms, LINEAR)


COLUMNS = [
    Geometry(3, (6, 7), (5, 5), (3, 2), stride=(2, 1), padding=(1, 0, 2, 1), dilation=(1, 2)),
    Geometry(2, (5, 4), (1, 1), (2, 2), padding=(3, 3, 0, 0)),
    Geometry(2, (13,), (17, 17), (3,), stride=(2,), padding=(1, 2)),
    Geometry(16, (32, 32), (16, 16), (3, 3), padding=(1, 1, 1, 1)),
]


def _column_cases() -> Iterator[Case]:
    for g in COLUMNS:
        yield from _columns_of(g, bench=g.rows > 10)


def _columns_of(g: Geometry, *, bench: bool = False) -> Iterator[Case]:
    x = (N, *g.size, g.channels[0])
    taps = math.prod(g.kernel)
    columns = (N, *g.counts(), taps * g.channels[0])
    yield Case(
        f"im2col {g.name}",
        ops.Im2Col(x="x", y="y", kernel=g.kernel, **g.windows()),
        g.rows,
        {"x": x, "y": columns},
        1,
        EXACT,
        bench=bench,
    )
    yield Case(
        f"col2im {g.name}",
        ops.Col2Im(x="x", y="y", kernel=g.kernel, size=g.size, **g.windows()),
        g.rows,
        {"x": columns, "y": x},
        taps,
        LINEAR,
        bench=bench,
    )


def conv_sized(size: int, rows: int) -> Iterator[Case]:
    """Yield convolutions with this many channels read, written and both, and with this width."""
    around = (0, 1, 1, 1)
    for geometry in (
        Geometry(rows, (2, 3), (size, 5), (2, 3), padding=around),
        Geometry(rows, (2, 3), (3, size), (2, 3), padding=around),
        Geometry(rows, (2, 3), (size, size), (2, 3), padding=around, groups=size),
        Geometry(rows, (2, size), (2, 3), (2, 3), padding=around),
        Geometry(rows, (3,), (size, 7), (1,)),
        Geometry(rows, (size,), (2, 3), (4,), stride=(2,), padding=(1, 2), dilation=(2,)),
    ):
        if all(count > 0 for count in geometry.counts()):
            yield from _three_cases(geometry, bench=False)
    for geometry in (
        Geometry(rows, (2, 3), (size, size), (2, 3), padding=around),
        Geometry(rows, (2, size), (3, 3), (2, 3), padding=around),
    ):
        yield from _columns_of(geometry)
