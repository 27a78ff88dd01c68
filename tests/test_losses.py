"""Losses by hand against their equations, with every option."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import pybp as bp

RNG = np.random.default_rng(0)
P = RNG.normal(size=(4, 3))
T = RNG.normal(size=(4, 3))
PROBABILITIES, TARGETS = 1 / (1 + np.exp(-P)), RNG.uniform(0.1, 0.9, (4, 3))
LABELS = np.array([0, 2, 1, 2])
WEIGHT = np.array([1.0, 0.0, 2.0, 0.5])
LOG_P = P - np.log(np.exp(P).sum(axis=1, keepdims=True))

ELEMENTWISE: dict[str, tuple[bp.losses.Loss, np.ndarray, np.ndarray, np.ndarray]] = {
    "squared": (bp.SquaredError("none"), P, T, (P - T) ** 2),
    "half": (bp.SquaredError("none", half=True), P, T, (P - T) ** 2 / 2),
    "mse": (bp.MSE("none"), P, T, (P - T) ** 2),
    "mae": (bp.MAE("none"), P, T, np.abs(P - T)),
    "huber": (
        bp.Huber("none", delta=0.5),
        P,
        T,
        np.where(np.abs(P - T) <= 0.5, (P - T) ** 2 / 2, 0.5 * (np.abs(P - T) - 0.25)),
    ),
    "quantile": (
        bp.Quantile(0.2, "none"),
        P,
        T,
        np.where(T > P, 0.2 * (T - P), 0.8 * (P - T)),
    ),
    "bce": (
        bp.BCE("none"),
        PROBABILITIES,
        TARGETS,
        -TARGETS * np.log(PROBABILITIES) - (1 - TARGETS) * np.log(1 - PROBABILITIES),
    ),
    "bce with logits": (
        bp.BCEWithLogits("none"),
        P,
        TARGETS,
        -TARGETS * np.log(PROBABILITIES) - (1 - TARGETS) * np.log(1 - PROBABILITIES),
    ),
    "kl": (bp.KLDiv("none"), LOG_P, TARGETS, TARGETS * (np.log(TARGETS) - LOG_P)),
    "kl log target": (bp.KLDiv("none", log_target=True), LOG_P, T, np.exp(T) * (T - LOG_P)),
    "poisson": (bp.Poisson(reduction="none"), P, TARGETS, np.exp(P) - TARGETS * P),
    "poisson rate": (
        bp.Poisson(log_input=False, eps=0.0, reduction="none"),
        PROBABILITIES,
        TARGETS,
        PROBABILITIES - TARGETS * np.log(PROBABILITIES),
    ),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_losses(name: str, backend: str) -> None:
    loss, p, t, expected = ELEMENTWISE[name]
    losses, dy_of_sum = loss.value_and_grad(p, t)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    reductions: dict[str, tuple[float, float]] = {
        "mean": (expected.mean(), 1 / expected.size),
        "batch": (expected.sum() / 4, 1 / 4),
        "sum": (expected.sum(), 1.0),
    }
    for reduction, (value, factor) in reductions.items():
        got, dy = loss.replace(reduction=reduction).value_and_grad(p, t)
        assert got == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(dy, factor * dy_of_sum, rtol=1e-12)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_sample_weights_divide_by_their_sum(name: str, backend: str) -> None:
    loss, p, t, expected = ELEMENTWISE[name]
    weighted = expected * WEIGHT[:, None]
    divisors = {"mean": 3 * WEIGHT.sum(), "batch": WEIGHT.sum(), "sum": 1.0}
    for reduction, divisor in divisors.items():
        got, dy = loss.replace(reduction=reduction).value_and_grad(p, t, WEIGHT)
        assert got == pytest.approx(weighted.sum() / divisor, rel=1e-12)
        assert not dy[1].any()


def _cross_entropy(
    class_weight: np.ndarray, smoothing: float, ignored: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss of each position, and how much it weighs."""
    losses, counts = np.zeros(4), np.zeros(4)
    for i, label in enumerate(LABELS):
        if label != ignored:
            plain = -class_weight[label] * LOG_P[i, label]
            even = -np.sum(class_weight * LOG_P[i]) / 3
            losses[i] = (1 - smoothing) * plain + smoothing * even
            counts[i] = class_weight[label]
    return losses, counts


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [-100, 2])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("class_weight", [None, np.array([0.5, 2.0, 1.5])])
def test_cross_entropy_of_labels(
    class_weight: np.ndarray | None, smoothing: float, ignored: int, weighted: bool, backend: str
) -> None:
    """The formula of PyTorch, for class weights, smoothing and ignored labels together."""
    c = np.ones(3) if class_weight is None else class_weight
    w = WEIGHT if weighted else None
    losses, counts = _cross_entropy(c, smoothing, ignored)
    ones = np.ones(4) if w is None else w
    loss = bp.CrossEntropy(
        weight=class_weight, label_smoothing=smoothing, ignore_index=ignored, reduction="none"
    )
    np.testing.assert_allclose(loss.value_and_grad(P, LABELS, w)[0], losses * ones, rtol=1e-12)
    divisors = {"mean": np.sum(ones * counts), "batch": np.sum(ones), "sum": 1.0}
    for reduction, divisor in divisors.items():
        got, _ = loss.replace(reduction=reduction).value_and_grad(P, LABELS, w)
        assert got == pytest.approx(np.sum(losses * ones) / divisor, rel=1e-12)


