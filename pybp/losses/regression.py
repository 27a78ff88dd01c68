"""Losses of numbers: regression, probabilities, counts."""

from __future__ import annotations

from pybp.losses.base import Loss, Operands, Target
from pybp.program.ops import ElementwiseLoss, NormLoss
from pybp.program.ops import Loss as LossOp


class _Elementwise(Loss):
    """Base of the losses of single elements."""

    def _function(self) -> tuple[str, float, bool]:
        """Return the op's function, parameter and ``full``."""
        raise NotImplementedError

    def _scale(self) -> float:
        return 1.0

    def op(self, operands: Operands, target: Target, result: int) -> LossOp:
        """Return the op of this loss."""
        function, parameter, full = self._function()
        return ElementwiseLoss(
            *operands, self.op_reduction, self._scale(), result, function, parameter, full
        )


class SquaredError(_Elementwise):
    """Squared error ``(y_hat - y)^2``, halved with ``half=True``.

    Parameters
    ----------
    reduction : {"mean", "batch", "sum", "none"}
        "mean" is the mean over all elements, "batch" the mean over rows of each row's sum.
    half : bool
        Multiply by 1/2, so that the gradient is the plain difference.
    """

    reduction: str = "mean"
    half: bool = False

    def _function(self) -> tuple[str, float, bool]:
        return "squared", 0.0, False

    def _scale(self) -> float:
        return 0.5 if self.half else 1.0


class MSE(SquaredError):  # noqa: N818 - the field's name
    """Mean squared error over all elements: ``SquaredError("mean")``."""

    reduction: str = "mean"
    half: bool = False


class MAE(_Elementwise):
    """Absolute error ``|y_hat - y|``; the slope at a tie is 0."""

    def _function(self) -> tuple[str, float, bool]:
        return "absolute", 0.0, False


class Huber(_Elementwise):
    """``(y_hat - y)^2 / 2`` within ``delta``, linear beyond (Huber 1964, as PyTorch scales it)."""

    reduction: str = "mean"
    delta: float = 1.0

    def _check(self) -> None:
        super()._check()
        if not self.delta > 0:
            raise ValueError(f"Huber: delta must be > 0, got {self.delta!r}")

    def _function(self) -> tuple[str, float, bool]:
        return "huber", float(self.delta), False


class Quantile(_Elementwise):
    """The pinball loss of the quantile q (Koenker and Bassett 1978)."""

    q: float = 0.5
    reduction: str = "mean"

    def _check(self) -> None:
        super()._check()
        if not 0 < self.q < 1:
            raise ValueError(f"Quantile: q must lie in (0, 1), got {self.q!r}")

    def _function(self) -> tuple[str, float, bool]:
        return "quantile", float(self.q), False


class BCE(_Elementwise):
    """Binary cross entropy of probabilities; each logarithm is at least -100, as in PyTorch."""

    def _function(self) -> tuple[str, float, bool]:
        return "bce", 0.0, False


class KLDiv(_Elementwise):
    """``y * (log y - y_hat)``, y_hat being log-probabilities; ``"batch"`` is PyTorch's batchmean.

    Parameters
    ----------
    reduction : {"mean", "batch", "sum", "none"}
        "mean" is over all elements.
    log_target : bool
        Whether y holds logarithms too.
    """

    reduction: str = "mean"
    log_target: bool = False

    def _function(self) -> tuple[str, float, bool]:
        return ("kl_div_log" if self.log_target else "kl_div"), 0.0, False


class Poisson(_Elementwise):
    """The negative log-likelihood of counts, as PyTorch's PoissonNLLLoss.

    Parameters
    ----------
    log_input : bool
        Whether y_hat is the logarithm of the rate: ``exp(y_hat) - y * y_hat``; else
        ``y_hat - y * log(y_hat + eps)``.
    full : bool
        Add Stirling's approximation of log(y!) where y > 1.
    eps : float
        Keeps the logarithm finite when ``log_input=False``.
    reduction : {"mean", "batch", "sum", "none"}
        "mean" is over all elements.
    """

    log_input: bool = True
    full: bool = False
    eps: float = 1e-8
    reduction: str = "mean"

    def _function(self) -> tuple[str, float, bool]:
        function = "poisson_log" if self.log_input else "poisson_rate"
        return function, float(self.eps), bool(self.full)


class NormError(Loss):
    """The 2-norm of each row of ``y_hat - y``, then the reduction over rows; slope 0 at 0."""

    def op(self, operands: Operands, target: Target, result: int) -> LossOp:
        """Return the op of this loss; the norm of a single number is its absolute value."""
        if not target.shape:
            return MAE(self.reduction).op(operands, target, result)
        return NormLoss(*operands, self.op_reduction, 1.0, result)
