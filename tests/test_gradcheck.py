"""``gradcheck``: it passes what is right, finds what is wrong, and leaves the net as it was."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pybp as bp
from pybp.program.gradient_table import GRADIENTS
from pybp.program.ops import Activate, ActivateGrad

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5))
LABELS = np.array([0, 2, 1, 1])


def _two_and_two() -> bp.Model:
    a, b = bp.Input((5,), name="left"), bp.Input((3,), name="right")
    h = bp.Tanh()(bp.Concat()([bp.Linear(4)(a), b]))
    return bp.Model([a, b], [bp.Linear(2)(h), bp.Sigmoid()(h)])


def _pictures() -> bp.Sequential:
    return bp.Sequential(
        [bp.Conv2d(4, 3), bp.BatchNorm(), bp.ReLU(), bp.MaxPool2d(2), bp.Flatten(),
         bp.Dropout(0.5), bp.Linear(3)]
    )  # fmt: skip


def _reader() -> bp.Sequential:
    return bp.Sequential([bp.Embedding(9, 4), bp.LSTM(5), bp.LayerNorm(), bp.Linear(9)])


IDS = RNG.integers(0, 9, (3, 6))
GOOD: list[tuple[Callable[[], Any], tuple[Any, ...], dict[str, Any], list[str]]] = [
    (
        lambda: bp.Sequential([bp.Linear(4), bp.Tanh(), bp.Linear(3)]),
        (X,),
        {},
        ["0.weight", "0.bias", "2.weight", "2.bias", "x"],
    ),
    (
        _pictures,
        (RNG.normal(size=(4, 8, 8, 2)), LABELS, "cross_entropy"),
        {},
        ["0.weight", "0.bias", "1.weight", "1.bias", "6.weight", "6.bias", "x"],
    ),
    (_pictures, (RNG.normal(size=(4, 8, 8, 2)),), {"training": False}, []),
    (_reader, (IDS, IDS, "cross_entropy"), {"lengths": np.array([6, 2, 4])}, []),
    (_reader, ([row[:k] for row, k in zip(IDS, (3, 6, 1), strict=True)],), {}, []),
    (
        lambda: bp.Sequential([bp.GRU(5, stateful=True)]),
        ([RNG.normal(size=(4, 3)), RNG.normal(size=(2, 3))],),
        {},
        [],
    ),
    (
        lambda: bp.Sequential([bp.RNN(5, return_sequences=False), bp.Linear(2)]),
        (bp.Ragged(RNG.normal(size=(6, 3)), np.array([0, 4])), X[:2, :2], "mse"),
        {"sample_weight": np.array([1.0, 3.0])},
        [],
    ),
    (
        _two_and_two,
        ((X, X[:, :3]),),
        {},
        ["0.weight", "0.bias", "3.weight", "3.bias", "left", "right"],
    ),
    (
        _two_and_two,
        ({"right": X[:, :3], "left": X}, (X[:, :2], X[:, [0] * 7]), ("mse", bp.MAE())),
        {},
        [],
    ),
    (bp.Softmax, (X,), {}, ["x"]),
    (lambda: bp.Linear(3, name="named"), (X,), {}, ["weight", "bias", "x"]),
    (bp.Multiply, ((X, X + 1),), {}, ["input0", "input1"]),
    (lambda: bp.EmbeddingBag(9, 2, mode="max"), (IDS,), {}, ["weight"]),
    (lambda: bp.CrossEntropy(label_smoothing=0.1), (X, LABELS), {}, ["y_hat"]),
    (lambda: bp.MSE("none"), (X, X[::-1]), {"sample_weight": np.arange(4.0)}, ["y_hat"]),
]


@pytest.mark.parametrize(("make", "arguments", "options", "names"), GOOD)
def test_right_gradients_pass(
    make: Callable[[], Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    names: list[str],
    backend: str,
) -> None:
    report = bp.gradcheck(make(), *arguments, **options)
    assert report.ok
    assert report.kinks == ()
    assert report.worst <= 1e-8
    assert not names or list(report.errors) == names
    assert repr(report).startswith("gradcheck ok: worst relative error")


@pytest.fixture
def wrong_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gradient of every activation be that of the identity, times 1.001."""

    def row(walk: Any, op: Activate) -> None:
        if op.x in walk.wanted:
            dy = walk.of(op.y)
            walk.append(ActivateGrad(dy, dy, walk.give(op.x), "leaky_relu", 0.9))

    monkeypatch.setitem(GRADIENTS, Activate, row)


