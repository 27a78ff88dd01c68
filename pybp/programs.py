"""The programs of a net, made from its layers: predict, gradient, evaluate, train, update."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pybp.backends import Executor
from pybp.losses import Loss, Target, add_loss
from pybp.metrics import Metric
from pybp.optimizers import Optimizer
from pybp.program.builder import Builder, Parameter, new_forward
from pybp.program.gradient import add_gradient, gradient_name
from pybp.program.ops import Activate, ChannelMoments, DenseGradWeight, SGDDense, Shape
from pybp.program.program import Program

_MOST_BYTES = 2**62  # of one array: sizes beyond it overflow

Lower = Callable[[Builder, str], str]  # appends a net's forward ops: from input to output


class Bound(NamedTuple):
    """A program and the executor that holds it bound to its arrays."""

    program: Program
    executor: Executor
    least_rows: int  # that a step may have

    def check_rows(self, rows: int) -> None:
        """Refuse fewer rows than the program needs, before anything is changed."""
        if rows < self.least_rows:
            raise ValueError(
                "BatchNorm takes mean and variance over a batch, and one row is one value a "
                "channel here: two rows at least are needed (the last batch of a fit may have "
                "fewer than batch_size)"
            )


class Wanted(NamedTuple):
    """What the layers of a net ask for."""

    parameters: dict[str, Parameter]
    buffers: dict[str, Parameter]
    output: Shape  # of one sample
    whole_batch: bool  # whether a row's result depends on the other rows, in evaluation too


def probe(lower: Lower, dtype: str, input_shape: Shape) -> Wanted:
    """Return the arrays that layers ask for, and the shape of one output sample."""
    builder, x = new_forward("probe", dtype, input_shape, training=False, role="input")
    y = lower(builder, x)
    for name, parameter in builder.parameters.items():
        if math.prod(parameter.shape) * 8 >= _MOST_BYTES:
            raise ValueError(f"{name} of shape {parameter.shape} is larger than any memory")
    whole_batch = any(isinstance(op, ChannelMoments) for op in builder.program.ops)
    return Wanted(builder.parameters, builder.running, builder.shape(y), whole_batch)


def least_rows(program: Program) -> int:
    """Return 2 if some channel has one value in a batch of one row, whose variance is nothing."""
    for op in program.ops:
        if isinstance(op, ChannelMoments) and math.prod(program.shape(op.x)[1:-1]) == 1:
            return 2
    return 1


class GradientProgram(NamedTuple):
    """A program forward and backward, and the buffers by which the caller talks to it.

    The caller writes the value x before the forward part, and hands ``dy`` in for the backward
    part. What no op reads is written to arrays of the caller.
    """

    program: Program
    y: str  # the output of the forward part
    dx: str


class Recipe(NamedTuple):
    """What the programs of a net are made from."""

    lower: Lower
    dtype: str
    input_shape: Shape
    size: int  # of the flat array of all parameters

    def predict(self) -> Program:
        """Return the program from ``x`` to its only output buffer."""
        program, y = self._forward("predict", training=False, role="input")
        if y == "x":
            program.append(Activate("x", "y", "identity"))
            y = "y"
        program.buffers[y] = program.buffers[y]._replace(role="output")
        return program

    def gradient(self, *, training: bool) -> GradientProgram:
        """Return the program forward, then backward from ``dy``."""
        program, y = self._forward("gradient", training=training, role="value")
        program.backward_start = len(program.ops)
        program.add_buffer("dy", program.shape(y), "input")
        dx = add_gradient(program, {y: "dy"}, inputs=("x",))["x"]
        for name in (y, dx):
            _hand_out(program, name)
        return GradientProgram(program, y, dx)

    def evaluate(
        self, loss: Loss, target: Target, weight: Shape | None, metrics: Sequence[Metric]
    ) -> Program:
        """Return the program that measures the loss and the metrics."""
        program, y = self._forward("evaluate", training=False, role="input")
        add_loss(program, loss, y, target, weight)
        for metric in metrics:
            metric.add(program, loss, y, target)
        return program

    def train(
        self,
        loss: Loss,
        target: Target,
        weight: Shape | None,
        metrics: Sequence[Metric],
        optimizer: Optimizer,
        *,
        keep_grads: bool,
    ) -> Program:
        """Return the program of one step: forward, loss, metrics, backward, update.

        Where gradients need not be kept, the update is fused into them if that is possible.
        """
        program, y = self._forward("train", training=True, role="input")
        add_loss(program, loss, y, target, weight, dy="dy")
        for metric in metrics:
            metric.add(program, loss, y, target)
        program.backward_start = len(program.ops)
        add_gradient(program, {y: "dy"})
        if keep_grads or not _fuse_update(program, optimizer):
            _add_update(program, optimizer, self.size)
        return program

    def _forward(self, name: str, *, training: bool, role: str) -> tuple[Program, str]:
        builder, x = new_forward(name, self.dtype, self.input_shape, training=training, role=role)
        y = self.lower(builder, x)
        return builder.program, y


def _hand_out(program: Program, name: str) -> None:
    """Let an op write a value to the caller's array, if it makes one that no op reads."""
    buffer = program.buffers[name]
    made = any(name in op.outputs() for op in program.ops)
    if made and buffer.role == "value" and not any(name in op.inputs() for op in program.ops):
        program.buffers[name] = buffer._replace(role="output")


def update_program(dtype: str, optimizer: Optimizer, size: int) -> Program:
    """Return the program that only updates the parameters from the gradients."""
    program = Program("update", dtype)
    _add_update(program, optimizer, size)
    return program


def _add_update(program: Program, optimizer: Optimizer, size: int) -> None:
    """Append the update of all parameters at once, as flat arrays."""
    for name, role in (("params", "param"), ("grads", "grad")):
        program.add_buffer(name, (size,), role)
    for name in optimizer.state_names():
        program.add_buffer(name, (size,), "state")
    program.append(optimizer.op())


def _fuse_update(program: Program, optimizer: Optimizer) -> bool:
    """Let plain SGD steps take the place of the weight gradients, if all come from dense ops.

    For one row a step reads and writes each weight once. The steps move to the end, since the
    input gradients read the weights.
    """
    gradients = [op for op in program.ops if isinstance(op, DenseGradWeight)]
    made = {name for op in gradients for name in op.outputs()}
    if (
        not optimizer.is_plain()
        or any(op.accumulate for op in gradients)
        or {buffer.name for buffer in program.of_role("grad")} != made
    ):
        return False
    program.ops = [op for op in program.ops if not isinstance(op, DenseGradWeight)]
    parameter = {gradient_name(buffer.name): buffer.name for buffer in program.of_role("param")}
    for op in gradients:
        w, b = parameter[op.dw], parameter[op.db] if op.db else ""
        program.append(SGDDense(op.x, op.dy, w, b))
    for name in made:
        del program.buffers[name]
    return True
