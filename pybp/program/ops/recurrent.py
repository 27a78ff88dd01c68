"""The recurrent ops: a cell run through time, forward and backward.

Sequences are packed (``pybp.program.packing``): x (p, in), y (p, h). At each step t of a sample,
with h and c its state after the step before, or h0 and c0 (0 where they are absent):

    z = x_t @ w_ih + b_ih,  q = (h * mask) @ w_hh + b_hh   (mask 1 where it is absent)

``rnn_tanh``  h = tanh(z + q)                              (Elman 1990)
``rnn_relu``  h = relu(z + q)
``lstm``      i, f, g, o = parts of z + q; c = sigmoid(f) * c + sigmoid(i) * tanh(g);
              h = sigmoid(o) * tanh(c)                     (Hochreiter and Schmidhuber 1997)
``gru``       r = sigmoid(z_r + q_r); u = sigmoid(z_u + q_u); n = tanh(z_n + r * q_n);
              h = (1 - u) * n + u * h   (Cho et al. 2014, the reset after the product)

``reverse`` runs each sample from its own last step to its first.
"""

from __future__ import annotations

from pybp.program.ops.base import MaybeRead, MaybeWrite, N, Op, Read, Shape, Write, packed

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}  # cell -> parts of z
SAVED = {"rnn_tanh": 0, "rnn_relu": 0, "lstm": 4, "gru": 4}  # cell -> parts of ``gates``


class _Cell(Op):
    """Base of the ops of one cell: what their shape rules share."""

    def _check_fields(self, lstm_alone: tuple[str, ...], gated_alone: tuple[str, ...]) -> None:
        cell = getattr(self, "cell", "lstm")
        if cell not in GATES:
            raise self.fail(f"cell is one of {', '.join(GATES)}, got {cell!r}")
        for field in lstm_alone:
            if getattr(self, field) and cell != "lstm":
                raise self.fail(f"{field} belongs to lstm alone")
        for field in gated_alone:
            if getattr(self, field) and not SAVED[cell]:
                raise self.fail(f"{field} belongs to lstm and gru")

    def _check_shapes(self, found: dict[str, Shape], wanted: dict[str, Shape]) -> None:
        for field, shape in wanted.items():
            if field in found and found[field] != shape:
                raise self.fail(f"{field} must be {shape}, got {found[field]}")


class Recurrent(_Cell):
    """The states of a cell through time.

    w_ih (in, g * h), w_hh (h, g * h), b_ih, b_hh (g * h,) with g from ``GATES``; h0, c0, mask
    (n, h). ``hn``, ``cn`` (n, h) are the states after each sample's own last step. For the
    gradient alone: ``gates`` (p, 4 * h), which are sigmoid(i), sigmoid(f), tanh(g), sigmoid(o) of
    lstm, and r, u, n, q_n of gru; ``cells`` (p, h), the c of lstm.
    """

    x: Read
    w_ih: Read
    w_hh: Read
    y: Write
    b_ih: MaybeRead = ""
    b_hh: MaybeRead = ""
    h0: MaybeRead = ""
    c0: MaybeRead = ""
    mask: MaybeRead = ""
    hn: MaybeWrite = ""
    cn: MaybeWrite = ""
    gates: MaybeWrite = ""
    cells: MaybeWrite = ""
    cell: str = "lstm"
    packing: int = 0
    reverse: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        self._check_fields(("c0", "cn", "cells"), ("gates",))
        p, h = packed(self.packing), shape["w_hh"][0]
        wide, state = GATES[self.cell] * h, (N, h)
        if len(shape["x"]) != 2:
            raise self.fail(f"x must be (p, in), got {shape['x']}")
        self._check_shapes(
            shape,
            {
                "x": (p, shape["w_ih"][0]),
                "w_ih": (shape["w_ih"][0], wide),
                "w_hh": (h, wide),
                "b_ih": (wide,),
                "b_hh": (wide,),
                "h0": state,
                "c0": state,
                "mask": state,
            },
        )
        saved = {"gates": (p, SAVED[self.cell] * h), "cells": (p, h)}
        return {"y": (p, h), "hn": state, "cn": state, **saved}


class RecurrentGrad(_Cell):
    """Backpropagation through time (Werbos 1990): the gradients of z and q at every step.

    dy (p, h), dhn, dcn (n, h) are the gradients of what ``Recurrent`` wrote, at least one of them;
    y, gates, cells, h0, c0, mask are what it read and wrote. Writes ``dz`` (p, g * h), the gradient
    of z; for gru ``dq`` (p, g * h), that of q, which is dz for the other cells; dh0, dc0 (n, h).
    """

    y: Read
    w_hh: Read
    dz: Write
    dy: MaybeRead = ""
    dhn: MaybeRead = ""
    dcn: MaybeRead = ""
    h0: MaybeRead = ""
    c0: MaybeRead = ""
    mask: MaybeRead = ""
    gates: MaybeRead = ""
    cells: MaybeRead = ""
    dq: MaybeWrite = ""
    dh0: MaybeWrite = ""
    dc0: MaybeWrite = ""
    cell: str = "lstm"
    packing: int = 0
    reverse: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        self._check_fields(("dcn", "c0", "cells", "dc0"), ("gates",))
        if not (self.dy or self.dhn or self.dcn):
            raise self.fail("one of dy, dhn, dcn is needed")
        if (self.cell == "gru") != bool(self.dq):
            raise self.fail("dq is given exactly for gru")
        if bool(SAVED[self.cell]) != bool(self.gates) or (self.cell == "lstm") != bool(self.cells):
            raise self.fail("gates are given for lstm and gru, cells for lstm")
        p, h = packed(self.packing), shape["w_hh"][0]
        wide, state, each = GATES[self.cell] * h, (N, h), (p, h)
        self._check_shapes(
            shape,
            {
                "y": each,
                "w_hh": (h, wide),
                "dy": each,
                "gates": (p, SAVED[self.cell] * h),
                "cells": each,
                **dict.fromkeys(("dhn", "dcn", "h0", "c0", "mask"), state),
            },
        )
        return {"dz": (p, wide), "dq": (p, wide), "dh0": state, "dc0": state}


class RecurrentGradWeight(_Cell):
    """``dw (+)= sum over all steps of (h * mask).T @ dq`` and ``db (+)= sum of the rows of dq``.

    h is the state before each step: a row of y, or of h0 (0 where it is absent). dq (p, g * h),
    dw (h, g * h), db (g * h,).
    """

    y: Read
    dq: Read
    dw: Write
    db: MaybeWrite = ""
    h0: MaybeRead = ""
    mask: MaybeRead = ""
    accumulate: bool = False
    packing: int = 0
    reverse: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        p, h, wide = packed(self.packing), shape["y"][-1], shape["dq"][-1]
        self._check_shapes(shape, {"y": (p, h), "dq": (p, wide), "h0": (N, h), "mask": (N, h)})
        return {"dw": (h, wide), "db": (wide,)}


class DropMask(Op):
    """``y`` (n, size): 0 with probability p, else 1 / (1 - p), drawn as ``Dropout`` draws."""

    y: Write
    size: int
    p: float
    stream: int

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if not 0.0 <= self.p <= 1.0:
            raise self.fail(f"p must lie in [0, 1], got {self.p}")
        return {"y": (N, self.size)}
