"""Steps and predictions on arrays that look like those before them: the same as the first ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pybp as bp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 6))
Y = RNG.integers(0, 3, 12)
SEQUENCES = RNG.normal(size=(12, 5, 6))


def _dense(dtype: str = "float64") -> bp.Sequential:
    return bp.Sequential([bp.Linear(7), bp.ReLU(), bp.Linear(3)], dtype=dtype, seed=2)


def _recurrent(dtype: str = "float64") -> bp.Sequential:
    return bp.Sequential([bp.LSTM(4), bp.Linear(3)], dtype=dtype, seed=2)


NETS = {
    "dense": (_dense, X, Y),
    "recurrent": (_recurrent, SEQUENCES, RNG.integers(0, 3, (12, 5))),
}


def _unlike_before(net: bp.Sequential, trainer: bp.Trainer) -> None:
    """Let the next calls look at everything."""
    net._predicted = None
    trainer.steps.known = None


@pytest.mark.parametrize("optimizer", [bp.SGD(0.1), bp.Adam(0.01)], ids=str)
@pytest.mark.parametrize("name", NETS)
def test_the_bits_are_those_of_first_steps(
    name: str, optimizer: bp.optimizers.Optimizer, backend: str, dtype: str
) -> None:
    make, x, y = NETS[name]
    nets = make(dtype), make(dtype)
    trainers = [bp.Trainer(net, "cross_entropy", optimizer, metrics=["accuracy"]) for net in nets]
    for first in range(0, 12, 3):
        part = slice(first, first + 3)
        losses = [trainer.step(x[part], y[part]) for trainer in trainers]
        outputs = [net.predict(x[part]) for net in nets]
        assert losses[0] == losses[1]
        assert outputs[0].tobytes() == outputs[1].tobytes()
        assert outputs[0].shape == outputs[1].shape
        _unlike_before(nets[1], trainers[1])
    assert trainers[0].steps.known is not None
    assert nets[0]._predicted is not None
    assert nets[0].params.flat.tobytes() == nets[1].params.flat.tobytes()


def test_outputs_are_fresh_arrays(backend: str) -> None:
    net = _dense()
    first, second, third = (net.predict(X[k : k + 2]) for k in (0, 2, 0))
    assert not np.may_share_memory(first, second)
    assert first.tobytes() == third.tobytes()


def test_loss_of_a_step_with_metrics_and_sums(backend: str) -> None:
    net = _dense()
    trainer = bp.Trainer(net, bp.CrossEntropy(reduction="sum"), bp.SGD(0.0), metrics=["accuracy"])
    rows = [trainer.step(X[k : k + 1], Y[k : k + 1]) for k in range(12)]
    assert trainer.step(X, Y) == pytest.approx(sum(rows), rel=1e-12)


BAD = {
    "label": (lambda: (X[:3], np.array([0, 1, 3])), IndexError, "0 ... 2"),
    "shape": (lambda: (X[:3, :5], Y[:3]), ValueError, "shape"),
    "rows": (lambda: (X[:3], Y[:4]), ValueError, "rows"),
    "dtype": (lambda: (X[:3], Y[:3].astype("f8")), TypeError, "integer"),
    "complex": (lambda: (X[:3].astype(complex), Y[:3]), TypeError, "real numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_after_good_steps(name: str, backend: str) -> None:
    make, kind, message = BAD[name]
    net = _dense()
    trainer = bp.Trainer(net, "cross_entropy", bp.SGD(0.1))
    for _ in range(2):
        trainer.step(X[:3], Y[:3])
    before = net.params.flat.tobytes()
    with pytest.raises(kind, match=message):
        trainer.step(*make())
    assert net.params.flat.tobytes() == before
    assert net.state.steps == 2


def test_ids_are_checked_each_time(backend: str) -> None:
    net = bp.Sequential([bp.Embedding(5, 4), bp.Flatten(), bp.Linear(2)], seed=0)
    ids = np.array([[0, 1], [2, 3]])
    for _ in range(2):
        net.predict(ids)
    with pytest.raises(IndexError, match=r"0 ... 4"):
        net.predict(np.array([[0, 1], [2, 5]]))


def test_nan_stops_a_repeated_step(backend: str) -> None:
    net = _dense()
    trainer = bp.Trainer(net, "cross_entropy", bp.SGD(0.1))
    for _ in range(2):
        trainer.step(X[:3], Y[:3])
    before = net.params.flat.copy()
    with pytest.raises(FloatingPointError, match=r"training step 2 .*x holds NaN"):
        trainer.step(np.full((3, 6), np.nan), Y[:3])
    np.testing.assert_array_equal(net.params.flat, before)


def _freeze(net: bp.Sequential, trainer: bp.Trainer) -> None:
    net.trainable("0", False)


def _other_rate(net: bp.Sequential, trainer: bp.Trainer) -> None:
    trainer.optimizer = bp.SGD(0.0)


def _other_optimizer(net: bp.Sequential, trainer: bp.Trainer) -> None:
    trainer.optimizer = bp.Adam(0.1)


def _other_backend(net: bp.Sequential, trainer: bp.Trainer) -> None:
    net.backend = "numpy"


@pytest.mark.parametrize("change", [_freeze, _other_rate, _other_optimizer, _other_backend])
def test_changes_between_steps_count(
    change: Callable[[bp.Sequential, bp.Trainer], None], backend: str
) -> None:
    nets = _dense(), _dense()
    trainers = [bp.Trainer(net, "cross_entropy", bp.SGD(0.1)) for net in nets]
    for net, trainer in zip(nets, trainers, strict=True):
        trainer.step(X[:3], Y[:3])
        net.predict(X[:3])
        change(net, trainer)
    _unlike_before(nets[1], trainers[1])
    for trainer in trainers:
        trainer.step(X[:3], Y[:3])
    assert nets[0].params.flat.tobytes() == nets[1].params.flat.tobytes()
    assert nets[0].predict(X[:3]).tobytes() == nets[1].predict(X[:3]).tobytes()


def test_weights_and_lengths_are_looked_at(backend: str) -> None:
    net = _recurrent()
    y = RNG.integers(0, 3, (2, 5))
    trainer = bp.Trainer(net, "cross_entropy", bp.SGD(0.0))
    plain = [trainer.step(SEQUENCES[:2], y) for _ in range(2)]
    assert trainer.step(SEQUENCES[:2], y, sample_weight=np.array([1.0, 0.0])) != plain[1]
    assert trainer.step(SEQUENCES[:2], y, lengths=np.array([5, 2])) != plain[1]
    assert trainer.step(SEQUENCES[:2], y) == plain[0] == plain[1]


def test_stateful_layers_go_on(backend: str) -> None:
    net = bp.Sequential([bp.LSTM(4, stateful=True)], seed=0, dtype="float64")
    halves = [net.predict(SEQUENCES[:1, k : k + 1]) for k in range(5)]
    whole = bp.Sequential([bp.LSTM(4)], seed=0, dtype="float64")
    expected = whole.predict(SEQUENCES[:1])
    np.testing.assert_allclose(np.concatenate(halves, axis=1), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["float16", "strided"])
def test_inputs_that_are_converted(kind: str, backend: str) -> None:
    made: dict[str, Callable[[int], Any]] = {
        "float16": lambda k: X[k : k + 3].astype("f2"),
        "strided": lambda k: np.repeat(X[k : k + 3], 2, axis=1)[:, ::2],
    }
    net = _dense()
    found = [net.predict(made[kind](k)) for k in (0, 3)]
    expected = [_dense().predict(np.ascontiguousarray(made[kind](k), "f8")) for k in (0, 3)]
    np.testing.assert_array_equal(found, expected)
