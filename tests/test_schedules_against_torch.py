"""PyTorch's schedulers as outside judges of the schedules, where it is installed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pybp as bp
from pybp.schedules import Schedule

torch = pytest.importorskip("torch")
there = torch.optim.lr_scheduler
STEPS = 3000

CASES: list[tuple[Schedule, float, Callable[[Any], Any]]] = [
    (bp.StepLR(0.1, 30, 0.9), 0.1, lambda o: there.StepLR(o, 30, 0.9)),
    (
        bp.MultiStepLR(0.1, [0, 500, 100, 500], 0.5),
        0.1,
        lambda o: there.MultiStepLR(o, [0, 500, 100, 500], 0.5),
    ),
    (bp.ExponentialLR(0.1, 0.995), 0.1, lambda o: there.ExponentialLR(o, 0.995)),
    (bp.LinearLR(0.1), 0.1, there.LinearLR),
    (bp.LinearLR(0.1, 0.9, 0.2, 700), 0.1, lambda o: there.LinearLR(o, 0.9, 0.2, 700)),
    (bp.ConstantLR(0.1), 0.1, there.ConstantLR),
    (bp.ConstantLR(0.1, 0.7, 100), 0.1, lambda o: there.ConstantLR(o, 0.7, 100)),
    (bp.PolynomialLR(0.1), 0.1, there.PolynomialLR),
    (bp.PolynomialLR(0.1, 400, 1.7), 0.1, lambda o: there.PolynomialLR(o, 400, 1.7)),
    (bp.CosineLR(0.1, 70, 0.01), 0.1, lambda o: there.CosineAnnealingLR(o, 70, 0.01)),
    (bp.CosineLR(0.1, 1000), 0.1, lambda o: there.CosineAnnealingLR(o, 1000)),
    (
        bp.CosineAnnealingWarmRestarts(0.1, 70, 1, 0.01),
        0.1,
        lambda o: there.CosineAnnealingWarmRestarts(o, 70, 1, 0.01),
    ),
    (
        bp.CosineAnnealingWarmRestarts(0.1, 5, 3),
        0.1,
        lambda o: there.CosineAnnealingWarmRestarts(o, 5, 3),
    ),
    (
        bp.CyclicLR(0.01, 0.1, 30, 70),
        0.01,
        lambda o: there.CyclicLR(o, 0.01, 0.1, 30, 70, cycle_momentum=False),
    ),
    (
        bp.CyclicLR(0.01, 0.1, 50, mode="triangular2"),
        0.01,
        lambda o: there.CyclicLR(o, 0.01, 0.1, 50, mode="triangular2", cycle_momentum=False),
    ),
    (
        bp.CyclicLR(0.01, 0.1, 50, mode="exp_range", gamma=0.999),
        0.01,
        lambda o: there.CyclicLR(
            o, 0.01, 0.1, 50, mode="exp_range", gamma=0.999, cycle_momentum=False
        ),
    ),
    (
        bp.CyclicLR(0.01, 0.1, 50, scale_fn=lambda c: 1 / c),
        0.01,
        lambda o: there.CyclicLR(
            o, 0.01, 0.1, 50, scale_fn=lambda c: 1 / c, cycle_momentum=False
        ),
    ),
    (
        bp.OneCycleLR(0.1, STEPS),
        0.1,
        lambda o: there.OneCycleLR(o, 0.1, STEPS, cycle_momentum=False),
    ),
    (
        bp.OneCycleLR(0.1, None, 30, 100, 0.41, "linear", 10.0, 100.0, True),
        0.1,
        lambda o: there.OneCycleLR(
            o, 0.1, None, 30, 100, 0.41, "linear", False,
            div_factor=10.0, final_div_factor=100.0, three_phase=True,
        ),
    ),
    (
        bp.WarmupLR(bp.CosineLR(0.1, 900), 100, 0.25),
        0.1,
        lambda o: there.SequentialLR(
            o, [there.LinearLR(o, 0.25, 1.0, 100), there.CosineAnnealingLR(o, 900)], [100]
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "base", "make"), CASES, ids=lambda x: getattr(x, "lr", None))
def test_the_rates_are_pytorchs(
    schedule: Schedule, base: float, make: Callable[[Any], Any]
) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecated arguments inside PyTorch
        judge = make(optimizer)
        expected = []
        for t in range(STEPS):
            expected.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if t + 1 < STEPS:
                judge.step()
    # PyTorch multiplies from step to step, so that its rounding errors add up.
    np.testing.assert_allclose(schedule.rates(range(STEPS)), expected, rtol=1e-9, atol=1e-12)
