"""The embedding ops: rows of a table by their number, alone or put together in bags.

Gradients of a table are rows and values, since a batch touches few of its rows: ``rows`` holds the
ids that occur, in rising order, then -1; ``values`` their gradients, in the same places.
"""

from __future__ import annotations

from pybp.program.ops.base import MaybeRead, MaybeWrite, N, Op, Read, Shape, Write, packed

MODES = ("sum", "mean", "max")


class Embedding(Op):
    """``y = w[ids]``: ids int32 (...), w (count, size), y (..., size).

    Ids lie in [0, count); who binds the data sees to that. The row ``padding`` (-1 for none) is
    read as any other, but its gradient is left out.
    """

    ids: Read
    w: Read
    y: Write
    padding: int = -1

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        return {"y": (*shape["ids"], shape["w"][1])}


class EmbeddingGrad(Op):
    """The gradient of a table from that of ``Embedding``: dy (..., size).

    The places of each id are added up in order. The id ``padding`` (-1 for none) is left out.
    """

    ids: Read
    dy: Read
    rows: Write
    values: Write
    padding: int = -1

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if shape["dy"][:-1] != shape["ids"]:
            raise self.fail(f"dy must have the rows of ids {shape['ids']}, got {shape['dy']}")
        return {"rows": shape["ids"], "values": shape["dy"]}

    def dtypes(self) -> dict[str, str]:
        return {"rows": "int32"}


class EmbeddingBag(Op):
    """One row for each bag of ids: the sum, the mean or the maximum of the rows of its ids.

    A bag is a packed sequence: ids int32 (p,), w (count, size), weights (p,), y (n, size).
    ``padding`` (-1 for none) is left out, as if it were not there; with ``unique`` so is an id that
    was in the bag before. ``weights`` multiply the rows ("sum" alone). The empty bag gives 0. Of
    equal maxima the first counts; ``argmax`` int32 (n, size) is its place in ids, -1 for none.
    """

    ids: Read
    w: Read
    y: Write
    weights: MaybeRead = ""
    argmax: MaybeWrite = ""
    mode: str = "mean"
    padding: int = -1
    unique: bool = False
    packing: int = 0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        p = (packed(self.packing),)
        if self.mode not in MODES:
            raise self.fail(f"mode is one of {', '.join(MODES)}, got {self.mode!r}")
        if self.weights and (self.mode != "sum" or shape["weights"] != p):
            raise self.fail("weights (p,) go with the mode sum")
        if shape["ids"] != p:
            raise self.fail(f"ids must be packed by packing {self.packing}, got {shape['ids']}")
        if self.argmax and self.mode != "max":
            raise self.fail("argmax goes with the mode max")
        y = (N, shape["w"][1])
        return {"y": y, "argmax": y}

    def dtypes(self) -> dict[str, str]:
        return {"argmax": "int32"}


class EmbeddingBagGrad(Op):
    """The gradients of a table, and of ``weights``, from that of ``EmbeddingBag``: dy (n, size).

    The table w (count, size) is read for ``dweights`` (p,) alone.
    """

    ids: Read
    dy: Read
    rows: Write
    values: Write
    w: MaybeRead = ""
    weights: MaybeRead = ""
    argmax: MaybeRead = ""
    dweights: MaybeWrite = ""
    mode: str = "mean"
    padding: int = -1
    unique: bool = False
    packing: int = 0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if (self.mode == "max") != bool(self.argmax):
            raise self.fail("argmax is given exactly for the mode max")
        if self.dweights and not (self.w and self.weights):
            raise self.fail("dweights need w and weights")
        size = shape["dy"][-1]
        ids = shape["ids"]
        return {"rows": ids, "values": (*ids, size), "dweights": ids}

    def dtypes(self) -> dict[str, str]:
        return {"rows": "int32"}


class ScatterRows(Op):
    """``dw (+)= 0`` with ``values`` in the rows that ``rows`` names: the dense gradient.

    rows int32 (...), values (..., size), dw (count, size).
    """

    rows: Read
    values: Read
    dw: Write
    count: int
    accumulate: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        return {"dw": (self.count, shape["values"][-1])}
