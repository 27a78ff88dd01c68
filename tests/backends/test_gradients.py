"""The second judge: NumPy's gradients are finite differences in float64, op by op."""

from __future__ import annotations

import numpy as np
import op_cases
import pytest
from finite_difference import directional_difference
from op_cases import OP_CASES, Case, ids

from pybp import backends
from pybp.program import ops
from pybp.program.gradient import GRADIENTS, add_gradient, gradient_name
from pybp.program.ops import N
from pybp.program.program import Program

SMOOTH = [
    case
    for case in OP_CASES
    if type(case.op) in GRADIENTS and "straight_through" not in case.name and not case.bench
]
LOSSES = [case for case in OP_CASES if isinstance(case.op, ops.Loss) and not case.bench]
DIRECTIONS = 3


def _close(got: float, expected: float, size: float) -> None:
    assert abs(got - expected) <= 1e-8 * max(abs(expected), size), (got, expected)


@pytest.mark.parametrize("case", SMOOTH, ids=ids)
def test_gradient_row_is_the_derivative(case: Case) -> None:
    """For L = sum(y * dy): the program made by the gradient table, against differences of L."""
    program, arrays = _gradient_program(case)
    fixed = {b.name: arrays[b.name] for b in program.of_role("param")}
    for buffer in program.of_role("grad"):
        fixed[buffer.name] = np.zeros(buffer.shape)
    executor = backends.make_executor("numpy", program, fixed, case.rows, keep_forward=True)

    def loss() -> float:
        for buffer in program.of_role("value"):
            if buffer.name in case.op.inputs():
                executor.write(buffer.name, arrays[buffer.name])
        _run(executor, case, 0, 1)
        return float(np.sum(executor.read("y", case.rows) * arrays["dy"]))

    loss()
    executor.write("dy", arrays["dy"])
    _run(executor, case, 1, len(program.ops))
    rng = np.random.default_rng(1)
    for name in case.op.inputs():
        gradient = gradient_name(name)
        analytic = fixed[gradient] if gradient in fixed else executor.read(gradient, case.rows)
        for _ in range(DIRECTIONS):
            direction = rng.normal(size=arrays[name].shape)
            expected = directional_difference(loss, arrays[name], direction)
            got = float(np.sum(analytic * direction))
            _close(got, expected, float(np.sum(np.abs(analytic * direction))))


def _gradient_program(case: Case) -> tuple[Program, dict[str, np.ndarray]]:
    program = Program(case.name, "float64")
    for name in case.op.inputs():
        shape = case.shapes[name]
        program.add_buffer(name, shape, "value" if shape[0] == N else "param")
    program.append(case.op)
    program.backward_start = 1
    program.add_buffer("dy", case.shapes["y"], "value")
    inputs = tuple(name for name in case.op.inputs() if case.shapes[name][0] == N)
    add_gradient(program, {"y": "dy"}, inputs=inputs)
    program.verify()
    arrays = op_cases.make_arrays(case, "float64")
    arrays["dy"] = np.random.default_rng(2).normal(size=arrays["y"].shape)
    return program, arrays


def _run(executor: backends.Executor, case: Case, begin: int, end: int) -> None:
    starts, nothing = np.array([0, case.rows]), np.zeros((1, 0))
    executor.run([], None, starts, nothing, nothing, 7, 5, begin, end)


@pytest.mark.parametrize("case", LOSSES, ids=ids)
def test_loss_gradient_is_the_derivative(case: Case) -> None:
    """``dy`` against differences of sum / divisor (of the sum for reduction "sum")."""
    arrays = op_cases.make_arrays(case, "float64")
    bound = op_cases.BoundCase(case, "float64", "numpy", arrays)

    def loss() -> float:
        bound.executor.write("prediction", arrays["prediction"])
        bound.run()
        total, divisor = bound.results[0]
        return float(total / divisor) if divisor else 0.0

    loss()
    analytic = bound.outputs()["dy"]
    rng = np.random.default_rng(1)
    for _ in range(DIRECTIONS):
        direction = rng.normal(size=analytic.shape)
        expected = directional_difference(loss, arrays["prediction"], direction)
        size = float(np.sum(np.abs(analytic * direction)))
        _close(float(np.sum(analytic * direction)), expected, max(size, 1e-2))


def test_every_op_with_a_gradient_has_a_case() -> None:
    assert {type(case.op) for case in SMOOTH} == set(GRADIENTS)
    losses = {kind for kind in ops.OPS.values() if issubclass(kind, ops.Loss)}
    assert {type(case.op) for case in LOSSES} == losses


def test_every_op_has_a_case() -> None:
    assert {type(case.op) for case in OP_CASES} == set(ops.OPS.values())
