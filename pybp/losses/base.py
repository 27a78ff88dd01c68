"""The base of the losses, and how a loss enters a program."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from pybp.arrays import Array
from pybp.program.function import Function
from pybp.program.ops import Loss as LossOp
from pybp.program.ops import N, Shape
from pybp.program.program import Program
from pybp.record import Record

REDUCTIONS = ("mean", "batch", "sum", "none")


class Target(NamedTuple):
    """How a target enters a program: the shape of one sample, and its buffer's dtype.

    ``axes`` is how many axes the losses of one sample have, -1 where that need not be known.
    """

    shape: Shape
    dtype: str = "real"
    axes: int = -1


class Operands(NamedTuple):
    """The names of a loss op's buffers; "" where there is none."""

    prediction: str
    target: str
    weight: str
    dy: str
    losses: str


class Loss(Record):
    """Base of the losses."""

    reduction: str = "mean"
    _from_probabilities: ClassVar[bool] = False

    def _check(self) -> None:
        if not isinstance(self.reduction, str) or self.reduction not in REDUCTIONS:
            raise ValueError(
                f"{type(self).__name__}: reduction is one of {', '.join(REDUCTIONS)}, "
                f"got {self.reduction!r}"
            )

    def target(self, y: Array, shape: Any) -> Target:
        """Check a target array against predictions whose samples have this shape.

        Raises
        ------
        ValueError
            When the shapes differ; they are never broadcast.
        TypeError
            When the dtype can't be a target of this loss.
        """
        return _same_shape(self, y, shape)

    def target_of(self, y_hat: Array, y: Array) -> Target:
        """Check a target array against predictions (n, ...), as ``target`` does."""
        return self.target(y, y_hat.shape[1:])

    def function(self) -> Function | None:
        """Return what the op calls, for a loss that is written in Python."""
        return None

    def constants(self, shape: Any) -> dict[str, Any]:
        """Return the arrays that belong to the loss itself, for predictions of this shape."""
        return {}

    def op(self, operands: Operands, target: Target, result: int) -> LossOp:
        """Return the op of this loss; the names of its constants are the op's own fields."""
        raise NotImplementedError

    @property
    def op_reduction(self) -> str:
        """The reduction of the op: the gradient of "none" is that of the sum."""
        return "sum" if self.reduction == "none" else self.reduction

    def value_and_grad(
        self, y_hat: Array, y: Array, sample_weight: Array | None = None
    ) -> tuple[Any, Array]:
        """Return the loss and its gradient with respect to ``y_hat``.

        Parameters
        ----------
        y_hat : array, float32 or float64, (n, ...)
            Predictions; other dtypes are computed in float64.
        y : array
            Targets: the shape of ``y_hat``, or labels without its last axis.
        sample_weight : array, (n,) or the leading axes of the positions, optional
            Weights.

        Returns
        -------
        float, array
            The loss (unreduced losses for ``reduction="none"``) and dLoss/dy_hat in the shape and
            float dtype of ``y_hat``.

        Raises
        ------
        ValueError, TypeError, IndexError
            For shapes, dtypes or labels that don't fit.
        """
        from pybp.loss_value import value_and_grad  # stands above the descriptions

        return value_and_grad(self, y_hat, y, sample_weight)


def _same_shape(loss: Loss, y: Array, shape: Shape) -> Target:
    if y.shape[1:] != shape:
        raise ValueError(
            f"{type(loss).__name__}: y must have the shape of the predictions, "
            f"(n{''.join(f', {e}' for e in shape)}), got {y.shape}"
        )
    return Target(shape)


class Judged(NamedTuple):
    """The buffers of a prediction, its target and their weights ("" without weights)."""

    prediction: str
    target: str
    weight: str

    @classmethod
    def of(cls, prediction: str, suffix: str, has_weight: bool) -> Judged:
        """Return the names for the output with this suffix, "" where a net has one output."""
        return cls(prediction, f"target{suffix}", f"weight{suffix}" if has_weight else "")


def add_loss(
    program: Program,
    loss: Loss,
    judged: Judged,
    target: Target,
    weight: Shape | None,
    *,
    roles: tuple[str, str] = ("target", "weight"),
    dy: str = "",
    losses: str = "",
    factor: float = 1.0,
) -> None:
    """Append a loss to a program, with the buffers of its target, weights and constants.

    Parameters
    ----------
    program : Program
        Holds the prediction.
    loss : Loss
        The loss.
    judged : Judged
        The names of the prediction, and of the buffers to be added.
    target : Target
        From ``loss.target``.
    weight : shape or None
        The shape of the sample weights of one sample, () for one number; None for no weights.
    roles : pair of str
        Roles of the target's and the weights' buffers.
    dy, losses : str
        Names for the gradient and the unreduced losses, "" where they aren't wanted.
    factor : float
        Multiplies the loss and its gradient.
    """
    leading = program.shape(judged.prediction)[0]
    program.add_buffer(judged.target, (leading, *target.shape), roles[0], target.dtype)
    if weight is not None:
        program.add_buffer(judged.weight, (leading, *weight), roles[1])
    suffix = judged.target.removeprefix("target")
    result = program.add_result(f"loss{suffix}")
    add_loss_op(program, loss, judged, target, result, suffix, dy=dy, losses=losses, factor=factor)


def add_loss_op(
    program: Program,
    loss: Loss,
    judged: Judged,
    target: Target,
    result: int,
    suffix: str,
    *,
    dy: str = "",
    losses: str = "",
    factor: float = 1.0,
) -> None:
    """Append the op of a loss to a program that has its target and weights.

    ``suffix`` stands behind the names of the arrays that belong to the loss itself.
    """
    leading = program.shape(judged.prediction)[0]
    own = {}
    for name, array in loss.constants(program.shape(judged.prediction)[1:]).items():
        own[name] = program.add_buffer(name + suffix, array.shape, "constant")
    op = loss.op(Operands(*judged, dy, losses), target, result).replace(**own)
    function = loss.function()
    if function is not None:
        op = op.replace(function=program.add_function(function))
    if leading != N and op.reduction == "batch":
        op = op.replace(reduction="samples")
    program.append(op if factor == 1.0 else op.replace(scale=op.scale * factor))
