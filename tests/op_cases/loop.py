"""Cases of the ops that stand around loops over time, and of products and parts of rows."""

from __future__ import annotations

from collections.abc import Iterator

from tolerance import EXACT

from op_cases.case import Case, Shape, not_a_number
from op_cases.sequence import LENGTHS, MANY
from pybp.program import ops
from pybp.program.ops import N, packed

P = packed(0)


def loop_cases() -> Iterator[Case]:
    for _, lengths, title in LENGTHS:
        for inner in ((), (3,), (2, 5)):
            yield from _order_cases(f"{title} {inner}", lengths, inner)
    yield from _order_cases(MANY[2], MANY[1], (65,), bench=True)
    for shape, rows in (((N, 4), 3), ((N, 2, 3), 1), ((7,), 1), ((N, 300), 256)):
        yield from _product_cases(f"{rows} {shape}", shape, rows, bench=rows > 100)
    for leading, rows in (((P,), 4), ((N, 3), 2), ((6,), 1)):
        yield from _pad_cases(f"{leading}", leading, rows, 3, 2)


def loop_sized(size: int) -> Iterator[Case]:
    """Yield a case of every kind of op with this inner size."""
    lengths = tuple(1 + (size + 3 * i) % 4 for i in range(1 + size % 5))
    yield from _order_cases(f"of {size}", lengths, (size,))
    yield from _product_cases(f"of {size}", (N, size), 1 + size % 4)
    yield from _pad_cases(f"of {size}", (N,), 3, size, 2)


def _order_cases(
    title: str, lengths: tuple[int, ...], inner: Shape, bench: bool = False
) -> Iterator[Case]:
    rows, whole, each = len(lengths), (N, *inner), (P, *inner)
    more = {"bench": bench, "lengths": lengths}
    for op, shapes in (
        (ops.ByRank("x", "y"), {"x": whole, "y": whole}),
        (ops.ByRank("x", "y", inverse=True), {"x": whole, "y": whole}),
        (ops.LastStep("x", "y"), {"x": each, "y": whole}),
        (ops.LastStepGrad("dy", "dx"), {"dy": whole, "dx": each}),
        (ops.ReverseSteps("x", "y"), {"x": each, "y": each}),
    ):
        way = " back" if getattr(op, "inverse", False) else ""
        yield Case(f"{op.kind}{way} {title}", op, rows, shapes, 1, EXACT, **more)
    for shape in (whole, each):
        name = f"zeros {title} {len(shape)} {shape[0]}"
        yield Case(name, ops.Zeros("y", shape), rows, {"y": shape}, 1, EXACT, **more)


def _product_cases(title: str, shape: Shape, rows: int, bench: bool = False) -> Iterator[Case]:
    shapes = dict.fromkeys("aby", shape)
    yield Case(
        f"multiply {title}", ops.Multiply("a", "b", "y"), rows, shapes, 1, EXACT, bench=bench
    )


def _pad_cases(title: str, leading: Shape, rows: int, size: int, more: int) -> Iterator[Case]:
    lengths = (3, 1, 2, 2)[:rows] if leading[0] == P else ()
    for start, width in ((0, size), (0, size + more), (more, size + more), (1, size + more)):
        op = ops.PadColumns("x", "y", start, width)
        shapes = {"x": (*leading, size), "y": (*leading, width)}
        name = f"pad_columns {start}+{size} of {width} {title}"
        yield Case(name, op, rows, shapes, 1, EXACT, {"y": not_a_number}, lengths=lengths)
