"""Cases of normalisation, and of the ops on channels that go with images."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from tolerance import EXACT, LINEAR

from op_cases.case import Case, Shape, not_a_number, positive
from pybp.program import ops
from pybp.program.ops import N


def far_from_zero(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Return numbers whose squares hide their variance."""
    return rng.normal(100, 1, shape)


def norm_cases() -> Iterator[Case]:
    yield from _moments_cases()
    yield from _batch_cases()
    yield from _batch_variants()
    yield from _layer_cases()


IMAGES: list[tuple[int, Shape, bool]] = [
    (9, (N, 5), False),
    (3, (N, 4, 5, 3), False),
    (2, (N, 11, 17), False),
    (5, (N, 3, 3, 64), False),
    (64, (N, 14, 14, 16), True),
    (16, (N, 32, 32, 32), True),
]


def _moments_cases() -> Iterator[Case]:
    for rows, x, bench in IMAGES:
        channels = x[-1:]
        shapes = {"x": x, "mean": channels, "var": channels}
        op = ops.ChannelMoments("x", "mean", "var")
        name = f"{rows} {x[1:]}"
        terms = rows * math.prod(x[1:-1])
        fills = {"x": far_from_zero, "mean": not_a_number, "var": not_a_number}
        yield Case(f"channel_moments {name}", op, rows, shapes, terms, LINEAR, fills, bench=bench)
        if not bench:  # running statistics would go on from call to call
            op = ops.ChannelMoments("x", "mean", "var", "running_mean", "running_var", 0.3)
            shapes = {**shapes, "running_mean": channels, "running_var": channels}
            fills = {**fills, "running_var": positive}
            yield Case(f"channel_moments running {name}", op, rows, shapes, terms, LINEAR, fills)


def _batch_cases() -> Iterator[Case]:
    for rows, x, bench in IMAGES:
        c = x[-1:]
        name, terms = f"{rows} {x[1:]}", rows * math.prod(x[1:-1])
        read = {"x": x, "mean": c, "var": c, "gamma": c}
        op: ops.Op = ops.BatchNorm("x", "mean", "var", "y", "gamma", "beta")
        shapes = {**read, "beta": c, "y": x}
        fills = {"var": positive}
        yield Case(f"batch_norm {name}", op, rows, shapes, 1, LINEAR, fills, bench=bench)
        op = ops.BatchNormGrad(
            "dy", "x", "mean", "var", gamma="gamma", dx="dx", dgamma="dgamma", dbeta="dbeta"
        )
        shapes = {"dy": x, **read, "dx": x, "dgamma": c, "dbeta": c}
        fills = {**fills, "dgamma": not_a_number, "dbeta": not_a_number}
        yield Case(f"batch_norm_grad {name}", op, rows, shapes, terms, LINEAR, fills, bench=bench)


def _batch_variants() -> Iterator[Case]:
    rows, x, c, terms = 3, (N, 4, 9), (9,), 12
    read = {"x": x, "mean": c, "var": c}
    fills = {"var": positive}
    op: ops.Op = ops.BatchNorm("x", "mean", "var", "y")
    yield Case("batch_norm plain", op, rows, {**read, "y": x}, 1, LINEAR, fills)
    for activation in ("relu", "leaky_relu", "sigmoid", "tanh"):
        fused = {"activation": activation, "alpha": 0.5}
        op = ops.BatchNorm("x", "mean", "var", "y", "gamma", "beta", 0.1, **fused)
        shapes = {**read, "gamma": c, "beta": c, "y": x}
        yield Case(f"batch_norm {activation}", op, rows, shapes, 1, LINEAR, fills)
        op = ops.BatchNormGrad(
            *("dy", "x", "mean", "var", "y", "gamma", "dx", "dgamma", "dbeta"), eps=0.1, **fused
        )
        shapes = {"dy": x, **read, "y": x, "gamma": c, "dx": x, "dgamma": c, "dbeta": c}
        yield Case(f"batch_norm_grad slope {activation}", op, rows, shapes, terms, LINEAR, fills)
    plain = ops.BatchNormGrad("dy", "x", "mean", "var", dx="dx")
    shapes = {"dy": x, **read, "dx": x}
    yield Case("batch_norm_grad plain", plain, rows, shapes, terms, LINEAR, fills)
    op = plain.replace(batch_statistics=False)
    yield Case("batch_norm_grad fixed statistics", op, rows, shapes, terms, LINEAR, fills)
    op = ops.BatchNormGrad("dy", "x", "mean", "var", dgamma="dgamma", dbeta="dbeta")
    shapes = {"dy": x, **read, "dgamma": c, "dbeta": c}
    yield Case("batch_norm_grad parameters alone", op, rows, shapes, terms, LINEAR, fills)
    op = op.replace(accumulate=True)
    yield Case("batch_norm_grad accumulate", op, rows, shapes, terms, LINEAR, fills)