@pytest.mark.usefixtures("wrong_slope")
def test_a_wrong_gradient_is_found_and_named(backend: str) -> None:
    net = bp.Sequential([bp.Linear(4), bp.SiLU(), bp.Linear(3)])
    with pytest.raises(AssertionError, match="gradcheck FAILED") as error:
        bp.gradcheck(net, X)
    lines = str(error.value).splitlines()
    assert [line.split()[0] for line in lines[1:] if "above 1e-06" in line] == [
        "0.weight", "0.bias", "x",
    ]  # fmt: skip
    report = bp.gradcheck(net, X, raise_on_failure=False)
    assert not report.ok
    assert report.failed == ("0.weight", "0.bias", "x")
    assert report.errors["2.weight"] < 1e-8


def test_a_wrong_number_among_many_is_found(backend: str) -> None:
    class Wrong(bp.MSE):
        def value_and_grad(self, y_hat: Any, y: Any, sample_weight: Any = None) -> Any:
            value, slope = super().value_and_grad(y_hat, y, sample_weight)
            slope[7, 3] *= 1.01
            return value, slope

    y_hat = RNG.normal(size=(50, 40))
    assert bp.gradcheck(bp.MSE(), y_hat, -y_hat).ok
    assert not bp.gradcheck(Wrong(), y_hat, -y_hat, raise_on_failure=False).ok


def test_a_gradient_that_is_meant_to_differ_fails(backend: str) -> None:
    report = bp.gradcheck(bp.ReLU(straight_through=True), X, raise_on_failure=False)
    assert report.failed == ("x",)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (bp.ReLU(), np.array([[0.0, 1, -1], [2, 0, 3]])),
        (bp.MaxPool1d(2), np.array([[[1.0], [1.0], [3.0], [2.0]]])),
        (bp.HardTanh(), np.array([[1.0, 0.5, -1]])),
    ],
)
def test_a_kink_is_a_warning(layer: bp.layers.Layer, x: np.ndarray, backend: str) -> None:
    with pytest.warns(UserWarning, match="x could not be judged everywhere"):
        report = bp.gradcheck(layer, x)
    assert report.kinks == ("x",)
    assert "not judged where there is a kink" in repr(report)


