"""scikit-learn's side of the bench: ``MLPClassifier.partial_fit`` with one batch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import pybp as bp
from pybp.bench.own import FIT_BATCHES, STEPS
from pybp.bench.workloads import Workload

NAME, PAUSE = "scikit-learn", 0.06  # OpenBLAS spins for some 30 ms
BATCHES = 100  # of an epoch: its steps take long, and one is like the other
DONE = ("a:fit", "a:step", "b", "c")


def version() -> str:
    """Return the version."""
    import sklearn

    return str(sklearn.__version__)


def set_threads(count: int) -> None:
    """Let its BLAS use so many threads."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(count, user_api="blas")


def sides(work: Any, *, quick: bool = False) -> list[Any]:
    """Return the one setting, for the nets that it can train."""
    return [ClassifierSide(work)] if work.name in DONE else []


class ClassifierSide:
    """A step, or an epoch of them in a loop."""

    label = "partial_fit"

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.data = workload.data()
        self.steps = min(workload.batches, BATCHES)
        self.net = _classifier(workload, self.data.x[: workload.rows])

    def _step(self, i: int) -> float:
        rows = slice(i, i + self.workload.rows)
        self.net.partial_fit(self.data.x[rows], self.data.y[rows])
        return float(self.net.loss_)

    def call(self) -> list[float]:
        """Do one step, or one epoch; return the losses."""
        return [self._step(i * self.workload.rows) for i in range(self.steps)]

    def results(self) -> list[np.ndarray]:
        """Return the first losses, or the mean loss of the first batches."""
        if self.workload.way == "fit":
            losses = [self._step(i * self.workload.rows) for i in range(FIT_BATCHES)]
            return [np.array([np.mean(losses)])]
        return [np.array([self._step(0) for _ in range(STEPS)])]


def _classifier(workload: Workload, x: np.ndarray) -> Any:
    """Return a net with the workload's start weights, as if it had made no step."""
    from sklearn.neural_network import MLPClassifier

    linear = [one for one in workload.layers() if isinstance(one, bp.Linear)]
    optimizer = workload.optimizer
    net = MLPClassifier(
        [one.units for one in linear[:-1]], alpha=0.0, batch_size=workload.rows, shuffle=False,
        solver="adam" if isinstance(optimizer, bp.Adam) else "sgd", momentum=0.0,
        nesterovs_momentum=False, learning_rate_init=optimizer.lr,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels = np.arange(len(x)) % workload.classes
        net.partial_fit(x, labels, classes=np.arange(workload.classes))
    params = workload.net().params
    for own, kind in ((net.coefs_, "weight"), (net.intercepts_, "bias")):
        values = [value for name, value in params.items() if name.endswith(kind)]
        for array, value in zip(own, values, strict=True):
            array[...] = value
    _forget(net._optimizer)
    return net


def _forget(optimizer: Any) -> None:
    """Set an optimiser of scikit-learn back to its start."""
    for name in ("ms", "vs", "velocities"):
        for array in getattr(optimizer, name, ()):
            array[...] = 0
    if hasattr(optimizer, "t"):
        optimizer.t = 0
