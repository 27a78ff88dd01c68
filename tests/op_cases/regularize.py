"""Cases of what acts on gradients and weights around an update."""

from __future__ import annotations

from collections.abc import Iterator

from tolerance import EXACT, LINEAR

from op_cases.case import Case, Shape, some_rows, some_zero
from pybp.program import ops
from pybp.program.ops import N


def regularize_cases() -> Iterator[Case]:
    for size, bench in ((37, False), (400_000, True)):
        yield from _flat_cases(size, bench)
    for shape, bench in (((9, 4), False), ((3, 3, 5, 19), False), ((784, 400), True)):
        name = f"max_norm {'x'.join(map(str, shape))}"
        rows = 1.0
        for extent in shape[:-1]:
            rows *= extent
        # The norms of the columns lie around the root of the number of rows.
        op = ops.MaxNorm("w", rows**0.5)
        yield Case(name, op, 1, {"w": shape}, 3, LINEAR, {}, (), bench)
    yield from regularize_by_rows(11, 5, 8)
    yield from regularize_by_rows(7000, 100, 6400, bench=True)


def _flat_cases(size: int, bench: bool) -> Iterator[Case]:
    flat: dict[str, Shape] = {"w": (size,), "g": (size,)}
    fills = {"w": some_zero}
    more = {"bench": bench}
    for l1, l2 in ((0.0, 0.3), (0.2, 0.0), (0.2, 0.3)):
        name = f"penalty l1 {l1} l2 {l2} {size}"
        yield Case(name, ops.Penalty("w", "g", l1, l2), 1, flat, 3, LINEAR, fills, **more)
    alone: dict[str, Shape] = {"g": (size,)}
    yield Case(f"clip_value {size}", ops.ClipValue("g", 0.7), 1, alone, 1, EXACT, **more)
    both: dict[str, Shape] = {"g": (size,), "h": (size, 2)}
    for limit, title in ((0.5, "above"), (1e6, "below")):
        op = ops.ClipNorm(("g", "h"), ("", ""), limit)
        yield Case(f"clip_norm {title} {size}", op, 1, both, 3, LINEAR, **more)


def regularize_by_rows(count: int, size: int, touched: int, bench: bool = False) -> Iterator[Case]:
    """Yield a case of each op that acts on gradients of some rows of a table."""
    fills, more = {"rows": some_rows(count)}, {"bench": bench}
    shapes: dict[str, Shape] = {"g": (N, size), "rows": (N,)}
    what = f"of rows {count}x{size}"
    op: ops.Op = ops.Penalty("w", "g", 0.2, 0.3, "rows")
    with_w = shapes | {"w": (count, size)}
    yield Case(f"penalty {what}", op, touched, with_w, 3, LINEAR, fills, **more)
    op = ops.ClipValue("g", 0.7, "rows")
    yield Case(f"clip_value {what}", op, touched, shapes, 1, EXACT, fills, **more)
    op = ops.ClipNorm(("g", "h"), ("rows", ""), 0.5)
    with_h = shapes | {"h": (size,)}
    yield Case(f"clip_norm {what}", op, touched, with_h, 3, LINEAR, fills, **more)
