"""The golden figures, and how near a result must come to them.

``figures.json`` holds the worked examples by their ids (S01 ...): starting values and results of
a plain NumPy program in float64, made without this package.
"""

from __future__ import annotations

import enum
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

float64_only = pytest.mark.parametrize("dtype", ["float64"])

SLACK = 4.0  # the common factor of the float32 bounds


class Kind(enum.Enum):
    """What was computed: the relative bound in float64, the amplification in float32."""

    LINEAR = (1e-12, 4.0)
    SMOOTH = (1e-12, 8.0)  # closed forms with exp, tanh, log or a root
    GRADIENT = (1e-9, 8.0)
    TRAINED = (1e-6, 16.0)

    @property
    def rtol(self) -> float:
        return self.value[0]

    @property
    def amplification(self) -> float:
        return self.value[1]


@cache
def _figures() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("figures.json").read_text(encoding="utf-8"))


def golden(example: str) -> dict[str, Any]:
    """Return the figures of one example; lists of numbers come as fresh float64 arrays."""
    return {key: _arrays(value) for key, value in _figures()[example].items()}


def _arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _arrays(entry) for key, entry in value.items()}
    if not isinstance(value, list):
        return value
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError):  # records, or arrays of several shapes
        return [_arrays(entry) for entry in value]


def assert_close(
    got: Any, want: Any, kind: Kind = Kind.LINEAR, *, dtype: str, terms: int = 4, scale: float = 0.0
) -> None:
    """Compare a result with its golden figure, in the bound of its kind and number type.

    Parameters
    ----------
    got, want : array_like
        The result and the golden figure; their shapes must be equal.
    kind : Kind
        What was computed.
    dtype : {"float32", "float64"}
        The number type of the net that computed ``got``.
    terms : int
        Length of the longest sum behind one figure (float32 only).
    scale : float
        Size of the terms where they cancel each other, added to the size of the result
        (float32 only).
    """
    got, want = np.asarray(got), np.asarray(want, dtype=np.float64)
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    if dtype == "float64":
        np.testing.assert_allclose(got, want, rtol=kind.rtol, atol=1e-14)
        return
    size = np.abs(want) + np.sqrt(np.mean(np.square(want))) + scale
    epsilon = float(np.finfo(np.float32).eps)
    bound = SLACK * epsilon * (kind.amplification + np.sqrt(terms)) * size
    worst = np.max(np.abs(got - want) / np.maximum(bound, np.finfo(np.float64).tiny), initial=0.0)
    assert worst <= 1.0, f"{worst:.3g} times the bound apart: got {got}, expected {want}"
