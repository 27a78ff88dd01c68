"""Central finite differences: the judge of every gradient, apart from any rule of calculus."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def central_differences(
    value: Callable[[], float], array: np.ndarray, step: float = 1e-6
) -> np.ndarray:
    """Return d value / d array by moving one element of a live float64 array at a time.

    Parameters
    ----------
    value : callable
        Computes the scalar anew from whatever ``array`` now holds.
    array : ndarray, float64
        Changed in place during the call and restored afterwards: it may be a view of a parameter.
    step : float
        Half the distance of the two points. The error is of the order ``step**2``, and rounding
        adds about ``1e-16 / step``.

    Raises
    ------
    TypeError
        For any dtype but float64: in float32 rounding would drown the difference.
    """
    if array.dtype != np.float64:
        raise TypeError(f"central_differences needs a float64 array, got {array.dtype}")
    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        start = array[index]
        array[index] = start + step
        above = value()
        array[index] = start - step
        below = value()
        array[index] = start
        gradient[index] = (above - below) / (2 * step)
    return gradient


def directional_difference(
    value: Callable[[], float], array: np.ndarray, direction: np.ndarray, step: float = 1e-5
) -> float:
    """Return the derivative of a scalar along a direction, by the five-point stencil.

    Its error is of the order ``step**4``, and rounding adds about ``1e-16 / step``: far less than
    with two points, so that a wrong term can't hide.
    """
    if array.dtype != np.float64:
        raise TypeError(f"directional_difference needs a float64 array, got {array.dtype}")
    start = array.copy()
    values = {}
    for k in (-2, -1, 1, 2):
        array[...] = start + k * step * direction
        values[k] = value()
    array[...] = start
    return (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * step)
