"""Every kind of op at one inner size, so that no tail of a vector goes unseen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tolerance import EXACT, LINEAR

from op_cases.call import call_sized
from op_cases.case import Case, Shape, labels
from op_cases.conv import conv_sized
from op_cases.embedding import embedding_sized
from op_cases.loop import loop_sized
from op_cases.losses import metric_sized
from op_cases.pool import pool_sized
from op_cases.recurrent import recurrent_sized
from op_cases.regularize import regularize_by_rows
from op_cases.sequence import sequence_sized
from op_cases.updates import row_update_cases
from pybp.program import ops
from pybp.program.ops import N, Op


def resized_cases(cases: Iterable[Case], size: int, rows: int = 0) -> Iterator[Case]:
    """Yield a case of every kind of op with one inner size; the rows follow from it, if not given.

    The kinds that have sequences choose their rows themselves.
    """
    rows = rows or 1 + size % 9
    yield from _dense_sized(size, rows)
    yield from _moves_sized(size, rows)
    yield from conv_sized(size, rows)
    yield from pool_sized(size, rows)
    yield from metric_sized(size, rows)
    yield from call_sized(size, rows)
    yield from recurrent_sized(size)
    yield from sequence_sized(size)
    yield from loop_sized(size)
    yield from embedding_sized(size)
    yield from row_update_cases(6, size, 4)
    yield from regularize_by_rows(6, size, 4)
    yield from _max_norm_sized(size)
    for case in cases:
        if not case.bench and _resizable(case) and (size > 1 or "all options" not in case.name):
            shapes = {name: _resize(shape, size) for name, shape in case.shapes.items()}
            fills = dict(case.fills)
            if isinstance(case.op, ops.LabelLoss) and "ignored" not in case.name:
                fills["target"] = labels(size, ignored="options" in case.name)
            yield case._replace(
                name=f"{case.name} at {size}",
                shapes=shapes,
                rows=rows if case.rows > 1 else 1,
                fills=fills,
                terms=max(size * rows, 1),
            )


_OF_OTHER_SIZES = ops.DropMask | ops.Concat | ops.Columns | ops.PadColumns


def _resizable(case: Case) -> bool:
    """Tell whether all shapes are (size,), (n,) or (n, size)."""
    if isinstance(case.op, ops.Dense | ops.DenseGradInput | ops.DenseGradWeight | ops.Reshape):
        return False
    if isinstance(case.op, ops.Accuracy | ops.SGDDense | ops.MaxNorm):
        return False
    if case.lengths or case.functions or isinstance(case.op, _OF_OTHER_SIZES):
        return False
    if case.shapes.keys() & {"ids", "rows"}:
        return False
    return all(len(shape) <= 2 for shape in case.shapes.values())


def _resize(shape: Shape, size: int) -> Shape:
    if shape == (N,):
        return shape
    return (N, size) if shape[0] == N else (size,)


def _moves_sized(size: int, rows: int) -> Iterator[Case]:
    first, last = (N, size, 3), (N, 3, size)
    for x, y in ((first, last), (last, first)):
        op: Op = ops.MoveChannels("x", "y", y == last)
        yield Case(f"move_channels {x[1:]}", op, rows, {"x": x, "y": y}, 1, EXACT)
    shapes = {"x": first, "y": (N, 3 * size)}
    yield Case(f"reshape {size}", ops.Reshape("x", "y", (3 * size,)), rows, shapes, 1, EXACT)


def _max_norm_sized(size: int) -> Iterator[Case]:
    for shape in ((6, size), (size, 5)):
        op = ops.MaxNorm("w", shape[0] ** 0.5)  # about the norm of a column
        yield Case(f"max_norm {shape}", op, 1, {"w": shape}, shape[0], LINEAR)


def _dense_sized(size: int, rows: int) -> Iterator[Case]:
    for inner, outer in ((size, 7), (7, size), (size, size)):
        x, w, y, b = (N, inner), (inner, outer), (N, outer), (outer,)
        name = f"{rows}x{inner}x{outer}"
        op: Op = ops.Dense("x", "w", "y", "b", "tanh")
        yield Case(f"dense {name}", op, rows, {"x": x, "w": w, "b": b, "y": y}, inner, LINEAR)
        op = ops.DenseGradWeight("x", "dy", "dw", "db")
        shapes = {"x": x, "dy": y, "dw": w, "db": b}
        yield Case(f"dense_grad_weight {name}", op, rows, shapes, rows, LINEAR)
        op = ops.DenseGradInput("dy", "w", "dx", "x", "sigmoid", 1.0)
        shapes = {"dy": y, "w": w, "x": x, "dx": x}
        yield Case(f"dense_grad_input {name}", op, rows, shapes, outer, LINEAR)
        op = ops.SGDDense("x", "dy", "w", "b")
        shapes = {"x": x, "dy": y, "w": w, "b": b}
        hyper = (0.1, 1.0, 0.01, 0.0, 1.0)
        yield Case(f"sgd_dense {name}", op, rows, shapes, rows, LINEAR, {}, hyper)
