"""The sigmoid of recurrent gates, which is not that of ``vector_math``, against mpmath."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from vector_maths import BOUNDS, EXACT, cases, error_in_ulps

from pybp import functional

UNITS = 64


def update_gates(x: np.ndarray) -> np.ndarray:
    """Return the update gates of a GRU: with zero weights and a state of 1 its new state."""
    found = []
    for first in range(0, len(x), UNITS):
        part = x[first : first + UNITS]
        units, nothing = len(part), np.zeros_like(part)
        y, _ = functional.gru(
            np.zeros((1, 1, 1), x.dtype),
            np.zeros((1, 3 * units), x.dtype),
            np.zeros((units, 3 * units), x.dtype),
            bias_ih=np.concatenate([nothing, part, nothing]),
            h0=np.ones((1, units), x.dtype),
        )
        found.append(y[0, 0])
    return np.concatenate(found)


def test_error_bound(core: ModuleType, isa: str, dtype: str) -> None:
    x, exact = cases("sigmoid", dtype)
    normal = np.array([float(value) for value in exact]) >= 2 * float(np.finfo(dtype).tiny)
    x, exact = x[normal], [value for value, keep in zip(exact, normal, strict=True) if keep]
    assert len(x) > 1000
    errors = error_in_ulps(update_gates(x), exact)
    worst = int(errors.argmax())
    assert errors[worst] <= BOUNDS["sigmoid"], f"gate({x[worst]!r}): {errors[worst]:.2f} ulp off"


@pytest.mark.parametrize(
    ("value", "expected"), [(np.inf, 1.0), (-np.inf, 0.0), (0.0, 0.5), (1e30, 1.0), (-1e30, 0.0)]
)
def test_special_values(
    core: ModuleType, isa: str, dtype: str, value: float, expected: float
) -> None:
    assert update_gates(np.full(9, value, dtype)).tolist() == [expected] * 9
    assert np.isnan(update_gates(np.full(9, np.nan, dtype))).all()
    assert EXACT["sigmoid"](0) == 0.5
