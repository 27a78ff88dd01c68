"""The rows of the gradient table for sequences: cells through time, packing, parts of rows."""

from __future__ import annotations

from typing import Any

from pybp.program.ops import (
    Activate,
    Columns,
    Concat,
    DenseGradInput,
    DenseGradWeight,
    Pack,
    PadColumns,
    Recurrent,
    RecurrentGrad,
    RecurrentGradWeight,
    Unpack,
)
from pybp.program.ops.recurrent import SAVED
from pybp.program.walk import Walk, gradient_name


def recurrent(walk: Walk, op: Recurrent) -> None:
    """Run back through time for dz and dq; all else are products over all steps at once."""
    saved: dict[str, Any] = {"gates": f"{op.y} gates"} if SAVED[op.cell] else {}
    if op.cell == "lstm":
        saved["cells"] = f"{op.y} cells"
    walk.amend(op, **saved)
    dz = gradient_name(f"{op.y} input part")
    dq = gradient_name(f"{op.y} state part") if op.cell == "gru" else ""
    states: dict[str, Any] = {f"d{name}": _wanted(walk, getattr(op, name)) for name in ("h0", "c0")}
    common: dict[str, Any] = {
        "h0": op.h0,
        "mask": op.mask,
        "packing": op.packing,
        "reverse": op.reverse,
    }
    walk.append(
        RecurrentGrad(
            y=op.y,
            w_hh=op.w_hh,
            dz=dz,
            dy=walk.of(op.y),
            dhn=walk.of(op.hn),
            dcn=walk.of(op.cn),
            dq=dq,
            c0=op.c0,
            cell=op.cell,
            **saved,
            **states,
            **common,
        )
    )
    (dw, db_hh), accumulate = walk.give_parameters(op.w_hh, op.b_hh)
    (dw_ih, db_ih), shared = walk.give_parameters(op.w_ih, op.b_ih)
    same = bool(db_hh and db_ih) and not (dq or accumulate or shared)  # both are the sum of dz
    if dw:
        walk.append(
            RecurrentGradWeight(
                y=op.y,
                dq=dq or dz,
                dw=dw,
                db="" if same else db_hh,
                accumulate=accumulate,
                **common,
            )
        )
    if dw_ih:
        walk.append(DenseGradWeight(op.x, dz, dw_ih, db_ih, shared))
    if same:
        walk.append(Activate(db_ih, db_hh, "identity"))
    if op.x in walk.wanted:
        walk.append(DenseGradInput(dz, op.w_ih, walk.give(op.x)))


def _wanted(walk: Walk, name: str) -> str:
    return walk.give(name) if name in walk.wanted else ""


def pack(walk: Walk, op: Pack) -> None:
    """Put the steps back into whole samples."""
    if op.x in walk.wanted:
        steps = walk.program.shape(op.x)[1]
        walk.append(Unpack(walk.of(op.y), walk.give(op.x), steps, op.packing))


def unpack(walk: Walk, op: Unpack) -> None:
    """Take the steps that there are."""
    if op.x in walk.wanted:
        walk.append(Pack(walk.of(op.y), walk.give(op.x), op.packing))


def concat(walk: Walk, op: Concat) -> None:
    """Give each side its columns."""
    start = 0
    for name in (op.a, op.b):
        size = walk.program.shape(name)[-1]
        if name in walk.wanted:
            walk.append(Columns(walk.of(op.y), walk.give(name), start, size))
        start += size


def columns(walk: Walk, op: Columns) -> None:
    """Put the columns back where they were."""
    if op.x in walk.wanted:
        width = walk.program.shape(op.x)[-1]
        walk.append(PadColumns(walk.of(op.y), walk.give(op.x), op.start, width))


def pad_columns(walk: Walk, op: PadColumns) -> None:
    """Take the columns that came from x."""
    if op.x in walk.wanted:
        size = walk.program.shape(op.x)[-1]
        walk.append(Columns(walk.of(op.y), walk.give(op.x), op.start, size))


RECURRENT_GRADIENTS: dict[Any, Any] = {
    Recurrent: recurrent,
    Pack: pack,
    Unpack: unpack,
    Concat: concat,
    Columns: columns,
    PadColumns: pad_columns,
}
