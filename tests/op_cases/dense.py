"""Cases of the dense ops."""

from __future__ import annotations

from collections.abc import Iterator

from tolerance import LINEAR

from op_cases.case import Case, not_a_number
from pybp.program import ops
from pybp.program.ops import N


def dense_cases() -> Iterator[Case]:
    sizes = [
        (1, 1, 1),
        (1, 784, 40),
        (3, 7, 5),
        (8, 31, 17),
        (15, 257, 33),
        (32, 784, 40),
        (33, 64, 65),
        (100, 100, 10),
        (128, 512, 512),
        (300, 20, 1),
    ]
    for rows, inner, outer in sizes:
        x, w, y, b = (N, inner), (inner, outer), (N, outer), (outer,)
        name = f"{rows}x{inner}x{outer}"
        bench = rows * inner * outer >= 10_000
        for activation in (
            ("identity", "relu") if bench else ("identity", "relu", "tanh", "sigmoid")
        ):
            op = ops.Dense("x", "w", "y", "b", activation, 1.0)
            shapes = {"x": x, "w": w, "b": b, "y": y}
            yield Case(f"dense {activation} {name}", op, rows, shapes, inner, LINEAR, bench=bench)
        yield Case(
            f"dense_grad_weight {name}",
            ops.DenseGradWeight("x", "dy", "dw", "db"),
            rows,
            {"x": x, "dy": y, "dw": w, "db": b},
            rows,
            LINEAR,
            {"dw": not_a_number, "db": not_a_number},
            bench=bench,
        )
        yield Case(
            f"dense_grad_input {name}",
            ops.DenseGradInput("dy", "w", "dx"),
            rows,
            {"dy": y, "w": w, "dx": x},
            outer,
            LINEAR,
            bench=bench,
        )
    yield from _dense_variants()


def _dense_variants() -> Iterator[Case]:
    x, w, y, b = (N, 3, 6), (6, 5), (N, 3, 5), (5,)
    yield Case("dense no bias", ops.Dense("x", "w", "y"), 4, {"x": x, "w": w, "y": y}, 6, LINEAR)
    for activation, alpha in (
        ("leaky_relu", 0.1),
        ("sigmoid", 3.0),
        ("straight_through_relu", 0.0),
    ):
        op = ops.Dense("x", "w", "y", "b", activation, alpha)
        shapes = {"x": x, "w": w, "b": b, "y": y}
        yield Case(f"dense time steps {activation}", op, 4, shapes, 6, LINEAR)
    yield Case(
        "dense_grad_weight accumulate",
        ops.DenseGradWeight("x", "dy", "dw", "db", True),
        4,
        {"x": x, "dy": y, "dw": w, "db": b},
        12,
        LINEAR,
    )
    yield Case(
        "dense_grad_weight no bias",
        ops.DenseGradWeight("x", "dy", "dw"),
        4,
        {"x": x, "dy": y, "dw": w},
        12,
        LINEAR,
    )
    for activation in ("relu", "leaky_relu", "sigmoid", "tanh"):
        yield Case(
            f"dense_grad_input slope {activation}",
            ops.DenseGradInput("dy", "w", "dx", "x", activation, 0.5),
            7,
            {"dy": (N, 5), "w": w, "x": (N, 6), "dx": (N, 6)},
            5,
            LINEAR,
        )
