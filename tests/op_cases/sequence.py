"""Cases of the ops between packed sequences and whole samples, and on parts of rows."""

from __future__ import annotations

from collections.abc import Iterator

from tolerance import EXACT

from op_cases.case import Case, Shape
from pybp.program import ops
from pybp.program.ops import N, packed

P = packed(0)
LENGTHS: list[tuple[int, tuple[int, ...], str]] = [  # steps of whole samples, lengths, title
    (1, (1,), "1"),
    (3, (3, 3), "3,3"),
    (5, (2, 5, 1, 5, 4), "2,5,1,5,4"),
    (4, (0, 2, 0), "0,2,0"),
    (2, (0, 0), "0,0"),
    (7, (6, 1), "6,1 of 7"),
]
MANY = (20, tuple(1 + 7 * i % 20 for i in range(200)), "200 mixed")


def sequence_cases() -> Iterator[Case]:
    for steps, lengths, title in LENGTHS:
        for inner in ((), (3,), (2, 5)):
            yield from _pack_cases(steps, lengths, f"{title} {inner}", inner)
    yield from _pack_cases(*MANY, (65,), bench=True)
    rows: list[tuple[Shape, int, tuple[int, ...]]] = [
        ((P,), 4, (2, 1, 3, 3)),
        ((N,), 5, ()),
        ((N, 3, 2), 2, ()),
        ((6,), 1, ()),
    ]
    for leading, count, lengths in rows:
        yield from _column_cases(f"{count} {leading}", leading, count, lengths, 5, 3)
    yield from _column_cases("large", (P,), len(MANY[1]), MANY[1], 65, 128, bench=True)


def sequence_sized(size: int) -> Iterator[Case]:
    """Yield a case of every kind of op with this inner size."""
    lengths = tuple(1 + (size + 3 * i) % 4 for i in range(1 + size % 5))
    yield from _pack_cases(4, lengths, f"of {size}", (size,))
    yield from _column_cases(f"of {size}", (P,), len(lengths), lengths, size, 3)


def _pack_cases(
    steps: int, lengths: tuple[int, ...], title: str, inner: Shape = (), bench: bool = False
) -> Iterator[Case]:
    whole, each, rows = (N, steps, *inner), (P, *inner), len(lengths)
    more = {"bench": bench, "lengths": lengths}
    shapes = {"x": whole, "y": each}
    yield Case(f"pack {title}", ops.Pack("x", "y"), rows, shapes, 1, EXACT, **more)
    shapes = {"x": each, "y": whole}
    yield Case(f"unpack {title}", ops.Unpack("x", "y", steps), rows, shapes, 1, EXACT, **more)


def _column_cases(
    title: str,
    leading: Shape,
    rows: int,
    lengths: tuple[int, ...],
    a: int,
    b: int,
    bench: bool = False,
) -> Iterator[Case]:
    more = {"bench": bench, "lengths": lengths}
    left, right, both = (*leading, a), (*leading, b), (*leading, a + b)
    shapes = {"a": left, "b": right, "y": both}
    yield Case(f"concat {title}", ops.Concat("a", "b", "y"), rows, shapes, 1, EXACT, **more)
    for start, size in ((0, a), (a, b), (a - 1, 2), (0, a + b)):
        op = ops.Columns("x", "y", start, size)
        shapes = {"x": both, "y": (*leading, size)}
        yield Case(f"columns {start}+{size} {title}", op, rows, shapes, 1, EXACT, **more)
