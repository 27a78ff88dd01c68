"""Schedules by hand, their rules, and how they are asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import pybp as bp
from pybp.schedules import SCHEDULES, Schedule


def _triangle(t: float) -> float:
    return 1 / (1 + t)


EACH: list[Schedule] = [
    bp.StepLR(0.1, 3),
    bp.MultiStepLR(0.1, [2, 5, 5], gamma=0.5),
    bp.ExponentialLR(0.1, 0.99),
    bp.InverseTimeLR(0.1, 0.01),
    bp.LinearLR(0.1),
    bp.ConstantLR(0.1),
    bp.PolynomialLR(0.1, 50, 2.0),
    bp.CosineLR(0.1, 30, 0.01),
    bp.CosineAnnealingWarmRestarts(0.1, 7, 1, 0.01),
    bp.CosineAnnealingWarmRestarts(0.1, 3, 2),
    bp.CyclicLR(0.01, 0.1, 5, 3, "triangular2"),
    bp.CyclicLR(0.01, 0.1, 5, mode="exp_range", gamma=0.99),
    bp.CyclicLR(0.01, 0.1, 5, scale_fn=_triangle, scale_mode="iterations"),
    bp.OneCycleLR(0.1, 1000),
    bp.OneCycleLR(0.1, epochs=10, steps_per_epoch=100, anneal_strategy="linear", three_phase=True),
    bp.WarmupLR(0.1, 6, 0.0),
    bp.WarmupLR(bp.CosineLR(0.1, 30), 6),
]


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (bp.StepLR(0.5, 2, 0.5), [0.5, 0.5, 0.25, 0.25, 0.125]),
        (bp.MultiStepLR(1.0, [1, 3], 0.5), [1, 0.5, 0.5, 0.25, 0.25]),
        (bp.ExponentialLR(0.5, 0.9), [0.5, 0.45, 0.405]),
        (bp.InverseTimeLR(0.5, 0.5), [0.5, 1 / 3, 0.25, 0.2]),
        (bp.LinearLR(1.0, 0.5, 1.0, 4), [0.5, 0.625, 0.75, 0.875, 1, 1]),
        (bp.ConstantLR(1.0, 0.5, 2), [0.5, 0.5, 1, 1]),
        (bp.PolynomialLR(1.0, 4, 2.0), [1, 0.5625, 0.25, 0.0625, 0, 0]),
        (bp.CosineLR(1.0, 4), [1, 0.5 + 8**-0.5, 0.5, 0.5 - 8**-0.5, 0, 0.5 - 8**-0.5]),
        (bp.CosineAnnealingWarmRestarts(1.0, 2, 2), [1, 0.5, 1, 0.5 + 8**-0.5, 0.5]),
        (bp.CyclicLR(0, 1, 2, 4), [0, 0.5, 1, 0.75, 0.5, 0.25, 0, 0.5]),
        (bp.CyclicLR(0, 1, 1, mode="triangular2"), [0, 1, 0, 0.5, 0, 0.25]),
        (bp.CyclicLR(1, 2, 1, mode="exp_range", gamma=0.5), [1, 1.5, 1, 1.125]),
        (
            bp.OneCycleLR(1, 5, pct_start=0.6, anneal_strategy="linear"),
            [0.04, 0.52, 1, 0.500002, 4e-6],
        ),
        (bp.WarmupLR(1.0, 4, 0.2), [0.2, 0.4, 0.6, 0.8, 1, 1]),
        (bp.WarmupLR(bp.StepLR(1.0, 1, 0.5), 2, 0.0), [0, 0.5, 1, 0.5, 0.25]),
        (bp.WarmupLR(lambda t: 2.0 - t, 1, 0.5), [1, 2, 1]),
    ],
)
def test_rates_by_hand(schedule: Schedule, rates: list[float]) -> None:
    got = [schedule(t) for t in range(len(rates))]
    np.testing.assert_allclose(got, rates, rtol=1e-12, atol=1e-15)
    assert all(type(rate) is float for rate in got)


@pytest.mark.parametrize("schedule", EACH, ids=repr)
def test_many_rates_are_those_one_by_one(schedule: Schedule) -> None:
    """The same bits, so that no result depends on how calls are cut."""
    rates = schedule.rates(range(1000))
    assert rates.dtype == np.float64
    assert rates.tolist() == [schedule(t) for t in range(1000)]
    assert schedule.rates(range(37, 512)).tolist() == rates[37:512].tolist()
    assert schedule.rates(range(8, 8)).tolist() == []


@pytest.mark.parametrize("schedule", [s for s in EACH if s.endless()], ids=repr)
def test_rates_of_late_updates(schedule: Schedule) -> None:
    late = schedule.rates(range(10**12, 10**12 + 3))
    assert np.isfinite(late).all()
    assert (late >= 0).all()


def test_every_schedule_is_tried() -> None:
    assert {type(schedule) for schedule in EACH} == set(SCHEDULES)


def test_one_cycle_ends() -> None:
    schedule = bp.OneCycleLR(0.1, 10)
    assert not schedule.endless()
    schedule.rates(range(10))
    for late in (range(10, 11), range(5, 20)):
        with pytest.raises(ValueError, match=r"for 10 updates \(total_steps\), but update 10 was"):
            schedule.rates(late)
    assert bp.OneCycleLR(0.1, epochs=4, steps_per_epoch=5).steps() == 20
    assert not bp.WarmupLR(schedule, 3).endless()
    assert not bp.WarmupLR(lambda t: 0.1, 3).endless()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("start", [0.0, 0.25, 0.5, 1.0])
def test_short_cycles_have_rates(steps: int, start: float) -> None:
    for three in (False, True):
        rates = bp.OneCycleLR(1.0, steps, pct_start=start, three_phase=three).rates(range(steps))
        assert ((rates > 0) & (rates <= 1)).all()


BAD: list[Callable[[], object]] = [
    lambda: bp.StepLR(0.1, 0),
    lambda: bp.StepLR(-0.1, 1),
    lambda: bp.StepLR(float("nan"), 1),
    lambda: bp.StepLR(0.1, 1, -0.5),
    lambda: bp.MultiStepLR(0.1, 5),
    lambda: bp.MultiStepLR(0.1, [1.5]),
    lambda: bp.MultiStepLR(0.1, [-1]),
    lambda: bp.ExponentialLR(0.1, float("inf")),
    lambda: bp.InverseTimeLR(0.1, -1.0),
    lambda: bp.LinearLR(0.1, 0.0),
    lambda: bp.LinearLR(0.1, end_factor=1.5),
    lambda: bp.LinearLR(0.1, total_iters=0),
    lambda: bp.ConstantLR(0.1, 1.5),
    lambda: bp.ConstantLR(0.1, total_iters=-1),
    lambda: bp.PolynomialLR(0.1, 0),
    lambda: bp.PolynomialLR(0.1, 5, -1.0),
    lambda: bp.CosineLR(0.1, 0),
    lambda: bp.CosineLR(0.1, 5, -0.1),
    lambda: bp.CosineAnnealingWarmRestarts(0.1, 0),
    lambda: bp.CosineAnnealingWarmRestarts(0.1, 5, 0),
    lambda: bp.CyclicLR(0.1, 0.2, 0),
    lambda: bp.CyclicLR(0.1, 0.2, 5, 0),
    lambda: bp.CyclicLR(0.1, 0.2, mode="square"),
    lambda: bp.CyclicLR(0.1, 0.2, scale_mode="rows"),
    lambda: bp.OneCycleLR(0.1),
    lambda: bp.OneCycleLR(0.1, epochs=5),
    lambda: bp.OneCycleLR(0.1, 0),
    lambda: bp.OneCycleLR(0.1, True),
    lambda: bp.OneCycleLR(0.1, 10, pct_start=1.5),
    lambda: bp.OneCycleLR(0.1, 10, anneal_strategy="steps"),
    lambda: bp.OneCycleLR(0.1, 10, div_factor=0.0),
    lambda: bp.WarmupLR(0.1, 0),
    lambda: bp.WarmupLR(-0.1, 5),
    lambda: bp.WarmupLR("0.1", 5),
    lambda: bp.WarmupLR(0.1, 5, 1.5),
    lambda: bp.StepLR(0.1, 5)(-1),
]


@pytest.mark.parametrize("make", BAD)
def test_bad_values_are_value_errors(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        make()


def test_messages_name_the_schedule_and_the_argument() -> None:
    with pytest.raises(ValueError, match="StepLR: step_size must be above 0, got 0"):
        bp.StepLR(0.1, 0)
    with pytest.raises(ValueError, match="CosineLR: T_max must be above 0, got -3"):
        bp.CosineLR(0.1, -3)
    with pytest.raises(TypeError, match=r"StepLR\(\) misses the argument 'step_size'"):
        bp.StepLR(0.1)
    with pytest.raises(TypeError, match=r"StepLR: step_size must be a whole number, got 2\.5"):
        bp.StepLR(0.1, 2.5)
    with pytest.raises(TypeError, match=r"OneCycleLR\(\) has no argument 'cycle_momentum'"):
        bp.OneCycleLR(0.1, 10, cycle_momentum=True)


# ---------------------------------------------------------------------------------- in training


def _trained(schedule: Schedule | Callable[[int], float], *, single: bool) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(40, 3))
    net = bp.Sequential([bp.Linear(1)], dtype="float64")
    trainer = bp.Trainer(net, "mse", bp.SGD(schedule, momentum=0.5))
    for _ in range(3):
        if single:
            for start in range(0, 40, 8):
                trainer.step(x[start : start + 8], x[start : start + 8, :1])
        else:
            trainer.fit(x, x[:, :1], epochs=1, batch_size=8, shuffle=False, verbose=0)
    return net.params.flat.copy()


@pytest.mark.parametrize("schedule", EACH, ids=repr)
def test_a_fit_asks_as_steps_do(schedule: Schedule, backend: str) -> None:
    fitted = _trained(schedule, single=False)
    np.testing.assert_array_equal(fitted, _trained(schedule, single=True))
    np.testing.assert_array_equal(fitted, _trained(schedule.__call__, single=False))


def test_too_many_updates_for_one_cycle_leave_the_net_as_it_was() -> None:
    x = np.ones((4, 3))
    net = bp.Sequential([bp.Linear(1)], dtype="float64")
    trainer = bp.Trainer(net, "mse", bp.SGD(bp.OneCycleLR(0.1, 5)))
    for _ in range(5):
        trainer.step(x, x[:, :1])
    before = net.params.flat.copy()
    with pytest.raises(ValueError, match="OneCycleLR: there are rates for 5 updates"):
        trainer.step(x, x[:, :1])
    np.testing.assert_array_equal(net.params.flat, before)
    assert net.state.updates == 5
