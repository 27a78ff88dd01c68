"""What the functions of all ops share: their arguments, and activations in the dtype of x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pybp.arrays import Array
from pybp.backends.numpy_activations import ACTIVATION_FUNCTIONS
from pybp.program.function import Function
from pybp.program.packing import Packing


class Step(NamedTuple):
    """What varies from step to step: the random state, the scalars, and where results go."""

    seed: int
    number: int
    hyper: Array  # [k], in the order of the update op's ``hyper``
    results: Array  # [m], float64
    rows: int  # samples
    packings: tuple[Packing, ...]
    real: type[np.floating[Any]]  # the float type of the program
    functions: Sequence[Function] = ()  # that ops call


Arrays = dict[str, Any]  # the arrays of an op, by field


def activation(name: str, alpha: float, beta: float, x: Array) -> Array:
    """Return the activation of x."""
    with np.errstate(over="ignore", invalid="ignore"):
        return ACTIVATION_FUNCTIONS[name][0](x, alpha, beta).astype(x.dtype)


def slope(name: str, alpha: float, beta: float, saved: Array) -> Array:
    """Return the slope of an activation, from its output or its input (``saved``)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return ACTIVATION_FUNCTIONS[name][1](saved, alpha, beta).astype(saved.dtype)


def accumulated(op: Any, a: Arrays, gradients: Arrays) -> Arrays:
    """Return gradients of parameters, added to what is there when a parameter is shared."""
    if not op.accumulate:
        return gradients
    return {field: a[field] + g for field, g in gradients.items() if getattr(op, field)}
