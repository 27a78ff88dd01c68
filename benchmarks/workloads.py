"""The training steps that are measured, and the same step written out in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import pybp as bp

CHARACTERS = 65


class Workload(NamedTuple):
    """A net, its loss and optimiser, and the size of a batch."""

    name: str
    layers: Callable[[], list[bp.layers.Layer]]
    shape: tuple[int, ...]  # of a sample
    classes: int
    rows: int
    optimizer: bp.optimizers.Optimizer
    steps: tuple[int, ...] = ()  # (T,) where each time step has a label
    ids: int = 0  # how many ids the samples are drawn from; 0 for real numbers


def _mlp(*units: int, dropout: float = 0.0) -> Callable[[], list[bp.layers.Layer]]:
    def layers() -> list[bp.layers.Layer]:
        net: list[bp.layers.Layer] = []
        for size in units[:-1]:
            net += [bp.Linear(size), bp.ReLU()]
            net += [bp.Dropout(dropout)] if dropout else []
        return [*net, bp.Linear(units[-1])]

    return layers


def _lenet() -> list[bp.layers.Layer]:
    return [
        bp.Conv2d(6, 5, padding=2), bp.ReLU(), bp.MaxPool2d(2),
        bp.Conv2d(16, 5), bp.ReLU(), bp.MaxPool2d(2), bp.Flatten(),
        bp.Linear(120), bp.ReLU(), bp.Linear(84), bp.ReLU(), bp.Linear(10),
    ]  # fmt: skip


def _cifar_net() -> list[bp.layers.Layer]:
    layers: list[bp.layers.Layer] = []
    for channels in (32, 64):
        for _ in range(2):
            layers += [bp.Conv2d(channels, 3, padding=1), bp.ReLU()]
        layers.append(bp.MaxPool2d(2))
    return [*layers, bp.Flatten(), bp.Linear(512), bp.ReLU(), bp.Linear(10)]


def _with_head(
    layer: bp.layers.Layer, classes: int = CHARACTERS
) -> Callable[[], list[bp.layers.Layer]]:
    def layers() -> list[bp.layers.Layer]:
        return [layer, bp.Linear(classes)]

    return layers


def _characters(name: str, layer: bp.layers.Layer, steps: int, rows: int) -> Workload:
    """Return the workload of a net that reads characters and tells the next one at each step."""
    shape = (steps, CHARACTERS)
    title = f"{name}, T {steps}, batch {rows}, Adam"
    net = _with_head(layer)
    return Workload(title, net, shape, CHARACTERS, rows, bp.Adam(1e-3), steps=(steps,))


WORKLOADS = [
    Workload("784-40-10, batch 1, SGD", _mlp(40, 10), (784,), 10, 1, bp.SGD(0.01)),
    Workload("784-40-10, batch 100, SGD", _mlp(40, 10), (784,), 10, 100, bp.SGD(0.1)),
    Workload("784-512-512-10, batch 128, Adam", _mlp(512, 512, 10), (784,), 10, 128, bp.Adam(1e-3)),
    Workload(
        "784-512-512-10, batch 128, dropout, Adam",
        _mlp(512, 512, 10, dropout=0.2),
        (784,),
        10,
        128,
        bp.Adam(1e-3),
    ),
    Workload("3600-3600-10, batch 256, SGD", _mlp(3600, 10), (3600,), 10, 256, bp.SGD(0.1)),
    Workload("LeNet-5, batch 64, SGD", _lenet, (28, 28, 1), 10, 64, bp.SGD(0.01)),
    Workload("CIFAR net, batch 8, Adam", _cifar_net, (32, 32, 3), 10, 8, bp.Adam(1e-4)),
    _characters("Elman 65-128", bp.RNN(128), steps=50, rows=32),
    _characters("LSTM 65-64", bp.LSTM(64), steps=20, rows=1),
    _characters("LSTM 65-128", bp.LSTM(128), steps=50, rows=32),
    _characters("GRU 65-128", bp.GRU(128), steps=50, rows=32),
    Workload(
        "embedding bag 74074 x 100, 200 ids, batch 32, SGD",
        _with_head(bp.EmbeddingBag(74_074, 100), 2),
        (200,),
        2,
        32,
        bp.SGD(0.1),
        ids=74_074,
    ),
]
ONE_STEP = Workload(
    "one step of LSTM 65-128",
    _with_head(bp.LSTM(128, stateful=True)),
    (1, CHARACTERS),
    CHARACTERS,
    1,
    bp.SGD(0.1),
    steps=(1,),
)


def make_trainer(workload: Workload, backend: str) -> bp.Trainer:
    """Return a trainer of the workload's net on a backend."""
    net = bp.Sequential(workload.layers(), seed=0, backend=backend)
    return bp.Trainer(net, "cross_entropy", workload.optimizer)


def make_batch(workload: Workload, batches: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return random inputs and labels for some batches."""
    rng = np.random.default_rng(1)
    rows = workload.rows * batches
    size = (rows, *workload.shape)
    x = rng.integers(0, workload.ids, size) if workload.ids else rng.normal(size=size).astype("f4")
    return x, rng.integers(0, workload.classes, (rows, *workload.steps))
