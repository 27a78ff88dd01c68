"""Whole training steps: the native and the NumPy backend in one group."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tolerance import TRAINING, check_close
from workloads import CHARACTERS, ONE_STEP, WORKLOADS, Workload, make_batch, make_trainer

STEPS = 3  # before the clock starts, compared with the NumPy backend in float32


def _name(workload: Workload) -> str:
    return workload.name


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("workload", WORKLOADS, ids=_name)
def test_step(benchmark: Any, workload: Workload, backend: str) -> None:
    """One ``Trainer.step`` from Python."""
    x, y = make_batch(workload)
    trainer, reference = make_trainer(workload, backend), make_trainer(workload, "numpy")
    for _ in range(STEPS):
        loss, expected = trainer.step(x, y), reference.step(x, y)
        check_close(
            np.array(loss), np.array(expected), "float32", math.prod(workload.shape), TRAINING
        )
    benchmark.group = f"step: {workload.name}"
    last = benchmark(trainer.step, x, y)
    assert np.isfinite(last)


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_many_online_steps(benchmark: Any, backend: str) -> None:
    """A fit with batches of one: many steps in one native call."""
    workload = WORKLOADS[0]
    x, y = make_batch(workload, batches=200)
    trainer = make_trainer(workload, backend)
    benchmark.group = f"200 steps of fit: {workload.name}"
    arguments = {"epochs": 1, "batch_size": 1, "verbose": 0}
    history = benchmark(trainer.fit, x, y, **arguments)
    assert history.history["loss"][0] < 3


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("rows", [1, 1000])
def test_predict(benchmark: Any, rows: int, backend: str) -> None:
    workload = WORKLOADS[0]
    x, _ = make_batch(workload, batches=rows)
    net, exact = make_trainer(workload, backend).net, make_trainer(workload, "numpy").net
    expected = exact.predict(x)
    benchmark.group = f"predict {rows} rows: 784-40-10"
    y = benchmark(net.predict, x)
    check_close(y, expected, "float32", math.prod(workload.shape), TRAINING)


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_one_time_step(benchmark: Any, backend: str) -> None:
    """A step of a stateful net, as for generation: the state goes on from call to call."""
    x, _ = make_batch(ONE_STEP)
    net, exact = make_trainer(ONE_STEP, backend).net, make_trainer(ONE_STEP, "numpy").net
    for _ in range(STEPS):
        check_close(net.predict(x), exact.predict(x), "float32", CHARACTERS, TRAINING)
    benchmark.group = f"predict: {ONE_STEP.name}"
    y = benchmark(net.predict, x)
    assert np.isfinite(y).all()
