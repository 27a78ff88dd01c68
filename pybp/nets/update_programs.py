"""The update at the end of a step: of all parameters as flat arrays, by rows, or fused.

The flat arrays hold all parameters but the tables of embeddings, which are updated one by one: by
the rows that a batch has touched where the others stay as they are, else as a whole. What is
updated of the flat arrays are runs of neighbours with one rate: usually one run that holds all.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from pybp.arrays import Array
from pybp.nets.parameters import Layout
from pybp.nets.step_rules import StepRules
from pybp.optimizers import Optimizer
from pybp.program.builder import Parameter
from pybp.program.gradient import gradient_name
from pybp.program.ops import (
    ClipNorm,
    ClipValue,
    DenseGradWeight,
    MaxNorm,
    N,
    Penalty,
    ScatterRows,
    SGDDense,
)
from pybp.program.ops.updates import Update
from pybp.program.program import Program


class Run(NamedTuple):
    """Neighbouring parameters in the flat arrays that one update covers, at ``scale`` * rate."""

    start: int
    stop: int
    scale: float
    whole: bool  # whether nothing else is in the flat arrays

    def of(self, array: str) -> str:
        """Return the name of this part of a flat array."""
        return array if self.whole else f"{array}[{self.start}:{self.stop}]"


def split_part(name: str) -> tuple[str, slice | None]:
    """Return the flat array of which ``Run.of`` has made this name, and the part."""
    array, bracket, rest = name.partition("[")
    if not bracket:
        return name, None
    start, stop = rest.rstrip("]").split(":")
    return array, slice(int(start), int(stop))


class Parts(NamedTuple):
    """What an update changes."""

    names: tuple[str, ...]  # of all parameters that it changes
    runs: tuple[Run, ...]
    tables: dict[str, Parameter]
    weights: dict[str, Parameter]  # those with two axes or more: penalties and max-norm are theirs

    @classmethod
    def of(cls, layout: Layout, wanted: dict[str, Parameter], frozen: Collection[str]) -> Parts:
        """Return the parts for the parameters of a net, less those that are frozen."""
        used = {name: one for name, one in wanted.items() if name not in frozen}
        tables = {name: one for name, one in used.items() if one.is_table}
        weights = {name: one for name, one in used.items() if len(one.shape) > 1}
        return cls(tuple(used), _runs(layout, used), tables, weights)


def _runs(layout: Layout, used: dict[str, Parameter]) -> tuple[Run, ...]:
    """Return the runs of neighbours in the flat arrays that are used and have one rate."""
    runs: list[tuple[int, int, float]] = []
    for name in layout.shapes:
        if name not in used or used[name].is_table:
            continue
        start, stop = layout.span(name)
        scale = used[name].lr_scale
        if runs and runs[-1][1:] == (start, scale):
            start = runs.pop()[0]
        runs.append((start, stop, scale))
    whole = [(0, layout.dense)] == [run[:2] for run in runs]
    return tuple(Run(*run, whole) for run in runs)


class Pieces:
    """The parts of the flat arrays that are trained, one after the other in one array."""

    def __init__(self, parts: Parts, layout: Layout) -> None:
        starts = {name: layout.offsets[name] for name in parts.names}
        self._slices = [
            slice(start, start + math.prod(layout.shapes[name])) for name, start in starts.items()
        ]

    def gather(self, flat: Array) -> Array:
        """Return a copy of the trained parts of a flat array."""
        return np.concatenate([flat[part] for part in self._slices])

    def scatter(self, pieces: Array, flat: Array) -> None:
        """Write what ``gather`` has returned, as it is now, back to a flat array."""
        begin = 0
        for part in self._slices:
            size = part.stop - part.start
            flat[part] = pieces[begin : begin + size]
            begin += size


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


def add_update(
    program: Program,
    optimizer: Optimizer | None,
    parts: Parts,
    rules: StepRules,
    *,
    keep_grads: bool,
) -> None:
    """Append the update of all parameters to a program that ends in their gradients.

    Where gradients need not be kept, it is fused into them if that is possible. Without an
    optimiser the program ends in the gradients as an update would take them.
    """
    touched = _touched_rows(program, optimizer, parts, rules)
    program.update_start = len(program.ops)
    fuses = optimizer is not None and rules.leaves_gradients() and not keep_grads
    if fuses and optimizer is not None and _fuse_update(program, optimizer, parts):
        program.update_start = len(program.ops)
    else:
        rest = {name: table for name, table in parts.tables.items() if name not in touched}
        dense = parts._replace(tables=rest)
        _add_rules(program, dense, touched, rules)
        if optimizer is not None:
            _add_dense(program, optimizer, dense)
    if optimizer is not None:
        for name, found in touched.items():
            _add_rows(program, optimizer, name, parts.tables[name], found)
    if rules.max_norm is not None:
        for name, weight in parts.weights.items():
            if not weight.is_table:
                program.append(MaxNorm(_declared(program, name, weight), rules.max_norm))


def _add_rules(
    program: Program, parts: Parts, touched: dict[str, TouchedRows], rules: StepRules
) -> None:
    """Append what is done to the gradients before the update."""
    if rules.has_penalty():
        for name, weight in parts.weights.items():
            w, rows = _declared(program, name, weight), ""
            if name in touched:
                gradient, rows = touched[name].values, touched[name].rows
            else:
                gradient = _declared(program, gradient_name(name), weight, "grad")
            program.append(Penalty(w, gradient, rules.l1, rules.l2, rows))
    gradients = [(_flat(program, run, "grads", "grad"), "") for run in parts.runs]
    gradients += [
        (_declared(program, gradient_name(name), table, "grad"), "")
        for name, table in parts.tables.items()
    ]
    gradients += [(found.values, found.rows) for found in touched.values()]
    if rules.clip_value is not None:
        for gradient, rows in gradients:
            program.append(ClipValue(gradient, rules.clip_value, rows))
    if rules.clip_norm is not None:
        names, rows_of = zip(*gradients, strict=True)
        program.append(ClipNorm(names, rows_of, rules.clip_norm))


def _declared(program: Program, name: str, parameter: Parameter, role: str = "param") -> str:
    """Return the buffer of a parameter or of its gradient, declared if it is not yet."""
    if name not in program.buffers:
        program.add_buffer(name, parameter.shape, role)
    return name


def _flat(program: Program, run: Run, array: str, role: str) -> str:
    """Return the buffer of a part of a flat array, declared if it is not yet."""
    name = run.of(array)
    if name not in program.buffers:
        program.add_buffer(name, (run.stop - run.start,), role)
    return name


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


def _touched_rows(
    program: Program, optimizer: Optimizer | None, parts: Parts, rules: StepRules
) -> dict[str, TouchedRows]:
    """Leave out the dense gradients of tables that can be updated by rows; return these."""
    touched: dict[str, TouchedRows] = {}
    dense = rules.accumulate > 1 or optimizer is None
    for name, table in parts.tables.items():
        if table.lazy and dense:
            raise ValueError(
                f"{name} is the table of a lazy embedding, which takes updates by rows alone: no "
                "accumulate, nor an optimiser that needs the loss"
            )
        gradient = gradient_name(name)
        makers = [op for op in program.ops if gradient in op.outputs()]
        exact = len(makers) == 1 and optimizer is not None and optimizer.skips_zero_gradients()
        if not (makers and (table.lazy or (exact and not dense and not rules.has_penalty()))):
            continue
        (scatter,) = makers
        assert isinstance(scatter, ScatterRows)
        touched[name] = TouchedRows(scatter.rows, scatter.values)
        program.ops.remove(scatter)
        del program.buffers[gradient]
    return touched


def _add_dense(program: Program, optimizer: Optimizer, parts: Parts) -> None:
    """Append the update of the flat arrays, and of tables as a whole: all but the lazy ones."""
    for run in parts.runs:
        w, g = _flat(program, run, "params", "param"), _flat(program, run, "grads", "grad")
        states = {name: run.of(name) for name in optimizer.state_names()}
        _add(program, optimizer, w, g, (run.stop - run.start,), states, run.scale)
    for name, table in parts.tables.items():
        if not table.lazy:
            w = _declared(program, name, table)
            g = _declared(program, gradient_name(name), table, "grad")
            _add(program, optimizer, w, g, table.shape, _of_table(optimizer, name), table.lr_scale)


def _add_rows(
    program: Program, optimizer: Optimizer, name: str, table: Parameter, found: TouchedRows
) -> None:
    w, states = _declared(program, name, table), _of_table(optimizer, name)
    _add(program, optimizer, w, found.values, table.shape, states, table.lr_scale, found.rows)


def _of_table(optimizer: Optimizer, name: str) -> dict[str, str]:
    """Return the names of the states of a table."""
    return {state: f"{name}:{state}" for state in optimizer.state_names()}


def _add(
    program: Program,
    optimizer: Optimizer,
    w: str,
    g: str,
    shape: tuple[int, ...],
    states: dict[str, str],
    scale: float,
    rows: str = "",
) -> None:
    """Append one update, with the arrays of its states."""
    for name in states.values():
        program.add_buffer(name, shape, "state")
    op = optimizer.op(w, g).replace(**states, scale=scale)
    program.append(op.replace(rows=rows, count=shape[0]) if rows else op)


def _fuse_update(program: Program, optimizer: Optimizer, parts: Parts) -> bool:
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
        program.append(SGDDense(op.x, op.dy, w, b, parts.weights[w].lr_scale))
    for name in made:
        del program.buffers[name]
    return True
