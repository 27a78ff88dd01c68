"""The ops that run in Python: their rules, and what the extension hands over and takes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import require_native
from native_programs import bind, make

from pybp.backends.compare import Inputs, first_difference
from pybp.program import ops
from pybp.program.function import Function
from pybp.program.ops import N, OpError, packed
from pybp.program.program import Program


def _bare_call() -> Any:
    require_native()
    fields = {"x": 0, "others": (), "params": (), "y": 1, "function": 0, "shape": (3,)}
    executor = make(
        "float32",
        [(1, 0, "real", (-1, 3)), (2, 0, "real", (-1, 3))],
        [(0, 0, 0, False), (1, 0, 0, True)],
        [("call", fields)],
    )
    bind(executor, 1024)
    return executor


def _run_bare(executor: Any, **call: Any) -> np.ndarray:
    x, y = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    nothing = np.zeros((1, 0))
    executor.run([x, y], None, np.array([0, 2]), nothing, nothing, *(0, 0, 0, 1), **call)
    return y


def test_the_extension_hands_over_what_an_op_reads() -> None:
    given: list[Any] = []

    def call(*arguments: Any) -> list[np.ndarray]:
        given.append(arguments)
        return [arguments[1][0] * 5]

    assert np.all(_run_bare(_bare_call(), call=call) == 5)
    (op, (x, y), rows, results) = given[0]
    assert (op, y, rows, results.shape) == (0, None, 2, (0,))
    np.testing.assert_array_equal(x, np.ones((2, 3), np.float32))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (None, "needs the function to call"),
        (lambda *_: None, "returns a list of arrays"),
        (lambda *_: [], "misses an array"),
        (lambda *_: [3], "expected an array"),
        (lambda *_: [np.ones((2, 3))], "another dtype"),
        (lambda *_: [np.ones((3, 2), np.float32).T], "not C-contiguous"),
        (lambda *_: [np.ones((3, 2), np.float32)], "another shape"),
        (lambda *_: [np.ones(6, np.float32)], "another shape"),
    ],
)
def test_the_extension_checks_what_it_gets(call: Any, message: str) -> None:
    executor = _bare_call()
    with pytest.raises(RuntimeError, match=message):
        _run_bare(executor, call=call)
    assert executor.steps_done == 0
    assert np.all(_run_bare(executor, call=lambda op, arrays, *_: [arrays[0] + 1]) == 2)


# ------------------------------------------------------------------------------------------- rules

X, Y, W = (N, 3), (N, 2), (3, 2)
BUFFERS = {"x": X, "o": (N, 4), "w": W, "y": Y, "dy": Y, "dx": X, "do": (N, 4), "dw": W}
BUFFERS |= {"p": (packed(0), 3), "t": (N,), "k": (N, 3)}
CALL = ops.Call("x", ("o",), ("w",), "y", 0, (2,))
GRAD = ops.CallGrad("x", "y", "dy", ("o",), ("w",), "dx", ("do",), ("dw",), 0)
LOSS = ops.CallLoss("x", "k", axes=1, target_shape=(3,))


def _program(op: ops.Op) -> Program:
    program = Program("rules", "float32")
    program.add_packing()
    program.functions.append(Function("f", np.tanh, np.tanh))
    program.add_result("loss")
    for name, shape in BUFFERS.items():
        program.add_buffer(name, shape, "input" if name in "xopdytk" else "param")
    for name in ("y", "dx", "do"):
        program.buffers[name] = program.buffers[name]._replace(role="value")
    program.append(op)
    return program


def _load(op: ops.Op) -> None:
    """Give the op to the extension, past all that Python checks."""
    require_native()
    names = list(BUFFERS)
    fields: dict[str, Any] = op.to_dict()
    for field in (*op.reads, *op.writes):
        fields[field] = names.index(fields[field]) if fields[field] else -1
    for field in (*op.read_lists, *op.write_lists):
        fields[field] = tuple(names.index(name) if name else -1 for name in fields[field])
    from pybp import _core

    buffers = [(0, 0, "real", shape) for shape in BUFFERS.values()]
    _core.Executor("float32", buffers, [], [(op.kind, fields)], [4, 9], [0])


@pytest.mark.parametrize("op", [CALL, GRAD, LOSS, LOSS.replace(axes=-1), LOSS.replace(axes=0)])
def test_right_ops_are_taken(op: ops.Op) -> None:
    _program(op)
    _load(op)


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (CALL.replace(x="w"), "x must have a row for each"),
        (CALL.replace(shape=(3,)), "y must have shape"),
        (GRAD.replace(dy="x"), "dy must have the shape"),
        (GRAD.replace(dx="y"), "dx must have shape"),
        (LOSS.replace(axes=2), "axes must lie within"),
        (LOSS.replace(axes=-1, losses="x"), "losses need a number of axes"),
        (LOSS.replace(target="t"), "target must be"),
        (LOSS.replace(axes=0, weight="k"), "weight must be"),
        (LOSS.replace(axes=0, losses="y"), "losses must have shape"),
    ],
)
def test_wrong_ops_are_refused(op: ops.Op, message: str) -> None:
    with pytest.raises(OpError, match=message):
        _program(op)


@pytest.mark.parametrize("op", [CALL, LOSS])
def test_a_function_that_is_not_there_is_refused(op: Any) -> None:
    program = _program(op.replace(function=1))
    with pytest.raises(OpError, match="function 1 of 1"):
        program.verify()


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (CALL.replace(x="w"), r"field x: expected \(n, ...\) or \(p, ...\)"),
        (CALL.replace(shape=(3,)), r"field y: expected shape \(n, 3\)"),
        (CALL.replace(others=("p",)), r"field others: expected the rows of x"),
        (CALL.replace(others=("w",)), r"field others: expected the rows of x"),
        (CALL.replace(others=("",)), "field others: expected a buffer"),
        (CALL.replace(params=("o",)), "field params: expected a fixed shape"),
        (CALL.replace(params=("",)), "field params: expected a buffer"),
        (GRAD.replace(dy="x"), "field dy: expected shape"),
        (GRAD.replace(y="w"), "field y: expected the rows of x"),
        (GRAD.replace(dx="y"), "field dx: expected shape"),
        (GRAD.replace(dothers=()), "field dothers: expected 1 buffers, got 0"),
        (GRAD.replace(dothers=("dx",)), "field dothers: expected shape"),
        (GRAD.replace(dparams=("dw", "dw")), "field dparams: expected 1 buffers, got 2"),
        (GRAD.replace(dparams=("dx",)), "field dparams: expected shape"),
        (LOSS.replace(axes=2), "field axes: expected less than 2"),
        (LOSS.replace(axes=-1, losses="x"), "field axes: expected a number with losses"),
        (LOSS.replace(target="t"), "field target: expected shape"),
        (LOSS.replace(axes=0, weight="k"), "field weight: expected the leading axes"),
        (LOSS.replace(axes=0, losses="y"), "field losses: expected shape"),
        (LOSS.replace(result=-1), "field result: expected a column"),
    ],
)
def test_the_extension_refuses_wrong_ops(op: ops.Op, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _load(op)


# ------------------------------------------------------------------------------------- comparison


def _chain(factor: float) -> tuple[Program, Inputs]:
    program = Program("compared", "float64")
    program.add_buffer("x", X, "input")
    calls = iter((1.0, factor))  # by the native executor and by the other one
    function = Function("f", lambda xs, params: xs[0] * next(calls), np.tanh)
    program.append(ops.Activate("x", "a", "tanh"))
    program.append(ops.Call("a", (), (), "y", program.add_function(function), (3,)))
    return program, Inputs({}, {"x": np.ones((2, 3))}, 2)


def test_the_comparison_calls_functions() -> None:
    require_native()
    assert first_difference(*_chain(1.0)) is None
    found = first_difference(*_chain(1.5))
    assert found is not None
    assert (found.position, found.buffer) == (1, "y")