def test_nll_is_cross_entropy_of_log_probabilities(backend: str) -> None:
    options = {"weight": np.array([0.5, 2.0, 1.5]), "ignore_index": 2}
    expected = bp.CrossEntropy(**options).value_and_grad(P, LABELS)[0]
    assert bp.NLL(**options).value_and_grad(LOG_P, LABELS)[0] == pytest.approx(expected, rel=1e-12)


def test_one_hot_distributions_are_labels(backend: str, dtype: str) -> None:
    p = P.astype(dtype)
    value, dy = bp.CrossEntropy().value_and_grad(p, LABELS)
    same, same_dy = bp.CrossEntropy().value_and_grad(p, np.eye(3)[LABELS])
    assert value == pytest.approx(same, rel=1e-6)
    np.testing.assert_allclose(dy, same_dy, rtol=1e-5, atol=1e-7)
    assert dy.dtype == dtype


def test_column_weights_leave_the_divisor_alone(backend: str) -> None:
    weight, pos_weight = np.array([1.0, 2.0, 0.5]), np.array([3.0, 1.0, 0.2])
    t = (T > 0).astype(float)
    log_p, log_q = -np.log1p(np.exp(-P)), -np.log1p(np.exp(P))
    expected = -weight * (pos_weight * t * log_p + (1 - t) * log_q)
    loss = bp.BCEWithLogits(weight=weight, pos_weight=pos_weight)
    assert loss.value_and_grad(P, t)[0] == pytest.approx(expected.mean(), rel=1e-12)


def test_norm_of_each_row(backend: str) -> None:
    norms = np.linalg.norm(P - T, axis=1)
    np.testing.assert_allclose(bp.NormError("none").value_and_grad(P, T)[0], norms, rtol=1e-12)
    value, dy = bp.NormError().value_and_grad(P, P)
    assert value == 0
    assert not dy.any()


def test_the_norm_of_a_single_number_is_its_absolute_value(backend: str) -> None:
    p, t = np.array([1.0, -2.0, 3.0]), np.array([0.0, 0.0, 3.0])
    each, dy = bp.NormError("none").value_and_grad(p, t)
    assert each.tolist() == [1.0, 2.0, 0.0]
    assert dy.tolist() == [1.0, -1.0, 0.0]
    assert bp.NormError().value_and_grad(p, t)[0] == 1.0


@pytest.mark.parametrize("name", ["weight", "pos_weight"])
def test_column_weights_need_columns(name: str, backend: str) -> None:
    loss = bp.BCEWithLogits(**{name: np.array([2.0])})
    with pytest.raises(ValueError, match=rf"^BCEWithLogits: {name} .* shape \(n,\)"):
        loss.value_and_grad(P[:, 0], np.ones(4))


@pytest.mark.parametrize("index", [2**31, -(2**31) - 1])
def test_the_ignored_label_must_be_an_int32(index: int) -> None:
    """Labels are read as int32: a larger one would come out as another class."""
    for make in (bp.CrossEntropy, bp.NLL):
        with pytest.raises(ValueError, match="ignore_index must lie in"):
            make(ignore_index=index)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f8", "int64"])
def test_the_gradient_has_the_float_type_of_the_prediction(kind: str, backend: str) -> None:
    _, dy = bp.MSE().value_and_grad(np.ones((2, 3), kind), np.zeros((2, 3)))
    assert dy.dtype == (np.float64 if kind == "int64" else np.dtype(kind))
    np.testing.assert_allclose(dy.astype(float), 1 / 3, rtol=1e-3)


def test_sequences_have_positions(backend: str) -> None:
    """Logits (n, t, k): "mean" is over positions, "batch" over rows; weights may be (n, t)."""
    logits, labels = RNG.normal(size=(2, 5, 3)), RNG.integers(0, 3, (2, 5))
    each = bp.CrossEntropy("none").value_and_grad(logits, labels)[0]
    assert each.shape == (2, 5)
    mean, batch = (bp.CrossEntropy(r).value_and_grad(logits, labels)[0] for r in ("mean", "batch"))
    assert mean == pytest.approx(each.mean())
    assert batch == pytest.approx(each.sum() / 2)
    mask = np.array([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    masked = bp.CrossEntropy().value_and_grad(logits, labels, mask)[0]
    assert masked == pytest.approx(np.sum(each * mask) / 4)


@pytest.mark.parametrize(
    "make", [lambda: (bp.MSE(), P[:, 0], T[:, 0]), lambda: (bp.MAE("sum"), P[:, 0], T[:, 0])]
)
def test_one_dimension_is_allowed(make: Callable[[], tuple], backend: str) -> None:
    loss, p, t = make()
    value, dy = loss.value_and_grad(p, t)
    assert np.isfinite(value)
    assert dy.shape == (4,)


def test_extreme_logits_stay_finite(backend: str, dtype: str) -> None:
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype)
    value, dy = bp.CrossEntropy().value_and_grad(logits, np.array([1, 1]))
    assert value == pytest.approx(1e4)
    np.testing.assert_allclose(dy, [[0.5, -0.5], [0, 0]], atol=1e-7)
    value, dy = bp.BCEWithLogits().value_and_grad(logits, np.eye(2))
    assert value == 0 or value == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(dy).all()


def test_all_labels_ignored_gives_zero(backend: str) -> None:
    value, dy = bp.CrossEntropy().value_and_grad(P, np.full(4, -100))
    assert value == 0
    assert not dy.any()
