"""Layers that make one value of several, in graphs."""

from __future__ import annotations

from collections.abc import Sequence

from pybp.layers.base import Layer
from pybp.program.builder import Builder
from pybp.program.ops import Add as AddOp


class Add(Layer):
    """The sum of two or more values of one shape: ``Add()([a, b])``, as in residual nets.

    Values of another shape raise ValueError: nothing is broadcast. (He et al. 2016.)

    Notes
    -----
    Inputs (n, ...), output (n, ...).
    """

    name: str | None = None
    merges = True

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Refuse to read one value."""
        raise ValueError(
            f"layer {path} (Add) adds two or more values: call it on a list of values of a graph, "
            "bp.Add()([a, b]), and make a bp.Model"
        )

    def lower_many(self, builder: Builder, values: Sequence[str], path: str) -> str:
        """Lower to one op for each value after the first."""
        if len(values) < 2:
            return self.lower(builder, values[0], path)
        total, *others = values
        for value in others:
            if builder.shape(value) != builder.shape(total):
                shapes = ", ".join(str(builder.shape(v)) for v in values)
                raise ValueError(f"layer {path} (Add) needs samples of one shape, got {shapes}")
            total = builder.append(AddOp(total, value, builder.fresh(path)))
        return total
