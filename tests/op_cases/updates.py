"""Cases of the optimiser steps."""

from __future__ import annotations

from collections.abc import Iterator

from tolerance import LINEAR

from op_cases.case import Case, Shape, normal, positive, small, some_rows, some_zero
from pybp.program import ops
from pybp.program.ops import N

_MEANS = (1e-2, 1.0, 0.02, 0.9, 0.1, 0.999, 0.001, 1e-8)
HYPER: dict[type[ops.Op], tuple[float, ...]] = {
    ops.SGD: (0.1, -1.0, 0.01, 0.9, 0.8),
    ops.Adam: (*_MEANS, 0.19, 0.045),
    ops.Nadam: (*_MEANS, 0.55, 0.73, 0.045),
    ops.Radam: (*_MEANS, 0.19, 0.3),
    ops.Adamax: (1e-2, -1.0, 0.02, 0.9, 0.1, 0.999, 1e-8, 0.19),
    ops.Adagrad: (1e-2, -1.0, 0.02, 1e-10),
    ops.RMSProp: (1e-2, -1.0, 0.02, 0.9, 0.1, 1e-8, 0.7),
    ops.Adadelta: (0.9, -1.0, 0.02, 0.9, 0.1, 1e-6),
}
FILLS = dict.fromkeys(("v", "u", "vmax", "sum"), positive) | {"m": small}


def update_cases() -> Iterator[Case]:
    for size, bench in ((37, False), (400_000, True)):
        yield from _flat_cases(size, bench)
        yield from _fused_steps(64 if bench else 1)
    yield from row_update_cases(11, 5, 8)
    yield from row_update_cases(3000, 100, 1500)  # more than one range of rows
    yield from row_update_cases(74_000, 100, 6400, bench=True)


def _flat_cases(size: int, bench: bool) -> Iterator[Case]:
    flat: dict[str, Shape] = {"w": (size,), "g": (size,)}
    plain = (0.1, 1.0, 0.01, 0.0, 1.0)
    yield Case(f"sgd {size}", ops.SGD("w", "g"), 1, flat, 2, LINEAR, {}, plain, bench)
    first = (*HYPER[ops.Radam][:9], 0.0)
    op: ops.Op = ops.Radam("w", "g", "m", "v")
    shapes = flat | {"m": (size,), "v": (size,)}
    yield Case(f"radam at first {size}", op, 1, shapes, 3, LINEAR, FILLS, first, bench)
    for title, op in _updates():
        shapes = dict.fromkeys(("g", *op.outputs()), (size,))
        yield Case(f"{title} {size}", op, 1, shapes, 3, LINEAR, FILLS, HYPER[type(op)], bench)


def _updates() -> Iterator[tuple[str, ops.Update]]:
    """Yield every kind of update but plain SGD, with a title."""
    for nesterov in (False, True):
        op: ops.Update = ops.SGD("w", "g", "v", nesterov)
        yield f"sgd momentum{' nesterov' * nesterov}", op
    for decoupled in (False, True):
        what = " decoupled" * decoupled
        yield f"adam{what}", ops.Adam("w", "g", "m", "v", "", decoupled)
        yield f"nadam{what}", ops.Nadam("w", "g", "m", "v", decoupled, scale=0.3)
        yield f"radam{what}", ops.Radam("w", "g", "m", "v", decoupled)
    yield "adam amsgrad", ops.Adam("w", "g", "m", "v", "vmax", scale=0.3)
    yield "adamax", ops.Adamax("w", "g", "m", "u", scale=0.3)
    yield "adagrad", ops.Adagrad("w", "g", "sum", scale=0.3)
    for m in ("", "m"):
        for velocity in ("", "velocity"):
            title = f"rms_prop{' centred' * bool(m)}{' momentum' * bool(velocity)}"
            yield title, ops.RMSProp("w", "g", "v", m, velocity, scale=0.3)
    yield "adadelta", ops.Adadelta("w", "g", "v", "u", scale=0.3)


def row_update_cases(count: int, size: int, touched: int, bench: bool = False) -> Iterator[Case]:
    """Yield a case of each update of some rows of a table; for benchmarks of the common two."""
    table: Shape = (count, size)
    fills = FILLS | {"rows": some_rows(count)}
    shapes: dict[str, Shape] = {"g": (N, size), "rows": (N,)}
    plain = ("sgd plain", ops.SGD("w", "g"))
    for title, update in (plain, *_updates()):
        op = update.replace(rows="rows", count=count)
        full = shapes | dict.fromkeys(op.outputs(), table)
        name, hyper = f"{title} of rows {count}x{size}", HYPER[type(op)]
        if not bench or title in ("sgd plain", "adam"):
            yield Case(name, op, touched, full, 3, LINEAR, fills, hyper, bench=bench)


def _fused_steps(rows: int) -> Iterator[Case]:
    for inner, outer in ((784, 40), (7, 19)):
        for weight_decay, start in ((0.0, some_zero), (0.1, normal)):
            yield Case(
                f"sgd_dense {rows}x{inner}x{outer} decay {weight_decay}",
                ops.SGDDense("x", "dy", "w", "b", 0.7),
                rows,
                {"x": (N, inner), "dy": (N, outer), "w": (inner, outer), "b": (outer,)},
                rows,
                LINEAR,
                {"x": start},
                (0.1, 1.0, weight_decay, 0.0, 1.0),
                inner == 784,
            )
