"""Sequential: a net that is a list of layers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from pybp.layers import Layer
from pybp.network import Network
from pybp.program.builder import Builder, new_forward
from pybp.program.ops import Shape


class Row(NamedTuple):
    """A line of a summary."""

    name: str
    layer: str
    output: Shape
    parameters: int


class Sequential(Network):
    """A net whose layers follow each other.

    Parameters
    ----------
    layers : sequence of layers
        One object used twice shares its parameters.
    dtype, seed, backend
        See ``Network``; keyword only.

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> net = bp.Sequential([bp.Linear(4), bp.Tanh(), bp.Linear(1)], seed=0)
    >>> net.predict(np.ones((2, 3))).shape
    (2, 1)
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        dtype: str = "float32",
        seed: int | None = 0,
        backend: str | None = None,
    ) -> None:
        super().__init__(dtype, seed, backend)
        self.layers = tuple(layers)
        for position, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"layer {position} must be a pybp layer, got {layer!r}")
        self.paths = _paths(self.layers)

    def _lower(self, builder: Builder, x: str) -> str:
        for layer, path in zip(self.layers, self.paths, strict=True):
            x = layer.lower(builder, x, path)
        return x

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write architecture and parameters to one safetensors file; ``pybp.load`` reads it."""
        from pybp.files import save  # stands above the nets

        save(self, path)

    def summary(self) -> str:
        """Return a table of the layers: name, description, shape of the output, parameters."""
        rows = self._rows()
        names = ("name", "layer", "output", "parameters")
        table = [names] + [
            (row.name, row.layer, _shape_text(row.output), f"{row.parameters:,}") for row in rows
        ]
        widths = [max(len(line[column]) for line in table) for column in range(4)]
        lines = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
            for a, b, c, d in table
        ]
        lines.insert(1, "-" * len(lines[0]))
        lines.append(lines[1])
        total = sum(row.parameters for row in rows)
        lines.append(f"input {_shape_text(self.input_shape)}, {total:,} parameters, {self.dtype}")
        return "\n".join(lines)

    def _rows(self) -> list[Row]:
        recipe = self.recipe
        builder, x = new_forward(
            "summary", self.dtype, recipe.input_shape, training=False, role="input"
        )
        rows, known = [], 0
        for layer, path in zip(self.layers, self.paths, strict=True):
            x = layer.lower(builder, x, path)
            count = sum(_size(parameter.shape) for parameter in builder.parameters.values())
            rows.append(Row(path, repr(layer), builder.shape(x), count - known))
            known = count
        return rows

    def __repr__(self) -> str:
        built = "" if self._recipe is None else f", input {_shape_text(self.input_shape)}"
        return f"<Sequential of {len(self.layers)} layers, {self.dtype}{built}>"


def _paths(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Return the name of each layer: its own, or its (first) position."""
    by_object: dict[int, str] = {}
    taken: set[str] = set()
    for position, layer in enumerate(layers):
        if id(layer) in by_object:
            continue
        path = layer.given_name() or str(position)
        if path in taken:
            raise ValueError(f"two layers have the name {path!r}")
        taken.add(path)
        by_object[id(layer)] = path
    return tuple(by_object[id(layer)] for layer in layers)


def _size(shape: Shape) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size


def _shape_text(shape: Shape) -> str:
    return "(n" + "".join(f", {extent}" for extent in shape) + ")"
