"""pybp's side of the workloads."""

from __future__ import annotations

from typing import Any

import numpy as np

import pybp as bp
from pybp.arrays import Array
from pybp.bench.workloads import Workload

STEPS = 3  # whose losses are compared
FIT_BATCHES = 10  # of the fit whose loss is compared


class PybpSide:
    """A workload done by pybp: ``call`` is what is timed."""

    label = ""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.net = workload.net()
        self.data = workload.data()
        self.steps = workload.batches * workload.epochs
        if workload.optimizer is not None:
            self.trainer = bp.Trainer(self.net, "cross_entropy", workload.optimizer)
        self.call: Any = getattr(self, f"_{workload.way}")

    def _step(self) -> float:
        return self.trainer.step(self.data.x, self.data.y, lengths=self.data.lengths)

    def _fit(self) -> None:
        self._epochs(self.data.x, self.data.y, self.workload.epochs)

    def _epochs(self, x: Array, y: Array, epochs: int) -> list[float]:
        """Return the mean loss of each epoch."""
        history = self.trainer.fit(
            x, y, epochs=epochs, batch_size=self.workload.rows, shuffle=False, verbose=0
        )
        return history.history["loss"]

    def _predict(self) -> Array:
        y: Array = self.net.predict(self.data.x)
        return y

    def _gradients(self) -> tuple[Array, Array]:
        y = self.net.forward(self.data.x, training=True)
        return y, self.net.backward(self.data.y)

    def results(self) -> list[Array]:
        """Return the first losses, the output, or the output and all gradients."""
        if self.workload.way == "step":
            return [np.array([self._step() for _ in range(STEPS)])]
        if self.workload.way == "fit":
            rows = FIT_BATCHES * self.workload.rows
            return [np.array(self._epochs(self.data.x[:rows], self.data.y[:rows], 1))]
        if self.workload.way == "predict":
            return [self._predict()]
        return [*self._gradients(), self.net.grads["0.weight"], self.net.grads["0.bias"]]
