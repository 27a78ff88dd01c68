"""The base of the losses, and how a loss enters a program."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from pybp.arrays import Array
from pybp.program.ops import Loss as LossOp
from pybp.program.ops import N, Shape
from pybp.program.program import Program
from pybp.record import Record

REDUCTIONS = ("mean", "batch", "sum", "none")


class Target(NamedTuple):
    """How a target enters a program: the shape of one sample, and its buffer's dtype."""

    shape: Shape
    dtype: str = "real"


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


def add_loss(
    program: Program,
    loss: Loss,
    prediction: str,
    target: Target,
    weight: Shape | None,
    *,
    roles: tuple[str, str] = ("target", "weight"),
    dy: str = "",
    losses: str = "",
) -> None:
    """Append a loss to a program, with the buffers of its target, weights and constants.

    Parameters
    ----------
    program : Program
        Holds the prediction.
    loss : Loss
        The loss.
    prediction : str
        The value that is judged.
    target : Target
        From ``loss.target``.
    weight : shape or None
        The shape of the sample weights of one sample, () for one number; None for no weights.
    roles : pair of str
        Roles of the target's and the weights' buffers.
    dy, losses : str
        Names for the gradient and the unreduced losses, "" where they aren't wanted.
    """
    leading = program.shape(prediction)[0]
    program.add_buffer("target", (leading, *target.shape), roles[0], target.dtype)
    if weight is not None:
        program.add_buffer("weight", (leading, *weight), roles[1])
    for name, array in loss.constants(program.shape(prediction)[1:]).items():
        program.add_buffer(name, array.shape, "constant")
    operands = Operands(prediction, "target", "" if weight is None else "weight", dy, losses)
    op = loss.op(operands, target, program.add_result("loss"))
    if leading != N and op.reduction == "batch":
        op = op.replace(reduction="samples")
    program.append(op)
