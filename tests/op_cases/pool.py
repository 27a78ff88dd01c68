"""Cases of the pools."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from tolerance import EXACT, LINEAR

from op_cases.case import Case, Fill, Shape
from pybp.program import ops
from pybp.program.ops import N
from pybp.program.ops.pool import Pool


class Geometry(NamedTuple):
    """Sizes of a pool: tuples with one entry an axis, `padding` with two."""

    rows: int
    size: Shape
    channels: int
    kernel: Shape
    stride: Shape
    padding: Shape = ()  # () is no padding
    dilation: Shape = ()  # () is 1 along each axis
    ceil: bool = False

    @property
    def name(self) -> str:
        """All sizes, for the name of the case."""
        numbers = ((self.rows, *self.size, self.channels), self.kernel, self.stride, self.padding)
        text = " ".join("x".join(map(str, entries)) for entries in numbers if entries)
        return (
            text + f" d{max(self.dilation, default=1)}" * bool(self.dilation) + " ceil" * self.ceil
        )

    def fields(self) -> dict[str, Any]:
        """Return the fields of every pool."""
        return {
            "stride": self.stride,
            "padding": self.padding or (0,) * 2 * len(self.size),
            "dilation": self.dilation or (1,) * len(self.size),
            "kernel": self.kernel,
            "ceil": self.ceil,
        }

    def shapes(self) -> tuple[Shape, Shape]:
        """Return the shapes of the input and of the output."""
        pool = ops.MaxPool(x="x", y="y", **self.fields())
        x = (N, *self.size, self.channels)
        return x, pool.shapes({"x": x})["y"]


PLAIN = [
    Geometry(3, (6, 8), 5, (2, 2), (2, 2)),
    Geometry(2, (7, 5), 8, (2, 2), (2, 2)),  # the last row and column are in no window
    Geometry(2, (7, 5), 17, (2, 2), (2, 2), ceil=True),
    Geometry(2, (9, 8), 16, (3, 3), (2, 2), (1, 1, 1, 1)),
    Geometry(1, (5, 6), 3, (3, 2), (1, 1)),  # windows that overlap
    Geometry(2, (6, 7), 6, (2, 3), (3, 1), (0, 1, 1, 0), ceil=True),
    Geometry(2, (8, 4), 33, (8, 4), (8, 4)),  # the whole input
    Geometry(4, (1, 1), 1, (1, 1), (1, 1)),
    Geometry(2, (19,), 5, (3,), (2,), (1, 0), ceil=True),
    Geometry(3, (8,), 64, (2,), (2,)),
]
DILATED = [
    Geometry(2, (9, 8), 6, (2, 3), (2, 1), (1, 0, 2, 2), dilation=(2, 2)),
    Geometry(2, (13,), 8, (3,), (1,), (2, 3), dilation=(3,)),
]
WIDE = Geometry(2, (20, 19), 3, (17, 16), (2, 2))  # more taps than a byte can tell apart
LARGE = [
    Geometry(64, (28, 28), 6, (2, 2), (2, 2)),
    Geometry(16, (32, 32), 32, (2, 2), (2, 2)),
    Geometry(16, (32, 32), 32, (3, 3), (2, 2), (1, 1, 1, 1)),
]


def pool_cases() -> Iterator[Case]:
    for g in (*PLAIN, *DILATED, WIDE):
        yield from _max_cases(g)
    for g in LARGE:
        yield from _max_cases(g, bench=True)
    yield from _max_variants(PLAIN[3])
    for g in PLAIN:
        yield from _average_cases(g, divisor=0, count_padding=True)
    for g in (*PLAIN[2:6], PLAIN[8], *DILATED):
        yield from _average_cases(g, divisor=0, count_padding=False)
    yield from _average_cases(DILATED[0], divisor=0, count_padding=True)
    for g, divisor in ((PLAIN[3], 5), (PLAIN[0], 1)):
        yield from _average_cases(g, divisor=divisor, count_padding=True)
    for g in LARGE[1:]:
        yield from _average_cases(g, divisor=0, count_padding=True, bench=True)


def no_ties(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Return numbers that keep a distance from each other, so that differences make sense."""
    size = math.prod(shape)
    return (rng.permutation(size) - size / 3).reshape(shape) / 16


