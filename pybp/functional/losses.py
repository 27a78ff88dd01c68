"""Losses as functions: the value, and with ``.grad`` its gradient by the prediction.

``y_hat`` is the prediction (n, ...) and ``y`` the target of the same shape, or labels without its
last axis. All take ``reduction="mean" | "batch" | "sum" | "none"`` (see ``pybp.losses``) and
``sample_weight`` (n,) or leading the positions. Nothing is broadcast.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, cast

from pybp import losses
from pybp.arrays import Array
from pybp.losses import Loss

Judged = tuple[Loss, Any, Any, Any]  # the loss, the prediction, the target, the sample weights


class LossFunction(Protocol):
    """A loss as a function: ``f(y_hat, y, ...)`` is the value, ``f.grad(y_hat, y, ...)`` the slope.

    The value is a float, for ``reduction="none"`` an array; the gradient by y_hat, in its shape, is
    that of the value, or of the sum of the values.
    """

    __name__: str

    def __call__(self, y_hat: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the loss."""

    def grad(self, y_hat: Any, y: Any, *args: Any, **kwargs: Any) -> Array:
        """Return its gradient by the prediction."""


def _loss(describe: Callable[..., Judged]) -> LossFunction:
    """Make a function, and its gradient, of one that describes a loss."""
    describe.__annotations__["return"] = "Any"

    @functools.wraps(describe)
    def value(*args: Any, **kwargs: Any) -> Any:
        loss, *given = describe(*args, **kwargs)
        return loss.value_and_grad(*given)[0]

    def grad(*args: Any, **kwargs: Any) -> Any:
        loss, *given = describe(*args, **kwargs)
        return loss.value_and_grad(*given)[1]

    grad.__name__ = grad.__qualname__ = f"{describe.__name__}.grad"
    grad.__doc__ = f"Return the gradient of ``{describe.__name__}`` by y_hat."
    made = cast(Any, value)
    made.grad = grad
    return cast(LossFunction, made)


@_loss
def mse_loss(y_hat: Any, y: Any, reduction: str = "mean", sample_weight: Any = None) -> Judged:
    """Return the squared error ``(y_hat - y)^2``."""
    return losses.MSE(reduction=reduction), y_hat, y, sample_weight


@_loss
def l1_loss(y_hat: Any, y: Any, reduction: str = "mean", sample_weight: Any = None) -> Judged:
    """Return the absolute error ``|y_hat - y|``; its slope at 0 is 0."""
    return losses.MAE(reduction=reduction), y_hat, y, sample_weight


@_loss
def huber_loss(
    y_hat: Any, y: Any, reduction: str = "mean", delta: float = 1.0, sample_weight: Any = None
) -> Judged:
    """Return half the squared error within ``delta``, and beyond it the line that goes on."""
    return losses.Huber(reduction=reduction, delta=delta), y_hat, y, sample_weight


@_loss
def norm_error(y_hat: Any, y: Any, reduction: str = "mean", sample_weight: Any = None) -> Judged:
    """Return the 2-norm of each row of ``y_hat - y``, reduced over the rows."""
    return losses.NormError(reduction=reduction), y_hat, y, sample_weight


@_loss
def quantile_loss(
    y_hat: Any, y: Any, q: float = 0.5, reduction: str = "mean", sample_weight: Any = None
) -> Judged:
    """Return ``max(q (y - y_hat), (q - 1) (y - y_hat))``: the least for the q-quantile."""
    return losses.Quantile(q=q, reduction=reduction), y_hat, y, sample_weight


@_loss
def cross_entropy(
    y_hat: Any,
    y: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    sample_weight: Any = None,
) -> Judged:
    """Return the cross entropy of logits (n, ..., classes), for labels or distributions.

    ``weight`` (classes,) are weights of the classes; see ``CrossEntropy``.
    """
    loss = losses.CrossEntropy(
        reduction=reduction,
        weight=weight,
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
    )
    return loss, y_hat, y, sample_weight


@_loss
def nll_loss(
    y_hat: Any,
    y: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    sample_weight: Any = None,
) -> Judged:
    """Return minus the log-probability (n, ..., classes) of the labels (n, ...)."""
    loss = losses.NLL(reduction=reduction, weight=weight, ignore_index=ignore_index)
    return loss, y_hat, y, sample_weight


@_loss
def binary_cross_entropy(
    y_hat: Any, y: Any, reduction: str = "mean", sample_weight: Any = None
) -> Judged:
    """Return ``-y log y_hat - (1 - y) log(1 - y_hat)``, each logarithm at least -100."""
    return losses.BCE(reduction=reduction), y_hat, y, sample_weight


@_loss
def binary_cross_entropy_with_logits(
    y_hat: Any,
    y: Any,
    weight: Any = None,
    pos_weight: Any = None,
    reduction: str = "mean",
    sample_weight: Any = None,
) -> Judged:
    """Return the binary cross entropy of logits; ``weight``, ``pos_weight`` are (columns,)."""
    loss = losses.BCEWithLogits(reduction=reduction, weight=weight, pos_weight=pos_weight)
    return loss, y_hat, y, sample_weight


@_loss
def kl_div(
    y_hat: Any, y: Any, reduction: str = "mean", log_target: bool = False, sample_weight: Any = None
) -> Judged:
    """Return ``y (log y - y_hat)`` for log-probabilities y_hat; "batch" is PyTorch's batchmean."""
    return losses.KLDiv(reduction=reduction, log_target=log_target), y_hat, y, sample_weight


@_loss
def poisson_nll_loss(
    y_hat: Any,
    y: Any,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
    sample_weight: Any = None,
) -> Judged:
    """Return ``exp(y_hat) - y * y_hat``; ``y_hat - y log(y_hat + eps)`` without ``log_input``."""
    loss = losses.Poisson(log_input=log_input, full=full, eps=eps, reduction=reduction)
    return loss, y_hat, y, sample_weight
