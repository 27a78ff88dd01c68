"""The second judge: NumPy's gradients are finite differences in float64, op by op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import op_cases
import pytest
from finite_difference import directional_difference
from op_cases import OP_CASES, Case, ids
from op_cases.case import spans_of

from pybp import backends
from pybp.program import ops
from pybp.program.gradient import GRADIENTS, add_gradient
from pybp.program.ops import N, Shape, packed
from pybp.program.ops.recurrent import GATES
from pybp.program.program import Program, run_time_sizes

STATISTICS = ("mean", "var")  # what batch_norm reads and its row takes as given
GIVEN = ("ids", "mask")  # values that no gradient goes to


def _is_smooth(case: Case) -> bool:
    """Tell whether a case is a forward op whose output has a derivative by what it reads."""
    op = case.op
    if type(op) not in GRADIENTS or case.bench:
        return False
    if isinstance(op, ops.ConvGradInput) and op.x:
        return False  # a slope taken along: part of a backward pass
    if isinstance(op, ops.Recurrent) and case.packed_rows[0] > (20 if "relu" in op.cell else 99):
        return False  # of so many sums some lie too near the kink of relu, and it would take long
    if isinstance(op, ops.Embedding) and op.padding >= 0:
        return False  # its row is read, but gets no gradient on purpose
    wild = ("straight_through", "ties", "not numbers")
    return not any(word in case.name for word in wild)


SMOOTH = [case for case in OP_CASES if _is_smooth(case)]
LOSSES = [case for case in OP_CASES if isinstance(case.op, ops.Loss) and not case.bench]
DIRECTIONS = 3


def _outputs(op: ops.Op) -> list[tuple[str, ...]]:
    """Return the sets of outputs whose gradients are to be judged together."""
    if not isinstance(op, ops.Recurrent):
        return [(op.outputs()[0],)]
    each = [name for name in (op.y, op.hn, op.cn) if name]
    return [(name,) for name in each] + [tuple(each)] * (len(each) > 1)


JUDGED = [
    pytest.param(case, outputs, id=f"{case.name} by {', '.join(outputs)}")
    for case in SMOOTH
    for outputs in _outputs(case.op)
]


def _close(got: float, expected: float, size: float) -> None:
    assert abs(got - expected) <= 1e-8 * max(abs(expected), size), (got, expected)


@pytest.mark.parametrize(("case", "outputs"), JUDGED)
def test_gradient_row_is_the_derivative(case: Case, outputs: tuple[str, ...]) -> None:
    """For L = sum(y * seed): the program made by the gradient table, against differences of L."""
    program = Program(case.name, "float64")
    program.functions += case.functions
    if case.lengths:
        program.add_packing()
    for name in case.op.inputs():
        shape = case.shapes[name]
        fixed = "constant" if name in STATISTICS else "param"
        kind = "int32" if name == "ids" else "real"
        program.add_buffer(name, shape, "value" if shape[0] <= N else fixed, kind)
    op = case.op
    program.append(op.replace(gates="", cells="") if isinstance(op, ops.Recurrent) else op)
    arrays = op_cases.make_arrays(case, "float64")
    check_gradients(program, arrays, outputs, case.rows, case.lengths)


def check_gradients(
    program: Program,
    arrays: dict[str, np.ndarray],
    outputs: Sequence[str],
    rows: int,
    lengths: tuple[int, ...] = (),
) -> None:
    """Add the backward pass for L = sum(output * seed), and hold it to differences of L.

    arrays: a value for each buffer that no op writes; changed in place while it is tested. lengths:
    of the sequences of packing 0. L is the sum over all outputs, each with its seed.
    """
    given = [b for b in program.buffers.values() if b.name in _unwritten(program)]
    fed = [b.name for b in given if b.batched]
    wanted = [b.name for b in given if b.role != "constant" and b.name not in GIVEN]
    forward = program.backward_start = len(program.ops)
    seeds = {name: f"seed of {name}" for name in outputs}
    for name, seed in seeds.items():
        program.add_buffer(seed, program.shape(name), "value")
    inputs = tuple(name for name in fed if name in wanted)
    gradients = add_gradient(program, seeds, inputs=inputs)
    program.verify()
    fixed = {b.name: arrays[b.name] for b in given if not b.batched}
    for buffer in program.of_role("grad"):
        fixed[buffer.name] = np.zeros(buffer.shape)
    packed_rows = (sum(lengths),) if lengths else ()
    executor = backends.make_executor(
        "numpy", program, fixed, rows, max_packed=packed_rows, keep_forward=True
    )
    sizes = run_time_sizes(rows, packed_rows)
    rng = np.random.default_rng(2)
    factors = {name: rng.normal(size=program.buffers[name].full_shape(sizes)) for name in outputs}

    def loss() -> float:
        for name in fed:
            executor.write(name, arrays[name])
        _run(executor, rows, 0, forward, lengths)
        return sum(float(np.sum(executor.read(name, rows) * factors[name])) for name in outputs)

    loss()
    for name, seed in seeds.items():
        executor.write(seed, factors[name])
    _run(executor, rows, forward, len(program.ops), lengths)
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


def _run(
    executor: backends.Executor, rows: int, begin: int, end: int, lengths: tuple[int, ...]
) -> None:
    starts, nothing = np.array([0, rows]), np.zeros((1, 0))
    executor.run([], None, starts, nothing, nothing, 7, 5, begin, end, spans_of(lengths))


def _check_chain(
    chain: list[ops.Op],
    given: dict[str, Shape],
    parameters: dict[str, Shape],
    lengths: tuple[int, ...] = (),
) -> Program:
    """Check the gradients of ops that read each other's values; the last one writes y."""
    rows, rng = 4, np.random.default_rng(3)
    program = Program("chain", "float64")
    if lengths:
        program.add_packing()
    sizes = run_time_sizes(rows, (sum(lengths),))
    for name, shape in given.items():
        program.add_buffer(name, shape, "value")
    for name, shape in parameters.items():
        program.add_buffer(name, shape, "param")
    arrays = {
        name: rng.normal(size=tuple(sizes.get(extent, extent) for extent in shape))
        for name, shape in (given | parameters).items()
    }
    for op in chain:
        program.append(op)
    check_gradients(program, arrays, ["y"], rows, lengths)
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


