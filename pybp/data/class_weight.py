"""Class weights of a fit: from weights of classes to weights of samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.data import inputs
from pybp.losses import BCE, BCEWithLogits, Loss
from pybp.program.ops import Shape


def by_class(
    class_weight: Any, loss: Loss, outputs: Shape, y: Array, sample_weight: Array | None = None
) -> Array:
    """Return sample weights times the weights of the classes.

    Parameters
    ----------
    class_weight : array (classes,) or dict
        Weight of each class; those which a dictionary leaves out weigh 1.
    loss : Loss
        BCE and BCEWithLogits have the classes 0 and 1 in each element.
    outputs : tuple
        Shape of the output of one sample.
    y : array
        Targets that fit the loss: labels, distributions, or 0 and 1. Ignored labels weigh 0.
    sample_weight : array, optional
        Multiplies the result.

    Raises
    ------
    TypeError, ValueError
        For targets that are no classes, and for weights that don't fit the classes.
    """
    labels, classes = _labels(loss, outputs, y)
    table = _table(class_weight, classes)
    known = (labels >= 0) & (labels < classes)
    weight = np.where(known, table[np.where(known, labels, 0)], 0.0)
    if sample_weight is None:
        return weight
    axes = max(weight.ndim, sample_weight.ndim)
    return _with_axes(weight, axes) * _with_axes(sample_weight, axes)


def _labels(loss: Loss, outputs: Shape, y: Array) -> tuple[Array, int]:
    """Return the class of each sample, position or element, and the number of classes."""
    if isinstance(loss, BCE | BCEWithLogits):
        if not ((y == 0) | (y == 1)).all():
            raise ValueError("class_weight needs targets that are 0 or 1, got others")
        return y.astype(np.intp), 2
    if y.shape[1:] != outputs:
        return y, outputs[-1]
    if not outputs or outputs[-1] == 1:
        raise TypeError(
            "class_weight needs targets that are classes: labels, one-hot rows, or 0 and 1 under "
            f"BCE or BCEWithLogits; got targets of shape {y.shape} under {loss!r}"
        )
    return np.argmax(y, axis=-1), outputs[-1]


def _table(class_weight: Any, classes: int) -> Array:
    """Return the weight of each class."""
    if not isinstance(class_weight, dict):
        table = inputs.numbers(class_weight, "class_weight")
        if table.shape != (classes,):
            raise ValueError(f"class_weight must have shape ({classes},), got {table.shape}")
        return _checked(table)
    table = np.ones(classes)
    for label, weight in class_weight.items():
        if inputs.whole_number(label, "a class in class_weight", 0) >= classes:
            raise ValueError(
                f"a class in class_weight must lie in 0 ... {classes - 1}, got {label}"
            )
        table[label] = inputs.real_number(weight, f"the class_weight of {label}")
    return _checked(table)


def _checked(table: Array) -> Array:
    """Refuse weights below 0, NaN or infinite."""
    if not ((table >= 0) & (table < np.inf)).all():
        raise ValueError(f"class_weight must be >= 0 and finite everywhere, got {table}")
    return table


def _with_axes(array: Array, axes: int) -> Array:
    """Return an array with axes of size 1 appended."""
    return array.reshape(array.shape + (1,) * (axes - array.ndim))
