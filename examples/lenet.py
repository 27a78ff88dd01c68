"""LeNet-5 reads handwritten digits (LeCun et al. 1998): two convolutions, then three dense layers.

    PYBP_DATA=folder python examples/lenet.py      MNIST, from folder/mnist

Options: --epochs N, --rows N (train on the first N digits), --backend native|numpy. Writes
lenet.safetensors, which examples/look_inside.py draws.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import pybp as bp

BATCH = 64
Digits = tuple[np.ndarray, np.ndarray]  # pictures (n, 28, 28, 1), labels (n,)


def read_data(rows: int | None = None) -> tuple[Digits, Digits]:
    """Return the digits to train and to test, in units of the standard deviation of MNIST."""
    try:
        train, test = bp.datasets.mnist()
    except FileNotFoundError as error:
        raise SystemExit(f"no data: {error}") from error
    return tuple(
        (((x[:rows, ..., None] / 255 - 0.1307) / 0.3081).astype("f4"), y[:rows])
        for x, y in (train, test)
    )


def make_net(backend: str | None = None) -> bp.Sequential:
    """Return LeNet-5 with ReLU and max pooling in place of the older tanh and averages."""
    start = {"weight_init": bp.HeNormal()}
    layers = [
        bp.Conv2d(6, 5, padding=2, **start), bp.ReLU(), bp.MaxPool2d(2),
        bp.Conv2d(16, 5, **start), bp.ReLU(), bp.MaxPool2d(2), bp.Flatten(),
        bp.Linear(120, **start), bp.ReLU(), bp.Linear(84, **start), bp.ReLU(), bp.Linear(10),
    ]  # fmt: skip
    return bp.Sequential(layers, seed=0, backend=backend).build((28, 28, 1))


def falling(top: float, updates: int) -> bp.optimizers.Rate:
    """Return a rate that falls along half a cosine to 0."""
    return lambda update: top * 0.5 * (1 + np.cos(np.pi * min(update / updates, 1.0)))


def main(arguments: Sequence[str] | None = None, path: str | Path = "lenet.safetensors") -> float:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--backend", choices=("native", "numpy"))
    options = parser.parse_args(arguments)
    train, test = read_data(options.rows)
    net = make_net(options.backend)
    print(net.summary(), end="\n\n")
    updates = options.epochs * -(-len(train[0]) // BATCH)
    before = time.perf_counter()
    net.fit(
        *train, loss="cross_entropy", optimizer=bp.Adam(falling(2e-3, updates)),
        metrics=["accuracy"], epochs=options.epochs, batch_size=BATCH, validation_data=test,
    )  # fmt: skip
    seconds = (time.perf_counter() - before) / options.epochs
    accuracy = net.evaluate(*test, loss="cross_entropy", metrics=["accuracy"])["accuracy"]
    print(f"\ntest accuracy {100 * accuracy:.2f} %, {seconds:.2f} s an epoch with its test")
    net.save(path)
    return accuracy


if __name__ == "__main__":
    main()
