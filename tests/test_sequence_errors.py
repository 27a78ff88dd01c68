"""Bad sequences, ids and states: a clear error before anything is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pybp as bp

X = np.random.default_rng(0).normal(size=(3, 5, 2))
Y = np.zeros((3, 5), int)
LISTS = [X[0, :2], X[1], X[2, :1]]
LABELS = [Y[0, :2], Y[1], Y[2, :1]]
IDS = np.zeros((3, 5), int)
OFFSETS = [0, 2, 7]


def _sequences() -> bp.Sequential:
    return bp.Sequential([bp.LSTM(4), bp.Linear(3)], dtype="float64").build((None, 2))


def _tokens() -> bp.Sequential:
    return bp.Sequential([bp.Embedding(6, 2), bp.GRU(4), bp.Linear(3)]).build((None,))


def _bags() -> bp.Sequential:
    return bp.Sequential([bp.EmbeddingBag(6, 2), bp.Linear(3)]).build((None,))


def _plain() -> bp.Sequential:
    return bp.Sequential([bp.Linear(3)]).build((2,))


# net, what predict gets -> error, a part of its message; docs/errors.md has the same rows
BATCHES: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (_sequences, {"x": X[:, :, :1]}, ValueError, r"x must have shape \(n, steps, 2\)"),
    (_sequences, {"x": X[0]}, ValueError, r"x must have shape \(n, steps, 2\)"),
    (_sequences, {"x": X[:, 0, 0]}, ValueError, r"must hold sequences, \(n, steps, \.\.\.\)"),
    (_sequences, {"x": X[:, :0]}, ValueError, "x has no time steps"),
    (_sequences, {"x": [X[0], X[1, :0]]}, ValueError, "at least 1 time steps, got 0 in row 1"),
    (_sequences, {"x": []}, ValueError, "x holds no arrays"),
    (_sequences, {"x": [X[0], X[1, :, :1]]}, ValueError, r"x\[1\] must have shape \(steps, 2\)"),
    (_sequences, {"x": [X[0], [1.0, 2.0]]}, TypeError, r"x\[1\] must be an array"),
    (_sequences, {"x": [X[0], X[1].astype(str)]}, TypeError, r"x\[1\] must hold real numbers"),
    (_sequences, {"x": X, "lengths": [1, 2, 0]}, ValueError, r"1 \.\.\. 5, got 0 in row 2"),
    (_sequences, {"x": X, "lengths": [1, -2, 3]}, ValueError, r"1 \.\.\. 5, got -2 in row 1"),
    (_sequences, {"x": X, "lengths": [6, 2, 3]}, ValueError, r"1 \.\.\. 5, got 6 in row 0"),
    (_sequences, {"x": X, "lengths": [1, 2]}, ValueError, r"lengths must have shape \(3,\)"),
    (_sequences, {"x": X, "lengths": [1.0, 2.0, 3.0]}, TypeError, "lengths must be whole numbers"),
    (_sequences, {"x": LISTS, "lengths": [2, 5, 1]}, ValueError, "have their own lengths"),
    (_plain, {"x": X[:, 0], "lengths": [1, 1, 1]}, ValueError, "this net takes none"),
    (_plain, {"x": [X[0], X[1]]}, TypeError, "x must be an array"),
    (_tokens, {"x": IDS + 6}, IndexError, r"ids in 0 \.\.\. 5, got 6"),
    (_tokens, {"x": IDS - 1}, IndexError, r"ids in 0 \.\.\. 5, got -1"),
    (_tokens, {"x": IDS * 1.0}, TypeError, "ids, whole numbers, got the dtype float64"),
    (_tokens, {"x": IDS.astype(bool)}, TypeError, "ids, whole numbers, got the dtype bool"),
    (_bags, {"x": [IDS[0], IDS[1] + 9]}, IndexError, r"ids in 0 \.\.\. 5, got 9"),
    (_bags, {"x": [IDS[0], IDS[1] * 0.5]}, ValueError, r"x\[1\] must hold whole numbers"),
]


@pytest.mark.parametrize(("net", "given", "error", "message"), BATCHES)
def test_bad_batches(
    net: Any, given: dict[str, Any], error: type[Exception], message: str, backend: str
) -> None:
    made = net()
    before = made.params.flat.tobytes()
    for call in (made.predict, made.forward):
        with pytest.raises(error, match=message):
            call(**given)
    assert made.params.flat.tobytes() == before


# what fit gets -> error, a part of its message
FITS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"y": LABELS[:2]}, ValueError, "y must have the time steps of the sequences"),
    ({"y": [LABELS[1], LABELS[0], LABELS[2]]}, ValueError, "must have the time steps"),
    ({"y": Y[:, :4]}, ValueError, r"one entry for each time step, shape \(3, 5, \.\.\.\)"),
    ({"y": Y[:, 0]}, ValueError, "one entry for each time step"),
    ({"y": Y + 3}, IndexError, "labels must lie in"),
    ({"sample_weight": [np.ones(2)]}, ValueError, "sample_weight must have the time steps"),
    ({"sample_weight": np.ones((3, 4))}, ValueError, "one entry for each time step"),
    ({"sample_weight": -np.ones(3)}, ValueError, "must be >= 0"),
    (
        {"sample_weight": np.ones(3), "loss": bp.CrossEntropy("batch")},
        ValueError,
        "takes weights of time steps",
    ),
    ({"x": X, "lengths": [2, 5, 9]}, ValueError, r"1 \.\.\. 5, got 9"),
]


@pytest.mark.parametrize(("changes", "error", "message"), FITS)
def test_bad_fits(
    changes: dict[str, Any], error: type[Exception], message: str, backend: str
) -> None:
    net = _sequences()
    before = net.params.flat.tobytes()
    arguments = {"x": LISTS, "y": LABELS, "loss": "cross_entropy", "optimizer": "sgd"} | changes
    with pytest.raises(error, match=message):
        net.fit(epochs=1, verbose=0, **arguments)
    assert net.params.flat.tobytes() == before
    assert net.state.steps == 0


_IN = bp.Input((None, 2))
_STATE = bp.Input((4,))

DESCRIPTIONS: list[tuple[Any, type[Exception], str]] = [
    (lambda: bp.LSTM(0), ValueError, "units must be >= 1"),
    (lambda: bp.GRU(4, num_layers=0), ValueError, "num_layers must be >= 1"),
    (lambda: bp.LSTM(4, dropout=1.5), ValueError, r"dropout must lie in \[0, 1\]"),
    (lambda: bp.LSTM(4, recurrent_dropout=-1.0), ValueError, "recurrent_dropout must lie"),
    (lambda: bp.RNN(4, nonlinearity="sigmoid"), ValueError, "nonlinearity is tanh or relu"),
    (lambda: bp.GRU(4, bidirectional=True, stateful=True), ValueError, "run forward alone"),
    (lambda: bp.Bidirectional(bp.Linear(2)), TypeError, "takes an RNN, LSTM or GRU"),
    (lambda: bp.LSTM(4, hidden=3), TypeError, "has no argument 'hidden'"),
    (lambda: bp.LSTM(4)(_IN, initial_state=_STATE), ValueError, r"must be a pair \(h, c\)"),
    (lambda: bp.GRU(4)(_IN, initial_state=(_STATE, _STATE)), ValueError, "must be h alone"),
    (lambda: bp.GRU(4)(X), TypeError, "net.predict takes arrays"),
    (
        lambda: bp.Model([_IN, _STATE], bp.GRU(3)(_IN, initial_state=_STATE)),
        ValueError,
        r"layer 0 \(GRU\): a state must have the shape \(n, 3\), got samples of \(4,\)",
    ),
    (lambda: bp.Model(_STATE, bp.GRU(3)(_STATE)), ValueError, r"layer 0 \(GRU\) needs samples"),
    (lambda: bp.Sequential([bp.GRU(3)]).build(()), ValueError, r"\(steps, \.\.\.\)"),
    (lambda: bp.Sequential([bp.Linear(3)]).build((None,)), ValueError, "None stands for the time"),
    (
        lambda: bp.Sequential([bp.LSTM(3, return_state=True), bp.Linear(2)]),
        ValueError,
        "writes 3 values.*make a bp.Model",
    ),
    (
        lambda: bp.Sequential([bp.Linear(3), bp.Embedding(4, 2)]).build((2,)),
        ValueError,
        "takes real numbers",
    ),
    (lambda: bp.Ragged(X[0], [1, 2]), ValueError, "must begin at 0, got 1"),
    (lambda: bp.Ragged(X[0], [0, 3, 2]), ValueError, "must never fall"),
    (lambda: bp.Ragged(X[0], [0, 6]), ValueError, "must lie within the 5 values"),
]


@pytest.mark.parametrize(("make", "error", "message"), DESCRIPTIONS)
def test_bad_descriptions(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_states_and_outputs_of_a_model(backend: str) -> None:
    y, h = bp.GRU(4, return_state=True)(_IN, initial_state=_STATE)
    net = bp.Model([_IN, _STATE], [y, h])
    state = np.zeros((3, 4))
    with pytest.raises(ValueError, match=r"input input1 must have shape|must have shape \(n, 4\)"):
        net.predict((X, state[:, :3]))
    with pytest.raises(ValueError, match="the inputs have 3 and 2 rows"):
        net.predict((X, state[:2]))
    with pytest.raises(TypeError, match="must be a tuple of 2"):
        net.predict(X)
    with pytest.raises(ValueError, match="must have the keys input0, input1"):
        net.predict({"input0": X, "state": state})
    net.forward((X, state))
    with pytest.raises(TypeError, match="dy must be a tuple of 2"):
        net.backward(state)
    with pytest.raises(ValueError, match=r"dy\[1\] must have"):
        net.backward((None, state[:, :2]))
    with pytest.raises(ValueError, match="loss must be a tuple of 2"):
        net.fit((X, state), X, loss="mse", optimizer="sgd", epochs=1)


def test_fits_of_stateful_nets(backend: str) -> None:
    """States go from a row of a batch to the same row of the next."""
    net = bp.Sequential([bp.GRU(3, stateful=True), bp.Linear(3)]).build((None, 2))
    before = net.params.flat.tobytes()
    bad: list[tuple[dict[str, Any], str]] = [
        ({}, "shuffle=False keeps them in order"),
        ({"shuffle": False, "batch_size": 2}, "got 3 rows in batches of 2"),
        ({"shuffle": False, "validation_data": (X, Y)}, "validation data would change"),
    ]
    for changes, message in bad:
        with pytest.raises(ValueError, match=message):
            net.fit(X, Y, loss="cross_entropy", optimizer="sgd", epochs=1, **changes)
    assert net.params.flat.tobytes() == before
    net.fit(X, Y, loss="cross_entropy", optimizer="sgd", epochs=1, shuffle=False, verbose=0)


def test_streams(backend: str) -> None:
    stream = X[0]
    trainer = bp.Trainer(bp.Sequential([bp.GRU(3, stateful=True), bp.Linear(2)]), "mse", "sgd")
    bad: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"window": 0}, ValueError, "window must be >= 1"),
        ({"streams": 6}, ValueError, "5 time steps can't be cut into 6 pieces"),
        ({"y": stream[:4]}, ValueError, "x has 5 time steps and y has 4"),
        ({"y": stream[:, :1]}, ValueError, "shape of the predictions"),
        ({"sample_weight": -np.ones(5)}, ValueError, "must be >= 0"),
    ]
    for changes, error, message in bad:
        arguments = {"x": stream, "y": stream, "window": 2} | changes
        with pytest.raises(error, match=message):
            trainer.fit_stream(**arguments)
    plain = bp.Trainer(bp.Sequential([bp.GRU(3), bp.Linear(2)]), "mse", "sgd")
    with pytest.raises(ValueError, match="stateful=True"):
        plain.fit_stream(stream, stream, window=2)
    with pytest.raises(ValueError, match="stateful=True"):
        plain.net.stepper()
