"""Cases of the embedding ops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tolerance import EXACT, LINEAR

from op_cases.case import Case, Shape, labels, some_rows
from pybp.program import ops
from pybp.program.ops import N, packed

P = packed(0)
MIXED = (4, 0, 1, 7, 3, 0, 2, 7)
BAGS: list[tuple[tuple[int, ...], str]] = [
    ((1,), "1"),
    ((0, 0, 0), "all empty"),
    ((5, 5, 5), "5,5,5"),
    (MIXED, "mixed"),
    ((40, 3), "40,3"),  # many ids of few
]
MANY = tuple(100 + 7 * i % 200 for i in range(32))


def embedding_cases() -> Iterator[Case]:
    for leading, rows, lengths in (((N,), 6, ()), ((N, 4), 3, ()), ((P,), 8, MIXED)):
        for size in (1, 5, 16):
            yield from _row_cases(leading, rows, lengths, 7, size)
    yield from _row_cases((N, 200), 32, (), 74_000, 100, bench=True)
    for lengths, title in BAGS:
        for mode in ("sum", "mean", "max"):
            yield from _bag_cases(mode, lengths, title, 9, 5)
            yield from _bag_cases(mode, lengths, title, 9, 5, padding=2)
            yield from _bag_cases(mode, lengths, title, 9, 5, padding=2, unique=True)
        yield from _weighted_cases(lengths, title, 9, 5)
        yield from _weighted_cases(lengths, title, 9, 5, padding=0, unique=True)
    for mode in ("sum", "mean", "max"):
        yield from _bag_cases(mode, MANY, "many", 74_000, 100, bench=True)


def embedding_sized(size: int) -> Iterator[Case]:
    """Yield a case of every kind of op with this inner size."""
    lengths = tuple((size + 3 * i) % 4 for i in range(1 + size % 5))
    yield from _row_cases((N, 3), 2, (), 4, size)
    for mode in ("mean", "max"):
        yield from _bag_cases(mode, lengths, f"of {size}", 4, size)
    yield from _weighted_cases(lengths, f"of {size}", 4, size)


def _row_cases(
    leading: Shape,
    rows: int,
    lengths: tuple[int, ...],
    count: int,
    size: int,
    bench: bool = False,
) -> Iterator[Case]:
    more: dict[str, Any] = {"bench": bench, "lengths": lengths, "fills": {"ids": labels(count)}}
    title = f"{rows} {leading} of {count}x{size}"
    shapes = {"ids": leading, "w": (count, size), "y": (*leading, size)}
    yield Case(f"embedding {title}", ops.Embedding("ids", "w", "y"), rows, shapes, 1, EXACT, **more)
    for padding in (-1, 1):
        name = f"{title} padding {padding}"
        if padding >= 0:
            op: ops.Op = ops.Embedding("ids", "w", "y", padding)
            yield Case(f"embedding {name}", op, rows, shapes, 1, EXACT, **more)
        op = ops.EmbeddingGrad("ids", "dy", "rows", "values", padding)
        whole = {
            "ids": leading,
            "dy": (*leading, size),
            "rows": leading,
            "values": (*leading, size),
        }
        yield Case(f"embedding_grad {name}", op, rows, whole, 8, LINEAR, **more)
    yield from _scatter_cases(title, leading, rows, lengths, count, size, bench)


def _scatter_cases(
    title: str,
    leading: Shape,
    rows: int,
    lengths: tuple[int, ...],
    count: int,
    size: int,
    bench: bool,
) -> Iterator[Case]:
    fills = {"rows": some_rows(count)}
    shapes = {"rows": leading, "values": (*leading, size), "dw": (count, size)}
    more: dict[str, Any] = {"lengths": lengths, "fills": fills}
    for accumulate in (False, True):
        op = ops.ScatterRows("rows", "values", "dw", count, accumulate)
        name = f"scatter_rows{' accumulate' * accumulate} {title}"
        once = bench and not accumulate  # sums would go on from round to round
        yield Case(name, op, rows, shapes, 2, LINEAR, bench=once, **more)


def _bag_cases(
    mode: str,
    lengths: tuple[int, ...],
    title: str,
    count: int,
    size: int,
    *,
    padding: int = -1,
    unique: bool = False,
    bench: bool = False,
) -> Iterator[Case]:
    options: dict[str, Any] = {"mode": mode, "padding": padding, "unique": unique}
    rows, terms = len(lengths), max(lengths)
    title = f"{mode} {title} of {count}x{size} padding {padding}{' unique' * unique}"
    more: dict[str, Any] = {"bench": bench, "lengths": lengths}
    shapes: dict[str, Shape] = {"ids": (P,), "w": (count, size), "y": (N, size)}
    fills = {"ids": labels(count)}
    if mode == "max":
        shapes["argmax"] = (N, size)
        op = ops.EmbeddingBag("ids", "w", "y", argmax="argmax", **options)
    else:
        op = ops.EmbeddingBag("ids", "w", "y", **options)
    yield Case(f"bag {title}", op, rows, shapes, terms, LINEAR, fills, **more)
    shapes = {"ids": (P,), "dy": (N, size), "rows": (P,), "values": (P, size)}
    given = {"argmax": "argmax"} if mode == "max" else {}
    if given:
        shapes["argmax"] = (N, size)
        fills["argmax"] = labels(max(sum(lengths), 1))
    grad = ops.EmbeddingBagGrad("ids", "dy", "rows", "values", **given, **options)
    yield Case(f"bag_grad {title}", grad, rows, shapes, sum(lengths), LINEAR, fills, **more)


def _weighted_cases(
    lengths: tuple[int, ...], title: str, count: int, size: int, **options: Any
) -> Iterator[Case]:
    rows, fills = len(lengths), {"ids": labels(count)}
    title = f"weighted {title} of {count}x{size} {options}"
    options["mode"] = "sum"
    shapes: dict[str, Shape] = {"ids": (P,), "w": (count, size), "y": (N, size), "weights": (P,)}
    op = ops.EmbeddingBag("ids", "w", "y", "weights", **options)
    more: dict[str, Any] = {"lengths": lengths}
    yield Case(f"bag {title}", op, rows, shapes, max(lengths), LINEAR, fills, **more)
    shapes = {
        "ids": (P,),
        "dy": (N, size),
        "rows": (P,),
        "values": (P, size),
        "w": (count, size),
        "weights": (P,),
        "dweights": (P,),
    }
    grad = ops.EmbeddingBagGrad(
        "ids", "dy", "rows", "values", "w", "weights", dweights="dweights", **options
    )
    terms = max(sum(lengths), size)
    yield Case(f"bag_grad {title}", grad, rows, shapes, terms, LINEAR, fills, **more)
