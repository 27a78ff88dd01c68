"""Each op in NumPy: lines that look like the equation. This is what the ops mean.

An op's function gets the op, its arrays by field name, and the randomness of the step. It returns
the arrays of the fields that it writes; updates change their arrays in place, since parameters are
views that the caller holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pybp.backends.numpy_call import CALL_OPS
from pybp.backends.numpy_conv import CONV_OPS
from pybp.backends.numpy_embedding import EMBEDDING_OPS
from pybp.backends.numpy_loop import LOOP_OPS
from pybp.backends.numpy_losses import log_softmax, loss_op
from pybp.backends.numpy_norm import NORM_OPS
from pybp.backends.numpy_pool import POOL_OPS
from pybp.backends.numpy_recurrent import RECURRENT_OPS
from pybp.backends.numpy_sequence import SEQUENCE_OPS
from pybp.backends.numpy_step import Arrays, Step, accumulated, activation, slope
from pybp.backends.numpy_updates import UPDATE_OPS
from pybp.program.ops import (
    Accuracy,
    Activate,
    ActivateGrad,
    Add,
    BCEWithLogitsLoss,
    Bias,
    BiasGrad,
    Dense,
    DenseGradInput,
    DenseGradWeight,
    DistributionLoss,
    Dropout,
    ElementwiseLoss,
    LabelLoss,
    Loss,
    MoveChannels,
    Multiply,
    NormLoss,
    Op,
    Reshape,
    Softmax,
    SoftmaxGrad,
)
from pybp.random import dropout_mask


def _dense(op: Dense, a: Arrays, step: Step) -> Arrays:
    z = a["x"] @ a["w"]
    if op.b:
        z = z + a["b"]
    return {"y": activation(op.activation, op.alpha, 0.0, z)}


def _dense_grad_input(op: DenseGradInput, a: Arrays, step: Step) -> Arrays:
    dx = a["dy"] @ a["w"].T
    if op.x:
        dx = dx * slope(op.activation, op.alpha, 0.0, a["x"])
    return {"dx": dx}


def _dense_grad_weight(op: DenseGradWeight, a: Arrays, step: Step) -> Arrays:
    x = a["x"].reshape(-1, a["x"].shape[-1])
    dy = a["dy"].reshape(-1, a["dy"].shape[-1])
    return accumulated(op, a, {"dw": x.T @ dy, "db": np.sum(dy, axis=0)})


def _activate(op: Activate, a: Arrays, step: Step) -> Arrays:
    return {"y": activation(op.function, op.alpha, op.beta, a["x"])}


def _activate_grad(op: ActivateGrad, a: Arrays, step: Step) -> Arrays:
    return {"dx": a["dy"] * slope(op.function, op.alpha, op.beta, a["saved"])}


def _softmax(op: Softmax, a: Arrays, step: Step) -> Arrays:
    y = log_softmax(a["x"], op.axis)
    return {"y": y if op.log else np.exp(y)}


def _softmax_grad(op: SoftmaxGrad, a: Arrays, step: Step) -> Arrays:
    y, dy = a["y"], a["dy"]
    if op.log:
        return {"dx": dy - np.exp(y) * np.sum(dy, axis=op.axis, keepdims=True)}
    return {"dx": y * (dy - np.sum(dy * y, axis=op.axis, keepdims=True))}


def _dropout(op: Dropout, a: Arrays, step: Step) -> Arrays:
    x = a["x"]
    drawn = (len(x), *(1,) * (x.ndim - 2), x.shape[-1]) if op.per_channel else x.shape
    count = math.prod(drawn)
    mask = dropout_mask(step.seed, op.stream, step.number, op.p, count).reshape(drawn)
    scale = x.dtype.type(1 / (1 - op.p) if op.p < 1 else 0)
    return {"y": (np.where(mask, x, 0) * scale).astype(x.dtype)}


def _reshape(op: Reshape, a: Arrays, step: Step) -> Arrays:
    return {"y": a["x"].reshape(-1, *op.shape)}


def _add(op: Add, a: Arrays, step: Step) -> Arrays:
    return {"y": activation(op.activation, op.alpha, 0.0, a["a"] + a["b"])}


def _multiply(op: Multiply, a: Arrays, step: Step) -> Arrays:
    return {"y": a["a"] * a["b"]}


def _bias(op: Bias, a: Arrays, step: Step) -> Arrays:
    return {"y": activation(op.activation, op.alpha, 0.0, a["x"] + a["b"])}


def _bias_grad(op: BiasGrad, a: Arrays, step: Step) -> Arrays:
    dy = a["dy"]
    return accumulated(op, a, {"db": np.sum(dy, axis=tuple(range(dy.ndim - 1)))})


def _move_channels(op: MoveChannels, a: Arrays, step: Step) -> Arrays:
    x = a["x"]
    return {"y": np.moveaxis(x, 1, -1) if op.last else np.moveaxis(x, -1, 1)}


def _loss(op: Loss, a: Arrays, step: Step) -> Arrays:
    written, total, divisor = loss_op(op, a, step.rows)
    step.results[op.result] += total
    step.results[op.result + 1] += divisor
    return written


def _accuracy(op: Accuracy, a: Arrays, step: Step) -> Arrays:
    p, t = a["prediction"], a["target"]
    if op.binary:
        hits, counts = (p > op.threshold) == (t > 0.5), np.ones(p.shape)
    else:
        labels = t if t.ndim < p.ndim else np.argmax(t, axis=-1)
        hits = np.argmax(p, axis=-1) == labels
        counts = np.where(labels == op.ignore_index, 0.0, 1.0)
    hits = hits & ~np.isnan(p if op.binary else np.max(p, axis=-1))
    w = a["weight"] if op.weight else np.ones(len(p))
    counts = counts * w.reshape(w.shape + (1,) * (counts.ndim - w.ndim))
    step.results[op.result] += np.sum(hits * counts, dtype=np.float64)
    step.results[op.result + 1] += np.sum(counts, dtype=np.float64)
    return {}


NUMPY_OPS: dict[type[Op], Callable[..., Arrays]] = {
    Dense: _dense,
    DenseGradInput: _dense_grad_input,
    DenseGradWeight: _dense_grad_weight,
    Activate: _activate,
    ActivateGrad: _activate_grad,
    Softmax: _softmax,
    SoftmaxGrad: _softmax_grad,
    Dropout: _dropout,
    Reshape: _reshape,
    Add: _add,
    Multiply: _multiply,
    Bias: _bias,
    BiasGrad: _bias_grad,
    MoveChannels: _move_channels,
    **CONV_OPS,
    **POOL_OPS,
    **NORM_OPS,
    **RECURRENT_OPS,
    **SEQUENCE_OPS,
    **LOOP_OPS,
    **EMBEDDING_OPS,
    **CALL_OPS,
    ElementwiseLoss: _loss,
    BCEWithLogitsLoss: _loss,
    NormLoss: _loss,
    LabelLoss: _loss,
    DistributionLoss: _loss,
    Accuracy: _accuracy,
    **UPDATE_OPS,
}
