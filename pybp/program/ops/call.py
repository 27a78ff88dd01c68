"""Ops that call back into Python: layers and losses that users write in NumPy.

``function`` is the index of a ``pybp.program.functions`` record in the program's list of functions,
so that an op is plain data. Both executors call the same function, on the thread that runs the
program.
"""

from __future__ import annotations

from pybp.program.ops.base import MaybeWrite, N, Op, Read, Reads, Shape, Write, Writes
from pybp.program.ops.losses import Loss


class Call(Op):
    """``y = forward(x, *others)``: x, others and y (n, ...) or (p, ...), all with the same rows.

    ``params`` are arrays of fixed shapes; ``shape`` is that of one row of y.
    """

    x: Read
    others: Reads
    params: Reads
    y: Write
    function: int
    shape: tuple[int, ...]

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        leading = shape["x"][:1]
        if not leading or leading[0] > N:
            raise self.fail(f"x must have a row for each sample or time step, got {shape['x']}")
        return {"y": (*leading, *self.shape)}


class CallGrad(Op):
    """The gradients of ``Call`` from dy, by x and the others and by the parameters.

    Each of ``dothers`` and ``dparams`` has the shape of what it belongs to, "" where it is not
    wanted. ``accumulate`` adds to ``dparams`` what they hold.
    """

    x: Read
    y: Read
    dy: Read
    others: Reads
    params: Reads
    dx: MaybeWrite
    dothers: Writes
    dparams: Writes
    function: int
    accumulate: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if shape["dy"] != shape["y"]:
            raise self.fail(f"dy must have the shape {shape['y']} of y, got {shape['dy']}")
        return {"dx": shape["x"]}


class CallLoss(Loss):
    """A loss that a user wrote: a value for each entry of the first ``axes`` axes of a row.

    Where ``axes`` is -1 that is found when it runs, and ``losses`` must be absent. ``target_shape``
    is the shape of a row of the target.
    """

    function: int = 0
    axes: int = -1
    target_shape: tuple[int, ...] = ()

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if not -1 <= self.axes < len(shape["prediction"]):
            raise self.fail(f"axes must lie within {shape['prediction']}, got {self.axes}")
        if self.axes < 0 and self.losses:
            raise self.fail("losses need a number of axes")
        return super().shapes(shape)

    def _target_shape(self, prediction: Shape) -> Shape:
        return (*prediction[:1], *self.target_shape)

    def _positions(self, prediction: Shape) -> Shape:
        return prediction if self.axes < 0 else prediction[: 1 + self.axes]


CALLS = (Call, CallGrad, CallLoss)
