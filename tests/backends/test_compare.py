"""The tool that names the first op on which the executors differ."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import require_native

import pybp as bp
from pybp.backends import numpy_ops
from pybp.backends.compare import Inputs, first_difference
from pybp.program import ops
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
