"""Ops between packed sequences and whole samples, and on parts of rows."""

from __future__ import annotations

from pybp.program.ops.base import N, Op, Read, Shape, Write, packed


class Pack(Op):
    """The steps of whole samples, packed: x (n, steps, ...), y (p, ...)."""

    x: Read
    y: Write
    packing: int = 0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x = shape["x"]
        if len(x) < 2 or x[0] != N:
            raise self.fail(f"x must be (n, steps, ...), got {x}")
        return {"y": (packed(self.packing), *x[2:])}


class Unpack(Op):
    """Packed steps as whole samples, 0 after a sample's last step: x (p, ...), y (n, steps, ...).

    No sample is longer than ``steps``.
    """

    x: Read
    y: Write
    steps: int
    packing: int = 0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x = shape["x"]
        if x[0] != packed(self.packing):
            raise self.fail(f"x must be packed by packing {self.packing}, got {x}")
        return {"y": (N, self.steps, *x[1:])}


class Concat(Op):
    """The rows of a and b side by side, along the last axis: y (..., columns of a + of b)."""

    a: Read
    b: Read
    y: Write

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        a, b = shape["a"], shape["b"]
        if len(a) < 2 or a[:-1] != b[:-1]:
            raise self.fail(f"a and b must have the same rows, got {a} and {b}")
        return {"y": (*a[:-1], a[-1] + b[-1])}


class Columns(Op):
    """The columns ``start ... start + size - 1`` of the rows of x: y (..., size)."""

    x: Read
    y: Write
    start: int
    size: int

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x = shape["x"]
        if len(x) < 2 or not 0 <= self.start < self.start + self.size <= x[-1]:
            raise self.fail(f"{self.size} columns from {self.start} on are not in x {x}")
        return {"y": (*x[:-1], self.size)}


class PadColumns(Op):
    """The rows of x with columns of 0 on both sides, ``width`` in all: y (..., width).

    x begins at column ``start``; the opposite of ``Columns``.
    """

    x: Read
    y: Write
    start: int
    width: int

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x = shape["x"]
        if len(x) < 2 or not 0 <= self.start <= self.width - x[-1]:
            raise self.fail(f"x {x} does not fit into {self.width} columns from {self.start} on")
        return {"y": (*x[:-1], self.width)}
