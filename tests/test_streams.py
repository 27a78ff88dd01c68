"""States that go on from batch to batch: stateful layers, long streams, one step at a time."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tolerance import TRAINING, check_close

import pybp as bp

RNG = np.random.default_rng(4)
X = RNG.normal(size=(5, 7, 3))
CELLS = (bp.RNN, bp.LSTM, bp.GRU)


def _net(*layers: bp.layers.Layer, dtype: str = "float64") -> bp.Sequential:
    return bp.Sequential(layers, dtype=dtype, seed=1)


@pytest.mark.parametrize("cell", CELLS)
def test_stateful_layers_go_on_where_they_were(cell: Any, backend: str) -> None:
    net = _net(cell(4, num_layers=2, stateful=True), bp.Linear(2)).build((None, 3))
    whole = _net(cell(4, num_layers=2), bp.Linear(2)).build((None, 3))
    parts = [net.predict(X[:, a:b]) for a, b in ((0, 2), (2, 3), (3, 7))]
    np.testing.assert_array_equal(np.concatenate(parts, 1), whole.predict(X))
    net.reset_states()
    np.testing.assert_array_equal(net.predict(X[:, :2]), parts[0])
    with pytest.raises(ValueError, match="states of 5 sequences, got a batch of 2"):
        net.predict(X[:2])
    net.reset_states()
    assert net.predict(X[:2]).shape == (2, 7, 2)


def test_states_are_copied_with_a_net(backend: str) -> None:
    net = _net(bp.GRU(4, stateful=True)).build((None, 3))
    net.predict(X)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other.predict(X), copy.deepcopy(net).predict(X))


def test_a_stream_is_trained_window_by_window(backend: str) -> None:
    """fit_stream is a loop of steps over the windows of all pieces, bit for bit."""
    stream = RNG.normal(size=(103, 2))
    target = np.roll(stream, 1, axis=0)
    weight = RNG.uniform(0, 1, 103)
    nets = [_net(bp.LSTM(4, stateful=True), bp.Linear(2)).build((None, 2)) for _ in range(2)]
    trainer = bp.Trainer(nets[0], "mse", bp.Adam(0.01))
    history = trainer.fit_stream(
        stream, target, window=8, streams=5, epochs=2, sample_weight=weight, verbose=0
    )
    by_hand = bp.Trainer(nets[1], "mse", bp.Adam(0.01))
    for _ in range(2):
        nets[1].reset_states()
        for start in range(0, 20, 8):
            steps = [slice(p * 20 + start, p * 20 + min(start + 8, 20)) for p in range(5)]
            x, y, w = (np.stack([a[s] for s in steps]) for a in (stream, target, weight))
            by_hand.step(x, y, w)
    assert nets[0].params.flat.tobytes() == nets[1].params.flat.tobytes()
    assert len(history.history["loss"]) == 2
    assert nets[0].grads["0.weight_hh_l0"].shape == (4, 16)


def test_a_stream_in_parts_is_the_stream(backend: str) -> None:
    stream = RNG.normal(size=(60, 1)).astype(np.float32)
    nets = [_net(bp.GRU(3, stateful=True), bp.Linear(1), dtype="float32") for _ in range(2)]
    bp.Trainer(nets[0], "mse", "sgd").fit_stream(stream, stream, window=10, verbose=0)
    trainer = bp.Trainer(nets[1], "mse", "sgd")
    for start in (0, 20, 40):
        part = stream[start : start + 20]
        trainer.fit_stream(part, part, window=10, reset=False, verbose=0)
    assert nets[0].params.flat.tobytes() == nets[1].params.flat.tobytes()


def test_a_stream_on_disk_is_read_where_it_lies(tmp_path: Path, backend: str) -> None:
    stream = np.memmap(tmp_path / "x", np.float32, "w+", shape=(500, 1))
    stream[...] = RNG.normal(size=stream.shape)
    ids = RNG.integers(0, 3, 500).astype(np.uint8)
    net = _net(bp.RNN(3, stateful=True), bp.Linear(3), dtype="float32")
    trainer = bp.Trainer(net, "cross_entropy", "sgd", metrics=["accuracy"])
    history = trainer.fit_stream(stream, ids, window=20, streams=4, verbose=0).history
    assert set(history) == {"loss", "accuracy"}


@pytest.mark.parametrize("rows", [1, 3])
def test_a_stepper_takes_the_steps_of_predict(rows: int, backend: str, dtype: str) -> None:
    net = _net(bp.LSTM(4, stateful=True), bp.Linear(2), dtype=dtype).build((None, 3))
    expected = net.predict(X[:rows])
    net.reset_states()
    step = net.stepper(rows)
    for t in range(7):
        got = step(X[0, t] if rows == 1 else X[:rows, t])
        check_close(got, expected[0, t] if rows == 1 else expected[:, t], dtype, 8, TRAINING)
    net.reset_states()
    again = step(X[0, 0] if rows == 1 else X[:rows, 0])
    check_close(again, expected[0, 0] if rows == 1 else expected[:, 0], dtype, 8, TRAINING)
    with pytest.raises(ValueError, match="a step must have shape"):
        step(X)


def test_a_stepper_takes_ids(backend: str) -> None:
    net = _net(bp.Embedding(5, 3), bp.GRU(4, stateful=True)).build((None,))
    expected = net.predict(np.array([[1, 4, 0]]))
    net.reset_states()
    step = net.stepper()
    check_close(np.array([step(i) for i in (1, 4, 0)]), expected[0], "float64", 8, TRAINING)
    with pytest.raises(IndexError, match=r"ids must lie in 0 \.\.\. 4"):
        step(5)
    with pytest.raises(TypeError, match="ids, whole numbers"):
        step(1.0)
