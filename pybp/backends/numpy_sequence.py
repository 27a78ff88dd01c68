"""The sequence ops in NumPy: rows and columns that change places."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pybp.backends.numpy_step import Arrays, Step
from pybp.program.ops import Columns, Concat, Op, Pack, PadColumns, Unpack


def _pack(op: Pack, a: Arrays, step: Step) -> Arrays:
    packing = step.packings[op.packing]
    return {"y": a["x"][packing.samples(), packing.steps()]}


def _unpack(op: Unpack, a: Arrays, step: Step) -> Arrays:
    packing, x = step.packings[op.packing], a["x"]
    y = np.zeros((step.rows, op.steps, *x.shape[1:]), x.dtype)
    y[packing.samples(), packing.steps()] = x
    return {"y": y}


def _concat(op: Concat, a: Arrays, step: Step) -> Arrays:
    return {"y": np.concatenate([a["a"], a["b"]], axis=-1)}


def _columns(op: Columns, a: Arrays, step: Step) -> Arrays:
    return {"y": a["x"][..., op.start : op.start + op.size].copy()}


def _pad_columns(op: PadColumns, a: Arrays, step: Step) -> Arrays:
    x = a["x"]
    y = np.zeros((*x.shape[:-1], op.width), x.dtype)
    y[..., op.start : op.start + x.shape[-1]] = x
    return {"y": y}


SEQUENCE_OPS: dict[type[Op], Callable[..., Arrays]] = {
    Pack: _pack,
    Unpack: _unpack,
    Concat: _concat,
    Columns: _columns,
    PadColumns: _pad_columns,
}
