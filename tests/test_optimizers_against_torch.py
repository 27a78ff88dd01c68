"""PyTorch as an outside judge of the optimisers, where it is installed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import numpy as np
import pytest
from fake_problem import FakeProblem
from optimizer_cases import CASES, IDS, START, Options, path_of, slope
from tolerance import TRAINING, check_close

import pybp as bp

torch = pytest.importorskip("torch")
STEPS = 150


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    """Let PyTorch keep its scalars in float64 too, NAdam's product above all."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def torch_path(name: str, options: Options, steps: int) -> np.ndarray:
    """Return the weights after each of PyTorch's updates, in float64."""
    w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, name)([w], **options)
    path = []
    for t in range(steps):
        w.grad = torch.tensor(slope(w.detach().numpy(), t))
        optimizer.step()
        path.append(w.detach().numpy().copy())
    return np.array(path)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_the_path_is_pytorchs(name: str, options: Options, backend: str) -> None:
    expected = torch_path(name, options, STEPS)
    got = path_of(getattr(bp, name)(**options), STEPS)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_float32_stays_near(name: str, options: Options, backend: str) -> None:
    expected = torch_path(name, options, STEPS)
    got = path_of(getattr(bp, name)(**options), STEPS, "float32")
    assert got.dtype == np.float32
    check_close(got, expected, "float32", STEPS, TRAINING)


def test_arguments_and_defaults_are_pytorchs() -> None:
    only_there = {"params", "foreach", "fused", "capturable", "differentiable"}
    for name in dict(CASES):
        there = inspect.signature(getattr(torch.optim, name)).parameters
        known = {key: each.default for key, each in there.items() if key not in only_there}
        assert getattr(bp, name)().to_dict() == known


# ------------------------------------------------------------------------- optimisers with the loss


def rosenbrock(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the sum of 100 (b - a^2)^2 + (1 - a)^2 over neighbours, and its gradient."""
    a, b = x[:-1], x[1:]
    value = np.sum(100 * (b - a * a) ** 2 + (1 - a) ** 2)
    slopes = np.zeros_like(x)
    slopes[:-1] += -400 * a * (b - a * a) - 2 * (1 - a)
    slopes[1:] += 200 * (b - a * a)
    return float(value), slopes


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("history", [3, 100])
def test_lbfgs_takes_pytorchs_steps(search: str | None, history: int) -> None:
    lr = 1.0 if search else 0.005
    options = {"lr": lr, "max_iter": 6, "history_size": history, "line_search_fn": search}
    start = np.array([-1.2, 1.0, 0.3, -0.4])
    there = torch.tensor(start, requires_grad=True)
    judge = torch.optim.LBFGS([there], **options)

    def closure() -> object:
        value, slopes = rosenbrock(there.detach().numpy())
        there.grad = torch.tensor(slopes)
        return torch.tensor(value)

    here = FakeProblem(start, rosenbrock)
    optimizer = bp.LBFGS(**options)
    for _ in range(12):
        judge.step(closure)
        here.lr = lr
        optimizer.run_step(here)
        here.update += 1
        np.testing.assert_allclose(here.params, there.detach().numpy(), rtol=1e-9, atol=1e-10)
    assert here.evaluations == judge.state[there]["func_evals"]


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_trains_a_net_as_pytorch_does(search: str | None, backend: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 2))
    net = bp.Sequential([bp.Linear(4), bp.Tanh(), bp.Linear(2)], dtype="float64").build((3,))
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    with torch.no_grad():
        for parameter, name in zip(module.parameters(), net.params, strict=True):
            parameter[...] = torch.tensor(net.params[name].T)
    options = {"lr": 1.0 if search else 0.1, "max_iter": 5, "line_search_fn": search}
    judge = torch.optim.LBFGS(module.parameters(), **options)

    def closure() -> object:
        judge.zero_grad()
        loss = torch.nn.functional.mse_loss(module(torch.tensor(x)), torch.tensor(y))
        loss.backward()
        return loss

    expected = [judge.step(closure).item() for _ in range(6)]
    fit = {"loss": "mse", "optimizer": bp.LBFGS(**options), "batch_size": None, "verbose": 0}
    history = net.fit(x, y, epochs=6, **fit)
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-8)
    for parameter, name in zip(module.parameters(), net.params, strict=True):
        found = net.params[name].T
        np.testing.assert_allclose(found, parameter.detach().numpy(), rtol=1e-7, atol=1e-9)
