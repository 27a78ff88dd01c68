"""Optimisers against the papers' equations, written out for one array."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import pybp as bp

START = np.array([[1.0, -2.0, 0.5]])
GRADIENTS = np.random.default_rng(0).normal(size=(6, 1, 3))


def _run(optimizer: bp.optimizers.Optimizer) -> np.ndarray:
    """Return the weights after each update by ``optimizer.step(net)``."""
    net = bp.Sequential([bp.Linear(3, bias=False)], dtype="float64").build((1,))
    net.params["0.weight"] = START
    path = []
    for g in GRADIENTS:
        net.grads["0.weight"] = g
        optimizer.step(net)
        path.append(net.params["0.weight"].copy())
    return np.array(path)


def _sgd(
    lr: float, momentum: float, dampening: float, decay: float, nesterov: bool, sign: float
) -> Iterator[np.ndarray]:
    w, v = START.copy(), np.zeros_like(START)
    for t, gradient in enumerate(GRADIENTS):
        g = sign * gradient + decay * w
        if momentum:
            v = g if t == 0 else momentum * v + (1 - dampening) * g
            g = g + momentum * v if nesterov else v
        w = w - lr * g
        yield w


def _adam(
    lr: float, betas: tuple[float, float], eps: float, decay: float, amsgrad: bool, decoupled: bool
) -> Iterator[np.ndarray]:
    w = START.copy()
    m, v, largest = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t, gradient in enumerate(GRADIENTS, start=1):
        g = gradient if decoupled else gradient + decay * w
        if decoupled:
            w = w * (1 - lr * decay)
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        largest = np.maximum(largest, v)
        corrected = (largest if amsgrad else v) / (1 - betas[1] ** t)
        w = w - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(corrected) + eps)
        yield w


@pytest.mark.parametrize(
    ("momentum", "dampening", "decay", "nesterov", "maximize"),
    [
        (0.0, 0.0, 0.0, False, False),
        (0.0, 0.0, 0.1, False, True),
        (0.9, 0.0, 0.0, False, False),
        (0.9, 0.4, 0.1, False, False),
        (0.9, 0.0, 0.1, True, True),
    ],
)
def test_sgd(
    momentum: float, dampening: float, decay: float, nesterov: bool, maximize: bool, backend: str
) -> None:
    optimizer = bp.SGD(0.1, momentum, dampening, decay, nesterov, maximize)
    expected = _sgd(0.1, momentum, dampening, decay, nesterov, -1.0 if maximize else 1.0)
    np.testing.assert_allclose(_run(optimizer), list(expected), rtol=1e-12)


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam(decay: float, amsgrad: bool, decoupled: bool, backend: str) -> None:
    kind = bp.AdamW if decoupled else bp.Adam
    optimizer = kind(0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=decay, amsgrad=amsgrad)
    expected = _adam(0.05, (0.8, 0.95), 1e-6, decay, amsgrad, decoupled)
    np.testing.assert_allclose(_run(optimizer), list(expected), rtol=1e-11)


def test_a_schedule_gives_the_rate_of_each_update(backend: str) -> None:
    seen: list[int] = []

    def schedule(t: int) -> float:
        seen.append(t)
        return 0.1 / (1 + t)

    path = _run(bp.SGD(schedule))
    rates = 0.1 / np.arange(1, 7)
    np.testing.assert_allclose(path, START - np.cumsum(rates[:, None, None] * GRADIENTS, axis=0))
    assert seen == [0, 1, 2, 3, 4, 5]


def test_the_state_goes_on_while_the_class_stays(backend: str) -> None:
    net = bp.Sequential([bp.Linear(3, bias=False)], dtype="float64").build((1,))
    net.params["0.weight"] = START
    path = []
    for t, g in enumerate(GRADIENTS):
        net.grads["0.weight"] = g
        bp.Adam(0.05 if t < 3 else 0.01).step(net)
        path.append(net.params["0.weight"].copy())
    full = list(_adam(0.05, (0.9, 0.999), 1e-8, 0.0, False, False))
    np.testing.assert_allclose(path[:3], full[:3], rtol=1e-11)
    np.testing.assert_allclose(path[3] - path[2], (full[3] - full[2]) / 5, rtol=1e-9)


@pytest.mark.parametrize(
    "reset", [lambda net: bp.SGD(0.0).step(net), lambda net: net.reset_optimizer()]
)
def test_another_class_and_a_reset_start_at_zero(reset: object, backend: str) -> None:
    net = bp.Sequential([bp.Linear(3, bias=False)], dtype="float64").build((1,))
    net.grads["0.weight"] = GRADIENTS[0]
    bp.Adam(0.05).step(net)
    reset(net)
    net.params["0.weight"] = START
    net.grads["0.weight"] = GRADIENTS[0]
    bp.Adam(0.05).step(net)
    expected = next(_adam(0.05, (0.9, 0.999), 1e-8, 0.0, False, False))
    np.testing.assert_allclose(net.params["0.weight"], expected, rtol=1e-11)


def test_a_schedule_that_fails_leaves_the_state_of_the_other_class(backend: str) -> None:
    net = bp.Sequential([bp.Linear(3, bias=False)], dtype="float64").build((1,))
    net.grads["0.weight"] = GRADIENTS[0]
    bp.Adam(0.05).step(net)
    with pytest.raises(ValueError, match=r"gave the rate -1.0 for update 0"):
        bp.SGD(lambda t: -1.0).step(net)
    bp.Adam(0.05).step(net)
    assert net.state.updates == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: bp.SGD(-0.1),
        lambda: bp.SGD(float("nan")),
        lambda: bp.SGD(0.1, momentum=-1.0),
        lambda: bp.SGD(0.1, nesterov=True),
        lambda: bp.SGD(0.1, momentum=0.9, dampening=0.1, nesterov=True),
        lambda: bp.Adam(betas=(0.9, 1.0)),
        lambda: bp.Adam(betas=(0.9,)),
        lambda: bp.Adam(eps=-1.0),
        lambda: bp.AdamW(weight_decay=-1.0),
        lambda: _run(bp.SGD(lambda t: -1.0)),
    ],
)
def test_bad_values_are_value_errors(make: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        make()
