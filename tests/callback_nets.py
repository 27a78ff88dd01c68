"""A small net, its data, and callbacks that the tests of callbacks share."""

from __future__ import annotations

import csv
import math

import numpy as np

import pybp as bp

X = np.random.default_rng(0).normal(size=(24, 4))
Y = X @ np.array([[1.0], [-2.0], [0.5], [0.0]]) + 0.3
FIGURES = [0.9, 0.7, 0.7, 0.69999, 0.72, 0.71, 0.6, 0.61, math.nan, 0.62, 0.63, 0.64, 0.2, 0.3]


def small_net(dtype="float64", seed=0):
    return bp.Sequential([bp.Linear(3), bp.Tanh(), bp.Linear(1)], dtype=dtype, seed=seed).build(
        (4,)
    )


def fit(net, callbacks, epochs=4, **arguments):
    arguments = {"batch_size": 8, "optimizer": bp.SGD(0.1), "verbose": 0} | arguments
    return net.fit(X, Y, loss="mse", epochs=epochs, callbacks=callbacks, **arguments).history


class Given(bp.Callback):
    """Puts given figures into the logs."""

    def __init__(self, figures, name="val_loss"):
        self.figures, self.name = list(figures), name

    def on_epoch_end(self, trainer, epoch, logs):
        logs[self.name] = float(self.figures[epoch])


class Kept(bp.Callback):
    """Keeps the weights after each step or each epoch."""

    def __init__(self):
        self.steps, self.epochs = [], []

    def on_step_end(self, trainer, step, loss):
        self.steps.append(trainer.net.params.flat.copy())

    def on_epoch_end(self, trainer, epoch, logs):
        self.epochs.append(trainer.net.params.flat.copy())


def read(path, separator=","):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=separator))
