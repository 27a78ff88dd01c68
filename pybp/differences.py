"""Derivatives by central differences, of a number that depends on arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pybp.arrays import Array

_STEPS = (1e-4, 1e-5, 1e-6)  # between the points; the next one where the function is not smooth
_SURE = 1e-8  # the relative error that rounding may make at most
_EPS = float(np.finfo(np.float64).eps)
_ROUNDING = 64  # of a value, in units of its last place


class Scalar(NamedTuple):
    """A function of arrays that are changed in place, and its analytic gradients.

    ``value()`` returns the number and the sum of the sizes of its terms.
    """

    value: Callable[[], tuple[float, float]]
    arrays: dict[str, list[Array]]  # name -> the arrays it stands for
    gradients: dict[str, list[Array]]


def directions(
    arrays: Sequence[Array], count: int, coordinates: int, rng: np.random.Generator
) -> list[list[Array]]:
    """Return directions of length 1: along each number of few, else random ones."""
    size = sum(array.size for array in arrays)
    if size == 0:
        return []
    if size <= coordinates:
        flat = np.eye(size)
    else:
        flat = rng.normal(size=(count, size))
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    cuts = np.cumsum([array.size for array in arrays])[:-1]
    return [
        [part.reshape(array.shape) for part, array in zip(np.split(row, cuts), arrays, strict=True)]
        for row in flat
    ]


def error_along(
    scalar: Scalar, name: str, direction: Sequence[Array], tolerance: float
) -> tuple[float, bool]:
    """Return the relative error of a gradient along a direction, and whether a kink is in the way.

    With a kink the error says nothing, and is 0.
    """
    terms = [g * d for g, d in zip(scalar.gradients[name], direction, strict=True)]
    slope = float(sum(np.sum(term) for term in terms))
    size = float(np.sqrt(sum(np.sum(term**2) for term in terms)))
    arrays = scalar.arrays[name]
    if not np.isfinite(slope):
        return float("inf"), False
    found, rounding = _difference(scalar, arrays, direction, _STEPS[0])
    error = abs(slope - found) / (max(size, abs(found)) + rounding / _SURE)
    for step in _STEPS[1:]:
        if error <= tolerance:
            return error, False
        closer, more = _difference(scalar, arrays, direction, step)
        if abs(closer - found) <= rounding + more:
            break  # the slope is what it is
        found, rounding = closer, more
        excess = max(abs(slope - found) - rounding, 0.0)
        error = excess / max(size, abs(found)) if excess else 0.0
    if error > tolerance and _has_kink(scalar, arrays, direction):
        return 0.0, True
    return (error if np.isfinite(error) else float("inf")), False


def _difference(
    scalar: Scalar, arrays: Sequence[Array], direction: Sequence[Array], step: float
) -> tuple[float, float]:
    """Return the derivative along a direction by five points, and how far rounding may move it."""
    values: dict[int, float] = {}
    size = 0.0
    for k in (-2, -1, 1, 2):
        values[k], terms = _at(scalar, arrays, direction, k * step)
        size = max(size, terms)
    slope = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * step)
    return slope, _ROUNDING * _EPS * size / step


def _at(
    scalar: Scalar, arrays: Sequence[Array], direction: Sequence[Array], distance: float
) -> tuple[float, float]:
    """Return the function some way along a direction; the arrays are put back."""
    kept = [array.copy() for array in arrays]
    try:
        for array, before, part in zip(arrays, kept, direction, strict=True):
            array[...] = before + distance * part
        return scalar.value()
    finally:
        for array, before in zip(arrays, kept, strict=True):
            array[...] = before


def _has_kink(scalar: Scalar, arrays: Sequence[Array], direction: Sequence[Array]) -> bool:
    """Tell whether the slopes on both sides stay apart as the points come closer."""
    middle, size = scalar.value()
    gaps = []
    for step in (1e-5, 1e-6):
        right, _ = _at(scalar, arrays, direction, step)
        left, _ = _at(scalar, arrays, direction, -step)
        gaps.append(abs(right - 2 * middle + left) / step)
    noise = _ROUNDING * _EPS * size / 1e-6
    return gaps[1] > max(0.5 * gaps[0], noise)  # of a smooth function a tenth is left
