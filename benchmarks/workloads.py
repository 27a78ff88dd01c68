"""The training steps that are measured, and the same step written out in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import pybp as bp


class Workload(NamedTuple):
    """A net, its loss and optimiser, and the size of a batch."""

    name: str
    layers: Callable[[], list[bp.layers.Layer]]
    shape: tuple[int, ...]  # of a sample
    classes: int
    rows: int
    optimizer: bp.optimizers.Optimizer


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
]


def make_trainer(workload: Workload, backend: str) -> bp.Trainer:
    """Return a trainer of the workload's net on a backend."""
    net = bp.Sequential(workload.layers(), seed=0, backend=backend)
    return bp.Trainer(net, "cross_entropy", workload.optimizer)


def make_batch(workload: Workload, batches: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return random inputs and labels for some batches."""
    rng = np.random.default_rng(1)
    rows = workload.rows * batches
    x = rng.normal(size=(rows, *workload.shape)).astype(np.float32)
    return x, rng.integers(0, workload.classes, rows)
