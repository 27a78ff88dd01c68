"""What acts on gradients and weights around an update: penalties and bounds, all in place."""

from __future__ import annotations

from pybp.program.ops.base import MaybeRead, N, Op, Read, Reads, Shape, Write, Writes


class Penalty(Op):
    """The gradient of ``l1 * sum(|w|) + l2 / 2 * sum(w^2)``, added to g.

    ``g += l2 * w + l1 * sign(w)`` with sign(0) = 0. With ``rows`` int32 (...) g (..., size) belongs
    to the rows of w (count, size) that it names, each once and then -1, as in ``Update``.
    """

    w: Read
    g: Write
    l1: float
    l2: float
    rows: MaybeRead = ""

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        w = shape["w"]
        return {"g": (*shape["rows"], *w[1:]) if self.rows else w}


class ClipValue(Op):
    """Numbers of g beyond a limit are set to it: ``g = min(max(g, -limit), limit)``; NaN stays.

    With ``rows`` as in ``Update`` the values of no row may be left as they are.
    """

    g: Write
    limit: float
    rows: MaybeRead = ""

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        _check_limit(self, self.limit)
        if "g" not in shape:
            raise self.fail(f"g={self.g!r} names no buffer")
        if self.rows and shape["rows"] != shape["g"][:-1]:
            raise self.fail(f"rows must lead g {shape['g']}, got {shape['rows']}")
        return {}


class ClipNorm(Op):
    """All gradients times ``min(1, limit / (norm + 1e-6))``, norm the 2-norm of them together.

    ``rows`` has an entry for each of them: "", or the int32 buffer that says which rows of values
    count, as in ``Update``. A NaN among the gradients makes all of them NaN. The norm is a sum in
    double, in an order that follows from the shapes alone.
    """

    gradients: Writes
    rows: Reads
    limit: float

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        _check_limit(self, self.limit)
        if not self.gradients or len(self.gradients) != len(self.rows):
            raise self.fail("rows must have an entry for each of at least 1 gradient")
        return {}


class MaxNorm(Op):
    """Columns of w (..., columns) whose 2-norm is above the limit are scaled to it.

    A column holds the incoming weights of a unit (Srivastava et al. 2014, 5.1).
    """

    w: Write
    limit: float

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        _check_limit(self, self.limit)
        if len(shape.get("w", ())) < 2 or shape["w"][0] <= N:
            raise self.fail(f"w must be a plain array of 2 axes or more, got {shape.get('w')}")
        return {}


def _check_limit(op: Op, limit: float) -> None:
    if not limit > 0:
        raise op.fail(f"limit must be above 0, got {limit}")
