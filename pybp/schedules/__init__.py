"""Schedules: the rate of each update, as closed formulas without state.

A schedule stands where the rate stands, ``SGD(StepLR(0.1, step_size=5))``, and ``schedule(t)`` is
the rate of update t = 0, 1, ... The arguments are PyTorch's, after the base rate. One formula on
arrays gives the rate of one update and of many, so that both have the same bits.
"""

from __future__ import annotations

from pybp.schedules.base import Schedule
from pybp.schedules.cycles import CosineAnnealingWarmRestarts, CosineLR, CyclicLR, OneCycleLR
from pybp.schedules.decay import (
    ConstantLR,
    ExponentialLR,
    InverseTimeLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
    WarmupLR,
)

__all__ = [
    "SCHEDULES",
    "ConstantLR",
    "CosineAnnealingWarmRestarts",
    "CosineLR",
    "CyclicLR",
    "ExponentialLR",
    "InverseTimeLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "Schedule",
    "StepLR",
    "WarmupLR",
]

SCHEDULES: tuple[type[Schedule], ...] = (
    StepLR,
    MultiStepLR,
    ExponentialLR,
    InverseTimeLR,
    LinearLR,
    ConstantLR,
    PolynomialLR,
    CosineLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    OneCycleLR,
    WarmupLR,
)
