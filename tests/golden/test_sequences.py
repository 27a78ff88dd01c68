"""S84, S94, S95: the word detector, the next value of a series, motion as a recurrence."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from golden.helpers import Kind, golden
from golden.letters import LETTERS, letters_and_ends

import pybp as bp

# ----------------------------------------------------------------------------------- word detector


@cache
def reference_draws():
    """Return the starting weights and all batches of the reference run, from one generator."""
    run, draw = golden("S84")["reference_run"], np.random.RandomState(3)
    hidden = run["hidden"]
    start = {
        "0.weight_ih_l0": 0.4 * draw.standard_normal((LETTERS, hidden)),
        "0.weight_hh_l0": 0.25 * draw.standard_normal((hidden, hidden)),
        "1.weight": 0.4 * draw.standard_normal((hidden, 1)),
    }
    shape = run["batch"], run["length"]
    return start, [letters_and_ends(draw, *shape) for _ in range(run["steps"])]


def clipped_step(net, optimizer, x, ends):
    """Do one step on gradients of a norm of at most 1; return the loss."""
    loss, dy = bp.BCEWithLogits().value_and_grad(net.forward(x, training=True), ends)
    net.backward(dy)
    net.grads["0.bias_hh_l0"] = np.zeros(net.params["0.bias_hh_l0"].shape)  # one bias is enough
    norm = np.sqrt(sum(float(np.square(g).sum()) for g in net.grads.values()))
    if norm > 1:
        for name, gradient in net.grads.items():
            net.grads[name] = gradient / norm
    optimizer.step(net)
    return loss


@pytest.mark.parametrize(
    ("backend", "dtype"),
    [("native", "float32"), ("native", "float64"), ("numpy", "float64")],
    indirect=["backend"],
)
def test_detector_finds_every_word_and_nothing_else(backend, dtype):
    """S84: the reference run: 1103 of 1103 above 0.9, no false alarm in 38 897 places."""
    fig = golden("S84")
    run = fig["reference_run"]
    net = bp.Sequential([bp.RNN(run["hidden"]), bp.Linear(1)], dtype=dtype)
    net.build((None, LETTERS))
    start, batches = reference_draws()
    for name, value in start.items():
        net.params[name] = value
    one_hot, optimizer = np.eye(LETTERS, dtype=dtype), bp.Adam(0.01)
    losses = [clipped_step(net, optimizer, one_hot[x], ends) for x, ends in batches]
    if dtype == "float64":
        assert losses[0] == pytest.approx(run["first_loss"], rel=1e-6)
        assert np.mean(losses[-100:]) == pytest.approx(run["last_100_mean_loss"], rel=1e-6)
    letters, ends = letters_and_ends(
        np.random.RandomState(99), run["test_sequences"], run["test_length"]
    )
    logits = net.predict(one_hot[letters])
    found, there = logits > np.log(fig["threshold"] / (1 - fig["threshold"])), ends > 0
    assert np.count_nonzero(there) == run["positions_with_word"]
    assert np.count_nonzero(found & there) == run["detected"]
    assert np.count_nonzero(found & ~there) == run["false_alarms"] == 0
    assert np.count_nonzero(~there) == run["positions_without_word"]


# ---------------------------------------------------------------------- the next value of a series


def windows_and_next(series):
    """Return (x_{t-1}, x_{t-2}) and x_t for all t from 2 on."""
    return np.stack([series[1:-1], series[:-2]], axis=1), series[2:, None]


def test_two_taps_predict_a_sine_exactly(sequential, array, close):
    """S94: weights 2 cos 0.3 and -1; "same as the last value" misses by 0.043 on average."""
    fig = golden("S94")
    series = np.sin(0.3 * np.arange(60))
    windows, wanted = windows_and_next(series)
    close(windows[:3], fig["first_windows"])
    close(wanted[:3, 0], fig["first_targets"])
    exact = {"0.weight": fig["exact_weights"][:, None]}
    net = sequential([bp.Linear(1, bias=False)], (2,), exact)
    got = net.predict(array(windows))
    close(got[:, 0], wanted[:, 0])
    same, _ = bp.MSE().value_and_grad(array(windows[:, :1]), array(wanted))
    close(same, fig["persistence_mse"], terms=len(wanted))
    # and a trained one finds them; the smaller curvature is 0.044, so errors fall by 4 % a step
    net.params["0.weight"] = [[1.0], [0.0]]
    net.fit(
        array(windows), array(wanted), loss="mse", optimizer=bp.SGD(0.9), epochs=1000,
        batch_size=None, verbose=0,
    )  # fmt: skip
    close(net.params["0.weight"][:, 0], fig["exact_weights"], Kind.TRAINED)


def test_a_recurrent_net_beats_the_last_value(backend):
    """S94: it reads a noisy sine and is judged on the part that comes after its training."""
    noise = 0.05 * np.random.default_rng(0).normal(size=600)
    series = (np.sin(0.3 * np.arange(600)) + noise).astype("f4")
    x, y = series[:-1, None], series[1:, None]
    pieces = [(x[i : i + 40][None], y[i : i + 40][None]) for i in range(0, 400, 40)]
    net = bp.Sequential([bp.RNN(8), bp.Linear(1)])
    net.fit(
        *(np.concatenate(part) for part in zip(*pieces, strict=True)), loss="mse",
        optimizer=bp.Adam(0.01), epochs=60, batch_size=2, verbose=0,
    )  # fmt: skip
    error = net.evaluate(x[None, 400:], y[None, 400:], loss="mse")["loss"]
    last_value = float(np.square(y[400:] - x[400:]).mean())
    assert error < 0.2 * last_value


# ------------------------------------------------------------------------------ motion by its steps


def run_freely(cell, params, model, array, start, steps):
    """Return the states of a recurrent layer that reads nothing but its own last state."""
    x, s0 = bp.Input((None, 1)), bp.Input((len(start),))
    s = cell.replace(name="step")(x, initial_state=s0)
    net = model([x, s0], s, {f"step.{name}": value for name, value in params.items()})
    return net, net.predict((array(np.zeros((1, steps, 1))), array([start])))[0]


def test_decay_is_a_recurrence_of_one_unit(model, array, close):
    """S95: x_{t+1} = e^{-0.07} x_t, run freely from 1, and e^{-0.07} learned through time."""
    fig = golden("S95")["decay"]
    cell = bp.RNN(1, bias=False, nonlinearity="relu")
    params = {"weight_ih_l0": [[0.0]], "weight_hh_l0": [[fig["ws"]]]}
    net, states = run_freely(cell, params, model, array, [1.0], 5)
    close(states[:, 0], fig["x"][1:], terms=5)
    net.params["step.weight_hh_l0"] = [[0.5]]
    given, wanted = (array(np.zeros((1, 5, 1))), array([[1.0]])), array([fig["x"][1:, None]])
    net.fit(given, wanted, loss="mse", optimizer=bp.SGD(0.1), epochs=300, verbose=0)
    close(net.params["step.weight_hh_l0"][0, 0], fig["ws"], Kind.TRAINED, terms=5)
    _, states = run_freely(cell, params, model, array, [1.0], 100)
    solution = np.exp(-fig["lam"] * fig["dt"] * np.arange(1, 101))
    close(states[:, 0], solution, Kind.SMOOTH, terms=100)


def test_oscillator_is_a_recurrence_of_four_relu_units(model, array, close):
    """S95: x_{t+1} = 2 cos(0.2) x_t - x_{t-1}; two units hold a number, one for each sign."""
    fig = golden("S95")["oscillator"]
    one_step = np.array([fig["recurrence_weights"], [1.0, 0.0]])  # of (x_t, x_{t-1})
    parts = np.kron(one_step.T, [[1.0, -1.0], [-1.0, 1.0]])
    params = {"weight_ih_l0": np.zeros((1, 4)), "weight_hh_l0": parts}
    cell = bp.RNN(4, bias=False, nonlinearity="relu")
    start = np.array([fig["x"][1], fig["x"][0]])
    both = np.stack([np.maximum(start, 0), np.maximum(-start, 0)], axis=1).ravel()
    _, states = run_freely(cell, params, model, array, both, 100)
    got = states[:, 0] - states[:, 1]
    close(got[:4], fig["x"][2:])
    # what is rounded off at one step swings on, 1 / sin(0.2) times as large
    angle = fig["omega"] * fig["dt"]
    close(got, np.cos(angle * np.arange(2, 102)), terms=100, scale=1 / np.sin(angle))


def test_oscillator_is_learned_from_data(sequential, array, close):
    """S95: both weights from one period; then a free run of the net follows the solution."""
    fig = golden("S95")["oscillator"]
    angle = fig["omega"] * fig["dt"]
    windows, wanted = windows_and_next(np.cos(angle * np.arange(33)))
    net = sequential([bp.Linear(1, bias=False)], (2,), {"0.weight": [[1.0], [0.0]]})
    net.fit(
        array(windows), array(wanted), loss="mse", optimizer=bp.SGD(0.9), epochs=2000,
        batch_size=None, verbose=0,
    )  # fmt: skip
    close(net.params["0.weight"][:, 0], fig["recurrence_weights"], Kind.TRAINED)
    if net.dtype == "float64":
        last_two = array([[fig["x"][1], fig["x"][0]]])
        for step in range(2, 200):
            last_two = np.stack([net.predict(last_two)[:, 0], last_two[:, 0]], axis=1)
            assert last_two[0, 0] == pytest.approx(np.cos(angle * step), abs=1e-9)
