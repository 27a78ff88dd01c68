"""Three streetlights tell whether to walk: a pattern that no layer of weights alone can hold.

    python examples/streetlights.py

The answer is "walk" when exactly one of the first two lights is on. Linear nets stay at an error
of 1; four hidden units with ReLU between two weight matrices learn it in 60 rounds.
"""

from __future__ import annotations

import numpy as np

import pybp as bp

LIGHTS = np.array([[1.0, 0, 1], [0, 1, 1], [0, 0, 1], [1, 1, 1]])
WALK = np.array([[1.0], [1], [0], [0]])


def make_net() -> bp.Sequential:
    """Return the net 3-4-1 without biases, at the start of a much-read listing."""
    net = bp.Sequential(
        [bp.Linear(4, bias=False), bp.ReLU(), bp.Linear(1, bias=False)], dtype="float64"
    ).build((3,))
    draw = np.random.RandomState(1)  # NumPy's old generator, as in that listing
    net.params["0.weight"] = 2 * draw.random_sample((3, 4)) - 1
    net.params["2.weight"] = 2 * draw.random_sample((4, 1)) - 1
    return net


def best_linear_error() -> float:
    """Return the error of the best weights without a hidden layer, by least squares."""
    best, *_ = np.linalg.lstsq(LIGHTS, WALK, rcond=None)
    return float(((LIGHTS @ best - WALK) ** 2).sum())


def main(rounds: int = 60) -> list[float]:
    net = make_net()
    history = net.fit(
        LIGHTS, WALK, loss=bp.SquaredError("sum", half=True), optimizer=bp.SGD(0.2),
        epochs=rounds, batch_size=1, shuffle=False, verbose=0,
    ).history  # fmt: skip
    # the history holds the mean of error^2 / 2 over the examples
    errors = [2 * len(LIGHTS) * loss for loss in history["loss"]]
    print(f"error of the best linear net: {best_linear_error():.3f}")
    for number, error in enumerate(errors, 1):
        if number % 10 == 0:
            print(f"round {number:3d}   error {error:.9f}")
    print("\nlights   walk?   the net says")
    for lights, walk, output in zip(LIGHTS, WALK, net.predict(LIGHTS), strict=True):
        print("{:.0f} {:.0f} {:.0f}".format(*lights), f"{walk[0]:9.0f} {output[0]:14.5f}")
    return errors


if __name__ == "__main__":
    main()
