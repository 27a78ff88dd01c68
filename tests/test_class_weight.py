"""Class weights of a fit: what each sample then weighs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pybp as bp
from pybp.data.class_weight import by_class

LABELS = np.array([0, 2, 1, 2])
CE, YES_NO = bp.CrossEntropy(), bp.BCEWithLogits()


@pytest.mark.parametrize(
    "given", [np.array([1.0, 2.0, 0.5]), {1: 2.0, 2: 0.5}, {np.int64(1): 2, 2: 0.5}]
)
def test_a_sample_weighs_what_its_class_does(given: Any) -> None:
    expected = [1.0, 0.5, 2.0, 0.5]
    assert by_class(given, CE, (3,), LABELS).tolist() == expected
    assert by_class(given, CE, (3,), np.eye(3)[LABELS]).tolist() == expected


@pytest.mark.parametrize("ignored", [-100, 255])
def test_an_ignored_label_weighs_nothing(ignored: int) -> None:
    labels = np.array([0, ignored, 1])
    assert by_class(np.array([3.0, 2.0]), CE, (2,), labels).tolist() == [3.0, 0.0, 2.0]


@pytest.mark.parametrize("shape", [(4,), (4, 1), (2, 2)])
def test_the_classes_of_a_yes_no_question_are_0_and_1(shape: tuple[int, ...]) -> None:
    y = np.array([0.0, 1.0, 1.0, 0.0]).reshape(shape)
    weight = by_class({1: 5.0}, YES_NO, shape[1:], y)
    assert weight.shape == shape
    assert weight.ravel().tolist() == [1.0, 5.0, 5.0, 1.0]


def test_sample_weights_of_fewer_or_more_axes_multiply() -> None:
    table, steps = np.array([1.0, 10.0]), np.array([[0, 1, 0], [1, 1, 0]])
    expected = table[steps] * np.array([[2.0], [3.0]])
    np.testing.assert_array_equal(
        by_class(table, CE, (3, 2), steps, np.array([2.0, 3.0])), expected
    )
    each = np.arange(6.0).reshape(2, 3)
    one_hot = np.eye(3)[[0, 2]]
    weight = by_class(np.array([1.0, 1.0, 10.0]), bp.MSE(), (3,), one_hot, each)
    np.testing.assert_array_equal(weight, each * [[1.0], [10.0]])


@pytest.mark.parametrize(
    ("given", "loss", "outputs", "y", "error", "message"),
    [
        ({3: 1.0}, CE, (3,), LABELS, ValueError, r"must lie in 0 \.\.\. 2, got 3"),
        ({"a": 1.0}, CE, (3,), LABELS, TypeError, "a class in class_weight"),
        ({1: "heavy"}, CE, (3,), LABELS, TypeError, "class_weight of 1 must be a real number"),
        (np.ones(3), YES_NO, (1,), np.ones((4, 1)), ValueError, r"shape \(2,\), got \(3,\)"),
        (np.ones(2), YES_NO, (1,), np.full((4, 1), 0.5), ValueError, "0 or 1"),
        (np.ones(1), bp.MSE(), (1,), np.ones((4, 1)), TypeError, "targets that are classes"),
        (np.ones(1), bp.MSE(), (), np.ones(4), TypeError, "targets that are classes"),
    ],
)
def test_weights_and_targets_that_do_not_fit(
    given: Any,
    loss: bp.losses.Loss,
    outputs: tuple[int, ...],
    y: np.ndarray,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        by_class(given, loss, outputs, y)


def test_a_weighted_class_pulls_a_yes_no_net_its_way(backend: str) -> None:
    """The best constant logit for a share s of ones, each weighing w, is log(w s / (1 - s))."""
    y = (np.arange(10) < 3).astype(float)[:, None]
    net = bp.Sequential([bp.Linear(1)], dtype="float64")
    arguments = {"loss": YES_NO, "optimizer": bp.SGD(2.0), "epochs": 300, "batch_size": None}
    net.fit(np.zeros((10, 1)), y, class_weight={1: 7.0}, verbose=0, **arguments)
    assert net.params["0.bias"][0] == pytest.approx(np.log(7 * 0.3 / 0.7), abs=1e-9)
