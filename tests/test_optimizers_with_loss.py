"""Optimisers that need the loss: L-BFGS and annealing, on functions of a few numbers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from fake_problem import FakeProblem

import pybp as bp

# ------------------------------------------------------------------------------------- L-BFGS


def rosenbrock(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Return 100 (b - a^2)^2 + (1 - a)^2 and its gradient; the minimum is (1, 1)."""
    a, b = x
    slopes = np.array([-400 * a * (b - a * a) - 2 * (1 - a), 200 * (b - a * a)])
    return float(100 * (b - a * a) ** 2 + (1 - a) ** 2), slopes


def bowl(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Return half of 1 x0^2 + 10 x1^2 + 100 x2^2, and its gradient."""
    return float(np.sum([1, 10, 100] * x**2) / 2), np.array([1.0, 10.0, 100.0]) * x


def test_lbfgs_finds_the_end_of_the_valley() -> None:
    problem = FakeProblem([-1.2, 1.0], rosenbrock)
    problem.run(bp.LBFGS(max_iter=100, tolerance_change=0.0, line_search_fn="strong_wolfe"), 1)
    np.testing.assert_allclose(problem.params, [1, 1], atol=1e-6)
    assert problem.evaluations <= 125


def test_lbfgs_takes_a_gradient_step_first() -> None:
    """Of length 1 / |g|_1 at most, then Newton's, which is exact on a parabola."""
    problem = FakeProblem([3.0], lambda x: (float(2 * x[0] ** 2), 4 * x))
    path = problem.run(bp.LBFGS(max_iter=1), 2)
    np.testing.assert_allclose(path[0], [2.0], rtol=1e-15)
    np.testing.assert_allclose(path[1], [0.0], atol=1e-15)


def test_lbfgs_keeps_the_best_of_its_bracket_when_evaluations_run_out() -> None:
    problem = FakeProblem([-1.2, 1.0], rosenbrock)
    before, _ = rosenbrock(problem.params)
    for most in (1, 2, 3):
        optimizer = bp.LBFGS(10.0, max_iter=20, max_eval=most, line_search_fn="strong_wolfe")
        problem.run(optimizer, 1)
        after, _ = rosenbrock(problem.params)
        assert after <= before
        before = after


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_goes_on_from_its_state(search: str | None, dtype: str) -> None:
    optimizer = bp.LBFGS(0.1, max_iter=3, history_size=2, line_search_fn=search)
    whole = FakeProblem([1.0, -2.0, 0.5], bowl, dtype=dtype)
    expected = whole.run(optimizer, 6)
    assert expected.dtype == dtype
    first = FakeProblem([1.0, -2.0, 0.5], bowl, dtype=dtype)
    first.run(optimizer, 3)
    second = FakeProblem(first.params, bowl, dtype=dtype)
    second.update = 3
    second.state = {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in first.state.items()
    }
    np.testing.assert_array_equal(second.run(optimizer, 3), expected[3:])
    kept = [value for value in second.state.values() if isinstance(value, np.ndarray)]
    assert {value.dtype for value in kept} == {np.dtype(dtype)}
    assert len(kept) == 2 + 2 * 2  # direction and gradient, two pairs


def test_lbfgs_forgets_other_parameters() -> None:
    problem = FakeProblem([1.0, -2.0, 0.5], bowl)
    problem.run(bp.LBFGS(0.1, max_iter=3), 1)
    fewer = FakeProblem([3.0], lambda x: (float(2 * x[0] ** 2), 4 * x))
    fewer.state = problem.state
    path = fewer.run(bp.LBFGS(max_iter=1), 1)
    np.testing.assert_allclose(path[0], [2.0], rtol=1e-15)


def test_lbfgs_stays_where_the_gradient_is_0() -> None:
    problem = FakeProblem([0.0, 0.0, 0.0], bowl)
    problem.run(bp.LBFGS(line_search_fn="strong_wolfe"), 2)
    assert problem.params.tolist() == [0.0, 0.0, 0.0]
    assert problem.evaluations == 2


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_comes_to_an_end_with_nan(search: str | None) -> None:
    problem = FakeProblem([1.0, 2.0], lambda x: (float("nan"), np.full(2, np.nan)))
    problem.run(bp.LBFGS(line_search_fn=search), 2)
    assert problem.evaluations <= 2 * 26


def test_lbfgs_turns_back_from_a_wall_of_nan() -> None:
    """log(x) has no value left of 0; the line search stays on its own side."""

    def wall(x: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(invalid="ignore"):
            return float(x[0] - np.log(x[0])), 1 - 1 / x

    problem = FakeProblem([20.0], wall)
    problem.run(bp.LBFGS(30.0, line_search_fn="strong_wolfe"), 3)
    assert np.isfinite(problem.params).all()


@pytest.mark.parametrize(
    "options",
    [
        {"lr": -1.0},
        {"max_iter": 0},
        {"max_eval": 0},
        {"max_eval": 2.5},
        {"tolerance_grad": -1e-9},
        {"tolerance_change": float("nan")},
        {"history_size": 0},
        {"line_search_fn": "armijo"},
    ],
)
def test_lbfgs_refuses_bad_values(options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"LBFGS: {name} must be"):
        bp.LBFGS(**options)


# ---------------------------------------------------------------------------------- annealing


def double_well(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Return (w^2 - 1)^2 + 0.3 w and its slope, of S53."""
    w = x[0]
    return float((w * w - 1) ** 2 + 0.3 * w), 4 * x * (x * x - 1) + 0.3


GLOBAL, LOCAL = -1.035578714, 0.960149556


def _annealed(seed: int, **options: float) -> FakeProblem:
    problem = FakeProblem([1.2], double_well, seed)
    problem.run(bp.Annealing(0.02, **options), 300)
    problem.run(bp.Annealing(0.02, p0=0.0), 300)
    return problem


def test_descent_alone_stays_in_the_wrong_well() -> None:
    assert _annealed(0, p0=0.0).params[0] == pytest.approx(LOCAL, abs=1e-8)


def test_annealing_reaches_the_right_well_in_a_good_share_of_runs() -> None:
    """S53: 57 of 100 seeds there; each ends in one of the two wells."""
    ends = np.array(
        [_annealed(seed, p0=0.5, gamma=0.98, sigma=0.5).params[0] for seed in range(100)]
    )
    right = np.abs(ends - GLOBAL) < 1e-6
    wrong = np.abs(ends - LOCAL) < 1e-6
    assert (right | wrong).all()
    assert 40 <= right.sum() <= 75


def test_random_moves_have_the_probability_of_their_update() -> None:
    """p0 gamma^t: 24.94 are expected in 300 updates; the standard deviation is 4.2."""
    moves = []
    for seed in range(40):
        problem = FakeProblem([0.0], lambda x: (0.0, np.zeros(1)), seed)
        path = problem.run(bp.Annealing(0.02, p0=0.5, gamma=0.98, sigma=0.5), 300)
        moves.append(np.diff(path[:, 0], prepend=0.0))
    made = np.array(moves) != 0
    assert abs(made.sum(axis=1).mean() - 24.94) < 4 * 4.2 / np.sqrt(40)
    assert np.array(moves)[made].std() == pytest.approx(0.5, rel=0.1)
    assert made[:, :10].mean() > 0.3
    assert made[:, 200:].mean() < 0.02


def test_annealing_gives_back_the_best_weights() -> None:
    problem = FakeProblem([1.2], double_well, seed=3)
    optimizer = bp.Annealing(0.02, p0=1.0, gamma=1.0, sigma=0.5, keep_best=True)
    path = np.concatenate([[[1.2]], problem.run(optimizer, 50)])[:-1]  # where it was evaluated
    losses = [double_well(x)[0] for x in path]
    taken: list[np.ndarray] = []
    net = SimpleNamespace(state=SimpleNamespace(memory=problem.state), take_trained=taken.append)
    assert optimizer.restore_best(net) == min(losses)
    assert taken[0].tolist() == path[int(np.argmin(losses))].tolist()
    net.state.memory = {}
    with pytest.raises(RuntimeError, match="train with Annealing"):
        optimizer.restore_best(net)


def test_a_net_gets_its_best_weights_back(backend: str) -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    y = x[:, :1]
    net = bp.Sequential([bp.Linear(2), bp.Tanh(), bp.Linear(1)], dtype="float64").build((3,))
    net.trainable("0", False)
    frozen = net.params["0.weight"].copy()
    optimizer = bp.Annealing(0.05, p0=0.5, gamma=1.0, sigma=0.5, keep_best=True)
    fit = {"loss": "mse", "optimizer": optimizer, "batch_size": None, "verbose": 0}
    losses = net.fit(x, y, epochs=30, **fit).history["loss"]
    assert optimizer.restore_best(net) == min(losses)
    assert net.evaluate(x, y, loss="mse")["loss"] == pytest.approx(min(losses), rel=1e-12)
    np.testing.assert_array_equal(net.params["0.weight"], frozen)


def test_annealing_keeps_no_weights_of_a_nan_loss() -> None:
    problem = FakeProblem([1.0], lambda x: (float("nan"), np.zeros(1)))
    problem.run(bp.Annealing(keep_best=True), 3)
    assert problem.state == {}


@pytest.mark.parametrize(
    "options", [{"lr": -1.0}, {"p0": 1.1}, {"p0": float("nan")}, {"gamma": 1.1}, {"sigma": -1.0}]
)
def test_annealing_refuses_bad_values(options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"Annealing: {name} must be"):
        bp.Annealing(**options)


@pytest.mark.parametrize("kind", [bp.LBFGS, bp.Annealing])
def test_they_can_not_step_without_the_loss(kind: type[bp.optimizers.Optimizer]) -> None:
    net = bp.Sequential([bp.Linear(2)]).build((3,))
    with pytest.raises(TypeError, match=f"{kind.__name__} needs the loss"):
        kind().step(net)
