"""The gradient is a table: for each kind of forward op, the ops of its gradient.

Layers never write a backward pass. The walk goes through the forward ops from last to first; each
row reads the gradient of what the op wrote and adds ops for the gradients of what it read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pybp.program.activations import slope_from_output
from pybp.program.ops import (
    Activate,
    ActivateGrad,
    Dense,
    DenseGradInput,
    DenseGradWeight,
    Dropout,
    Op,
    OpError,
    Reshape,
    Softmax,
    SoftmaxGrad,
)
from pybp.program.program import Program

SLOPE_ONE = ("identity", "straight_through_relu")


def gradient_name(name: str) -> str:
    """Return the name of the gradient of a buffer."""
    return f"d({name})"


class Walk:
    """The state of one backward walk: which gradients are wanted, known, and already summed."""

    def __init__(self, program: Program, wanted: set[str]) -> None:
        self.program = program
        self.wanted = wanted  # buffers whose gradient is needed
        self.readers: dict[str, int] = {}
        self.producers: dict[str, Op] = {}
        for op in program.ops:
            for name in op.inputs():
                self.readers[name] = self.readers.get(name, 0) + 1
            for name in op.outputs():
                self.producers[name] = op
        self.sloped: set[str] = set()  # values whose gradient already holds the activation's slope
        self.known: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Return the name of the known gradient of a buffer, or "" when there is none."""
        return self.known.get(name, "")

    def give(self, name: str, gradient: str = "") -> str:
        """Record that a buffer's gradient is made by the next op; return the gradient's name."""
        gradient = gradient or gradient_name(name)
        if name in self.known:
            raise OpError(f"the value {name!r} is read by several ops: its gradients need a sum")
        self.known[name] = gradient
        return gradient

    def give_parameter(self, name: str) -> tuple[str, bool]:
        """Return the gradient buffer of a parameter; and whether to add to it, as it is shared."""
        gradient = gradient_name(name)
        if gradient not in self.program.buffers:
            self.program.add_buffer(gradient, self.program.shape(name), "grad")
        accumulate = name in self.known
        self.known[name] = gradient
        return gradient, accumulate

    def append(self, op: Op) -> None:
        """Add an op of the backward pass."""
        self.program.append(op)


def add_gradient(
    program: Program, seeds: dict[str, str], *, inputs: tuple[str, ...] = ()
) -> dict[str, str]:
    """Append the backward pass to a forward program.

    Parameters
    ----------
    program : Program
        Holds the forward ops (and losses, which have no row here: they make the seeds).
    seeds : dict
        Value -> name of the buffer with its gradient.
    inputs : tuple of str
        Inputs whose gradient is wanted beside those of all parameters.

    Returns
    -------
    dict
        Buffer -> name of its gradient, for all that were reached.
    """
    wanted = {buffer.name for buffer in program.of_role("param")} | set(inputs)
    for op in program.ops:
        if wanted.intersection(op.inputs()):
            wanted.update(op.outputs())
    walk = Walk(program, wanted)
    for value, gradient in seeds.items():
        walk.give(value, gradient)
    for op in reversed(tuple(program.ops)):
        row = GRADIENTS.get(type(op))
        if row is not None and any(walk.of(name) for name in op.outputs()):
            row(walk, op)
    return walk.known


def _dense(walk: Walk, op: Dense) -> None:
    dy = walk.of(op.y)
    if op.activation not in SLOPE_ONE and op.y not in walk.sloped:
        dz = gradient_name(f"{op.y} before {op.activation}")
        walk.append(ActivateGrad(dy, op.y, dz, op.activation, op.alpha))
        dy = dz
    dw, accumulate = walk.give_parameter(op.w)
    db, accumulate_b = walk.give_parameter(op.b) if op.b else ("", accumulate)
    walk.append(DenseGradWeight(op.x, dy, dw, db, accumulate or accumulate_b))
    if op.x in walk.wanted:
        _dense_input(walk, op, dy)


def _dense_input(walk: Walk, op: Dense, dy: str) -> None:
    """Take the slope of the layer below along while dx is still in cache, where that is legal."""
    below = walk.producers.get(op.x)
    fused = (
        isinstance(below, Dense) and below.activation not in SLOPE_ONE and walk.readers[op.x] == 1
    )
    dx = walk.give(op.x)
    if fused and isinstance(below, Dense):
        walk.sloped.add(op.x)
        walk.append(DenseGradInput(dy, op.w, dx, op.x, below.activation, below.alpha))
    else:
        walk.append(DenseGradInput(dy, op.w, dx))


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
        walk.append(Dropout(walk.of(op.y), walk.give(op.x), op.p, op.stream))


def _reshape(walk: Walk, op: Reshape) -> None:
    if op.x in walk.wanted:
        shape = walk.program.shape(op.x)[1:]
        walk.append(Reshape(walk.of(op.y), walk.give(op.x), shape))


GRADIENTS: dict[type[Op], Callable[[Walk, Any], None]] = {
    Dense: _dense,
    Activate: _activate,
    Softmax: _softmax,
    Dropout: _dropout,
    Reshape: _reshape,
}
