"""The update at the end of a step: of all parameters as flat arrays, by rows, or fused.

The flat arrays hold all parameters but the tables of embeddings, which are updated one by one: by
the rows that a batch has touched where the others stay as they are, else as a whole.
"""

from __future__ import annotations

from typing import NamedTuple

from pybp.optimizers import Optimizer
from pybp.program.builder import Parameter
from pybp.program.gradient import gradient_name
from pybp.program.ops import DenseGradWeight, N, ScatterRows, SGDDense
from pybp.program.ops.updates import Update
from pybp.program.program import Program


class Parts(NamedTuple):
    """What an update changes: the size of the flat arrays, and the tables by name."""

    size: int
    tables: dict[str, Parameter]


class TouchedRows(NamedTuple):
    """The buffers that hold the gradient of a table: rows and values."""

    rows: str
    values: str


def update_program(dtype: str, optimizer: Optimizer, parts: Parts) -> Program:
    """Return the program that only updates, from the gradients: all but the lazy tables."""
    program = Program("update", dtype)
    _add_dense(program, optimizer, parts)
    return program


def rows_program(dtype: str, optimizer: Optimizer, name: str, table: Parameter) -> Program:
    """Return the program that only updates some rows of a table, from inputs rows and values."""
    program = Program("update of rows", dtype)
    program.add_buffer("rows", (N,), "input", "int32")
    program.add_buffer("values", (N, *table.shape[1:]), "input")
    _add_rows(program, optimizer, name, table, TouchedRows("rows", "values"))
    return program


def add_update(program: Program, optimizer: Optimizer, parts: Parts, *, keep_grads: bool) -> None:
    """Append the update of all parameters to a program that ends in their gradients.

    Where gradients need not be kept, it is fused into them if that is possible.
    """
    touched = _touched_rows(program, optimizer, parts)
    if keep_grads or not _fuse_update(program, optimizer):
        rest = {name: table for name, table in parts.tables.items() if name not in touched}
        _add_dense(program, optimizer, Parts(parts.size, rest))
    for name, found in touched.items():
        _add_rows(program, optimizer, name, parts.tables[name], found)


def scatter_last(program: Program) -> None:
    """Move the dense gradients of tables to the end, so that their rows can be read afterwards."""
    program.ops.sort(key=lambda op: isinstance(op, ScatterRows))  # the others keep their order


def row_buffers(program: Program) -> dict[str, list[str]]:
    """Return for each table with a dense gradient the buffers of the rows that it has."""
    found: dict[str, list[str]] = {}
    names = {gradient_name(buffer.name): buffer.name for buffer in program.of_role("param")}
    for op in program.ops:
        if isinstance(op, ScatterRows):
            found.setdefault(names[op.dw], []).append(op.rows)
    return found


def row_updates(program: Program) -> dict[str, TouchedRows]:
    """Return the tables that a program updates by rows, and their gradients."""
    updates = [vars(op) for op in program.ops if isinstance(op, Update)]
    return {each["w"]: TouchedRows(each["rows"], each["g"]) for each in updates if each["rows"]}


def _touched_rows(program: Program, optimizer: Optimizer, parts: Parts) -> dict[str, TouchedRows]:
    """Leave out the dense gradients of tables that can be updated by rows; return these."""
    touched: dict[str, TouchedRows] = {}
    for name, table in parts.tables.items():
        gradient = gradient_name(name)
        makers = [op for op in program.ops if gradient in op.outputs()]
        exact = len(makers) == 1 and optimizer.skips_zero_gradients()
        if not (makers and (table.lazy or exact)):
            continue
        (scatter,) = makers
        assert isinstance(scatter, ScatterRows)
        touched[name] = TouchedRows(scatter.rows, scatter.values)
        program.ops.remove(scatter)
        del program.buffers[gradient]
    return touched


def _add_dense(program: Program, optimizer: Optimizer, parts: Parts) -> None:
    """Append the update of the flat arrays, and of tables as a whole: all but the lazy ones."""
    if parts.size:
        for name, role in (("params", "param"), ("grads", "grad")):
            program.add_buffer(name, (parts.size,), role)
        _add(program, optimizer, "params", (parts.size,), "grads")
    for name, table in parts.tables.items():
        if table.lazy:
            continue
        gradient = gradient_name(name)
        for buffer, role in ((name, "param"), (gradient, "grad")):
            if buffer not in program.buffers:
                program.add_buffer(buffer, table.shape, role)
        _add(program, optimizer, name, table.shape, gradient)


def _add_rows(
    program: Program, optimizer: Optimizer, name: str, table: Parameter, found: TouchedRows
) -> None:
    if name not in program.buffers:
        program.add_buffer(name, table.shape, "param")
    _add(program, optimizer, name, table.shape, found.values, found.rows)


def _add(
    program: Program,
    optimizer: Optimizer,
    w: str,
    shape: tuple[int, ...],
    g: str,
    rows: str = "",
) -> None:
    """Append one update; the states of a table are named after it."""
    prefix = "" if w == "params" else f"{w}:"
    for state in optimizer.state_names():
        program.add_buffer(prefix + state, shape, "state")
    op = optimizer.op(w, g, prefix)
    program.append(op.replace(rows=rows, count=shape[0]) if rows else op)


def _fuse_update(program: Program, optimizer: Optimizer) -> bool:
    """Let plain SGD steps take the place of the weight gradients, if all come from dense ops.

    For one row a step reads and writes each weight once. The steps move to the end, since the
    input gradients read the weights.
    """
    gradients = [op for op in program.ops if isinstance(op, DenseGradWeight)]
    made = {name for op in gradients for name in op.outputs()}
    if (
        not optimizer.is_plain()
        or any(op.accumulate for op in gradients)
        or {buffer.name for buffer in program.of_role("grad")} != made
    ):
        return False
    program.ops = [op for op in program.ops if not isinstance(op, DenseGradWeight)]
    parameter = {gradient_name(buffer.name): buffer.name for buffer in program.of_role("param")}
    for op in gradients:
        w, b = parameter[op.dw], parameter[op.db] if op.db else ""
        program.append(SGDDense(op.x, op.dy, w, b))
    for name in made:
        del program.buffers[name]
    return True
