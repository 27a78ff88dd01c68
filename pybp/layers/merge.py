"""Layers that make one value of several, in graphs, and one that takes a part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pybp.layers.base import Layer, check_count
from pybp.program.builder import Builder
from pybp.program.ops import Add as AddOp
from pybp.program.ops import Columns as ColumnsOp
from pybp.program.ops import Concat as ConcatOp
from pybp.program.ops import Multiply as MultiplyOp
from pybp.program.ops import Op, Shape


class _Merge(Layer):
    """Base of the layers that join two or more values by an op for each after the first."""

    merges = True
    _op: ClassVar[type[Op]]
    _verb: ClassVar[str]
    _rule: ClassVar[str] = "of one shape"

    def by_rows(self) -> bool:
        """Tell that the layer acts on the last axis alone."""
        return True

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Refuse to read one value."""
        name = type(self).__name__
        raise ValueError(
            f"layer {path} ({name}) {self._verb} two or more values: call it on a list of values "
            f"of a graph, bp.{name}()([a, b]), and make a bp.Model"
        )

    def lower_many(self, builder: Builder, values: Sequence[str], path: str) -> str:
        """Lower to one op for each value after the first."""
        if len(values) < 2:
            return self.lower(builder, values[0], path)
        whole, *others = values
        for value in others:
            if not self._fit(builder.shape(whole), builder.shape(value)):
                shapes = ", ".join(str(builder.shape(v)) for v in values)
                raise ValueError(
                    f"layer {path} ({type(self).__name__}) needs samples {self._rule}, got {shapes}"
                )
            whole = builder.append(self._op(whole, value, builder.fresh(path)))
        return whole

    def _fit(self, a: Shape, b: Shape) -> bool:
        """Tell whether samples of these shapes can be joined."""
        return a == b


class Add(_Merge):
    """The sum of two or more values of one shape: ``Add()([a, b])``, as in residual nets.

    Values of another shape raise ValueError: nothing is broadcast. (He et al. 2016.)

    Notes
    -----
    Inputs (n, ...), output (n, ...).
    """

    name: str | None = None
    _op = AddOp
    _verb = "adds"


class Multiply(_Merge):
    """The product, element by element, of two or more values of one shape: ``Multiply()([a, b])``.

    Values of another shape raise ValueError: nothing is broadcast.

    Notes
    -----
    Inputs (n, ...), output (n, ...).
    """

    name: str | None = None
    _op = MultiplyOp
    _verb = "multiplies"


class Concat(_Merge):
    """Two or more values side by side along the last axis: ``Concat()([a, b])``.

    All other sizes must be equal.

    Notes
    -----
    Inputs (n, ..., a), (n, ..., b) ...; output (n, ..., a + b + ...).
    """

    name: str | None = None
    _op = ConcatOp
    _verb = "joins"
    _rule = "that differ in the last size alone"

    def _fit(self, a: Shape, b: Shape) -> bool:
        return bool(a) and a[:-1] == b[:-1] and bool(b)


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
