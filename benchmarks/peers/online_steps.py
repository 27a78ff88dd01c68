"""350 000 online steps of the digit net 784-40-10 (worked example S70) against plain NumPy.

    PYBP_DATA=folder python benchmarks/peers/online_steps.py [native_rounds]

The plain loop is the published listing in float64: one image at a time, the update at once. It
runs for a part of the rounds and is scaled up; both must give the same errors, which is checked.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import pybp as bp
from pybp import datasets

RATE, HIDDEN, IMAGES, PLAIN_ROUNDS = 0.005, 40, 1000, 3


def start_weights() -> tuple[np.ndarray, np.ndarray]:
    """Return the two matrices of the listing."""
    rng = np.random.RandomState(1)
    return 0.2 * rng.random_sample((784, HIDDEN)) - 0.1, 0.2 * rng.random_sample((HIDDEN, 10)) - 0.1


def plain_numpy(x: np.ndarray, y: np.ndarray, rounds: int) -> list[float]:
    """Train by the listing; return the error of each round."""
    w1, w2 = start_weights()
    errors = []
    for _ in range(rounds):
        error = 0.0
        for i in range(len(x)):
            layer_0 = x[i : i + 1]
            layer_1 = np.maximum(layer_0 @ w1, 0)
            layer_2 = layer_1 @ w2
            delta_2 = y[i : i + 1] - layer_2
            error += np.sum(delta_2**2)
            delta_1 = delta_2 @ w2.T  # the listing's mask never acts
            w2 += RATE * layer_1.T @ delta_2
            w1 += RATE * layer_0.T @ delta_1
        errors.append(error / len(x))
    return errors


def native(x: np.ndarray, y: np.ndarray, rounds: int) -> list[float]:
    """Train by pybp; return the error of each round."""
    net = bp.Sequential(
        [
            bp.Linear(HIDDEN, bias=False),
            bp.ReLU(straight_through=True),
            bp.Linear(10, bias=False),
        ],
        dtype=x.dtype.name,
        backend="native",
    ).build((784,))
    net.params["0.weight"], net.params["2.weight"] = start_weights()
    history = net.fit(
        x,
        y,
        loss=bp.SquaredError("sum", half=True),
        optimizer=bp.SGD(RATE),
        epochs=rounds,
        batch_size=1,
        shuffle=False,
        verbose=0,
    )
    return [2 * loss for loss in history.history["loss"]]


def main(rounds: int = 350) -> None:
    """Time both and print the ratio."""
    (images, labels), _ = datasets.mnist()
    x = images[:IMAGES].reshape(IMAGES, -1) / 255
    y = np.eye(10)[labels[:IMAGES]]
    start = time.perf_counter()
    expected = plain_numpy(x, y, PLAIN_ROUNDS)
    plain = (time.perf_counter() - start) / (PLAIN_ROUNDS * IMAGES)
    print(f"plain NumPy      {1e6 * plain:6.2f} us a step")
    for dtype, tolerance in (("float64", 1e-9), ("float32", 1e-4)):
        start = time.perf_counter()
        errors = native(x.astype(dtype), y.astype(dtype), rounds)
        step = (time.perf_counter() - start) / (rounds * IMAGES)
        np.testing.assert_allclose(errors[:PLAIN_ROUNDS], expected, rtol=tolerance)
        print(
            f"native {dtype}   {1e6 * step:6.2f} us a step, {plain / step:5.1f} times as fast; "
            f"{rounds * IMAGES} steps in {rounds * IMAGES * step:.2f} s, "
            f"last error {errors[-1]:.9f}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
