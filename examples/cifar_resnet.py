"""A small residual net (He et al. 2016) tells ten kinds of things apart on colour photographs.

    PYBP_DATA=folder python examples/cifar_resnet.py      CIFAR-10, from folder/cifar10

Each epoch sees the photographs shifted by up to four pixels and half of them mirrored. Options:
--epochs N, --rows N (train on the first N photographs), --backend native|numpy.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import pybp as bp

BATCH = 128
TOP_RATE = 0.1
Photos = tuple[np.ndarray, np.ndarray]  # pictures uint8 (n, 32, 32, 3), labels (n,)


def read_data(rows: int | None = None) -> tuple[Photos, Photos]:
    """Return the photographs as bytes, a quarter of the memory: the net scales them itself."""
    try:
        train, test = bp.datasets.cifar10()
    except FileNotFoundError as error:
        raise SystemExit(f"no data: {error}") from error
    return tuple((x[:rows], y[:rows]) for x, y in (train, test))


def conv_norm(x: Any, channels: int, size: int = 3, stride: int = 1) -> Any:
    """Append a convolution without bias, which the batch normalisation has."""
    conv = bp.Conv2d(
        channels, size, stride, padding=size // 2, bias=False, weight_init=bp.HeNormal()
    )
    return bp.BatchNorm()(conv(x))


def block(x: Any, channels: int, stride: int) -> Any:
    """Append two convolutions and the way around them."""
    h = bp.ReLU()(conv_norm(x, channels, stride=stride))
    h = conv_norm(h, channels)
    around = x if stride == 1 else conv_norm(x, channels, size=1, stride=stride)
    return bp.ReLU()(bp.Add()([h, around]))


def make_net(backend: str | None = None) -> bp.Model:
    """Return the net: 16, 32 and 64 channels, two blocks each."""
    photo = bp.Input((32, 32, 3))
    scaled = bp.BatchNorm(affine=False)(photo)  # each colour: mean 0, standard deviation 1
    h = bp.ReLU()(conv_norm(scaled, 16))
    for channels, stride in ((16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)):
        h = block(h, channels, stride)
    return bp.Model(photo, bp.Linear(10)(bp.GlobalAvgPool2d()(h)), seed=0, backend=backend)


def one_cycle(updates: int) -> bp.optimizers.Rate:
    """Return a rate that rises for a fifth of the updates and then falls to nearly 0."""
    return lambda update: TOP_RATE * np.interp(update / updates, [0, 0.2, 1], [0.1, 1, 0.001])


def main(arguments: Sequence[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--backend", choices=("native", "numpy"))
    options = parser.parse_args(arguments)
    (x, y), test = read_data(options.rows)
    net = make_net(options.backend)
    print(net.summary(), end="\n\n")
    rate = one_cycle(options.epochs * -(-len(x) // BATCH))
    optimizer = bp.SGD(rate, momentum=0.9, weight_decay=5e-4, nesterov=True)
    measure = {"loss": "cross_entropy", "metrics": ["accuracy"]}
    augment = bp.augment.Augment(shift=4, flip=True)
    before = time.perf_counter()
    for epoch, photos in enumerate(bp.augment.epochs(x, options.epochs, augment), 1):
        history = net.fit(
            photos, y, optimizer=optimizer, epochs=1, batch_size=BATCH, verbose=0, **measure
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
