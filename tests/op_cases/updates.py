"""Cases of the optimiser steps."""

from __future__ import annotations

from collections.abc import Iterator

from tolerance import LINEAR

from op_cases.case import Case, normal, positive, some_zero
from pybp.program import ops
from pybp.program.ops import N


def update_cases() -> Iterator[Case]:
    for size, bench in ((37, False), (400_000, True)):
        flat = {"w": (size,), "g": (size,)}
        plain = (0.1, 1.0, 0.01, 0.0, 1.0)
        yield Case(f"sgd {size}", ops.SGD("w", "g"), 1, flat, 2, LINEAR, {}, plain, bench)
        hyper = (0.1, -1.0, 0.01, 0.9, 0.8)
        for nesterov in (False, True):
            op = ops.SGD("w", "g", "v", nesterov)
            shapes = {**flat, "v": (size,)}
            name = f"sgd momentum{' nesterov' * nesterov} {size}"
            yield Case(name, op, 1, shapes, 3, LINEAR, {}, hyper, bench)
        yield from _fused_steps(64 if bench else 1)
        shapes = {**flat, "m": (size,), "v": (size,)}
        fills = {"v": positive, "vmax": positive}
        hyper = (1e-2, 1.0, 0.02, 0.9, 0.1, 0.999, 0.001, 1e-8, 0.19, 0.045)
        for decoupled in (False, True):
            op = ops.Adam("w", "g", "m", "v", "", decoupled)
            name = f"adam{' decoupled' * decoupled} {size}"
            yield Case(name, op, 1, shapes, 3, LINEAR, fills, hyper, bench)
        op = ops.Adam("w", "g", "m", "v", "vmax")
        shapes = {**shapes, "vmax": (size,)}
        yield Case(f"adam amsgrad {size}", op, 1, shapes, 3, LINEAR, fills, hyper, bench)


def _fused_steps(rows: int) -> Iterator[Case]:
    for inner, outer in ((784, 40), (7, 19)):
        for weight_decay, start in ((0.0, some_zero), (0.1, normal)):
            yield Case(
                f"sgd_dense {rows}x{inner}x{outer} decay {weight_decay}",
                ops.SGDDense("x", "dy", "w", "b"),
                rows,
                {"x": (N, inner), "dy": (N, outer), "w": (inner, outer), "b": (outer,)},
                rows,
                LINEAR,
                {"x": start},
                (0.1, 1.0, weight_decay, 0.0, 1.0),
                inner == 784,
            )
