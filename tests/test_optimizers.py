"""Optimisers against the papers' equations, written out for one array."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from conftest import require_native
from optimizer_cases import CASES, IDS, Options, path_of
from tolerance import TRAINING, check_close

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


# ------------------------------------------------------- the others, each with all its options

Path = Iterator[np.ndarray]
NOTHING = np.zeros_like(START)


def _adagrad() -> Path:
    w, total = START, np.full_like(START, 0.3)
    for t, gradient in enumerate(GRADIENTS, start=1):
        g = gradient + 0.1 * w
        total = total + g**2
        w = w - 0.2 / (1 + (t - 1) * 0.05) * g / (np.sqrt(total) + 1e-3)
        yield w


def _rmsprop() -> Path:
    w, square, mean, velocity = START, NOTHING, NOTHING, NOTHING
    for gradient in GRADIENTS:
        g = gradient + 0.1 * w
        square = 0.8 * square + 0.2 * g**2
        mean = 0.8 * mean + 0.2 * g
        velocity = 0.7 * velocity + g / (np.sqrt(square - mean**2) + 1e-3)
        w = w - 0.02 * velocity
        yield w


def _adadelta() -> Path:
    w, square, moves = START, NOTHING, NOTHING
    for gradient in GRADIENTS:
        g = gradient + 0.1 * w
        square = 0.8 * square + 0.2 * g**2
        move = np.sqrt(moves + 1e-3) / np.sqrt(square + 1e-3) * g
        moves = 0.8 * moves + 0.2 * move**2
        w = w - 0.5 * move
        yield w


def _adamax() -> Path:
    w, mean, largest = START, NOTHING, NOTHING
    for t, gradient in enumerate(GRADIENTS, start=1):
        g = gradient + 0.1 * w
        mean = 0.8 * mean + 0.2 * g
        largest = np.maximum(0.9 * largest, np.abs(g) + 1e-3)
        w = w - 0.05 / (1 - 0.8**t) * mean / largest
        yield w


def _nadam() -> Path:
    w, mean, square, product = START, NOTHING, NOTHING, 1.0
    for t, g in enumerate(GRADIENTS, start=1):
        w = w * (1 - 0.05 * 0.1)
        mu, mu_next = (0.8 * (1 - 0.5 * 0.96 ** (each * 0.2)) for each in (t, t + 1))
        product *= mu
        mean = 0.8 * mean + 0.2 * g
        square = 0.9 * square + 0.1 * g**2
        ahead = mu_next * mean / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
        w = w - 0.05 * ahead / (np.sqrt(square / (1 - 0.9**t)) + 1e-3)
        yield w


def _radam() -> Path:
    w, mean, square, longest = START, NOTHING, NOTHING, 2 / (1 - 0.98) - 1
    for t, g in enumerate(GRADIENTS, start=1):
        w = w * (1 - 0.05 * 0.1)
        mean = 0.8 * mean + 0.2 * g
        square = 0.98 * square + 0.02 * g**2
        rho = longest - 2 * t * 0.98**t / (1 - 0.98**t)
        move = mean / (1 - 0.8**t)
        if rho > 5:
            top, bottom = (rho - 4) * (rho - 2) * longest, (longest - 4) * (longest - 2) * rho
            move *= np.sqrt(top / bottom) * np.sqrt(1 - 0.98**t) / (np.sqrt(square) + 1e-3)
        w = w - 0.05 * move
        yield w


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (bp.Adagrad(0.2, 0.05, 0.1, 0.3, 1e-3), _adagrad),
        (bp.RMSprop(0.02, 0.8, 1e-3, 0.1, 0.7, True), _rmsprop),
        (bp.Adadelta(0.5, 0.8, 1e-3, 0.1), _adadelta),
        (bp.Adamax(0.05, (0.8, 0.9), 1e-3, 0.1), _adamax),
        (bp.NAdam(0.05, (0.8, 0.9), 1e-3, 0.1, 0.2, True), _nadam),
        (bp.RAdam(0.05, (0.8, 0.98), 1e-3, 0.1, True), _radam),
    ],
)
def test_the_others(
    optimizer: bp.optimizers.Optimizer, expected: Callable[[], Path], backend: str
) -> None:
    np.testing.assert_allclose(_run(optimizer), list(expected()), rtol=1e-11)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_native_equals_numpy(name: str, options: Options, dtype: str) -> None:
    require_native()
    optimizer = getattr(bp, name)(**options)
    paths = []
    for backend in ("native", "numpy"):
        with bp.use_backend(backend):
            paths.append(path_of(optimizer, 60, dtype))
    check_close(paths[0], paths[1], dtype, 60, TRAINING)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_scalars_do_not_depend_on_how_calls_are_cut(name: str, options: Options) -> None:
    optimizer = getattr(bp, name)(**options)
    whole = optimizer.hyper(0, 2500)
    assert whole.shape == (2500, len(optimizer.op("w", "g").hyper))
    for first, steps in ((0, 1), (0, 64), (3, 1), (64, 64), (1020, 9), (1023, 1), (2047, 453)):
        np.testing.assert_array_equal(optimizer.hyper(first, steps), whole[first : first + steps])
    late = optimizer.hyper(10**9, 2)
    assert np.isfinite(late).all()


def test_nadam_multiplies_no_more_momenta_than_count() -> None:
    optimizer = bp.NAdam(betas=(0.9, 0.999), momentum_decay=4e-3)
    mu = 0.9 * (1 - 0.5 * 0.96 ** (np.arange(1, 3002) * 4e-3))
    product = np.cumprod(mu)
    table = optimizer.hyper(0, 3000)
    columns = optimizer.op("w", "g").hyper
    slope_part = table[:, columns.index("slope_part")]
    mean_part = table[:, columns.index("mean_part")]
    np.testing.assert_allclose(slope_part, (1 - mu[:-1]) / (1 - product[:-1]), rtol=1e-15)
    np.testing.assert_allclose(mean_part, mu[1:] / (1 - product[1:]), rtol=1e-15)


# ------------------------------------------------------------------------- rates and the state


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


def test_adagrads_sum_starts_again_where_it_should(backend: str) -> None:
    net = bp.Sequential([bp.Linear(3, bias=False)], dtype="float64").build((1,))
    optimizer = bp.Adagrad(0.2, 0.05, 0.1, 0.3, 1e-3)
    for reset in (lambda: None, net.reset_optimizer, lambda: bp.SGD(0.0).step(net)):
        reset()
        net.params["0.weight"] = START
        net.grads["0.weight"] = GRADIENTS[0]
        optimizer.step(net)
        np.testing.assert_allclose(net.params["0.weight"], next(_adagrad()), rtol=1e-12)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_steps_of_a_trainer_are_those_of_a_fit(name: str, options: Options, dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=(23, 4))
    y = np.sin(x[:, :2])
    nets = [bp.Sequential([bp.Linear(5), bp.Tanh(), bp.Linear(2)], dtype=dtype) for _ in range(2)]
    trainers = [bp.Trainer(net, "mse", getattr(bp, name)(**options)) for net in nets]
    trainers[0].fit(x, y, epochs=3, batch_size=5, shuffle=False, verbose=0)
    for _ in range(3):
        for start in range(0, 23, 5):
            trainers[1].step(x[start : start + 5], y[start : start + 5])
    np.testing.assert_array_equal(nets[0].params.flat, nets[1].params.flat)


def test_exact_updates_by_rows_are_adagrads_of_the_whole_table(backend: str) -> None:
    """A fit touches the rows of a batch alone, which changes nothing."""
    ids = np.random.default_rng(0).integers(0, 40, (12, 3))
    y = np.random.default_rng(1).normal(size=(12, 3, 2))
    net = bp.Sequential([bp.Embedding(40, 2)]).build((3,))
    fitted = bp.Sequential([bp.Embedding(40, 2)]).build((3,))
    optimizer = bp.Adagrad(0.1)
    for start in (0, 4, 8):
        rows = slice(start, start + 4)
        y_hat = net.forward(ids[rows], training=True)
        net.backward(bp.MSE().value_and_grad(y_hat, y[rows])[1])
        net.grads["0.weight"] = net.grads["0.weight"].copy()  # a dense gradient from here on
        optimizer.step(net)
    fitted.fit(ids, y, loss="mse", optimizer=optimizer, epochs=1, batch_size=4, shuffle=False,
               verbose=0)  # fmt: skip
    np.testing.assert_allclose(net.params.flat, fitted.params.flat, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "make",
    [
        lambda: bp.SGD(-0.1),
        lambda: bp.SGD(float("nan")),
        lambda: bp.SGD(0.1, momentum=-1.0),
        lambda: bp.SGD(0.1, nesterov=True),
        lambda: bp.SGD(0.1, momentum=0.9, dampening=0.1, nesterov=True),
        lambda: bp.SGD(True),
        lambda: bp.SGD("0.1"),
        lambda: bp.SGD(dampening=float("nan")),
        lambda: bp.Adam(lr=float("inf")),
        lambda: bp.Adam(betas=(0.9, 1.0)),
        lambda: bp.Adam(betas=(-0.1, 0.9)),
        lambda: bp.Adam(betas=(0.9, float("nan"))),
        lambda: bp.Adam(betas=0.9),
        lambda: bp.RAdam(betas=("a", 0.9)),
        lambda: bp.Adamax(eps=float("nan")),
        lambda: bp.NAdam(momentum_decay=-1.0),
        lambda: bp.Adagrad(lr_decay=-0.1),
        lambda: bp.Adagrad(initial_accumulator_value=-0.1),
        lambda: bp.Adagrad(eps=-1e-10),
        lambda: bp.RMSprop(alpha=1.0),
        lambda: bp.RMSprop(alpha=-0.1),
        lambda: bp.RMSprop(momentum=-0.1),
        lambda: bp.Adadelta(rho=1.0),
        lambda: bp.Adadelta(eps=-1.0),
        lambda: bp.Adam(betas=(0.9,)),
        lambda: bp.Adam(eps=-1.0),
        lambda: bp.AdamW(weight_decay=-1.0),
        lambda: _run(bp.SGD(lambda t: -1.0)),
        lambda: _run(bp.SGD(lambda t: float("inf"))),
        lambda: _run(bp.SGD(lambda t: float("nan"))),
    ],
)
def test_bad_values_are_value_errors(make: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: bp.RMSprop(rho=0.9),
            r"RMSprop\(\) has no argument 'rho'; its arguments: lr, alpha",
        ),
        (lambda: bp.Adam(beta1=0.9), r"Adam\(\) has no argument 'beta1'"),
        (lambda: bp.Adagrad(eps="small"), "Adagrad: eps must be a real number, got 'small'"),
        (lambda: bp.RMSprop(centered=3), "RMSprop: centered must be True or False, got 3"),
    ],
)
def test_bad_arguments_are_type_errors(make: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_messages_name_the_optimiser_and_the_argument() -> None:
    with pytest.raises(ValueError, match=r"RMSprop: alpha must be a number in \[0, 1\), got 1.0"):
        bp.RMSprop(alpha=1.0)
    with pytest.raises(ValueError, match=r"NAdam: betas must be two numbers in \[0, 1\), got \(1,"):
        bp.NAdam(betas=(1, 0.9))
    with pytest.raises(ValueError, match=r"Adadelta: lr must be a finite number >= 0, got -1"):
        bp.Adadelta(-1)


@pytest.mark.parametrize("kind", bp.optimizers.OPTIMIZERS)
def test_every_optimiser_has_a_name(kind: type[bp.optimizers.Optimizer]) -> None:
    net = bp.Sequential([bp.Linear(2)]).build((3,))
    assert type(bp.Trainer(net, "mse", kind.__name__.lower()).optimizer) is kind
