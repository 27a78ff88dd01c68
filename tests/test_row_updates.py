"""Updates of tables by rows: the dense step for plain SGD, lazy steps, and what they touch."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
from tolerance import TRAINING, check_close

import pybp as bp
from pybp.losses import Target
from pybp.nets.objective import Goal, Objective
from pybp.nets.step_rules import StepRules
from pybp.program import ops

BAGS = [np.array(ids) for ids in ([3, 1, 3], [], [0], [5, 5, 2, 4], [1])]
LABELS = np.array([0, 1, 2, 1, 0])


def _net(*layers: bp.layers.Layer, dtype: str = "float64") -> bp.Sequential:
    return bp.Sequential(layers, dtype=dtype)


def _bag_net(**options: Any) -> bp.Sequential:
    return _net(bp.EmbeddingBag(6, 4, **options), bp.Linear(3)).build((None,))


def _train(net: Any, x: Any, labels: np.ndarray, optimizer: Any, steps: int) -> None:
    trainer = bp.Trainer(net, bp.CrossEntropy(), optimizer)
    for _ in range(steps):
        trainer.step(x, labels)


def _by_hand(net: Any, x: Any, labels: np.ndarray, optimizer: Any, steps: int) -> None:
    for _ in range(steps):
        _, dy = bp.CrossEntropy().value_and_grad(net.forward(x, training=True), labels)
        net.backward(dy)
        optimizer.step(net)


def _check_same(net: Any, other: Any) -> None:
    for name in net.params:
        np.testing.assert_array_equal(net.params[name], other.params[name], name)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize(
    "optimizer",
    [
        bp.SGD(0.3),
        bp.SGD(0.3, maximize=True),
        bp.SGD(0.3, weight_decay=0.1),
        bp.SGD(0.3, momentum=0.9),
        bp.Adam(0.1),
        bp.AdamW(0.1, amsgrad=True),
    ],
    ids=repr,
)
def test_the_step_of_rows_is_the_dense_step(
    optimizer: bp.optimizers.Optimizer, mode: str, backend: str, dtype: str
) -> None:
    """By hand the gradient is dense and so is its step; they give the same bits."""
    net = _net(bp.EmbeddingBag(6, 4, mode), bp.Linear(3), dtype=dtype).build((None,))
    twin = copy.deepcopy(net)
    _train(net, BAGS, LABELS, optimizer, 4)
    _by_hand(twin, BAGS, LABELS, optimizer, 4)
    _check_same(net, twin)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_lazy_adam_is_sparse_adam(amsgrad: bool, backend: str, dtype: str) -> None:
    """Moments and parameters of a row move in those steps alone in which its id occurs."""
    net = _net(bp.EmbeddingBag(9, 4, lazy=True), dtype=dtype).build((None,))
    table = np.array(net.params["0.weight"], np.float64)
    m, v, vmax = np.zeros_like(table), np.zeros_like(table), np.zeros_like(table)
    optimizer = bp.Adam(0.1, amsgrad=amsgrad)
    rng = np.random.default_rng(3)
    for t in range(1, 7):
        bags = [rng.integers(0, 9, length) for length in (2, 0, 3)]
        dy = rng.normal(size=(3, 4))
        net.forward(bags)
        net.backward(dy)
        gradient = np.array(net.grads["0.weight"], np.float64)
        optimizer.step(net)
        for row in np.unique(np.concatenate(bags)):
            g = gradient[row]
            m[row] = 0.9 * m[row] + 0.1 * g
            v[row] = 0.999 * v[row] + 0.001 * g * g
            vmax[row] = np.maximum(vmax[row], v[row])
            root = np.sqrt((vmax if amsgrad else v)[row] / (1 - 0.999**t))
            table[row] -= 0.1 * m[row] / (1 - 0.9**t) / (root + 1e-8)
    check_close(net.params["0.weight"], table, dtype, 6, TRAINING)


@pytest.mark.parametrize(
    "optimizer", [bp.SGD(0.3, momentum=0.9, nesterov=True), bp.AdamW(0.1)], ids=repr
)
def test_lazy_steps_by_hand_are_those_of_the_trainer(
    optimizer: bp.optimizers.Optimizer, backend: str, dtype: str
) -> None:
    net = _net(bp.EmbeddingBag(6, 4, lazy=True), bp.Linear(3), dtype=dtype).build((None,))
    twin = copy.deepcopy(net)
    for bags in (BAGS, BAGS[::-1], [BAGS[0]] * 5):
        _train(net, bags, LABELS, optimizer, 2)
        _by_hand(twin, bags, LABELS, optimizer, 2)
        _check_same(net, twin)


def test_lazy_layers_of_two_tables(backend: str) -> None:
    """Beside a table that is not lazy, and with one that no id of a batch reaches."""
    inputs = [bp.Input((None,), dtype="int32") for _ in range(2)]
    layers = [bp.EmbeddingBag(6, 4, lazy=True), bp.EmbeddingBag(6, 4)]
    parts = [layer(x) for layer, x in zip(layers, inputs, strict=True)]
    net = bp.Model(tuple(inputs), bp.Linear(3)(bp.Add()(parts)), dtype="float64")
    twin = copy.deepcopy(net)
    for x in ((BAGS, BAGS[::-1]), ([np.zeros(0, int)] * 5, BAGS)):
        _train(net, x, LABELS, bp.Adam(0.1), 3)
        _by_hand(twin, x, LABELS, bp.Adam(0.1), 3)
        _check_same(net, twin)


def test_a_table_used_twice(backend: str) -> None:
    """Its gradient comes in two parts, so every optimiser updates it as a whole."""
    table = bp.Embedding(6, 3)
    a, b = bp.Input((), dtype="int32"), bp.Input((), dtype="int32")
    net = bp.Model((a, b), bp.Linear(3)(bp.Add()([table(a), table(b)])), dtype="float64")
    twin = copy.deepcopy(net)
    x = (np.array([1, 2, 2]), np.array([2, 2, 5]))
    for optimizer in (bp.SGD(0.5), bp.SGD(0.5, momentum=0.9)):
        _train(net, x, LABELS[:3], optimizer, 3)
        _by_hand(twin, x, LABELS[:3], optimizer, 3)
        _check_same(net, twin)


def _train_program(net: bp.Sequential, optimizer: Any) -> Any:
    objective = Objective(net.graph, "cross_entropy")
    goals = [Goal(Target((), "int32"), None)]
    return net.recipe.train(objective, goals, optimizer, StepRules(), keep_grads=True)


@pytest.mark.parametrize(
    ("optimizer", "lazy", "by_rows"),
    [
        (bp.SGD(0.1), False, True),
        (bp.SGD(0.1, weight_decay=0.1), False, False),
        (bp.SGD(0.1, momentum=0.9), False, False),
        (bp.SGD(0.1, momentum=0.9), True, True),
        (bp.Adam(), False, False),
        (bp.Adam(), True, True),
        (bp.AdamW(), True, True),
    ],
)
def test_which_tables_are_updated_by_rows(optimizer: Any, lazy: bool, by_rows: bool) -> None:
    program = _train_program(_bag_net(lazy=lazy), optimizer)
    kinds = [type(op) for op in program.ops]
    assert (ops.ScatterRows in kinds) != by_rows
    updates = [op for op in program.ops if isinstance(op, ops.SGD | ops.Adam)]
    assert [bool(op.rows) for op in updates] == [False, by_rows]
    if by_rows:
        assert "d(0.weight)" not in program.buffers


# ------------------------------------------------------------------------ gradients made elsewhere


def test_assigned_gradients_move_the_rows_that_are_not_zero(backend: str) -> None:
    net = _bag_net(lazy=True)
    before = net.params["0.weight"].copy()
    gradient = np.zeros((6, 4))
    gradient[2, 1] = gradient[4, 3] = 1
    net.grads["0.weight"] = gradient
    bp.Adam(0.1).step(net)
    moved = (net.params["0.weight"] != before).any(axis=1)
    assert moved.tolist() == [False, False, True, False, True, False]
    bp.SGD(0.1, momentum=0.5).step(net)  # starts at zero again; the same rows
    moved = (net.params["0.weight"] != before).any(axis=1)
    assert np.flatnonzero(moved).tolist() == [2, 4]


def test_a_row_whose_gradient_is_zero_goes_on_by_its_momentum(backend: str) -> None:
    net = _net(bp.EmbeddingBag(6, 4, lazy=True)).build((None,))
    optimizer = bp.SGD(0.1, momentum=0.9)
    for dy in (np.ones((2, 4)), np.zeros((2, 4))):
        before = net.params["0.weight"].copy()
        net.forward([np.array([1, 4]), np.array([4])])
        net.backward(dy)
        net.grads["0.weight"] *= 2  # by an operator: the rows stay those of the batch
        optimizer.step(net)
        moved = (net.params["0.weight"] != before).any(axis=1)
        assert np.flatnonzero(moved).tolist() == [1, 4]


def test_accumulated_gradients_have_the_rows_of_both_batches(backend: str) -> None:
    net = _net(bp.EmbeddingBag(6, 4, lazy=True)).build((None,))
    before = net.params["0.weight"].copy()
    for k, ids in enumerate(([1, 4], [2])):
        net.forward([np.array(ids)])
        net.backward(np.ones((1, 4)), accumulate=k > 0)
    bp.Adam(0.1).step(net)
    moved = (net.params["0.weight"] != before).any(axis=1)
    assert np.flatnonzero(moved).tolist() == [1, 2, 4]


def test_gradients_of_a_training_are_made_when_they_are_asked_for(backend: str) -> None:
    net, twin = _bag_net(), _bag_net()
    trainer = bp.Trainer(net, bp.CrossEntropy(), bp.SGD(0.1), keep_grads=True)
    for bags in (BAGS, [np.array([0, 0])] * 5):
        trainer.step(bags, LABELS)
        _by_hand(twin, bags, LABELS, bp.SGD(0.1), 1)
        for name in net.grads:
            np.testing.assert_array_equal(net.grads[name], twin.grads[name])
    trainer.step(BAGS, LABELS)
    _by_hand(twin, BAGS, LABELS, bp.SGD(0.1), 1)
    again = pickle.loads(pickle.dumps(net))  # nobody has asked for them yet
    np.testing.assert_array_equal(again.grads["0.weight"], twin.grads["0.weight"])
    net.forward(BAGS)
    net.backward(np.zeros((5, 3)), accumulate=True)
    np.testing.assert_array_equal(net.grads["0.weight"], twin.grads["0.weight"])


def test_there_are_none_before_a_backward_pass() -> None:
    net = _bag_net()
    _train(net, BAGS, LABELS, bp.SGD(0.1), 1)
    with pytest.raises(RuntimeError, match="no gradients"):
        net.grads["0.weight"]


# ----------------------------------------------------------------------------- the cost of a step

CANARY = 1.25  # no number of an untouched row may become any other


@pytest.mark.parametrize("count", [10_000, 1_000_000])
@pytest.mark.parametrize(
    "optimizer", [bp.SGD(0.1), bp.Adam(0.1), bp.SGD(0.1, momentum=0.9)], ids=repr
)
def test_a_step_touches_the_rows_of_its_ids_alone(
    optimizer: bp.optimizers.Optimizer, count: int
) -> None:
    """Whatever the size of the table: parameters and states, and no memory of its size."""
    lazy = not optimizer.skips_zero_gradients()
    net = _net(
        bp.EmbeddingBag(count, 4, lazy=lazy, weight_init=bp.Constant(CANARY)),
        bp.Linear(3),
        dtype="float32",
    ).build((None,))
    trainer = bp.Trainer(net, bp.CrossEntropy(), optimizer, keep_grads=True)
    rng = np.random.default_rng(0)
    first, second = ([rng.integers(0, count, 20) for _ in range(5)] for _ in range(2))
    trainer.step(first, LABELS)  # binds the program and makes the states
    for array in (net.params.flat, *net.state.moments.values()):
        array[-count * 4 :] = CANARY
    net.grads.flat[-count * 4 :] = CANARY
    tracemalloc.start()
    try:
        trainer.step(second, LABELS)
        trainer.step(second, LABELS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000  # bytes; the smaller table has 160,000
    touched = np.unique(np.concatenate(second))
    for array in (net.params.flat, *net.state.moments.values()):
        table = array[-count * 4 :].reshape(count, 4)
        changed = np.flatnonzero((table != CANARY).any(axis=1))
        np.testing.assert_array_equal(changed, touched)
    assert (net.grads.flat[-count * 4 :] == CANARY).all()  # not made before it is asked for
    assert np.array_equal(np.flatnonzero(net.grads["0.weight"].any(axis=1)), touched)
