"""The builder: what layers call while they lower themselves to forward ops."""

from __future__ import annotations

from typing import Any, NamedTuple

from pybp.program.activations import slope_from_output
from pybp.program.ops import Activate, Add, BatchNorm, Bias, Conv, Dense, N, Op, Shape
from pybp.program.program import Program

# Ops that can apply an activation to what they write, while it is still in cache.
FUSING = (Dense, Conv, Bias, Add, BatchNorm)


class Parameter(NamedTuple):
    """An array that a layer asked for: trainable, or a buffer that its ops keep up to date."""

    shape: Shape
    initializer: Any  # a pybp initialiser; the program does not look inside


class Builder:
    """Collects the forward ops of a net, and the parameters its layers ask for.

    Parameters
    ----------
    program : Program
        Receives the ops.
    training : bool
        Whether layers lower to what they do in training (dropout draws masks).
    """

    def __init__(self, program: Program, *, training: bool) -> None:
        self.program = program
        self.training = training
        self.parameters: dict[str, Parameter] = {}
        self.running: dict[str, Parameter] = {}
        self.kept: set[str] = set()  # values with other readers: nothing may be fused into them
        self._streams = 0

    def shape(self, x: str) -> Shape:
        """Return the shape of one sample of the value x."""
        return self.program.shape(x)[1:]

    def parameter(self, name: str, shape: Shape, initializer: Any) -> str:
        """Ask for a parameter; the second call with a name shares it."""
        return self._array(self.parameters, name, shape, initializer, "param")

    def buffer(self, name: str, shape: Shape, initializer: Any) -> str:
        """Ask for a running statistic, which ops of training update and no optimiser does."""
        return self._array(self.running, name, shape, initializer, "buffer")

    def _array(
        self, arrays: dict[str, Parameter], name: str, shape: Shape, initializer: Any, role: str
    ) -> str:
        known = arrays.get(name)
        if known is None:
            arrays[name] = Parameter(shape, initializer)
            self.program.add_buffer(name, shape, role)
        elif known.shape != shape:
            raise ValueError(
                f"the shared parameter {name} has shape {known.shape}, "
                f"but this use of the layer needs {shape}"
            )
        return name

    def append(self, op: Op) -> str:
        """Add an op and return the name of what it writes first."""
        self.program.append(op)
        return op.outputs()[0]

    def fresh(self, path: str) -> str:
        """Return an unused name for a value of the layer at ``path``."""
        name, count = f"{path}.y", 1
        while name in self.program.buffers:
            count += 1
            name = f"{path}.y{count}"
        return name

    def stream(self) -> int:
        """Return the number of the next random stream."""
        self._streams += 1
        return self._streams

    def activate(self, x: str, path: str, function: str, alpha: float, beta: float) -> str:
        """Apply an activation: fused into the op that has just made x, where it can be."""
        if function == "identity":
            return x
        last = self.program.ops[-1] if self.program.ops else None
        if (
            isinstance(last, FUSING)
            and last.y == x
            and x not in self.kept
            and last.activation == "identity"
            and slope_from_output(function, alpha)
        ):
            self.program.ops[-1] = last.replace(activation=function, alpha=alpha)
            return x
        return self.append(Activate(x, self.fresh(path), function, alpha, beta))


def new_forward(
    name: str, dtype: str, input_shape: Shape, *, training: bool, role: str
) -> tuple[Builder, str]:
    """Return the builder of an empty program and the name of its input x (n, *input_shape)."""
    program = Program(name, dtype)
    program.add_buffer("x", (N, *input_shape), role)
    return Builder(program, training=training), "x"
