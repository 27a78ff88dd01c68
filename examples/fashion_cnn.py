"""A convolutional net with batch normalisation tells clothes apart: Fashion-MNIST.

    PYBP_DATA=folder python examples/fashion_cnn.py      from folder/fashion-mnist

Each epoch sees the pictures shifted by up to one pixel and half of them mirrored. Options:
--epochs N, --rows N (train on the first N pictures), --backend native|numpy.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

import pybp as bp

BATCH = 128
Clothes = tuple[np.ndarray, np.ndarray]  # pictures (n, 28, 28, 1) in [0, 1], labels (n,)


def read_data(rows: int | None = None) -> tuple[Clothes, Clothes]:
    try:
        train, test = bp.datasets.fashion_mnist()
    except FileNotFoundError as error:
        raise SystemExit(f"no data: {error}") from error
    return tuple(((x[:rows, ..., None] / 255).astype("f4"), y[:rows]) for x, y in (train, test))


def block(channels: int) -> list[bp.layers.Layer]:
    """Return a convolution with what stands around it; batch normalisation has the bias."""
    conv = bp.Conv2d(channels, 3, padding="same", bias=False, weight_init=bp.HeNormal())
    return [conv, bp.BatchNorm(), bp.ReLU()]


def make_net(backend: str | None = None) -> bp.Sequential:
    layers = [
        *block(16), bp.MaxPool2d(2),
        *block(32), *block(32), bp.MaxPool2d(2),
        *block(64), bp.MaxPool2d(2), bp.Flatten(),
        bp.Dropout(0.3), bp.Linear(128), bp.ReLU(), bp.Linear(10),
    ]  # fmt: skip
    return bp.Sequential(layers, seed=0, backend=backend).build((28, 28, 1))


def falling(top: float, updates: int) -> bp.optimizers.Rate:
    """Return a rate that falls in a straight line to a hundredth."""
    return lambda update: top * max(1 - update / updates, 0.01)


def main(arguments: Sequence[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--backend", choices=("native", "numpy"))
    options = parser.parse_args(arguments)
    (x, y), test = read_data(options.rows)
    net = make_net(options.backend)
    print(net.summary(), end="\n\n")
    optimizer = bp.Adam(falling(2e-3, options.epochs * -(-len(x) // BATCH)))
    measure = {"loss": "cross_entropy", "metrics": ["accuracy"]}
    augment = bp.augment.Augment(shift=1, flip=True)
    before = time.perf_counter()
    for epoch, pictures in enumerate(bp.augment.epochs(x, options.epochs, augment), 1):
        history = net.fit(
            pictures, y, optimizer=optimizer, epochs=1, batch_size=BATCH, verbose=0, **measure
        ).history
        now = time.perf_counter()
        print(f"epoch {epoch:2d}/{options.epochs}  loss {history['loss'][0]:.4f}  "
              f"accuracy {history['accuracy'][0]:.4f}  {now - before:.2f} s")  # fmt: skip
        before = now
    accuracy = net.evaluate(*test, **measure)["accuracy"]
    print(f"\ntest accuracy {100 * accuracy:.2f} %")
    return accuracy


if __name__ == "__main__":
    main()
