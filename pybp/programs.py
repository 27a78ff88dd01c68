"""The programs of a net, made from its layers: predict, gradient, evaluate, train, update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pybp.backends import Executor
from pybp.losses import Loss, Target, add_loss
from pybp.metrics import Metric
from pybp.optimizers import Optimizer
from pybp.program.builder import Builder, Parameter, new_forward
from pybp.program.gradient import add_gradient
from pybp.program.ops import Activate, Shape
from pybp.program.program import Program

Lower = Callable[[Builder, str], str]  # appends a net's forward ops: from input to output


class Bound(NamedTuple):
    """A program and the executor that holds it bound to its arrays."""

    program: Program
    executor: Executor


def probe(lower: Lower, dtype: str, input_shape: Shape) -> tuple[dict[str, Parameter], Shape]:
    """Return the parameters that layers ask for, and the shape of one output sample."""
    builder, x = new_forward("probe", dtype, input_shape, training=False, role="input")
    y = lower(builder, x)
    return builder.parameters, builder.shape(y)


class GradientProgram(NamedTuple):
    """A program forward and backward, and the values by which the caller talks to it."""

    program: Program
    y: str  # the output of the forward part; the caller writes x before, and dy after it
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
        program.add_buffer("dy", program.shape(y), "value")
        gradients = add_gradient(program, {y: "dy"}, inputs=("x",))
        return GradientProgram(program, y, gradients["x"])

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
    ) -> Program:
        """Return the program of one step: forward, loss, metrics, backward, update."""
        program, y = self._forward("train", training=True, role="input")
        add_loss(program, loss, y, target, weight, dy="dy")
        for metric in metrics:
            metric.add(program, loss, y, target)
        program.backward_start = len(program.ops)
        add_gradient(program, {y: "dy"})
        _add_update(program, optimizer, self.size)
        return program

    def _forward(self, name: str, *, training: bool, role: str) -> tuple[Program, str]:
        builder, x = new_forward(name, self.dtype, self.input_shape, training=training, role=role)
        y = self.lower(builder, x)
        return builder.program, y


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
