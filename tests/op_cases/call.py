"""Cases of the ops that run a user's NumPy code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from tolerance import LINEAR, TRANSCENDENTAL

from op_cases.case import Case, Fill, Shape, labels, some_zero
from pybp.program import ops
from pybp.program.function import Function
from pybp.program.ops import N, packed

P = packed(0)
Arrays = list[np.ndarray]


def _square(xs: Arrays, params: Arrays) -> np.ndarray:
    return xs[0] * xs[0]


def _square_back(
    xs: Arrays, y: np.ndarray, dy: np.ndarray, params: Arrays
) -> tuple[Arrays, Arrays]:
    return [2 * xs[0] * dy], []


def _mix(xs: Arrays, params: Arrays) -> np.ndarray:
    """Return ``a * w + sum(b * b)``, the sum over the last axis, for a (n, k) and b (n, m)."""
    (a, b), (w,) = xs, params
    return a * w + np.sum(b * b, axis=-1, keepdims=True)


def _mix_back(xs: Arrays, y: np.ndarray, dy: np.ndarray, params: Arrays) -> tuple[Arrays, Arrays]:
    (a, b), (w,) = xs, params
    return [dy * w, 2 * b * np.sum(dy, axis=-1, keepdims=True)], [np.sum(dy * a, axis=0)]


SQUARE = Function("square", _square, _square_back)
MIX = Function("mix", _mix, _mix_back, ("w",))
CUBES = Function("cubes", lambda p, t: np.abs(p - t) ** 3, lambda p, t: 3 * np.abs(p - t) * (p - t))
FOURTH = Function(
    "fourth",
    lambda p, t: np.sum((p - t) ** 4, axis=-1),
    lambda p, t: 4 * (p - t) ** 3,
)


def _chosen(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return minus the entry that a label chooses, squared: labels (n,) of p (n, classes)."""
    assert t.dtype == np.int32
    return -(np.take_along_axis(p, t[:, None], axis=1)[:, 0] ** 2)


def _chosen_slopes(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    return np.where(np.arange(p.shape[1]) == t[:, None], -2 * p, 0).astype(p.dtype)


CHOSEN = Function("chosen", _chosen, _chosen_slopes)


def call_cases() -> Iterator[Case]:
    yield from _layers((N,), 5, 7, 4, ())
    yield from _layers((P,), 7, 3, 2, (3, 0, 4))
    yield from _losses((N, 7), 5, ())
    yield from _losses((P, 3), 3, (2, 4, 1))


def call_sized(size: int, rows: int) -> Iterator[Case]:
    """Yield the cases with samples of this size."""
    yield from _layers((N,), rows, size, 3, ())
    yield from _losses((N, size), rows, ())


def _layers(
    leading: Shape, rows: int, wide: int, other: int, lengths: tuple[int, ...]
) -> Iterator[Case]:
    a, b, w = (*leading, wide), (*leading, other), (wide,)
    name = f"{leading[0]} {rows}x{wide}"
    steps = sum(lengths) or rows
    samples = len(lengths) or rows

    def case(title: str, op: ops.Op, shapes: dict[str, Shape], function: Function) -> Case:
        terms = max(steps, wide, other)
        return Case(
            *(f"{title} {name}", op, samples, shapes, terms, LINEAR),
            lengths=lengths,
            functions=(function,),
        )

    yield case("call square", ops.Call("x", (), (), "y", 0, (wide,)), {"x": a, "y": a}, SQUARE)
    op: ops.Op = ops.Call("x", ("b",), ("w",), "y", 0, (wide,))
    yield case("call mix", op, {"x": a, "b": b, "w": w, "y": a}, MIX)
    op = ops.CallGrad("x", "y", "dy", (), (), "dx", (), (), 0)
    yield case("call_grad square", op, {"x": a, "y": a, "dy": a, "dx": a}, SQUARE)
    shapes = {"x": a, "y": a, "dy": a, "b": b, "w": w}
    written = {"dx": a, "db": b, "dw": w}
    for accumulate in (False, True):
        op = ops.CallGrad(
            "x", "y", "dy", ("b",), ("w",), "dx", ("db",), ("dw",), 0, accumulate=accumulate
        )
        yield case(f"call_grad mix accumulate={accumulate}", op, shapes | written, MIX)
    op = ops.CallGrad("x", "y", "dy", ("b",), ("w",), "", ("",), ("dw",), 0)
    yield case("call_grad mix by w", op, shapes | {"dw": w}, MIX)
    op = ops.CallGrad("x", "y", "dy", ("b",), ("w",), "", ("db",), ("",), 0)
    yield case("call_grad mix by b", op, shapes | {"db": b}, MIX)


def _losses(shape: Shape, rows: int, lengths: tuple[int, ...]) -> Iterator[Case]:
    each: list[tuple[str, Function, int, Shape, dict[str, Fill]]] = [
        ("cubes", CUBES, 1, shape[1:], {}),
        ("fourth", FOURTH, 0, shape[1:], {}),
        ("chosen", CHOSEN, 0, (), {"target": labels(shape[-1])}),
    ]
    elements = (sum(lengths) or rows) * shape[-1]
    for title, function, axes, target, fills in each:
        for reduction in ("mean", "samples" if lengths else "batch", "sum"):
            for weighted in (False, True):
                shapes = {"prediction": shape, "target": (shape[0], *target)}
                shapes |= {"dy": shape, "losses": shape[: 1 + axes]}
                shapes |= {"weight": shape[:1]} if weighted else {}
                options: dict[str, Any] = {"axes": axes, "target_shape": target}
                op = ops.CallLoss(
                    *("prediction", "target", "weight" if weighted else "", "dy", "losses"),
                    *(reduction, 0.5),
                    **options,
                )
                name = f"call_loss {title} {shape} {reduction}{' weighted' * weighted}"
                yield Case(
                    *(name, op, len(lengths) or rows, shapes, elements, TRANSCENDENTAL),
                    {**fills, "weight": some_zero},
                    lengths=lengths,
                    functions=(function,),
                )
