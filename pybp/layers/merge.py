"""Layers that make one value of several, in graphs."""

from __future__ import annotations

from collections.abc import Sequence

from pybp.layers.base import Layer, check_count
from pybp.program.builder import Builder
from pybp.program.ops import Add as AddOp
from pybp.program.ops import Columns as ColumnsOp
from pybp.program.ops import Concat as ConcatOp
from pybp.program.ops import Multiply as MultiplyOp


class Add(Layer):
    """The sum of two or more values of one shape: ``Add()([a, b])``, as in residual nets.

    Values of another shape raise ValueError: nothing is broadcast. (He et al. 2016.)

    Notes
    -----
    Inputs (n, ...), output (n, ...).
    """

    name: str | None = None
    merges = True

    def by_rows(self) -> bool:
        """Tell that the layer acts on the last axis alone."""
        return True

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


class Multiply(Layer):
    """The product, element by element, of two or more values of one shape: ``Multiply()([a, b])``.

    Values of another shape raise ValueError: nothing is broadcast.

    Notes
    -----
    Inputs (n, ...), output (n, ...).
    """

    name: str | None = None
    merges = True

    def by_rows(self) -> bool:
        """Tell that the layer acts on the last axis alone."""
        return True

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Refuse to read one value."""
        raise ValueError(
            f"layer {path} (Multiply) multiplies two or more values: call it on a list of values "
            "of a graph, bp.Multiply()([a, b]), and make a bp.Model"
        )

    def lower_many(self, builder: Builder, values: Sequence[str], path: str) -> str:
        """Lower to one op for each value after the first."""
        if len(values) < 2:
            return self.lower(builder, values[0], path)
        product, *others = values
        for value in others:
            if builder.shape(value) != builder.shape(product):
                shapes = ", ".join(str(builder.shape(v)) for v in values)
                raise ValueError(
                    f"layer {path} (Multiply) needs samples of one shape, got {shapes}"
                )
            product = builder.append(MultiplyOp(product, value, builder.fresh(path)))
        return product


class Columns(Layer):
    """Some entries of the last axis: ``y = x[..., start : start + size]``, a part of the gates.

    Parameters
    ----------
    start, size : int
        Which entries.
    name : str, optional
        Name of the layer.

    Notes
    -----
    Input (n, ..., c), output (n, ..., size).
    """

    start: int
    size: int
    name: str | None = None

    def _check(self) -> None:
        check_count(self, "size", self.size)
        if self.start < 0:
            raise ValueError(f"Columns: start must be >= 0, got {self.start}")

    def by_rows(self) -> bool:
        """Tell that the layer acts on the last axis alone."""
        return True

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to one op."""
        shape = builder.shape(x)
        if not shape or self.start + self.size > shape[-1]:
            raise ValueError(
                f"layer {path} (Columns) needs samples of at least {self.start + self.size} "
                f"columns, got {shape}"
            )
        return builder.append(ColumnsOp(x, builder.fresh(path), self.start, self.size))


class Concat(Layer):
    """Two or more values side by side along the last axis: ``Concat()([a, b])``.

    All other sizes must be equal.

    Notes
    -----
    Inputs (n, ..., a), (n, ..., b) ...; output (n, ..., a + b + ...).
    """

    name: str | None = None
    merges = True

    def by_rows(self) -> bool:
        """Tell that the layer acts on the last axis alone."""
        return True

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Refuse to read one value."""
        raise ValueError(
            f"layer {path} (Concat) joins two or more values: call it on a list of values of a "
            "graph, bp.Concat()([a, b]), and make a bp.Model"
        )

    def lower_many(self, builder: Builder, values: Sequence[str], path: str) -> str:
        """Lower to one op for each value after the first."""
        if len(values) < 2:
            return self.lower(builder, values[0], path)
        whole, *others = values
        for value in others:
            if builder.shape(value)[:-1] != builder.shape(whole)[:-1] or not builder.shape(whole):
                shapes = ", ".join(str(builder.shape(v)) for v in values)
                raise ValueError(
                    f"layer {path} (Concat) needs samples that differ in the last size alone, "
                    f"got {shapes}"
                )
            whole = builder.append(ConcatOp(whole, value, builder.fresh(path)))
        return whole
