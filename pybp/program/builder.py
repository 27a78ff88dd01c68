"""The builder: what layers call while they lower themselves to forward ops."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from pybp.program.activations import slope_from_output
from pybp.program.ops import (
    Activate,
    Add,
    BatchNorm,
    Bias,
    Conv,
    Dense,
    N,
    Op,
    Pack,
    Shape,
    Unpack,
    packed,
)
from pybp.program.program import Program

# Ops that can apply an activation to what they write, while it is still in cache.
FUSING = (Dense, Conv, Bias, Add, BatchNorm)


class Parameter(NamedTuple):
    """An array that a layer asked for: trainable, or a buffer that its ops keep up to date."""

    shape: Shape
    initializer: Any  # a pybp initialiser; the program does not look inside
    is_table: bool = False  # whether its gradient is made as rows and values
    lazy: bool = False  # whether a step changes only the rows that have a gradient
    lr_scale: float = 1.0  # multiplies the rate of its updates


class Port(NamedTuple):
    """An input or an output of a net.

    ``shape`` is that of one sample; packed sequences begin with the number of time steps, None for
    any. ``packing`` is None where whole samples enter. ``weights`` are the buffers, one for each
    layer that takes them, of the factors that may come with packed ids.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "real"  # or "int32"
    packing: int | None = None
    weights: tuple[str, ...] = ()

    def each(self) -> tuple[Port, ...]:
        """Return the port for each of its buffers: its own, then those of the factors."""
        if not self.weights:
            return (self,)
        factors = (Port(name, (None,), "real", self.packing) for name in self.weights)
        return (self._replace(weights=()), *factors)

    @property
    def sizes(self) -> Shape:
        """The shape of one row of its buffer: of a sample, or of a time step."""
        sizes = self.shape if self.packing is None else self.shape[1:]
        return cast(Shape, sizes)  # only the first size may be None, of a packed port


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
        self.steps: dict[int, int | None] = {}  # packing -> time steps of padded arrays, if fixed
        self.needs_steps = False  # whether some layer takes whole sequences of a fixed length
        self.carried: dict[str, str] = {}  # state kept for the next batch -> value that it becomes
        self._numbers = itertools.count(1)  # of random streams
        self._uses: dict[str, int] = {}  # layer -> values named after it, so none is counted twice

    def shape(self, x: str) -> Shape:
        """Return the shape of one sample of the value x; of one time step where x is packed."""
        return self.program.shape(x)[1:]

    def packing(self, x: str) -> int | None:
        """Return the packing of a value, None where it holds whole samples."""
        return self.program.buffers[x].packing

    def whole(self, x: str, title: str) -> str:
        """Return a value with whole samples: packed time steps put back into sequences.

        Raises
        ------
        ValueError
            Where the sequences may have any length; ``title`` names the layer that asks.
        """
        packing = self.packing(x)
        if packing is None:
            return x
        steps = self.steps.get(packing)
        if steps is None:
            raise ValueError(
                f"{title} needs sequences of one length, but here they may have any: give it, "
                "with bp.Input((steps, features)) or net.build((steps, features))"
            )
        self.needs_steps = True
        return self.append(Unpack(x, self.fresh(f"{x} whole"), steps, packing))

    def packed(self, x: str, title: str) -> str:
        """Return a value as packed time steps: (steps, ...) of each sample one after the other."""
        if self.packing(x) is not None:
            return x
        shape = self.shape(x)
        if not shape:
            raise ValueError(f"{title} needs samples of shape (steps, ...), got {shape}")
        fixed = self.program.packings
        packing = fixed.index(shape[0]) if shape[0] in fixed else self.program.add_packing(shape[0])
        self.steps[packing] = shape[0]
        return self.append(Pack(x, self.fresh(f"{x} packed"), packing))

    def inside(self) -> Builder:
        """Return a builder for the ops of a loop, which shares all but the list of ops."""
        inner = Builder(self.program.inside(), training=self.training)
        inner.parameters, inner.running, inner.kept = self.parameters, self.running, self.kept
        inner._numbers, inner._uses = self._numbers, self._uses
        return inner

    def parameter(self, name: str, shape: Shape, initializer: Any) -> str:
        """Ask for a parameter; the second call with a name shares it."""
        return self._array(self.parameters, name, shape, initializer, "param")

    def table(self, name: str, shape: Shape, initializer: Any, *, lazy: bool) -> str:
        """Ask for a parameter (count, size) of whose rows a batch reads only some.

        Raises
        ------
        ValueError
            For a second use of a lazy one: its gradient would come in two parts.
        """
        if lazy and name in self.parameters:
            raise ValueError(f"{name} is used twice in this net, so its layer can't be lazy")
        self._array(self.parameters, name, shape, initializer, "param")
        self.parameters[name] = self.parameters[name]._replace(is_table=True, lazy=lazy)
        return name

    def buffer(self, name: str, shape: Shape, initializer: Any) -> str:
        """Ask for a running statistic, which ops of training update and no optimiser does."""
        return self._array(self.running, name, shape, initializer, "buffer")

    def carry(self, name: str, units: int) -> str:
        """Ask for a state that goes on from batch to batch, (n, units); return what it was.

        The layer puts the value that it becomes into ``carried[name]``.
        """
        self.program.add_buffer(name, (N, units), "carry")
        self.carried[name] = ""
        return self.append(Activate(name, self.fresh(name), "identity"))

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
        count = self._uses.get(path, 0) + 1
        name = f"{path}.y" if count == 1 else f"{path}.y{count}"
        while name in self.program.buffers:
            count += 1
            name = f"{path}.y{count}"
        self._uses[path] = count
        return name

    def stream(self) -> int:
        """Return the number of the next random stream."""
        return next(self._numbers)

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
    name: str, dtype: str, ports: Sequence[Port], *, training: bool, role: str
) -> tuple[Builder, list[str]]:
    """Return the builder of an empty program and the names of its inputs."""
    program = Program(name, dtype)
    builder = Builder(program, training=training)
    for port in (one for given in ports for one in given.each()):
        if port.packing is not None and port.packing == len(program.packings):
            builder.steps[program.add_packing()] = port.shape[0]
        leading = N if port.packing is None else packed(port.packing)
        program.add_buffer(port.name, (leading, *port.sizes), role, port.dtype)
    return builder, [port.name for port in ports]
