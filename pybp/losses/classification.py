"""Losses of decisions: yes/no questions on logits, and classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp.arrays import Array, extremes
from pybp.losses.base import Loss, Operands, Target
from pybp.program.ops import BCEWithLogitsLoss, DistributionLoss, LabelLoss, Shape
from pybp.program.ops import Loss as LossOp

_COLUMNS = {"weight": "column_weight", "pos_weight": "positive_weight"}  # argument -> op's field
_INT32 = 2**31


def _vector(loss: Loss, name: str, values: Any, size: int) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{type(loss).__name__}: {name} must hold numbers, got {array.dtype}")
    if array.shape != (size,):
        raise ValueError(
            f"{type(loss).__name__}: {name} must have shape ({size},), one for each class, "
            f"got {array.shape}"
        )
    return array


class BCEWithLogits(Loss):
    """Binary cross entropy on logits: one yes/no question for each element.

    Parameters
    ----------
    reduction : {"mean", "batch", "sum", "none"}
        "mean" divides by the number of elements (or the sum of sample weights over them).
    weight : array (columns,), optional
        Multiplies the loss of each column.
    pos_weight : array (columns,), optional
        Multiplies the part of the target 1.
    """

    reduction: str = "mean"
    weight: Any = None
    pos_weight: Any = None

    def constants(self, shape: Shape) -> dict[str, Any]:
        """Return the column weights that are set."""
        given = {"weight": self.weight, "pos_weight": self.pos_weight}
        given = {name: values for name, values in given.items() if values is not None}
        if given and not shape:
            raise ValueError(
                f"BCEWithLogits: {' and '.join(given)} weigh columns, but the predictions have "
                "the shape (n,): give them the shape (n, 1)"
            )
        return {
            _COLUMNS[name]: _vector(self, name, values, shape[-1]) for name, values in given.items()
        }

    def op(self, operands: Operands, target: Target, result: int) -> LossOp:
        """Return the op of this loss."""
        return BCEWithLogitsLoss(
            *operands,
            self.op_reduction,
            1.0,
            result,
            "" if self.weight is None else "column_weight",
            "" if self.pos_weight is None else "positive_weight",
        )


class _Classes(Loss):
    """Base of the losses over classes, which are the last axis."""

    weight: Any = None
    ignore_index: int = -100

    def _check(self) -> None:
        super()._check()
        if not -_INT32 <= self.ignore_index < _INT32:
            raise ValueError(
                f"{type(self).__name__}: ignore_index must lie in -2**31 ... 2**31 - 1, "
                f"got {self.ignore_index}"
            )

    def constants(self, shape: Shape) -> dict[str, Any]:
        """Return the class weights if they are set."""
        if self.weight is None:
            return {}
        return {"class_weight": _vector(self, "weight", self.weight, shape[-1])}

    def _labels(self, y: Array, shape: Shape) -> Target:
        classes = shape[-1]
        least, most = extremes(y)
        if least >= 0 and most < classes:
            return Target(shape[:-1], "int32")
        wrong = ((y < 0) | (y >= classes)) & (y != self.ignore_index)
        if wrong.any():
            first = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise IndexError(
                f"{type(self).__name__}: labels must lie in 0 ... {classes - 1} or be the "
                f"ignore_index {self.ignore_index}, got {y[first]} at {list(first)}"
            )
        return Target(shape[:-1], "int32")


class CrossEntropy(_Classes):
    """Softmax cross entropy on logits; the classes are the last axis.

    Parameters
    ----------
    reduction : {"mean", "batch", "sum", "none"}
        "mean" is over positions, weighted by class and sample weights.
    weight : array (classes,), optional
        Class weights.
    label_smoothing : float
        In [0, 1]: the share of the target spread evenly over the classes.
    ignore_index : int
        Positions with this label weigh 0.

    Notes
    -----
    Targets of the logits' shape less the last axis with an integer dtype are labels; of the
    logits' shape, distributions; anything else raises.
    """

    reduction: str = "mean"
    weight: Any = None
    label_smoothing: float = 0.0
    ignore_index: int = -100

    def _check(self) -> None:
        super()._check()
        if not 0 <= self.label_smoothing <= 1:
            raise ValueError(
                f"CrossEntropy: label_smoothing must lie in [0, 1], got {self.label_smoothing!r}"
            )

    def target(self, y: Array, shape: Shape) -> Target:
        """Check labels or distributions against logits whose samples have this shape."""
        if not shape:
            raise ValueError("CrossEntropy: logits need an axis of classes, got the shape (n,)")
        if y.shape[1:] == shape:
            return Target(shape)
        if y.shape[1:] != shape[:-1]:
            raise ValueError(
                f"CrossEntropy: for logits (n{''.join(f', {e}' for e in shape)}) y must be labels "
                f"(n{''.join(f', {e}' for e in shape[:-1])}) or distributions of the logits' "
                f"shape, got {y.shape}"
            )
        if y.dtype.kind not in "iu":
            raise TypeError(f"CrossEntropy: labels must have an integer dtype, got {y.dtype}")
        return self._labels(y, shape)

    def op(self, operands: Operands, target: Target, result: int) -> LossOp:
        """Return the op for labels or for distributions."""
        common = (*operands, self.op_reduction, 1.0, result)
        class_weight = "" if self.weight is None else "class_weight"
        smoothing = float(self.label_smoothing)
        if target.dtype == "int32":
            return LabelLoss(*common, class_weight, self.ignore_index, smoothing, True)
        return DistributionLoss(*common, class_weight, smoothing)


class NLL(_Classes):
    """The negative log-likelihood of labels, from log-probabilities (after LogSoftmax).

    Parameters
    ----------
    reduction : {"mean", "batch", "sum", "none"}
        "mean" is over positions, weighted by class and sample weights.
    weight : array (classes,), optional
        Class weights.
    ignore_index : int
        Positions with this label weigh 0.
    """

    reduction: str = "mean"
    weight: Any = None
    ignore_index: int = -100

    def target(self, y: Array, shape: Shape) -> Target:
        """Check labels against log-probabilities whose samples have this shape."""
        if not shape or y.shape[1:] != shape[:-1]:
            raise ValueError(
                f"NLL: for log-probabilities (n{''.join(f', {e}' for e in shape)}) y must be "
                f"labels of that shape less the last axis, got {y.shape}"
            )
        if y.dtype.kind not in "iu":
            raise TypeError(f"NLL: labels must have an integer dtype, got {y.dtype}")
        return self._labels(y, shape)

    def op(self, operands: Operands, target: Target, result: int) -> LossOp:
        """Return the op of this loss."""
        class_weight = "" if self.weight is None else "class_weight"
        return LabelLoss(
            *operands, self.op_reduction, 1.0, result, class_weight, self.ignore_index, 0.0, False
        )