def many_ties(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.integers(-1, 2, shape).astype(float)


def not_all_numbers(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.choice([-np.inf, -1.0, 2.0, np.nan], shape, p=[0.5, 0.2, 0.2, 0.1])


def taps_inside(op: Pool, size: Shape) -> Fill:
    """Return a fill of the argmax: for each window some tap that does not lie in the padding."""

    def fill(rng: np.random.Generator, shape: Shape) -> np.ndarray:
        taps = np.zeros(shape, np.int32)
        for axis, cells in enumerate(size):
            first = np.arange(shape[1 + axis]) * op.stride[axis] - op.padding[2 * axis]
            tap = np.arange(op.kernel[axis])
            cell = first[:, np.newaxis] + tap * op.dilation[axis]
            inside = (cell >= 0) & (cell < cells)
            low = np.argmax(inside, axis=1)  # the taps inside follow each other
            along = (-1, *(1,) * (len(size) - axis))
            low, count = low.reshape(along), np.sum(inside, axis=1).reshape(along)
            taps = taps * op.kernel[axis] + rng.integers(low, low + count, shape)
        return taps

    return fill


def _max_cases(g: Geometry, *, bench: bool = False) -> Iterator[Case]:
    x, y = g.shapes()
    op = ops.MaxPool(x="x", y="y", argmax="argmax", **g.fields())
    shapes = {"x": x, "y": y, "argmax": y}
    fills = {"x": no_ties}
    yield Case(f"max_pool {g.name}", op, g.rows, shapes, 1, EXACT, fills, bench=bench)
    grad = ops.MaxPoolGrad(dy="dy", argmax="argmax", dx="dx", size=g.size, **g.fields())
    yield Case(
        f"max_pool_grad {g.name}",
        grad,
        g.rows,
        {"dy": y, "argmax": y, "dx": x},
        grad.taps,
        LINEAR,
        {"argmax": taps_inside(grad, g.size)},
        bench=bench,
    )


def _max_variants(g: Geometry) -> Iterator[Case]:
    x, y = g.shapes()
    plain = ops.MaxPool(x="x", y="y", **g.fields())
    shapes = {"x": x, "y": y}
    yield Case("max_pool no argmax", plain, g.rows, shapes, 1, EXACT, {"x": no_ties})
    op = plain.replace(argmax="argmax")
    shapes = {**shapes, "argmax": y}
    yield Case("max_pool ties", op, g.rows, shapes, 1, EXACT, {"x": many_ties})
    yield Case("max_pool not numbers", op, g.rows, shapes, 1, EXACT, {"x": not_all_numbers})
    for activation in ("relu", "sigmoid"):
        grad = ops.MaxPoolGrad(
            dy="dy",
            argmax="argmax",
            dx="dx",
            y="y",
            size=g.size,
            activation=activation,
            alpha=0.5,
            **g.fields(),
        )
        yield Case(
            f"max_pool_grad slope {activation}",
            grad,
            g.rows,
            {"dy": y, "argmax": y, "y": y, "dx": x},
            grad.taps,
            LINEAR,
            {"argmax": taps_inside(grad, g.size)},
        )


def _average_cases(
    g: Geometry, *, divisor: int, count_padding: bool, bench: bool = False
) -> Iterator[Case]:
    x, y = g.shapes()
    fields = {**g.fields(), "divisor": divisor, "count_padding": count_padding}
    name = f"{g.name}{f' by {divisor}' if divisor else ''}{' padding' * count_padding}"
    taps = math.prod(g.kernel)
    op = ops.AvgPool(x="x", y="y", **fields)
    yield Case(f"avg_pool {name}", op, g.rows, {"x": x, "y": y}, taps, LINEAR, bench=bench)
    grad = ops.AvgPoolGrad(dy="dy", dx="dx", size=g.size, **fields)
    shapes = {"dy": y, "dx": x}
    yield Case(f"avg_pool_grad {name}", grad, g.rows, shapes, taps, LINEAR, bench=bench)


def pool_sized(size: int, rows: int) -> Iterator[Case]:
    """Yield pools with this many channels, and with this width."""
    for geometry in (
        Geometry(rows, (3, 4), size, (2, 2), (1, 2), (0, 1, 1, 1)),
        Geometry(rows, (2, size), 3, (2, 1), (1, 1)),
        Geometry(rows, (size,), 2, (3,), (2,), (1, 1)),
    ):
        yield from _max_cases(geometry)
        yield from _average_cases(geometry, divisor=0, count_padding=False)
