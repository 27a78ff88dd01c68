"""The rules of the ops on sequences: what Python refuses, the native executor refuses too."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import require_native
from op_cases import Case
from op_cases.recurrent import BACKWARD, FORWARD, RAGGED, backward_case, forward_case, weight_case

from pybp.program import ops
from pybp.program.ops import N, OpError, Shape, packed
from pybp.program.ops.recurrent import GATES
from pybp.program.program import Program

P = packed(0)
Shapes = dict[str, Shape]


def _append(op: ops.Op, shapes: Shapes) -> None:
    program = Program("rules", "float32")
    program.add_packing()
    program.add_packing()
    for name, shape in shapes.items():
        program.add_buffer(name, shape, "value")
    program.append(op)


def _load(op: ops.Op, shapes: Shapes) -> None:
    """Give the op to the native executor, past all that Python checks."""
    require_native()
    from pybp import _core

    names = list(shapes)
    buffers = [(0, 0, "real", shape) for shape in shapes.values()]
    fields: dict[str, Any] = {name: getattr(op, name) for name in op.attributes}
    for field in (*op.reads, *op.writes):
        name = getattr(op, field)
        fields[field] = names.index(name) if name else -1
    ordered = {name: fields[name] for name in op._annotations}
    _core.Executor("float32", buffers, [], [(op.kind, ordered)], [4, 11, 11], [0, 0])


SMALL: list[Case] = [
    *(forward_case(cell, RAGGED, FORWARD[cell]) for cell in GATES),
    *(backward_case(cell, RAGGED, BACKWARD[cell]) for cell in GATES),
    weight_case("gru", RAGGED, ("db", "h0", "mask")),
    Case("drop_mask", ops.DropMask("y", 5, 0.5, 1), 4, {"y": (N, 5)}, 1, 1),
    Case("concat", ops.Concat("a", "b", "y"), 4, {"a": (P, 2), "b": (P, 3), "y": (P, 5)}, 1, 1),
]
FIELDS = [
    pytest.param(case, name, id=f"{case.name} {name}") for case in SMALL for name in case.shapes
]


def _changed(shape: Shape) -> list[Shape]:
    """Return shapes that differ in one extent, or in what leads them."""
    other = {N: P, P: packed(1)}.get(shape[0], shape[0] + 1)
    return [(*shape[:-1], shape[-1] + 1), (other, *shape[1:]), (*shape, 1)]


@pytest.mark.parametrize("refused_by", [_append, _load])
@pytest.mark.parametrize(("case", "name"), FIELDS)
def test_every_array_has_the_shape_that_follows_from_the_others(
    case: Case, name: str, refused_by: Any
) -> None:
    refused_by(case.op, case.shapes)
    for shape in _changed(case.shapes[name]):
        with pytest.raises(ValueError, match=case.op.kind):
            refused_by(case.op, {**case.shapes, name: shape})


X, H, W, V = (P, 5), (N, 3), (5, 12), (3, 12)
CELL = {"x": X, "w": W, "v": V, "y": (P, 3), "h": H}
BACK = {"y": (P, 3), "v": V, "z": (P, 12), "h": H, "g": (P, 12), "c": (P, 3)}
GRU = {"y": (P, 3), "v": (3, 9), "z": (P, 9), "h": H, "g": (P, 12), "q": (P, 9)}
saved = {"gates": "g", "cells": "c"}


@pytest.mark.parametrize(
    ("op", "shapes", "message", "native"),
    [
        (
            ops.Recurrent("x", "w", "v", "y", cell="gsu"),
            CELL,
            "cell is one of rnn_tanh",
            "got 'gsu'",
        ),
        (ops.Recurrent("x", "w", "v", "y", packing=2), CELL, "must be", "one of 2 packings, got 2"),
        (
            ops.Recurrent("x", "w", "v", "y", c0="h", cell="gru"),
            {**CELL, "w": (5, 9), "v": (3, 9)},
            "c0 belongs to lstm alone",
            "field c0: belongs to lstm alone",
        ),
        (
            ops.Recurrent("x", "w", "v", "y", gates="x", cell="rnn_relu"),
            {**CELL, "w": (5, 3), "v": (3, 3)},
            "gates belongs to lstm and gru",
            "field gates: belongs to lstm and gru",
        ),
        (ops.RecurrentGrad("y", "v", "z", **saved), BACK, "one of dy, dhn, dcn", "dhn or dcn"),
        (
            ops.RecurrentGrad("y", "v", "z", dhn="h", dq="z", **saved),
            BACK,
            "dq is given exactly for gru",
            "field dq: expected exactly for gru",
        ),
        (
            ops.RecurrentGrad("y", "v", "z", dhn="h", gates="g", cell="gru"),
            GRU,
            "dq is given exactly for gru",
            "field dq: expected exactly for gru",
        ),
        (
            ops.RecurrentGrad("y", "v", "z", dhn="h", dq="q", cell="gru"),
            GRU,
            "gates are given for lstm and gru",
            "field gates: expected exactly for lstm and gru",
        ),
        (
            ops.RecurrentGrad("y", "v", "z", dhn="h", gates="g"),
            BACK,
            "cells for lstm",
            "field cells: expected exactly for lstm",
        ),
        (
            ops.DropMask("h", 3, 1.5, 1),
            CELL,
            r"p must lie in \[0, 1\], got 1.5",
            r"0 \.\.\. 1, got",
        ),
        (ops.Pack("y", "x"), CELL, r"x must be \(n, steps", r"x: expected \(n, steps, \.\.\.\)"),
        (ops.Unpack("h", "x", 4), CELL, "x must be packed by packing 0", "steps of packing 0"),
        (ops.Concat("x", "h", "y"), CELL, "must have the same rows", "field b: expected shape"),
        (ops.Columns("x", "y", 3, 3), CELL, "3 columns from 3 on are not in x", "got 3 from 3 on"),
        (ops.Columns("x", "y", -1, 3), CELL, "3 columns from -1 on", "got 3 from -1 on"),
        (ops.Columns("x", "y", 2, 0), CELL, "0 columns from 2 on", "got 0 from 2 on"),
    ],
)
def test_a_broken_rule_is_named_on_both_sides(
    op: ops.Op, shapes: Shapes, message: str, native: str
) -> None:
    with pytest.raises(OpError, match=message):
        _append(op, shapes)
    with pytest.raises(ValueError, match=rf"op 0 \({op.kind}\).*{native}"):
        _load(op, shapes)


def test_whole_samples_have_the_features_of_their_steps() -> None:
    require_native()
    for op in (ops.Pack("x", "y"), ops.Unpack("y", "x", 4)):
        _load(op, {"x": (N, 4, 3), "y": (P, 3)})
        for shape in ((N, 4, 2), (N, 4), (P, 4, 3)):
            with pytest.raises(ValueError, match=op.kind):
                _load(op, {"x": shape, "y": (P, 3)})
            with pytest.raises(OpError):
                _append(op, {"x": shape, "y": (P, 3)})
