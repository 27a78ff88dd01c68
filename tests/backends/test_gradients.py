"""The second judge: NumPy's gradients are finite differences in float64, op by op."""

from __future__ import annotations

import numpy as np
import op_cases
import pytest
from finite_difference import directional_difference
from op_cases import OP_CASES, Case, ids

from pybp import backends
from pybp.program import ops
from pybp.program.gradient import GRADIENTS, add_gradient
from pybp.program.ops import N, Shape
from pybp.program.program import Program

STATISTICS = ("mean", "var")  # what batch_norm reads and its row takes as given


def _is_smooth(case: Case) -> bool:
    """Tell whether a case is a forward op whose output has a derivative by what it reads."""
    op = case.op
    if type(op) not in GRADIENTS or case.bench:
        return False
    if isinstance(op, ops.ConvGradInput) and op.x:
        return False  # a slope taken along: part of a backward pass
    wild = ("straight_through", "ties", "not numbers")
    return not any(word in case.name for word in wild)


SMOOTH = [case for case in OP_CASES if _is_smooth(case)]
LOSSES = [case for case in OP_CASES if isinstance(case.op, ops.Loss) and not case.bench]
DIRECTIONS = 3


def _close(got: float, expected: float, size: float) -> None:
    assert abs(got - expected) <= 1e-8 * max(abs(expected), size), (got, expected)


@pytest.mark.parametrize("case", SMOOTH, ids=ids)
def test_gradient_row_is_the_derivative(case: Case) -> None:
    """For L = sum(y * seed): the program made by the gradient table, against differences of L."""
    program = Program(case.name, "float64")
    for name in case.op.inputs():
        shape = case.shapes[name]
        fixed = "constant" if name in STATISTICS else "param"
        program.add_buffer(name, shape, "value" if shape[0] == N else fixed)
    program.append(case.op)
    arrays = op_cases.make_arrays(case, "float64")
    check_gradients(program, arrays, case.op.outputs()[0], case.rows)


def check_gradients(
    program: Program, arrays: dict[str, np.ndarray], output: str, rows: int
) -> None:
    """Add the backward pass for L = sum(output * seed), and hold it to differences of L.

    arrays: a value for each buffer that no op writes; changed in place while it is tested.
    """
    given = [b for b in program.buffers.values() if b.name in _unwritten(program)]
    inputs = tuple(b.name for b in given if b.batched)
    forward = program.backward_start = len(program.ops)
    program.add_buffer("seed", program.shape(output), "value")
    gradients = add_gradient(program, {output: "seed"}, inputs=inputs)
    program.verify()
    fixed = {b.name: arrays[b.name] for b in given if not b.batched}
    for buffer in program.of_role("grad"):
        fixed[buffer.name] = np.zeros(buffer.shape)
    executor = backends.make_executor("numpy", program, fixed, rows, keep_forward=True)
    shape = tuple(rows if extent == N else extent for extent in program.shape(output))
    seed = np.random.default_rng(2).normal(size=shape)

    def loss() -> float:
        for name in inputs:
            executor.write(name, arrays[name])
        _run(executor, rows, 0, forward)
        return float(np.sum(executor.read(output, rows) * seed))

    loss()
    executor.write("seed", seed)
    _run(executor, rows, forward, len(program.ops))
    wanted = [b.name for b in given if b.role != "constant"]
    analytic = {name: executor.read(gradients[name], rows) for name in wanted}
    rng = np.random.default_rng(1)
    for name in wanted:
        for _ in range(DIRECTIONS):
            direction = rng.normal(size=arrays[name].shape)
            expected = directional_difference(loss, arrays[name], direction)
            got = float(np.sum(analytic[name] * direction))
            _close(got, expected, float(np.sum(np.abs(analytic[name] * direction))))


def _unwritten(program: Program) -> set[str]:
    written = {name for op in program.ops for name in op.outputs()}
    return set(program.buffers) - written


def _run(executor: backends.Executor, rows: int, begin: int, end: int) -> None:
    starts, nothing = np.array([0, rows]), np.zeros((1, 0))
    executor.run([], None, starts, nothing, nothing, 7, 5, begin, end)


