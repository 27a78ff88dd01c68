"""The gradient is a table: for each kind of forward op, the ops of its gradient.

Layers never write a backward pass. Each row reads the gradient of what the op wrote and adds ops
for the gradients of what it read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pybp.program.activations import slope_from_output
from pybp.program.gradient_call import CALL_GRADIENTS
from pybp.program.gradient_embedding import EMBEDDING_GRADIENTS
from pybp.program.gradient_loop import LOOP_GRADIENTS
from pybp.program.gradient_recurrent import RECURRENT_GRADIENTS
from pybp.program.ops import (
    Activate,
    ActivateGrad,
    Add,
    AvgPool,
    AvgPoolGrad,
    BatchNorm,
    BatchNormGrad,
    Bias,
    BiasGrad,
    ChannelMoments,
    Col2Im,
    Conv,
    ConvGradInput,
    ConvGradWeight,
    Dense,
    DenseGradInput,
    DenseGradWeight,
    Dropout,
    Im2Col,
    LayerNorm,
    LayerNormGrad,
    MaxPool,
    MaxPoolGrad,
    MoveChannels,
    Multiply,
    Op,
    Reshape,
    Softmax,
    SoftmaxGrad,
)
from pybp.program.walk import SLOPE_ONE, Walk


def _dense(walk: Walk, op: Dense) -> None:
    dy = walk.of_output(op)
    (dw, db), accumulate = walk.give_parameters(op.w, op.b)
    if dw:
        walk.append(DenseGradWeight(op.x, dy, dw, db, accumulate))
    if op.x in walk.wanted:
        slope = _slope(walk, op.x, x=op.x)
        walk.append(DenseGradInput(dy, op.w, walk.give(op.x), **slope))


def _slope(walk: Walk, value: str, **saved: str) -> dict[str, Any]:
    """Take the slope of the layer below along while dx is still in cache, where that is legal.

    ``saved`` is the field and the value that the slope follows from.
    """
    below = walk.slope_below(value)
    if below is None:
        return {}
    return {**saved, "activation": below.activation, "alpha": below.alpha}


def _windows(op: Any) -> dict[str, Any]:
    return {name: getattr(op, name) for name in ("stride", "padding", "dilation")}


def _space(walk: Walk, name: str) -> tuple[int, ...]:
    return walk.program.shape(name)[1:-1]


def _conv(walk: Walk, op: Conv) -> None:
    geometry = {**_windows(op), "groups": op.groups, "flip": op.flip}
    dy = walk.of_output(op)
    (dw, db), accumulate = walk.give_parameters(op.w, op.b)
    kernel = walk.program.shape(op.w)[:-2]
    if dw:
        walk.append(
            ConvGradWeight(
                x=op.x, dy=dy, dw=dw, db=db, accumulate=accumulate, kernel=kernel, **geometry
            )
        )
    if op.x in walk.wanted:
        slope = _slope(walk, op.x, x=op.x)
        size = _space(walk, op.x)
        walk.append(
            ConvGradInput(dy=dy, w=op.w, dx=walk.give(op.x), size=size, **geometry, **slope)
        )


def _conv_grad_input(walk: Walk, op: ConvGradInput) -> None:
    """Exchange the roles of input and output: this is a transposed convolution."""
    geometry = {**_windows(op), "groups": op.groups, "flip": op.flip}
    dy = walk.of(op.dx)
    (dw,), accumulate = walk.give_parameters(op.w)
    kernel = walk.program.shape(op.w)[:-2]
    if dw:
        walk.append(
            ConvGradWeight(x=dy, dy=op.dy, dw=dw, accumulate=accumulate, kernel=kernel, **geometry)
        )
    if op.dy in walk.wanted:
        walk.append(Conv(x=dy, w=op.w, y=walk.give(op.dy), **geometry))


def _im2col(walk: Walk, op: Im2Col) -> None:
    if op.x in walk.wanted:
        dy, size = walk.of(op.y), _space(walk, op.x)
        walk.append(Col2Im(x=dy, y=walk.give(op.x), size=size, kernel=op.kernel, **_windows(op)))


def _col2im(walk: Walk, op: Col2Im) -> None:
    if op.x in walk.wanted:
        dy = walk.of(op.y)
        walk.append(Im2Col(x=dy, y=walk.give(op.x), kernel=op.kernel, **_windows(op)))


def _pool_fields(op: Any) -> dict[str, Any]:
    return {**_windows(op), "kernel": op.kernel, "ceil": op.ceil}


def _average_fields(op: Any) -> dict[str, Any]:
    return {**_pool_fields(op), "divisor": op.divisor, "count_padding": op.count_padding}


def _max_pool(walk: Walk, op: MaxPool) -> None:
    if op.x not in walk.wanted:
        return
    dy, argmax = walk.of(op.y), f"{op.y} argmax"
    walk.amend(op, argmax=argmax)
    slope = _slope(walk, op.x, y=op.y)  # the maximum: the output of the layer below at the winner
    size = _space(walk, op.x)
    walk.append(
        MaxPoolGrad(
            dy=dy, argmax=argmax, dx=walk.give(op.x), size=size, **_pool_fields(op), **slope
        )
    )


def _avg_pool(walk: Walk, op: AvgPool) -> None:
    if op.x in walk.wanted:
        dy, size = walk.of(op.y), _space(walk, op.x)
        walk.append(AvgPoolGrad(dy=dy, dx=walk.give(op.x), size=size, **_average_fields(op)))


def _avg_pool_grad(walk: Walk, op: AvgPoolGrad) -> None:
    """Sum each window, the gradient of an upsampling."""
    if op.dy in walk.wanted:
        dy = walk.of(op.dx)
        walk.append(AvgPool(x=dy, y=walk.give(op.dy), **_average_fields(op)))


def _batch_norm(walk: Walk, op: BatchNorm) -> None:
    dy = walk.of(op.y)
    slope: dict[str, Any] = {}
    if op.activation not in SLOPE_ONE and op.y not in walk.sloped:
        slope = {"y": op.y, "activation": op.activation, "alpha": op.alpha}
    (dgamma, dbeta), accumulate = walk.give_parameters(op.gamma, op.beta)
    dx = walk.give(op.x) if op.x in walk.wanted else ""
    walk.append(
        BatchNormGrad(
            dy=dy,
            x=op.x,
            mean=op.mean,
            var=op.var,
            gamma=op.gamma,
            dx=dx,
            dgamma=dgamma,
            dbeta=dbeta,
            eps=op.eps,
            batch_statistics=isinstance(walk.producers.get(op.mean), ChannelMoments),
            accumulate=accumulate,
            **slope,
        )
    )


def _layer_norm(walk: Walk, op: LayerNorm) -> None:
    dy = walk.of(op.y)
    (dgamma, dbeta), accumulate = walk.give_parameters(op.gamma, op.beta)
    dx = walk.give(op.x) if op.x in walk.wanted else ""
    walk.append(
        LayerNormGrad(
            dy=dy,
            x=op.x,
            mean=op.mean,
            rstd=op.rstd,
            gamma=op.gamma,
            dx=dx,
            dgamma=dgamma,
            dbeta=dbeta,
            axes=op.axes,
            accumulate=accumulate,
        )
    )


def _add(walk: Walk, op: Add) -> None:
    dy = walk.of_output(op)
    for name in (op.a, op.b):
        if name in walk.wanted:
            walk.share(name, dy)


def _multiply(walk: Walk, op: Multiply) -> None:
    dy = walk.of(op.y)
    for name, other in ((op.a, op.b), (op.b, op.a)):
        if name in walk.wanted:
            walk.append(Multiply(dy, other, walk.give(name)))


def _bias(walk: Walk, op: Bias) -> None:
    dy = walk.of_output(op)
    (db,), accumulate = walk.give_parameters(op.b)
    if db:
        walk.append(BiasGrad(dy, db, accumulate))
    if op.x in walk.wanted:
        walk.share(op.x, dy)


def _move_channels(walk: Walk, op: MoveChannels) -> None:
    if op.x in walk.wanted:
        walk.append(MoveChannels(walk.of(op.y), walk.give(op.x), not op.last))


def _activate(walk: Walk, op: Activate) -> None:
    saved = op.y if slope_from_output(op.function, op.alpha) else op.x
    if op.x in walk.wanted:
        dy = walk.of(op.y)
        walk.append(ActivateGrad(dy, saved, walk.give(op.x), op.function, op.alpha, op.beta))


def _softmax(walk: Walk, op: Softmax) -> None:
    if op.x in walk.wanted:
        walk.append(SoftmaxGrad(walk.of(op.y), op.y, walk.give(op.x), op.axis, op.log))


def _dropout(walk: Walk, op: Dropout) -> None:
    if op.x in walk.wanted:
        walk.append(Dropout(walk.of(op.y), walk.give(op.x), op.p, op.stream, op.per_channel))


def _reshape(walk: Walk, op: Reshape) -> None:
    if op.x in walk.wanted:
        shape = walk.program.shape(op.x)[1:]
        walk.append(Reshape(walk.of(op.y), walk.give(op.x), shape))


GRADIENTS: dict[type[Op], Callable[[Walk, Any], None]] = {
    Dense: _dense,
    Conv: _conv,
    ConvGradInput: _conv_grad_input,
    Im2Col: _im2col,
    Col2Im: _col2im,
    MaxPool: _max_pool,
    AvgPool: _avg_pool,
    AvgPoolGrad: _avg_pool_grad,
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    Add: _add,
    Multiply: _multiply,
    Bias: _bias,
    MoveChannels: _move_channels,
    Activate: _activate,
    Softmax: _softmax,
    Dropout: _dropout,
    Reshape: _reshape,
    **RECURRENT_GRADIENTS,
    **LOOP_GRADIENTS,
    **EMBEDDING_GRADIENTS,
    **CALL_GRADIENTS,
}
