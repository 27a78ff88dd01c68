"""Optimisers: descriptions of an update. The state and its count live in the net."""

from __future__ import annotations

from pybp.optimizers.adam import Adam, AdamW
from pybp.optimizers.adam_kin import Adamax, NAdam, RAdam
from pybp.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from pybp.optimizers.annealing import Annealing
from pybp.optimizers.base import LossOptimizer, Optimizer, Problem, Rate, Steppable
from pybp.optimizers.lbfgs import LBFGS
from pybp.optimizers.sgd import SGD

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Annealing",
    "LossOptimizer",
    "NAdam",
    "Optimizer",
    "Problem",
    "RAdam",
    "RMSprop",
    "Rate",
    "Steppable",
]

OPTIMIZERS: tuple[type[Optimizer], ...] = (
    SGD,
    Adagrad,
    RMSprop,
    Adadelta,
    Adam,
    AdamW,
    Adamax,
    NAdam,
    RAdam,
    Annealing,
    LBFGS,
)
