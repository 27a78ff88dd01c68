"""Losses that users write in NumPy. They run as one op that calls back into Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp.arrays import FLOAT_TYPES, Array
from pybp.losses.base import Loss, Operands, Target
from pybp.program.function import Function
from pybp.program.ops import CallLoss, Shape
from pybp.program.ops import Loss as LossOp


class CustomLoss(Loss):
    """Base of losses that users write in NumPy.

    A subclass declares its own fields by annotations and overrides ``forward`` and, to be trained
    with, ``backward``; ``target_shape`` where targets don't have the shape of the predictions.

    Parameters
    ----------
    reduction : {"mean", "batch", "sum", "none"}
        As for the other losses, and the last argument. "mean" divides by the number of losses, or
        by the sum of their weights.

    Notes
    -----
    Both methods get arrays with a row for each sample (for each time step, where a net gives
    sequences) that can't be written to: y_hat in the net's dtype; y too, but whole numbers of
    another shape than y_hat's, labels, are int32. What they return must have the dtype of y_hat.
    With weights, each loss may depend only on its own part of y_hat.

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> class Quartic(bp.CustomLoss):
    ...     scale: float = 1.0
    ...
    ...     def forward(self, y_hat, y):
    ...         return self.scale * (y_hat - y) ** 4
    ...
    ...     def backward(self, y_hat, y):
    ...         return 4 * self.scale * (y_hat - y) ** 3
    >>> Quartic(0.5).value_and_grad(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]))
    (4.0, array([[0., 8.]]))
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.move_last("reduction")

    def forward(self, y_hat: Array, y: Array) -> Array:
        """Return the losses, unreduced: one a row or element, any leading axes of y_hat's shape."""
        raise NotImplementedError(f"{type(self).__name__} must have a method forward(y_hat, y)")

    def backward(self, y_hat: Array, y: Array) -> Array:
        """Return the slope of the sum of the losses by y_hat, in its shape."""
        raise NotImplementedError(
            f"{type(self).__name__} has no method backward(y_hat, y), so nothing can be trained "
            "with it"
        )

    def target_shape(self, shape: Shape) -> Shape:
        """Return the shape of one sample of y for that of y_hat: the same, unless overridden."""
        return shape

    def target(self, y: Array, shape: Any) -> Target:
        """Check a target array against predictions whose samples have this shape."""
        title, wanted = type(self).__name__, tuple(self.target_shape(shape))
        if y.shape[1:] != wanted:
            raise ValueError(
                f"{title}: y must have the shape (n{''.join(f', {size}' for size in wanted)}) for "
                f"predictions of shape (n{''.join(f', {size}' for size in shape)}), got {y.shape}"
            )
        if y.dtype.kind not in "iu" or wanted == tuple(shape):
            return Target(wanted)
        limits = np.iinfo(np.int32)
        if y.size and not limits.min <= y.min() <= y.max() <= limits.max:
            raise ValueError(f"{title}: whole numbers in y must fit int32")
        return Target(wanted, "int32")

    def target_of(self, y_hat: Array, y: Array) -> Target:
        """Check a target array, and find out how many axes the unreduced losses have."""
        target = self.target(y, y_hat.shape[1:])
        if self.reduction != "none":
            return target
        real = y_hat.dtype if y_hat.dtype.name in FLOAT_TYPES else np.dtype(np.float64)
        kind = np.dtype(np.int32) if target.dtype == "int32" else real
        losses = self.forward(y_hat.astype(real), y.astype(kind))
        axes = np.ndim(losses) - 1 if isinstance(losses, np.ndarray) else 0
        return target._replace(axes=min(max(axes, 0), y_hat.ndim - 1))

    def function(self) -> Function:
        """Return what the op calls."""
        return Function(type(self).__name__, self.forward, self.backward)

    def op(self, operands: Operands, target: Target, result: int) -> LossOp:
        """Return the op of this loss; its function is set where the program is known."""
        return CallLoss(
            *operands,
            reduction=self.op_reduction,
            result=result,
            axes=target.axes,
            target_shape=target.shape,
        )
