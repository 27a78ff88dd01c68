"""The workloads: whole steps of nets, one line each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import pybp as bp
from pybp.arrays import Array
from pybp.bench import costs
from pybp.bench.costs import Cost
from pybp.layers import Layer
from pybp.optimizers import Optimizer

FEATURES = 65  # of a time step
SGD, ADAM = bp.SGD(0.01), bp.Adam(1e-3)
Layers = list[Layer]


class Data(NamedTuple):
    """A batch, or the data of a fit."""

    x: Array  # float32 (n, *shape), or ids (n, T)
    y: Array  # labels (n,) or (n, T); the gradient of the output for "gradients"
    lengths: Array | None = None  # (n,), the longest first, or None where all have T steps


class Workload(NamedTuple):
    """A net, what is done with it, and on how much."""

    name: str
    title: str
    layers: Callable[[], Layers]
    shape: tuple[int, ...]  # of a sample
    rows: int  # of a batch
    optimizer: Optimizer | None = None
    way: str = "step"  # or "fit", "predict", "gradients": forward, back to weights and input
    classes: int = 10
    batches: int = 1  # of the data of a fit
    epochs: int = 1  # of a call of fit
    shortest: int = 0  # time steps of the shortest sequence of a ragged batch
    dtype: str = "float32"

    @property
    def is_bag(self) -> bool:
        """Whether the samples are ids."""
        return isinstance(self.layers()[0], bp.EmbeddingBag)

    @property
    def is_sequence(self) -> bool:
        """Whether each time step has a label of its own."""
        return isinstance(self.layers()[0], bp.RNN | bp.LSTM | bp.GRU)

    def net(self) -> bp.Sequential:
        """Return the net with its start weights."""
        return bp.Sequential(self.layers(), seed=0, backend="native").build(self.shape)

    def data(self) -> Data:
        """Return the same random numbers every time."""
        rng = np.random.default_rng(1)
        rows = self.rows * self.batches
        size = (rows, *self.shape)
        labels = rng.integers(0, self.classes, size[: 1 + self.is_sequence])
        if self.is_bag:
            table = self.layers()[0].to_dict()["count"]
            return Data(rng.integers(0, table, size), labels)
        x = rng.normal(size=size).astype(np.float32)
        if self.way == "gradients":
            dy = rng.normal(size=(rows, *self.net().output_shape))
            return Data(x, dy.astype(np.float32))
        lengths = None
        if self.shortest:
            lengths = -np.sort(-rng.integers(self.shortest, self.shape[0] + 1, rows))
        return Data(x, labels, lengths)

    def cost(self) -> Cost:
        """Return the arithmetic and the bytes of one step."""
        steps = 0
        if self.is_sequence or self.is_bag:
            lengths = self.data().lengths
            steps = self.rows * self.shape[0] if lengths is None else int(lengths.sum())
        return costs.of_net(self.net(), self.way, self.rows, steps, self.optimizer)


def dense(*units: int) -> Callable[[], Layers]:
    """Return the layers of a net with ReLU between its dense layers."""

    def layers() -> Layers:
        net: Layers = []
        for size in units[:-1]:
            net += [bp.Linear(size), bp.ReLU()]
        return [*net, bp.Linear(units[-1])]

    return layers


def lenet() -> Layers:
    """Return the layers of LeNet-5."""
    return [
        bp.Conv2d(6, 5, padding=2), bp.ReLU(), bp.MaxPool2d(2),
        bp.Conv2d(16, 5), bp.ReLU(), bp.MaxPool2d(2), bp.Flatten(),
        bp.Linear(120), bp.ReLU(), bp.Linear(84), bp.ReLU(), bp.Linear(10),
    ]  # fmt: skip


def cifar_net() -> Layers:
    """Return the layers of a net for pictures of 32 x 32."""
    layers: Layers = []
    for channels in (32, 64):
        for _ in range(2):
            layers += [bp.Conv2d(channels, 3, padding=1), bp.ReLU()]
        layers.append(bp.MaxPool2d(2))
    return [*layers, bp.Flatten(), bp.Linear(512), bp.ReLU(), bp.Linear(10)]


def _conv(name: str, channels: int, size: int, rows: int) -> Workload:
    """Return one convolution, forward and back."""
    title = f"conv 3x3 {channels}-{channels}, {size}x{size}, batch {rows}, gradients"
    shape = (size, size, channels)
    return Workload(
        name, title, lambda: [bp.Conv2d(channels, 3, padding=1)], shape, rows, way="gradients"
    )


def _sequence(
    name: str, title: str, make: Callable[[], Layer], steps: int, rows: int, shortest: int = 0
) -> Workload:
    """Return a recurrent layer with a linear head and a label at each time step."""
    return Workload(
        name, f"{title}, T {steps}, batch {rows}, Adam", lambda: [make(), bp.Linear(FEATURES)],
        (steps, FEATURES), rows, ADAM, classes=FEATURES, shortest=shortest,
    )  # fmt: skip


MLP = dense(40, 10)
DEEP, SMALL = dense(*[128] * 10, 2), dense(64, 64, 6)

WORKLOADS = (
    Workload("a:fit", "784-40-10, batch 1, SGD, fit", MLP, (784,), 1, SGD, "fit",
             batches=1000, epochs=10),
    Workload("a:step", "784-40-10, batch 1, SGD, step", MLP, (784,), 1, SGD),
    Workload("b", "784-40-10, batch 100, SGD", MLP, (784,), 100, SGD),
    Workload("c", "784-512-512-10, batch 128, Adam", dense(512, 512, 10), (784,), 128, ADAM),
    Workload("d", "3600-3600-10, batch 256, SGD", dense(3600, 10), (3600,), 256, SGD),
    Workload("e", "1024 x 4, batch 1024, SGD", dense(1024, 1024, 1024), (1024,), 1024, SGD,
             classes=1024),
    Workload("n", "784-40-10, predict one row", MLP, (784,), 1, way="predict"),
    Workload("t", "10 layers of 128, batch 1000, Adam, fit", DEEP, (4,), 1000, ADAM, "fit",
             classes=2, batches=5),
    Workload("s", "17-64-64-6, batch 64, Adam, fit", SMALL, (17,), 64, ADAM, "fit",
             classes=6, batches=40, epochs=10),
    Workload("f", "LeNet-5, batch 64, SGD", lenet, (28, 28, 1), 64, SGD),
    # at a larger rate the first steps of Adam overshoot, and rounding grows with them
    Workload("g", "CIFAR net, batch 64, Adam", cifar_net, (32, 32, 3), 64, bp.Adam(1e-4)),
    _conv("h1", 64, 56, 16),
    _conv("h2", 256, 14, 16),
    _conv("conv8", 8, 32, 32),
    Workload("o", "LeNet-5, predict one image", lenet, (28, 28, 1), 1, way="predict"),
    _sequence("i", "Elman tanh 65-128", lambda: bp.RNN(128), 100, 32),
    _sequence("j", "LSTM 2 x 512", lambda: bp.LSTM(512, num_layers=2), 50, 50),
    _sequence("k", "GRU 65-256", lambda: bp.GRU(256), 100, 64),
    _sequence("l", "LSTM 65-64", lambda: bp.LSTM(64), 20, 1),
    _sequence("p", "LSTM 65-128", lambda: bp.LSTM(128), 200, 32),
    _sequence("r", "LSTM 65-128, lengths from 20", lambda: bp.LSTM(128), 200, 32, shortest=20),
    Workload("m", "embedding bag 74074 x 100, 200 ids, batch 32, SGD",
             lambda: [bp.EmbeddingBag(74_074, 100), bp.Linear(2)], (200,), 32, bp.SGD(1.0),
             classes=2),
)  # fmt: skip
