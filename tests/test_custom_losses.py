"""Losses written in NumPy: held to the built-in losses that they imitate."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from custom_parts import Classes, Distances, Squares
from finite_difference import directional_difference
from tolerance import TRAINING, TRANSCENDENTAL, check_close

import pybp as bp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3))
REDUCTIONS = ("mean", "batch", "sum", "none")

# a loss, the built-in one, predictions, targets
PAIRS: list[Any] = [
    pytest.param(
        Squares, bp.SquaredError, RNG.normal(size=(6, 4)), RNG.normal(size=(6, 4)), id="elements"
    ),
    pytest.param(Squares, bp.SquaredError, RNG.normal(size=6), RNG.normal(size=6), id="numbers"),
    pytest.param(
        Distances, bp.NormError, RNG.normal(size=(6, 4)), RNG.normal(size=(6, 4)), id="rows"
    ),
    pytest.param(
        Distances,
        bp.NormError,
        RNG.normal(size=(6, 2, 4)),
        RNG.normal(size=(6, 2, 4)),
        id="positions",
    ),
    pytest.param(
        Classes, bp.CrossEntropy, RNG.normal(size=(6, 4)), RNG.integers(0, 4, 6), id="labels"
    ),
    pytest.param(
        Classes,
        bp.CrossEntropy,
        RNG.normal(size=(6, 2, 4)),
        RNG.integers(0, 4, (6, 2)).astype(np.uint8),
        id="labels of positions",
    ),
]


@pytest.mark.parametrize(("mine", "theirs", "y_hat", "y"), PAIRS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_grad(
    backend: str,
    dtype: str,
    mine: Any,
    theirs: Any,
    y_hat: Any,
    y: Any,
    reduction: str,
    weighted: bool,
) -> None:
    y_hat = y_hat.astype(dtype)
    weight = np.array([1.0, 2.0, 0.0, 0.5, 3.0, 1.0]) if weighted else None
    value, dy = mine(reduction=reduction).value_and_grad(y_hat, y, weight)
    expected, slopes = theirs(reduction=reduction).value_and_grad(y_hat, y, weight)
    assert np.shape(value) == np.shape(expected)
    assert dy.dtype == y_hat.dtype
    check_close(np.asarray(value), np.asarray(expected), dtype, y_hat.size, TRANSCENDENTAL)
    check_close(dy, slopes, dtype, y_hat.size, TRANSCENDENTAL)


@pytest.mark.parametrize(("mine", "theirs", "y_hat", "y"), PAIRS)
def test_the_gradient_is_the_derivative(
    backend: str, mine: Any, theirs: Any, y_hat: np.ndarray, y: Any
) -> None:
    y_hat = y_hat.copy()
    loss = mine()
    dy = loss.value_and_grad(y_hat, y)[1]
    direction = RNG.normal(size=y_hat.shape)
    expected = directional_difference(lambda: loss.value_and_grad(y_hat, y)[0], y_hat, direction)
    terms = dy * direction
    assert abs(terms.sum() - expected) <= 1e-8 * np.abs(terms).sum()


@pytest.mark.parametrize("reduction", REDUCTIONS[:3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labels", [False, True])
def test_fit_and_evaluate(
    backend: str, dtype: str, reduction: str, weighted: bool, labels: bool
) -> None:
    y = RNG.integers(0, 2, 6) if labels else RNG.normal(size=(6, 2))
    pair = (Classes, bp.CrossEntropy) if labels else (Squares, bp.SquaredError)
    weight = np.linspace(0.5, 2, 6) if weighted else None
    found = []
    for kind in pair:
        net = bp.Sequential([bp.Linear(4), bp.Tanh(), bp.Linear(2)], dtype=dtype)
        loss = kind(reduction=reduction)
        history = net.fit(
            *(X, y),
            loss=loss,
            optimizer=bp.SGD(0.05),
            epochs=3,
            batch_size=4,
            sample_weight=weight,
            validation_data=(X, y),
            verbose=0,
        ).history
        judged = net.evaluate(X, y, loss=loss, metrics=["accuracy"], sample_weight=weight)
        found.append([*history["loss"], *history["val_loss"], judged["loss"], judged["accuracy"]])
    check_close(np.array(found[0]), np.array(found[1]), dtype, 24, TRAINING)


@pytest.mark.parametrize("reduction", REDUCTIONS[:3])
@pytest.mark.parametrize("weighted", [False, True])
def test_sequences(backend: str, reduction: str, weighted: bool) -> None:
    """A loss for each time step there is."""
    lengths = (4, 1, 5)
    x = [RNG.normal(size=(steps, 3)) for steps in lengths]
    y = [RNG.integers(0, 2, steps) for steps in lengths]
    weight = [np.linspace(1, 2, steps) for steps in lengths] if weighted else None
    found = []
    for loss in (Classes(reduction=reduction), bp.CrossEntropy(reduction=reduction)):
        net = bp.Sequential([bp.GRU(4), bp.Linear(2)], dtype="float64")
        history = net.fit(
            *(x, y),
            loss=loss,
            optimizer=bp.SGD(0.05),
            epochs=2,
            batch_size=2,
            sample_weight=weight,
            verbose=0,
        ).history
        found.append(
            [*history["loss"], net.evaluate(x, y, loss=loss, sample_weight=weight)["loss"]]
        )
    check_close(np.array(found[0]), np.array(found[1]), "float64", 40, TRAINING)


def test_fields_come_first_and_the_reduction_last() -> None:
    loss = Squares(3.0, "sum")
    assert (loss.factor, loss.reduction) == (3.0, "sum")
    assert repr(Squares(3.0)) == "Squares(factor=3.0)"
    assert pickle.loads(pickle.dumps(loss)).factor == 3.0
    with pytest.raises(ValueError, match="Squares: reduction is one of mean, batch, sum, none"):
        Squares(reduction="average")


def test_losses_with_other_fields_are_other_losses(backend: str) -> None:
    y_hat, y = np.ones((2, 2)), np.zeros((2, 2))
    values = [Squares(factor).value_and_grad(y_hat, y)[0] for factor in (1.0, 2.0, 1.0)]
    assert values == [1.0, 2.0, 1.0]


class _ByColumn(bp.CustomLoss):
    """A field that can't be hashed."""

    factors: Any

    def forward(self, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (y_hat - y) * np.asarray(self.factors, y_hat.dtype)

    def backward(self, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.asarray(self.factors, y_hat.dtype), y_hat.shape)


@pytest.mark.parametrize("factors", [[1.0, 3.0], np.array([1.0, 3.0])])
def test_fields_may_be_arrays(backend: str, factors: Any) -> None:
    value, dy = _ByColumn(factors).value_and_grad(np.ones((2, 2)), np.zeros((2, 2)))
    assert value == 2.0
    assert dy.tolist() == [[0.25, 0.75]] * 2


class _OfOthers(bp.CustomLoss):
    """Made of a built-in loss."""

    def forward(self, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        return bp.Huber(reduction="none").value_and_grad(y_hat, y)[0] * 2

    def backward(self, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        return bp.Huber(reduction="none").value_and_grad(y_hat, y)[1] * 2


def test_a_loss_may_call_another(backend: str) -> None:
    y_hat, y = RNG.normal(size=(6, 2)), RNG.normal(size=(6, 2))
    value, dy = _OfOthers().value_and_grad(y_hat, y)
    expected, slopes = bp.Huber().value_and_grad(y_hat, y)
    np.testing.assert_allclose(value, 2 * expected, rtol=1e-14)
    np.testing.assert_allclose(dy, 2 * slopes, rtol=1e-14)
    net = bp.Sequential([bp.Linear(2)])
    net.fit(X, y, loss=_OfOthers(), optimizer=bp.SGD(0.1), epochs=2, verbose=0)


class _Endless(bp.CustomLoss):
    def forward(self, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.full(y_hat.shape, self.value_and_grad(y_hat, y)[0])


def test_a_loss_that_calls_itself_is_refused(backend: str) -> None:
    with pytest.raises(RuntimeError, match="this executor is running"):
        _Endless().value_and_grad(np.ones((2, 2)), np.ones((2, 2)))


class _Returning(bp.CustomLoss):
    losses: Any = None
    slopes: Any = None

    def forward(self, y_hat: np.ndarray, y: np.ndarray) -> Any:
        return (y_hat - y) ** 2 if self.losses is None else self.losses(y_hat)

    def backward(self, y_hat: np.ndarray, y: np.ndarray) -> Any:
        return self.slopes(y_hat)


WRONG: list[tuple[Any, str]] = [
    (lambda p: [], r"forward must return an array of shape \(6,\), float32, got list"),
    (lambda p: p.mean(), r"forward must return an array of shape \(6,\), float32, got shape \(\)"),
    (lambda p: p.mean(axis=0), r"shape \(6,\), float32, got shape \(2,\), float32"),
    (lambda p: p[:3], r"shape \(6, 2\), float32, got shape \(3, 2\), float32"),
    (lambda p: p[..., None], r"shape \(6, 2\), float32, got shape \(6, 2, 1\), float32"),
    (lambda p: p.astype(np.float64), r"shape \(6, 2\), float32, got shape \(6, 2\), float64"),
]


@pytest.mark.parametrize(("losses", "message"), WRONG)
def test_what_forward_must_return(backend: str, losses: Any, message: str) -> None:
    net = bp.Sequential([bp.Linear(2)])
    with pytest.raises(ValueError, match=f"_Returning: .*{message}"):
        net.evaluate(X, np.zeros((6, 2)), loss=_Returning(losses))
    for reduction in ("mean", "none"):
        with pytest.raises(ValueError, match="_Returning: forward must return"):
            _Returning(losses, reduction=reduction).value_and_grad(
                np.zeros((6, 2), np.float32), np.zeros((6, 2))
            )


@pytest.mark.parametrize("slopes", [lambda p: None, lambda p: p[:, 0], lambda p: p.tolist()])
def test_what_backward_must_return(backend: str, slopes: Any) -> None:
    net = bp.Sequential([bp.Linear(2)]).build((3,))
    before = net.params["0.weight"].copy()
    y = np.zeros((6, 2))
    with pytest.raises(ValueError, match=r"_Returning: backward must return .*\(6, 2\), float32"):
        net.fit(X, y, loss=_Returning(None, slopes), optimizer=bp.SGD(0.1), epochs=1, verbose=0)
    np.testing.assert_array_equal(net.params["0.weight"], before)
    net.evaluate(X, y, loss=_Returning(None, slopes))  # which needs no slopes


def test_wrong_targets(backend: str) -> None:
    with pytest.raises(ValueError, match=r"Squares: y must have the shape \(n, 2\)"):
        Squares().value_and_grad(np.ones((3, 2)), np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"Classes: y must have the shape \(n\)"):
        Classes().value_and_grad(np.ones((3, 2)), np.ones((3, 1), int))
    with pytest.raises(ValueError, match="Classes: whole numbers in y must fit int32"):
        Classes().value_and_grad(np.ones((3, 2)), np.full(3, 2**31))


def test_weights_of_elements_need_losses_of_elements(backend: str) -> None:
    y_hat, y, weight = np.ones((3, 2)), np.zeros((3, 2)), np.ones((3, 2))
    assert Squares().value_and_grad(y_hat, y, weight)[0] == 1.0
    with pytest.raises(ValueError, match=r"Distances.*weight.*\(3, 2\).*"):
        Distances().value_and_grad(y_hat, y, weight)


class _Bare(bp.CustomLoss):
    pass


def test_methods_that_are_missing(backend: str) -> None:
    net = bp.Sequential([bp.Linear(2)])
    with pytest.raises(NotImplementedError, match="_Bare must have a method forward"):
        net.evaluate(X, np.zeros((6, 2)), loss=_Bare())
    half = type("Half", (bp.CustomLoss,), {"forward": lambda self, y_hat, y: y_hat - y})
    net.evaluate(X, np.zeros((6, 2)), loss=half())
    with pytest.raises(NotImplementedError, match="Half has no method backward"):
        net.fit(X, np.zeros((6, 2)), loss=half(), optimizer=bp.SGD(0.1), epochs=1, verbose=0)


def test_a_custom_loss_as_a_metric(backend: str) -> None:
    net, y = bp.Sequential([bp.Linear(2)]), RNG.normal(size=(6, 2))
    judged = net.evaluate(X, y, loss="mae", metrics=[Squares()])
    assert judged["squares"] == net.evaluate(X, y, loss=Squares())["loss"]
