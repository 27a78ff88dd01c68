"""JAX's side of the bench: a compiled step with its state donated, for ``fit`` a scan of steps.

It has dense and recurrent nets. How many threads XLA uses follows from the CPUs that the process
may use when JAX is first imported.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp.bench.own import FIT_BATCHES, STEPS
from pybp.bench.workloads import Workload

NAME, PAUSE = "JAX", 0.02
DONE = ("a:fit", "a:step", "b", "c", "d", "e", "t", "s", "i", "j", "l")
UNROLLED = {"i": (1, 4), "l": (1, 20)}  # time steps in a turn of the loop that are tried


def version() -> str:
    """Return the version."""
    import jax

    return str(jax.__version__)


def set_threads(count: int) -> None:
    """Do nothing: the CPUs of the process are what counts."""


def sides(work: Any, *, quick: bool = False) -> list[Any]:
    """Return the settings for a workload; there are none for products and single ops."""
    if work.name not in DONE:
        return []
    if work.way == "fit":
        return [FitSide(work)]
    return [StepSide(work, unroll) for unroll in UNROLLED.get(work.name, (1,))]


class StepSide:
    """A compiled step from Python."""

    steps = 1

    def __init__(self, workload: Workload, unroll: int) -> None:
        import jax
        from jax_nets import first_state, step_of

        data = workload.data()
        x, y = data.x, data.y
        if workload.is_sequence:
            x, y = x.swapaxes(0, 1), y.T
        self.label = f"jit, unroll {unroll}" if workload.is_sequence else "jit"
        self.x, self.y = jax.device_put(x), jax.device_put(y.astype(np.int32))
        self.state = first_state(workload)
        self.step = jax.jit(step_of(workload, unroll), donate_argnums=0)

    def call(self) -> float:
        """Do one step; return its loss."""
        self.state, loss = self.step(self.state, self.x, self.y)
        return float(loss)  # waits for it

    def results(self) -> list[np.ndarray]:
        """Return the first losses."""
        return [np.array([self.call() for _ in range(STEPS)])]


class FitSide:
    """An epoch as one compiled loop over the batches."""

    label = "scan"

    def __init__(self, workload: Workload) -> None:
        import jax
        from jax_nets import first_state, step_of

        data = workload.data()
        self.steps = workload.batches
        size = (workload.batches, workload.rows)
        self.x = jax.device_put(data.x.reshape(*size, -1))
        self.y = jax.device_put(data.y.reshape(size).astype(np.int32))
        self.state = first_state(workload)
        step = step_of(workload)

        def epoch(state: Any, x: Any, y: Any) -> Any:
            state, losses = jax.lax.scan(lambda s, batch: step(s, *batch), state, (x, y))
            return state, losses.mean()

        self.epoch = jax.jit(epoch, donate_argnums=0)

    def call(self) -> float:
        """Do one epoch; return its mean loss."""
        self.state, loss = self.epoch(self.state, self.x, self.y)
        return float(loss)

    def results(self) -> list[np.ndarray]:
        """Return the mean loss of the first batches."""
        x, y = self.x[:FIT_BATCHES], self.y[:FIT_BATCHES]
        self.state, loss = self.epoch(self.state, x, y)
        self.call()  # compiles it for all batches
        return [np.array([float(loss)])]
