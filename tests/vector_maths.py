"""Arguments, exact values and promised error bounds of the vector maths (docs/numerics.md)."""

from __future__ import annotations

import functools
from collections.abc import Callable

import mpmath
import numpy as np

Array = np.ndarray

# Bits for the judge: log1p near 0 and tanh cancel less than 100 of them.
mpmath.mp.prec = 200

# In units in the last place of the correctly rounded result.
BOUNDS = {"exp": 2, "expm1": 2, "log": 2, "log1p": 2, "tanh": 4, "sigmoid": 4, "normal_cdf": 5}

EXACT: dict[str, Callable[[mpmath.mpf], mpmath.mpf]] = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "normal_cdf": lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
}


def near_zero(rng: np.random.Generator, count: int, dtype: str) -> Array:
    """Return numbers of both signs and every size up to 1."""
    lowest = float(np.log10(np.finfo(dtype).tiny))
    return rng.choice([-1, 1], count) * 10 ** rng.uniform(lowest, 0, count)


def arguments(name: str, dtype: str) -> Array:
    """Return where the function is neither constant nor out of range, dense where delicate."""
    rng = np.random.default_rng(0)
    top = float(np.log(np.finfo(dtype).max))
    bottom = float(np.log(np.finfo(dtype).tiny))  # below are denormal results
    count = 700
    small, middle = near_zero(rng, count, dtype), rng.uniform(-3, 3, count)
    positive = np.finfo(dtype).max * 10 ** rng.uniform(
        -70 if dtype == "float32" else -600, 0, count
    )
    parts = {
        "exp": [small, middle, rng.uniform(bottom, top, count)],
        "expm1": [small, middle, rng.uniform(-20, top, count)],
        "log": [positive, rng.uniform(0.5, 2, count), 1 + small],
        "log1p": [positive, small, rng.uniform(-1, 2, count), -1 + np.abs(small)],
        "tanh": [small, middle, rng.uniform(-25, 25, count)],
        "sigmoid": [small, middle, rng.uniform(bottom, 40, count)],
        # About exp(-x^2 / 2) / (2.5 |x|): the divisor takes less than 5 off the logarithm.
        "normal_cdf": [small, middle, rng.uniform(-np.sqrt(-2 * (bottom + 5)), 9, count)],
    }[name]
    x = np.unique(np.concatenate(parts).astype(dtype))
    with np.errstate(all="ignore"):
        domain = {"log": x > 0, "log1p": x > -1}.get(name, np.isfinite(x))
    return x[domain & (np.abs(x) >= np.finfo(dtype).tiny)]


@functools.cache
def cases(name: str, dtype: str) -> tuple[Array, list[mpmath.mpf]]:
    x = arguments(name, dtype)
    return x, [EXACT[name](mpmath.mpf(float(value))) for value in x]


def error_in_ulps(got: Array, exact: list[mpmath.mpf]) -> Array:
    rounded = np.array([float(value) for value in exact]).astype(got.dtype)
    ulps = np.spacing(np.abs(rounded)).astype(np.float64)
    distance = [
        float(abs(mpmath.mpf(float(g)) - e) / mpmath.mpf(u))
        for g, e, u in zip(got, exact, ulps, strict=True)
    ]
    return np.array(distance)


INF, NAN = np.inf, np.nan

SPECIAL = {
    "exp": [(INF, INF), (-INF, 0.0), (0.0, 1.0), (-0.0, 1.0), (1e4, INF), (-1e4, 0.0)],
    "expm1": [(INF, INF), (-INF, -1.0), (0.0, 0.0), (-0.0, -0.0), (1e4, INF), (-1e4, -1.0)],
    "log": [(INF, INF), (0.0, -INF), (-0.0, -INF), (1.0, 0.0), (-1.0, NAN), (-INF, NAN)],
    "log1p": [(INF, INF), (-1.0, -INF), (0.0, 0.0), (-0.0, -0.0), (-2.0, NAN), (-INF, NAN)],
    "tanh": [(INF, 1.0), (-INF, -1.0), (0.0, 0.0), (-0.0, -0.0), (1e30, 1.0), (-1e30, -1.0)],
    "sigmoid": [(INF, 1.0), (-INF, 0.0), (0.0, 0.5), (-0.0, 0.5), (1e30, 1.0), (-1e30, 0.0)],
    "normal_cdf": [(INF, 1.0), (-INF, 0.0), (40.0, 1.0), (-40.0, 0.0), (1e30, 1.0), (-1e30, 0.0)],
}
