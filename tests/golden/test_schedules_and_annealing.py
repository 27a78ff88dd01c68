"""S52, S53: rates that fall, and random moves that grow rare."""

from __future__ import annotations

import numpy as np
import pytest
from golden.helpers import Kind, float64_only, golden

import pybp as bp

SCHEDULES = {
    "inverse_time_k_0_5": lambda eta: bp.InverseTimeLR(eta, k=0.5),
    "exponential_gamma_0_9": lambda eta: bp.ExponentialLR(eta, gamma=0.9),
    "step_half_every_2": lambda eta: bp.StepLR(eta, step_size=2, gamma=0.5),
}


def descend(sequential, array, rate, steps):
    """Return w after each of some updates on w^2 / 2, from w = 1."""
    net = sequential([bp.Linear(1, bias=False)], (1,), {"0.weight": [[1.0]]})
    loss = bp.SquaredError("sum", half=True)
    trainer = bp.Trainer(net, loss=loss, optimizer=bp.SGD(rate))
    path = []
    for _ in range(steps):
        trainer.step(array([[1.0]]), array([[0.0]]))
        path.append(net.params["0.weight"].item())
    return np.array(path)


@pytest.mark.parametrize("key", SCHEDULES)
def test_schedules_follow_their_formulas(key):
    """S52: eta / (1 + k t), eta gamma^t, halved every second update."""
    fig = golden("S52")
    schedule = SCHEDULES[key](fig["eta0"])
    rates = [schedule(int(t)) for t in fig["t"]]
    np.testing.assert_allclose(rates, fig[key], rtol=1e-14)


@pytest.mark.parametrize("key", SCHEDULES)
def test_updates_take_the_rate_of_their_number(sequential, array, close, key):
    """S52: on w^2 / 2 each update multiplies w by 1 - eta(t); steps and a fit give the same."""
    fig = golden("S52")
    schedule = SCHEDULES[key](fig["eta0"])
    path = descend(sequential, array, schedule, len(fig["t"]))
    close(path, np.cumprod(1 - fig[key]), Kind.GRADIENT)
    net = sequential([bp.Linear(1, bias=False)], (1,), {"0.weight": [[1.0]]})
    net.fit(
        array([[1.0]] * 6), array([[0.0]] * 6), loss=bp.SquaredError("sum", half=True),
        optimizer=bp.SGD(schedule), epochs=1, batch_size=1, verbose=0,
    )  # fmt: skip
    assert net.params["0.weight"].item() == path[-1]


def test_a_large_rate_diverges_and_a_small_one_crawls(sequential, array):
    """S52: above 2 on w^2 / 2 the steps grow; a rate that starts there and falls comes back."""
    assert np.all(np.diff(np.abs(descend(sequential, array, 2.5, 20))) > 0)
    assert descend(sequential, array, 0.001, 20)[-1] > 0.98
    falling = np.abs(descend(sequential, array, bp.ExponentialLR(2.5, gamma=0.8), 20))
    assert falling.max() > 1
    assert falling[-1] < 0.01


# ---------------------------------------------------------------------------- annealing


def double_well(sequential, array, **options):
    """Return a net of one weight w whose squared error is (w^2 - 1)^2 + 0.3 w + 1.2725.

    Its outputs are w^2 and w, their targets 1.5 and -0.15: (w^2 - 1.5)^2 + (w + 0.15)^2.
    """
    one = bp.Input((1,), dtype=options["dtype"])
    w = bp.Linear(1, bias=False, name="w")(one)
    net = bp.Model(one, bp.Concat()([bp.Multiply()([w, w]), w]), **options)
    net.params["w.weight"] = array([[golden("S53")["start"]]])
    return net


def steps_of(net, array, optimizer, steps, callbacks=()):
    x, y = array(np.ones((steps, 1))), array(np.tile([1.5, -0.15], (steps, 1)))
    net.fit(
        x, y, loss=bp.SquaredError("sum"), optimizer=optimizer, epochs=1, batch_size=1,
        shuffle=False, verbose=0, callbacks=callbacks,
    )  # fmt: skip
    return net.params["w.weight"].item()


