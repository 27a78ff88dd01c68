"""Cases of activations, softmax, dropout and reshape."""

from __future__ import annotations

from collections.abc import Iterator

from tolerance import EXACT, TRANSCENDENTAL

from op_cases.case import (
    Case,
    Fill,
    Shape,
    away_from,
    distributions,
    log_distributions,
    normal,
    probabilities,
)
from pybp.program import ops
from pybp.program.activations import ACTIVATIONS, slope_from_output
from pybp.program.ops import N

PARAMETERS = {
    "leaky_relu": (0.1, 0.0),
    "sigmoid": (1.5, 0.0),
    "elu": (0.7, 0.0),
    "softplus": (2.0, 0.0),
    "hard_tanh": (-0.7, 1.2),
}
KINKS = {"hard_tanh": (-0.7, 1.2), "hard_sigmoid": (-3.0, 3.0)}


def activation_cases() -> Iterator[Case]:
    for function in ACTIVATIONS:
        alpha, beta = PARAMETERS.get(function, (0.0, 0.0))
        for rows, size, bench in ((3, 37, False), (256, 512, True)):
            yield Case(
                f"activate {function} {rows}x{size}",
                ops.Activate("x", "y", function, alpha, beta),
                rows,
                {"x": (N, size), "y": (N, size)},
                1,
                TRANSCENDENTAL,
                {"x": away_from(0.0, *KINKS.get(function, ()))},
                bench=bench,
            )
            saved = _outputs(function, alpha) if slope_from_output(function, alpha) else normal
            yield Case(
                f"activate_grad {function} {rows}x{size}",
                ops.ActivateGrad("dy", "saved", "dx", function, alpha, beta),
                rows,
                {"dy": (N, size), "saved": (N, size), "dx": (N, size)},
                1,
                TRANSCENDENTAL,
                {"saved": saved},
                bench=bench,
            )
    yield Case(
        "activate leaky_relu of negative slope",
        ops.Activate("x", "y", "leaky_relu", -0.5),
        3,
        {"x": (N, 19), "y": (N, 19)},
        1,
        EXACT,
        {"x": away_from(0.0)},
    )


def _outputs(function: str, alpha: float) -> Fill:
    """Return a fill with numbers that the activation can give."""
    if function in ("sigmoid", "heaviside"):
        return probabilities
    if function == "tanh":
        return lambda rng, shape: rng.uniform(-0.95, 0.95, shape)
    return normal


def row_cases() -> Iterator[Case]:
    axes: list[tuple[Shape, int, int, bool]] = [
        ((N, 10), 1, 64, False),
        ((N, 1), 1, 3, False),
        ((N, 4, 9), 2, 5, False),
        ((N, 4, 9), 1, 5, False),
        ((N, 2, 3, 4), 2, 3, False),
        ((N, 1000), 1, 64, True),
        ((N, 10), 1, 512, True),
    ]
    for shape, axis, rows, bench in axes:
        for log in (False, True):
            title = "log_softmax" if log else "softmax"
            size = shape[axis]
            yield Case(
                f"{title} {rows} {shape[1:]} axis {axis}",
                ops.Softmax("x", "y", axis, log),
                rows,
                {"x": shape, "y": shape},
                size,
                TRANSCENDENTAL,
                bench=bench,
            )
            yield Case(
                f"{title}_grad {rows} {shape[1:]} axis {axis}",
                ops.SoftmaxGrad("dy", "y", "dx", axis, log),
                rows,
                {"dy": shape, "y": shape, "dx": shape},
                size,
                TRANSCENDENTAL,
                {"y": log_distributions if log else distributions},
                bench=bench,
            )
    for p, rows, size in ((0.5, 3, 41), (0.0, 2, 5), (1.0, 2, 5), (0.2, 128, 512)):
        shapes = {"x": (N, size), "y": (N, size)}
        op = ops.Dropout("x", "y", p, 3)
        yield Case(f"dropout {p} {rows}x{size}", op, rows, shapes, 1, EXACT, bench=rows > 100)
    shapes = {"x": (N, 3, 4), "y": (N, 12)}
    yield Case("reshape", ops.Reshape("x", "y", (12,)), 5, shapes, 1, EXACT)
