"""The 784-40-10 digit net of S70 and its rounds of online training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

import pybp as bp

RATE = 0.005


def start_weights() -> tuple[np.ndarray, np.ndarray]:
    """Return the first weights: uniform in [-0.1, 0.1), drawn with seed 1 in this order."""
    draw = np.random.RandomState(1)
    return 0.2 * draw.random_sample((784, 40)) - 0.1, 0.2 * draw.random_sample((40, 10)) - 0.1


def digit_net(dtype: str, straight_through: bool) -> Any:
    """Build the net; with ``straight_through`` the mask of relu never acts on the gradient."""
    net = bp.Sequential(
        [
            bp.Linear(40, bias=False),
            bp.ReLU(straight_through=straight_through),
            bp.Linear(10, bias=False),
        ],
        dtype=dtype,
    )
    net.build((784,))
    net.params["0.weight"], net.params["2.weight"] = (w.astype(dtype) for w in start_weights())
    return net


def rounds_of_training(
    net: Any,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    rounds: Iterable[int],
) -> list[dict[str, float]]:
    """Train online without shuffle and report at the given rounds, in rising order.

    The training error is the mean over the pictures of the summed squared error, taken during the
    round; the test figures are taken after it. Labels come as integers.
    """
    pictures, labels = train
    targets = np.eye(10, dtype=net.params["0.weight"].dtype)[labels]
    reports = []
    done = 0
    for last in rounds:
        history = net.fit(
            pictures, targets, loss=bp.SquaredError("sum", half=True), optimizer=bp.SGD(RATE),
            epochs=last + 1 - done, batch_size=1, shuffle=False, metrics=["accuracy"], verbose=0,
        ).history  # fmt: skip
        done = last + 1
        output = net.predict(test[0]).astype(np.float64)
        reports.append(
            {
                "round": last,
                "train_error": 2 * history["loss"][-1],  # the loss is one half of the square
                "train_accuracy": history["accuracy"][-1],
                "test_error": float(np.mean(np.sum((np.eye(10)[test[1]] - output) ** 2, axis=1))),
                "test_accuracy": float(np.mean(output.argmax(axis=1) == test[1])),
            }
        )
    return reports