def _check_chain(
    chain: list[ops.Op], given: dict[str, Shape], parameters: dict[str, Shape]
) -> Program:
    """Check the gradients of ops that read each other's values; the last one writes y."""
    rows, rng = 4, np.random.default_rng(3)
    program = Program("chain", "float64")
    for name, shape in given.items():
        program.add_buffer(name, shape, "value")
    for name, shape in parameters.items():
        program.add_buffer(name, shape, "param")
    arrays = {
        name: rng.normal(size=tuple(rows if extent == N else extent for extent in shape))
        for name, shape in (given | parameters).items()
    }
    for op in chain:
        program.append(op)
    check_gradients(program, arrays, "y", rows)
    return program


@pytest.mark.parametrize("shape", [(N, 5), (N, 3, 2, 5)])
@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_batch_norm_by_its_own_statistics(shape: Shape, activation: str) -> None:
    chain: list[ops.Op] = [
        ops.ChannelMoments("x", "mean", "var"),
        ops.BatchNorm("x", "mean", "var", "y", "gamma", "beta", 0.1, activation),
    ]
    program = _check_chain(chain, {"x": shape}, {"gamma": (5,), "beta": (5,)})
    assert [op.batch_statistics for op in program.ops if isinstance(op, ops.BatchNormGrad)] == [
        True
    ]


def test_batch_norm_between_layers() -> None:
    """The slope below is taken where it belongs, and the moments pass no gradient twice."""
    chain: list[ops.Op] = [
        ops.Conv((1, 1), (1, 1, 1, 1), (1, 1), 1, False, "x", "w", "c", "b", "tanh"),
        ops.ChannelMoments("c", "mean", "var"),
        ops.BatchNorm("c", "mean", "var", "n", "gamma", "beta", 0.1, "sigmoid", 1.0),
        ops.AvgPool((2, 2), (0, 0, 0, 0), (1, 1), (2, 2), False, 0, True, "n", "y"),
    ]
    parameters = {"w": (3, 3, 2, 3), "b": (3,), "gamma": (3,), "beta": (3,)}
    _check_chain(chain, {"x": (N, 4, 6, 2)}, parameters)


def test_a_value_added_to_itself() -> None:
    chain: list[ops.Op] = [ops.Activate("x", "a", "tanh"), ops.Add("a", "a", "y", "sigmoid", 1.0)]
    _check_chain(chain, {"x": (N, 3)}, {})


def test_the_input_added_to_itself() -> None:
    _check_chain([ops.Add("x", "x", "y")], {"x": (N, 3)}, {})


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_value_with_three_readers(last: int) -> None:
    """In any order: one could take the slope of a along, a sum hands its gradient on as it is."""
    readers: list[ops.Op] = [
        ops.Dense("a", "w", "c", "b", "tanh"),  # the weight is shared too
        ops.Activate("a", "e", "gelu"),
        ops.Add("a", "x", "f"),
    ]
    chain = [
        ops.Dense("x", "w", "a", "b", "tanh"),
        *readers[last:],
        *readers[:last],
        ops.Add("c", "e", "g", "sigmoid", 1.0),
        ops.Add("g", "f", "y", "tanh"),
    ]
    _check_chain(chain, {"x": (N, 3)}, {"w": (3, 3), "b": (3,)})


def test_a_block_with_a_way_around_it() -> None:
    same = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
    pool = {"stride": (2, 2), "padding": (0,) * 4, "dilation": (1, 1), "kernel": (2, 2)}
    chain: list[ops.Op] = [
        ops.Conv(**same, flip=False, x="x", w="w", y="a", activation="tanh"),
        ops.Conv(**same, flip=True, x="a", w="v", y="c", b="b"),
        ops.Add("c", "a", "s", "sigmoid", 2.0),
        ops.MaxPool(**pool, ceil=False, x="s", y="m"),
        ops.AvgPool(**pool, ceil=False, divisor=0, count_padding=True, x="s", y="n"),
        ops.Add("m", "n", "y"),
    ]
    parameters = {"w": (3, 3, 2, 3), "v": (3, 3, 3, 3), "b": (3,)}
    _check_chain(chain, {"x": (N, 4, 4, 2)}, parameters)


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
