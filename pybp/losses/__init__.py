"""Losses: descriptions of a value and its gradient, both computed by one op.

``y_hat`` is the prediction and ``y`` the target. Every loss takes a ``reduction``:

``"mean"``   weighted mean over all elements (regression) or all positions (classification);
``"batch"``  sum over all but the first axis, mean over the rows;
``"sum"``    plain sum;
``"none"``   no reduction: only in ``value_and_grad``.
"""

from __future__ import annotations

from pybp.losses.base import Judged, Loss, Target, add_loss, add_loss_op
from pybp.losses.classification import NLL, BCEWithLogits, CrossEntropy
from pybp.losses.custom import CustomLoss
from pybp.losses.regression import (
    BCE,
    MAE,
    MSE,
    Huber,
    KLDiv,
    NormError,
    Poisson,
    Quantile,
    SquaredError,
)

__all__ = [
    "BCE",
    "LOSSES",
    "MAE",
    "MSE",
    "NLL",
    "BCEWithLogits",
    "CrossEntropy",
    "CustomLoss",
    "Huber",
    "Judged",
    "KLDiv",
    "Loss",
    "NormError",
    "Poisson",
    "Quantile",
    "SquaredError",
    "Target",
    "add_loss",
    "add_loss_op",
]

LOSSES: tuple[type[Loss], ...] = (
    SquaredError,
    MSE,
    MAE,
    Huber,
    NormError,
    CrossEntropy,
    BCE,
    BCEWithLogits,
    NLL,
    KLDiv,
    Poisson,
    Quantile,
)
