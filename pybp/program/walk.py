"""The backward walk: which gradients are wanted and known, and how those of one value add up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pybp.program.builder import FUSING
from pybp.program.ops import ActivateGrad, Add, Op
from pybp.program.program import Program

SLOPE_ONE = ("identity", "straight_through_relu")

Rows = Mapping[type[Op], Callable[["Walk", Any], None]]


def gradient_name(name: str) -> str:
    """Return the name of the gradient of a buffer."""
    return f"d({name})"


class Walk:
    """The state of one backward walk: which gradients are wanted, known, and already summed.

    A value that several ops read gets a gradient from each; ``append`` adds them up.

    Parameters
    ----------
    program : Program
        Holds the forward ops, and receives those of the backward pass.
    wanted : set of str
        Buffers whose gradient is needed; what is made of them is added.
    rows : mapping
        The gradient table: kind of op -> function of the walk and the op.
    """

    def __init__(self, program: Program, wanted: set[str], rows: Rows) -> None:
        self.program = program
        self.wanted = wanted
        self.rows = rows
        self.readers: dict[str, int] = {}
        self.producers: dict[str, Op] = {}
        self._forward = [op for _, op in program.outer()]
        for op in self._forward:
            if wanted.intersection(op.inputs()):
                wanted.update(op.outputs())
            for name in op.inputs():
                self.readers[name] = self.readers.get(name, 0) + 1
            for name in op.outputs():
                self.producers[name] = op
        self.sloped: set[str] = set()  # values whose gradient already holds the activation's slope
        self.known: dict[str, str] = {}
        self._parts: dict[str, str] = {}  # gradient that the next op makes -> its value
        self._uses: dict[str, int] = {}  # stem -> buffers named after it

    def run(self) -> None:
        """Append the ops of all gradients, from the last forward op to the first."""
        for op in reversed(self._forward):
            wanted = self.wanted.intersection(op.inputs())
            if wanted and any(self.of(name) for name in op.outputs()):
                row = self.rows.get(type(op))
                if row is None:
                    raise op.fail("has no row in the gradient table")
                row(self, op)

    def of(self, name: str) -> str:
        """Return the name of the known gradient of a buffer, or "" when there is none."""
        return self.known.get(name, "")

    def of_output(self, op: Any) -> str:
        """Return the gradient before the activation that is fused into an op."""
        dy = self.of(op.y)
        if op.activation in SLOPE_ONE or op.y in self.sloped:
            return dy
        dz = gradient_name(f"{op.y} before {op.activation}")
        self.append(ActivateGrad(dy, op.y, dz, op.activation, op.alpha))
        return dz

    def slope_below(self, name: str) -> Any:
        """Return the op that made a value, if its activation's slope can be taken along here.

        That is while the value's gradient is made, in cache, by its only reader.
        """
        below = self.producers.get(name)
        if not isinstance(below, FUSING) or below.activation in SLOPE_ONE:
            return None
        if self.readers[name] > 1 or name in self.known:
            return None
        self.sloped.add(name)
        return below

    def give(self, name: str) -> str:
        """Return the name under which the next op writes a gradient of this buffer."""
        gradient = gradient_name(name)
        if name not in self.known:
            self.known[name] = gradient
            return gradient
        part = self.fresh(f"{gradient} part")
        self._parts[part] = name
        return part

    def share(self, name: str, gradient: str) -> None:
        """Record that a known value is a gradient of this buffer."""
        if name in self.known:
            self._add(name, gradient)
        else:
            self.known[name] = gradient

    def give_parameter(self, name: str) -> tuple[str, bool]:
        """Return the gradient buffer of a parameter; and whether to add to it, as it is shared."""
        gradient = gradient_name(name)
        if gradient not in self.program.buffers:
            self.program.add_buffer(gradient, self.program.shape(name), "grad")
        accumulate = name in self.known
        self.known[name] = gradient
        return gradient, accumulate

    def give_parameters(self, *names: str) -> tuple[list[str], bool]:
        """Return the gradient buffers of the parameters of one op.

        They are "" for those that it lacks, and for those whose gradient nobody wants.
        """
        given = [
            self.give_parameter(name) if name in self.wanted else ("", False) for name in names
        ]
        return [gradient for gradient, _ in given], any(accumulate for _, accumulate in given)

    def append(self, op: Op) -> None:
        """Add an op of the backward pass."""
        self.program.append(op)
        self._add_parts(op)

    def append_loop(self, packing: int, body: Sequence[Op], *, backward: bool) -> None:
        """Add a loop of the backward pass."""
        self._add_parts(self.program.append_loop(packing, body, backward=backward))

    def amend(self, op: Op, **fields: str) -> None:
        """Let a forward op write more, for its gradient."""
        place = self.program.ops.index(op)
        amended = op.replace(**fields)
        self.program.append(amended)  # declares the buffers
        self.program.ops[place] = self.program.ops.pop()

    def _add_parts(self, op: Op) -> None:
        for gradient in op.outputs():
            if gradient in self._parts:
                self._add(self._parts.pop(gradient), gradient)

    def _add(self, name: str, gradient: str) -> None:
        total = self.fresh(f"{gradient_name(name)} sum")
        self.program.append(Add(self.known[name], gradient, total))
        self.known[name] = total

    def fresh(self, stem: str) -> str:
        """Return an unused name for a buffer."""
        count = self._uses.get(stem, 0) + 1
        name = stem if count == 1 else f"{stem} {count}"
        while name in self.program.buffers or name in self._parts:
            count += 1
            name = f"{stem} {count}"
        self._uses[stem] = count
        return name