def test_a_kink_nearby_is_no_matter(backend: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bp.gradcheck(bp.ReLU(), np.array([[3e-5, -3e-5, 1e-4]])).worst <= 1e-6


def _snapshot(net: bp.Sequential) -> list[bytes]:
    state = net.state
    return [
        net.params.flat.tobytes(),
        net.buffers.flat.tobytes(),
        state.grads.flat.tobytes(),
        repr((state.steps, state.epochs, state.grads.known)).encode(),
    ]


def test_the_net_is_left_as_it_was(backend: str) -> None:
    x = RNG.normal(size=(4, 8, 8, 2)).astype(np.float32)
    kept = x.copy()
    net = _pictures()
    net.fit(x, LABELS, loss="cross_entropy", optimizer="adam", epochs=2, verbose=0)
    y = net.forward(x, training=True)
    dx = net.backward(np.ones_like(y))
    before = _snapshot(net)
    bp.gradcheck(net, x, LABELS, "cross_entropy")
    assert _snapshot(net) == before
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(net.backward(np.ones_like(y)), dx)  # the pass goes on
    unbuilt = _pictures()
    bp.gradcheck(unbuilt, x)
    assert not unbuilt.is_built


def test_it_checks_the_net_at_its_place(backend: str) -> None:
    """Steps are counted for the dropout mask, states and statistics are those of the net."""
    net = bp.Sequential([bp.Input((5,), dtype="float32"), bp.Dropout(0.5), bp.Linear(2)])
    net.fit(X, X[:, :2], loss="mse", optimizer="sgd", epochs=3, verbose=0)
    assert bp.gradcheck(net, X).ok
    stateful = bp.Sequential([bp.LSTM(3, stateful=True), bp.Linear(1)])
    steps = RNG.normal(size=(2, 4, 3))
    stateful.predict(steps)
    carried = stateful.carried.export()
    assert bp.gradcheck(stateful, steps).ok
    for name, array in stateful.carried.export().items():
        np.testing.assert_array_equal(array, carried[name])


def test_nested_nets(backend: str) -> None:
    inner = bp.Sequential([bp.Linear(5), bp.Tanh()])
    report = bp.gradcheck(bp.Sequential([inner, inner, bp.Linear(2)]), X)
    assert list(report.errors) == ["0.0.weight", "0.0.bias", "2.weight", "2.bias", "x"]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: bp.gradcheck("net", X), TypeError, "takes a net, a layer or a loss, got 'net'"),
        (lambda: bp.gradcheck(_reader(), IDS, IDS), ValueError, "targets are given, and no loss"),
        (lambda: bp.gradcheck(_reader(), X), TypeError, "must hold ids"),
        (
            lambda: bp.gradcheck(_two_and_two(), (X, X[:, :3]), X[:, :2], "mse"),
            ValueError,
            "the net has 2 outputs, got 1 losses, 1 targets",
        ),
        (
            lambda: bp.gradcheck(bp.Linear(2), X, X[:, :2], "mean_squared"),
            ValueError,
            "no loss 'mean_squared'",
        ),
        (lambda: bp.gradcheck(bp.MSE(), [1, 2], X), TypeError, "y_hat must be an array"),
    ],
)
def test_what_does_not_fit_is_said(
    call: Callable[[], object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        call()


# ------------------------------------------------------------------- layers and losses of one's own


class _Scale(bp.CustomLayer):
    right: bool = True

    def parameters(self, shape: Any) -> Any:
        return {"factor": (shape[-1:], bp.Uniform(0.5, 1.5))}

    def forward(self, x: Any, params: Any) -> Any:
        return x * params["factor"]

    def backward(self, x: Any, y: Any, dy: Any, params: Any) -> Any:
        slope = (dy * x).sum(axis=0) if self.right else dy[0] * x[0]
        return dy * params["factor"], {"factor": slope}


class _Quartic(bp.CustomLoss):
    power: int = 4

    def forward(self, y_hat: Any, y: Any) -> Any:
        return (y_hat - y) ** self.power

    def backward(self, y_hat: Any, y: Any) -> Any:
        return 4 * (y_hat - y) ** 3


def test_layers_of_ones_own(backend: str) -> None:
    assert list(bp.gradcheck(_Scale(), X).errors) == ["factor", "x"]
    report = bp.gradcheck(bp.Sequential([_Scale(right=False)]), X, raise_on_failure=False)
    assert report.failed == ("0.factor",)
    product = bp.Lambda(lambda a, b: a * b, lambda dy, y, a, b: (dy * b, dy * a))
    assert bp.gradcheck(product, (X, X + 1)).ok
    halved = bp.Lambda(lambda a: a / 2, lambda dy, y, a: 0.501 * dy)
    with pytest.raises(AssertionError, match=r"x +\d\.\de-\d\d +above"):
        bp.gradcheck(halved, X)


def test_losses_of_ones_own(backend: str) -> None:
    assert bp.gradcheck(_Quartic(), X, X[::-1]).ok
    assert not bp.gradcheck(_Quartic(5), X, X[::-1], raise_on_failure=False).ok
    assert bp.gradcheck(bp.Sequential([bp.Linear(2)]), X, X[:, :2], _Quartic()).ok