def test_layers_of_cells_in_both_directions() -> None:
    """Steps of whole samples, packed, through two layers and back to whole samples."""
    forward, backward, second = ("w_ih", "w_hh"), ("v_ih", "v_hh"), ("u_ih", "u_hh")
    chain: list[ops.Op] = [
        ops.Pack("x", "p"),
        ops.Recurrent("p", *forward, "f", hn="f_n", cn="c_n"),
        ops.Recurrent("p", *backward, "g", cell="gru", hn="g_n", reverse=True),
        ops.Concat("f", "g", "both"),
        ops.Recurrent("both", *second, "h", h0="g_n", cell="rnn_tanh"),
        ops.Dense("h", "w", "d", "b", "tanh"),
        ops.Concat("d", "both", "all"),
        ops.Unpack("all", "whole", 5),
        ops.Reshape("whole", "flat", (55,)),
        ops.Concat("f_n", "c_n", "last"),
        ops.Concat("flat", "last", "y"),
    ]
    parameters: dict[str, Shape] = {
        "w_ih": (2, 16),
        "w_hh": (4, 16),
        "v_ih": (2, 9),
        "v_hh": (3, 9),
        "u_ih": (7, 3),
        "u_hh": (3, 3),
        "w": (3, 4),
        "b": (4,),
    }
    _check_chain(chain, {"x": (N, 5, 2)}, parameters, (3, 5, 1, 4))


@pytest.mark.parametrize("cell", GATES)
def test_a_cell_that_goes_on_where_it_ended(cell: str) -> None:
    """The same weights twice: encoder and decoder, whose gradients add up through the states."""
    weights: Any = {"w_ih": "w_ih", "w_hh": "w_hh", "b_ih": "b_ih", "b_hh": "b_hh", "cell": cell}
    states = {"hn": "h"} | ({"cn": "c"} if cell == "lstm" else {})
    begun = {"h0": "h"} | ({"c0": "c"} if cell == "lstm" else {})
    chain: list[ops.Op] = [
        ops.Recurrent(x="x", y="z", **weights, **states),
        ops.Recurrent(x="z", y="a", **weights, **begun, mask="mask", reverse=True),
        ops.Add("z", "a", "y"),
    ]
    wide = 3 * GATES[cell]
    parameters: dict[str, Shape] = {"w_ih": (3, wide), "w_hh": (3, wide)}
    parameters |= {"b_ih": (wide,), "b_hh": (wide,)}
    _check_chain(chain, {"x": (packed(0), 3), "mask": (N, 3)}, parameters, (2, 4, 4, 1))


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
    """All but loops, which hold other ops: their gradients are judged in ``test_cells.py``."""
    assert {type(case.op) for case in SMOOTH} == set(GRADIENTS) - {ops.Loop}
    losses = {kind for kind in ops.OPS.values() if issubclass(kind, ops.Loss)}
    assert {type(case.op) for case in LOSSES} == losses


def test_every_op_has_a_case() -> None:
    assert {type(case.op) for case in OP_CASES} == set(ops.OPS.values()) - {ops.Loop}
