"""The tool that names the first op on which the executors differ."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import require_native

import pybp as bp
from pybp.backends import numpy_ops
from pybp.backends.compare import Inputs, first_difference
from pybp.program import ops
from pybp.program.gradient import add_gradient
from pybp.program.ops import N, packed
from pybp.program.program import FIXED_ROLES, Program


def _training_step(dtype: str) -> tuple[Program, Inputs]:
    """Return a whole step of a small net, and what it reads."""
    layers = [bp.Linear(9), bp.Tanh(), bp.Dropout(0.3), bp.Linear(5), bp.GELU(), bp.Linear(3)]
    net = bp.Sequential(layers, dtype=dtype)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    optimizer = bp.Adam(0.01)
    net.build((4,))
    trainer = bp.Trainer(net, "cross_entropy", optimizer, keep_grads=True)
    program = trainer.program(x, y)
    fixed = {b.name: net.state.array(b.name) for b in program.of_role(*FIXED_ROLES)}
    hyper = tuple(optimizer.hyper(0, 1)[0])
    return program, Inputs(fixed, {"x": x, "target": y}, 6, hyper, seed=3, step=2)


def test_both_executors_agree_on_a_whole_step(dtype: str) -> None:
    require_native()
    program, given = _training_step(dtype)
    before = {name: array.copy() for name, array in given.fixed.items()}
    assert first_difference(program, given) is None
    for name, array in given.fixed.items():
        np.testing.assert_array_equal(array, before[name], name)


@pytest.mark.parametrize(
    "wrong", [ops.Dense, ops.Activate, ops.Dropout, ops.DenseGradWeight, ops.Adam]
)
def test_the_first_wrong_op_is_named(wrong: type[ops.Op], monkeypatch: pytest.MonkeyPatch) -> None:
    """One op computes something else in NumPy: the report names its first use."""
    require_native()
    program, given = _training_step("float64")
    right = numpy_ops.NUMPY_OPS[wrong]

    def twisted(op: ops.Op, arrays: dict, step: numpy_ops.Step) -> dict:
        written = right(op, arrays, step)
        if not written:
            arrays["w"] += 0.5
        return {field: array + 0.5 for field, array in written.items()}

    monkeypatch.setitem(numpy_ops.NUMPY_OPS, wrong, twisted)
    found = first_difference(program, given)
    assert found is not None
    assert type(found.op) is wrong
    assert found.position == next(i for i, op in enumerate(program.ops) if isinstance(op, wrong))
    assert found.op.kind in str(found)


def _packed_step() -> tuple[Program, Inputs]:
    """Return a cell over sequences with its gradient; their steps lie apart, and not in order."""
    program = Program("packed", "float32")
    program.add_packing()
    program.add_buffer("x", (packed(0), 3), "input")
    for name, shape in (("w_ih", (3, 12)), ("w_hh", (4, 12))):
        program.add_buffer(name, shape, "param")
    program.append(ops.Recurrent("x", "w_ih", "w_hh", "y", cell="gru", hn="hn"))
    program.add_buffer("dhn", (N, 4), "value")
    program.backward_start = len(program.ops)
    add_gradient(program, {"hn": "dhn"})
    program.verify()
    rng = np.random.default_rng(1)
    fixed = {
        b.name: rng.normal(size=b.shape).astype(np.float32) for b in program.of_role(*FIXED_ROLES)
    }
    spans = [(np.array([6, 0, 9]), np.array([3, 5, 1]))]
    values = {"x": rng.normal(size=(10, 3)), "dhn": rng.normal(size=(3, 4))}
    return program, Inputs(fixed, values, 3, spans=spans)


def test_both_executors_agree_on_sequences() -> None:
    require_native()
    assert first_difference(*_packed_step()) is None


def test_a_wrong_op_on_sequences_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    require_native()
    right = numpy_ops.NUMPY_OPS[ops.RecurrentGrad]

    def twisted(op: ops.Op, arrays: dict, step: numpy_ops.Step) -> dict:
        return {field: array * 1.01 for field, array in right(op, arrays, step).items()}

    monkeypatch.setitem(numpy_ops.NUMPY_OPS, ops.RecurrentGrad, twisted)
    found = first_difference(*_packed_step())
    assert found is not None
    assert isinstance(found.op, ops.RecurrentGrad)
