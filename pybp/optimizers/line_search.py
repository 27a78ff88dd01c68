"""A line search for the strong Wolfe conditions (Nocedal and Wright 2006, algorithms 3.5 and 3.6).

The constants, the safeguards and the order of the evaluations are those of PyTorch's LBFGS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pybp.arrays import Array

_DECREASE = 1e-4  # c1: of the first Wolfe condition
_CURVATURE = 0.9  # c2: of the second
_TOO_NEAR = 0.1  # of the length of a bracket: how near to its ends a trial may lie


class Point(NamedTuple):
    """A point of the line: the step t, and loss, gradient and slope along the line there."""

    t: float
    loss: float
    gradient: Array
    slope: np.float64


Evaluate = Callable[[float], Point]


def strong_wolfe(
    evaluate: Evaluate, start: Point, t: float, *, most: int, shortest: float
) -> tuple[Point, int]:
    """Return a point of the line that meets the strong Wolfe conditions, or the best one found.

    Parameters
    ----------
    evaluate : function
        From a step to the point there.
    start : Point
        The point of step 0.
    t : float
        The first step to try.
    most : int
        How many more points may be tried after it.
    shortest : float
        A bracket is no longer divided when its length is below this.

    Returns
    -------
    Point, int
        The point, and how many were evaluated.
    """
    with np.errstate(all="ignore"):  # a NaN ends the search by its count
        bracket, tried, done = _bracket(evaluate, start, t, most)
        if not done:
            bracket, tried = _zoom(evaluate, start, bracket, tried, most, shortest)
    return min(bracket, key=lambda point: point.loss), tried + 1


def _bracket(
    evaluate: Evaluate, start: Point, t: float, most: int
) -> tuple[list[Point], int, bool]:
    """Find two points around one that meets the conditions, or that one itself (True)."""
    before, point, tried = start, evaluate(t), 0
    while tried < most:
        if _too_high(point, start) or (tried > 1 and point.loss >= before.loss):
            return [before, point], tried, False
        if _is_flat(point, start):
            return [point], tried, True
        if point.slope >= 0:
            return [before, point], tried, False
        bounds = (point.t + 0.01 * (point.t - before.t), 10 * point.t)
        before, point = point, evaluate(_minimum(before, point, bounds))
        tried += 1
    return [start, point], tried, False


def _zoom(
    evaluate: Evaluate, start: Point, ends: list[Point], tried: int, most: int, shortest: float
) -> tuple[list[Point], int]:
    """Divide a bracket until one of its ends meets the conditions."""
    first, last = ends
    near_before = False
    while tried < most and not abs(last.t - first.t) < shortest:
        low, high = min(first.t, last.t), max(first.t, last.t)
        t = _minimum(first, last, (low, high))
        margin = _TOO_NEAR * (high - low)
        near = bool(min(high - t, t - low) < margin)
        if near and (near_before or t >= high or t <= low):
            t = high - margin if abs(t - high) < abs(t - low) else low + margin
            near = False
        near_before = near
        point = evaluate(t)
        tried += 1
        swapped = not first.loss <= last.loss
        lower, higher = (last, first) if swapped else (first, last)
        if _too_high(point, start) or point.loss >= lower.loss:
            higher = point
        elif _is_flat(point, start):
            return [point], tried
        else:
            if point.slope * (higher.t - lower.t) >= 0:
                higher = lower
            lower = point
        first, last = (higher, lower) if swapped else (lower, higher)
    return [first, last], tried


def _too_high(point: Point, start: Point) -> bool:
    return bool(point.loss > start.loss + _DECREASE * point.t * start.slope)


def _is_flat(point: Point, start: Point) -> bool:
    return bool(abs(point.slope) <= -_CURVATURE * start.slope)


def _minimum(a: Point, b: Point, bounds: tuple[float, float]) -> float:
    """Return the minimum of the cubic through two points, kept within bounds."""
    low, high = bounds
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / np.float64(a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    d2 = np.sqrt(square)
    if a.t > b.t:
        a, b = b, a
    best = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return float(min(max(best, low), high))
