"""The one tolerance formula: how far a result may lie from the expected one.

``|got - expected| <= 4 * eps * (amp + sqrt(K)) * (|expected| + rms(expected))`` with K the number
of terms of a sum and amp the kind of operation: 1 exact selection, 4 linear algebra and losses, 8
transcendental functions and softmax losses, 16 whole trainings.
"""

from __future__ import annotations

import numpy as np

EXACT, LINEAR, TRANSCENDENTAL, TRAINING = 1, 4, 8, 16


def tolerance(expected: np.ndarray, dtype: str, terms: int, amp: float) -> np.ndarray:
    """Return the allowed distance of each element; ``terms`` is the longest sum's length."""
    exact = np.asarray(expected, np.float64)
    finite = exact[np.isfinite(exact)]
    rms = float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
    size = np.where(np.isfinite(exact), np.abs(exact), 0)
    return 4 * np.finfo(dtype).eps * (amp + np.sqrt(terms)) * (size + rms)


def check_close(
    got: np.ndarray, expected: np.ndarray, dtype: str, terms: int, amp: float, what: str = "result"
) -> None:
    """Fail with the worst element when a result lies further away than the formula allows."""
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        excess = np.abs(got - expected) / np.maximum(
            tolerance(expected, dtype, terms, amp), np.finfo(dtype).tiny
        )
    excess = np.where(same, 0, np.where(np.isnan(excess), np.inf, excess))
    if excess.size and excess.max() > 1:
        worst = np.unravel_index(int(excess.argmax()), excess.shape)
        raise AssertionError(
            f"{what}{list(map(int, worst))}: got {got[worst]!r}, expected {expected[worst]!r}, "
            f"{excess.max():.3g} times the tolerance ({dtype}, {terms} terms, amp {amp})"
        )