def test_the_figures_are_those_of_the_double_well(sequential, array, close, dtype):
    """S53: values and slopes at the three stationary points."""
    fig = golden("S53")
    net = double_well(sequential, array, dtype=dtype)
    loss = bp.SquaredError("sum")
    for point, value in zip(fig["stationary_points"], fig["f_at"], strict=True):
        net.params["w.weight"] = array([[point]])
        got, dy = loss.value_and_grad(net.forward(array([[1.0]])), array([[1.5, -0.15]]))
        close(got - 1.2725, value, scale=4.0)
        net.backward(dy)
        close(net.grads["w.weight"][0, 0], 0.0, Kind.GRADIENT, scale=4.0)


def test_descent_alone_ends_in_the_wrong_well(sequential, array, close, dtype):
    """S53: from 1.2 to 0.960149556, though -1.0356 lies lower; annealing with p0 = 0 too."""
    fig = golden("S53")
    for optimizer in (bp.SGD(fig["eta"]), bp.Annealing(fig["eta"], p0=0.0)):
        net = double_well(sequential, array, dtype=dtype)
        end = steps_of(net, array, optimizer, 2000)
        close(end, fig["plain_descent_ends_at"], Kind.TRAINED)
    assert fig["f_at"][0] < fig["f_at"][2]


class Moves(bp.Callback):
    """Counts the updates that are not the step against the gradient."""

    def __init__(self, rate):
        self.rate, self.random = rate, 0

    def on_fit_begin(self, trainer):
        self.last = trainer.net.params["w.weight"].item()

    def on_step_end(self, trainer, step, loss):
        w = trainer.net.params["w.weight"].item()
        expected = self.last - self.rate * (4 * self.last * (self.last**2 - 1) + 0.3)
        self.random += abs(w - expected) > 1e-6
        self.last = w


def annealing_of(fig):
    return bp.Annealing(fig["eta"], p0=fig["p0"], gamma=fig["gamma"], sigma=fig["sigma"])


@float64_only
@pytest.mark.parametrize("backend", ["native"], indirect=True)  # NumPy would take a minute
def test_annealed_runs_often_reach_the_right_well(sequential, array, dtype):
    """S53: 57 of 100 in the figures; other random numbers give about as many (4 deviations)."""
    fig = golden("S53")
    good = 0
    for seed in range(int(fig["seeds"])):
        net = double_well(sequential, array, dtype=dtype, seed=seed)
        steps_of(net, array, annealing_of(fig), int(fig["steps"]))
        end = steps_of(net, array, bp.SGD(fig["eta"]), 500)
        assert np.min(np.abs(end - fig["stationary_points"][[0, 2]])) < 1e-3
        good += end < 0
    share = fig["runs_ending_in_the_global_well"] / fig["seeds"]
    assert abs(good / fig["seeds"] - share) < 4 * np.sqrt(share * (1 - share) / fig["seeds"])


@float64_only
def test_random_moves_are_as_many_as_their_probabilities_say(sequential, array, dtype):
    """S53: 24.94 of 300 expected, more of them at first; mean over 10 runs, 4 deviations."""
    fig = golden("S53")
    chance = fig["p0"] * fig["gamma"] ** np.arange(fig["steps"])
    np.testing.assert_allclose(chance[:5], fig["probability_schedule_first_5"], rtol=1e-12)
    assert chance.sum() == pytest.approx(fig["expected_number"], rel=1e-12)
    counts = []
    for seed in range(10):
        net = double_well(sequential, array, dtype=dtype, seed=seed)
        moves = Moves(fig["eta"])
        steps_of(net, array, annealing_of(fig), int(fig["steps"]), [moves])
        counts.append(moves.random)
    deviation = np.sqrt(np.sum(chance * (1 - chance)) / 10)
    assert abs(np.mean(counts) - fig["expected_number"]) < 4 * deviation
    assert len(set(counts)) > 1
