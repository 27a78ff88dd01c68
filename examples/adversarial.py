"""Tiny changes, made on purpose, fool a net that random changes of the same size don't fool.

    python examples/adversarial.py                    the digits that come with scikit-learn
    PYBP_DATA=folder python examples/adversarial.py   MNIST, from folder/mnist

The fast gradient sign method (Goodfellow et al. 2015): each pixel moves by epsilon in the direction
in which the loss grows, which is the sign of the gradient with respect to the picture. Beside it
each pixel moves by epsilon in a random direction. Writes adversarial.png. Option: --epochs N.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import pybp as bp

EPSILONS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
SHOWN = 0.15
Digits = tuple[np.ndarray, np.ndarray]  # pictures (n, side, side, 1) in [0, 1], labels (n,)


def read_data() -> tuple[Digits, Digits]:
    if os.environ.get("PYBP_DATA"):
        (x, y), (x_test, y_test) = bp.datasets.mnist()
        x, x_test, top = x[..., None], x_test[..., None], 255
    else:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        x, y = load_digits(return_X_y=True)
        x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=0)
        x, x_test, top = x.reshape(-1, 8, 8, 1), x_test.reshape(-1, 8, 8, 1), 16
    return ((x / top).astype("f4"), y), ((x_test / top).astype("f4"), y_test)


def train(x: np.ndarray, y: np.ndarray, epochs: int) -> bp.Sequential:
    net = bp.Sequential([
        bp.Conv2d(8, 3, padding=1), bp.ReLU(), bp.MaxPool2d(2),
        bp.Conv2d(16, 3, padding=1), bp.ReLU(), bp.MaxPool2d(2), bp.Flatten(),
        bp.Linear(64), bp.ReLU(), bp.Linear(10),
    ], seed=0)  # fmt: skip
    net.fit(
        x, y, loss="cross_entropy", optimizer=bp.Adam(5e-3), metrics=["accuracy"], epochs=epochs,
        batch_size=32,
    )  # fmt: skip
    return net


def loss_grows(net: bp.Sequential, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the signs of dLoss/dx: the direction for each pixel."""
    signs = np.empty_like(x)
    for start in range(0, len(x), 500):
        part = slice(start, start + 500)
        _, slope = bp.CrossEntropy().value_and_grad(net.forward(x[part]), y[part])
        signs[part] = np.sign(net.backward(slope))
    return signs


def main(arguments: Sequence[str] | None = None, path: str | Path = "adversarial.png") -> list:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=0, help="20 on small digits, 3 on MNIST")
    options = parser.parse_args(arguments)
    (x, y), (x_test, y_test) = read_data()
    net = train(x, y, options.epochs or (3 if len(x) > 10_000 else 20))
    towards = loss_grows(net, x_test, y_test)
    chance = np.random.default_rng(0).choice(np.float32([-1, 1]), x_test.shape)

    def moved(epsilon: float, direction: np.ndarray) -> np.ndarray:
        return np.clip(x_test + np.float32(epsilon) * direction, 0, 1)

    print("\nepsilon   accuracy, gradient sign   accuracy, random sign")
    rows = []
    for epsilon in EPSILONS:
        right = [(net.predict(moved(epsilon, way)).argmax(1) == y_test).mean()
                 for way in (towards, chance)]  # fmt: skip
        rows.append((epsilon, *map(float, right)))
        print(f"{epsilon:7.2f} {100 * right[0]:23.1f} % {100 * right[1]:21.1f} %")
    kinds = {"test": x_test, "gradient": moved(SHOWN, towards), "random": moved(SHOWN, chance)}
    titles = [f"{name}: {said}" for name, kind in kinds.items()
              for said in net.predict(kind[:8]).argmax(1)]  # fmt: skip
    tiles = np.concatenate([kind[:8] for kind in kinds.values()])
    ax = bp.plot.images(tiles, titles)
    ax.set_title(f"digits moved by {SHOWN} a pixel, and what the net reads", fontsize=9)
    ax.figure.savefig(path, dpi=150)
    return rows


if __name__ == "__main__":
    main()