LAYERS: list[tuple[int, Shape, int, bool]] = [
    (4, (N, 10), 1, False),
    (3, (N, 5, 17), 1, False),
    (3, (N, 5, 7), 2, False),
    (2, (N, 4, 3, 5), 2, False),
    (64, (N, 512), 1, True),
]


def _layer_cases() -> Iterator[Case]:
    for rows, x, axes, bench in LAYERS:
        outer, inner = x[:-axes], x[-axes:]
        name = f"{rows} {x[1:]} axes {axes}"
        width, others = math.prod(inner), rows * math.prod(outer[1:])
        op = ops.LayerNorm("x", "y", "mean", "rstd", "gamma", "beta", axes)
        shapes = {"x": x, "gamma": inner, "beta": inner, "y": x, "mean": outer, "rstd": outer}
        yield Case(f"layer_norm {name}", op, rows, shapes, width, LINEAR, bench=bench)
        grad = ops.LayerNormGrad(
            *("dy", "x", "mean", "rstd", "gamma", "dx", "dgamma", "dbeta"), axes=axes
        )
        read = {"dy": x, "x": x, "mean": outer, "rstd": outer}
        shapes = {**read, "gamma": inner, "dx": x, "dgamma": inner, "dbeta": inner}
        fills = {"rstd": positive}
        terms = max(width, others)
        new = {**fills, "dgamma": not_a_number, "dbeta": not_a_number}
        yield Case(f"layer_norm_grad {name}", grad, rows, shapes, terms, LINEAR, new, bench=bench)
        if not bench:
            grad = grad.replace(accumulate=True)
            yield Case(
                f"layer_norm_grad accumulate {name}", grad, rows, shapes, terms, LINEAR, fills
            )
    x, outer = (N, 3, 6), (N, 3)
    op = ops.LayerNorm("x", "y", "mean", "rstd", eps=0.1)
    shapes = {"x": x, "y": x, "mean": outer, "rstd": outer}
    yield Case("layer_norm plain", op, 4, shapes, 6, LINEAR)
    grad = ops.LayerNormGrad("dy", "x", "mean", "rstd", dx="dx")
    shapes = {"dy": x, "x": x, "mean": outer, "rstd": outer, "dx": x}
    yield Case("layer_norm_grad plain", grad, 4, shapes, 6, LINEAR, {"rstd": positive})


def channel_cases() -> Iterator[Case]:
    for rows, x, bench in ((3, (N, 37), False), (2, (N, 3, 4, 5), False), (64, (N, 4096), True)):
        yield from _sum_cases(rows, x, bench=bench)
    moves: list[tuple[int, Shape, bool]] = [
        (2, (3, 4, 5), False),
        (3, (17, 6), False),
        (1, (1, 7), False),
        (16, (64, 33, 31), True),
    ]
    for rows, (c, *space), bench in moves:
        first, last = (N, c, *space), (N, *space, c)
        for x, y in ((first, last), (last, first)):
            op = ops.MoveChannels("x", "y", y == last)
            name = f"move_channels {'last' if y == last else 'first'} {rows} {x[1:]}"
            yield Case(name, op, rows, {"x": x, "y": y}, 1, EXACT, bench=bench)
    for p, rows, space in ((0.5, 3, (4, 5, 7)), (0.2, 2, (9, 16)), (1.0, 2, (3, 2))):
        shapes = {"x": (N, *space), "y": (N, *space)}
        op = ops.Dropout("x", "y", p, 3, True)
        yield Case(f"dropout channels {p} {rows} {space}", op, rows, shapes, 1, EXACT)


def _sum_cases(rows: int, x: Shape, *, bench: bool) -> Iterator[Case]:
    name, terms = f"{rows} {x[1:]}", rows * math.prod(x[1:-1])
    for activation in ("identity",) if bench else ("identity", "relu", "leaky_relu", "tanh"):
        fused = {"activation": activation, "alpha": 0.5}
        op: ops.Op = ops.Add("a", "b", "y", **fused)
        shapes = {"a": x, "b": x, "y": x}
        yield Case(f"add {activation} {name}", op, rows, shapes, 1, LINEAR, bench=bench)
        op = ops.Bias("x", "b", "y", **fused)
        shapes = {"x": x, "b": x[-1:], "y": x}
        yield Case(f"bias {activation} {name}", op, rows, shapes, 1, LINEAR, bench=bench)
    op = ops.BiasGrad("dy", "db")
    shapes = {"dy": x, "db": x[-1:]}
    fills = {"db": not_a_number}
    yield Case(f"bias_grad {name}", op, rows, shapes, terms, LINEAR, fills, bench=bench)
    if not bench:
        op = ops.BiasGrad("dy", "db", True)
        yield Case(f"bias_grad accumulate {name}", op, rows, shapes, terms, LINEAR)
