"""The ops: the one definition of what a program can do. See ``base`` for how an op is written."""

from __future__ import annotations

from pybp.program.ops.base import N, Op, OpError, Shape
from pybp.program.ops.dense import Dense, DenseGradInput, DenseGradWeight
from pybp.program.ops.elementwise import (
    Activate,
    ActivateGrad,
    Dropout,
    Reshape,
    Softmax,
    SoftmaxGrad,
)
from pybp.program.ops.losses import (
    ELEMENTWISE_LOSSES,
    Accuracy,
    BCEWithLogitsLoss,
    DistributionLoss,
    ElementwiseLoss,
    LabelLoss,
    Loss,
    NormLoss,
)
from pybp.program.ops.updates import SGD, Adam, SGDDense, Update

__all__ = [
    "ELEMENTWISE_LOSSES",
    "OPS",
    "SGD",
    "Accuracy",
    "Activate",
    "ActivateGrad",
    "Adam",
    "BCEWithLogitsLoss",
    "Dense",
    "DenseGradInput",
    "DenseGradWeight",
    "DistributionLoss",
    "Dropout",
    "ElementwiseLoss",
    "LabelLoss",
    "Loss",
    "N",
    "NormLoss",
    "Op",
    "OpError",
    "Reshape",
    "SGDDense",
    "Shape",
    "Softmax",
    "SoftmaxGrad",
    "Update",
]

OPS: dict[str, type[Op]] = {
    op.kind: op
    for op in (
        Dense,
        DenseGradInput,
        DenseGradWeight,
        Activate,
        ActivateGrad,
        Softmax,
        SoftmaxGrad,
        Dropout,
        Reshape,
        ElementwiseLoss,
        BCEWithLogitsLoss,
        NormLoss,
        LabelLoss,
        DistributionLoss,
        Accuracy,
        SGD,
        SGDDense,
        Adam,
    )
}
