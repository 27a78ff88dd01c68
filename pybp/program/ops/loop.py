"""Loops over time: ops that run once for each time step, and what stands around them.

The ops of a loop see one time step: N is the number of samples that have it, and the rows of packed
buffers are seen through views (``pybp.program.program.View``), in the order of the packing. This is
how cells of any layers run; the cells of ``recurrent`` have ops of their own.
"""

from __future__ import annotations

from pybp.program.ops.base import N, Op, Read, Reads, Shape, Write, Writes, packed


class Loop(Op):
    """Run the next ``count`` ops once for each time step, from the first to the last.

    ``backward`` begins at the last step. ``taken`` names what the ops read and ``made`` what they
    write, apart from the values that they make anew at each step, which nobody else may read.
    Parameters and their gradients are among them; packed buffers are reached through views.
    """

    taken: Reads
    made: Writes
    packing: int
    count: int
    backward: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        return {}


class ByRank(Op):
    """The rows of samples in the order of a packing (falling length): x, y (n, ...).

    ``inverse`` leads back to the order of the caller.
    """

    x: Read
    y: Write
    packing: int = 0
    inverse: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if shape["x"][:1] != (N,):
            raise self.fail(f"x must have a row for each sample, got {shape['x']}")
        return {"y": shape["x"]}


class LastStep(Op):
    """What a packed value holds at the last time step of each sample: x (p, ...), y (n, ...).

    0 for a sample without time steps.
    """

    x: Read
    y: Write
    packing: int = 0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        _check_packed(self, "x", shape["x"])
        return {"y": (N, *shape["x"][1:])}


class LastStepGrad(Op):
    """The gradient of ``LastStep``: dy (n, ...) at the last steps and 0 elsewhere, dx (p, ...)."""

    dy: Read
    dx: Write
    packing: int = 0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if shape["dy"][:1] != (N,):
            raise self.fail(f"dy must have a row for each sample, got {shape['dy']}")
        return {"dx": (packed(self.packing), *shape["dy"][1:])}


class ReverseSteps(Op):
    """The time steps of each sample from its last to its first: x, y (p, ...)."""

    x: Read
    y: Write
    packing: int = 0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        _check_packed(self, "x", shape["x"])
        return {"y": shape["x"]}


class Zeros(Op):
    """``y = 0``; the shape may begin with N or packed(k)."""

    y: Write
    shape: tuple[int, ...]

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if not self.shape or any(size < 1 for size in self.shape[1:]):
            raise self.fail(f"shape must have sizes >= 1 after the first, got {self.shape}")
        return {"y": self.shape}


def _check_packed(op: LastStep | ReverseSteps, field: str, shape: Shape) -> None:
    if shape[:1] != (packed(op.packing),):
        raise op.fail(f"{field} must be packed by packing {op.packing}, got {shape}")
