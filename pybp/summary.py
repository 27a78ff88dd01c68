"""The table of a net's layers."""

from __future__ import annotations

import math
from typing import NamedTuple

from pybp.graph import Graph
from pybp.program.builder import new_forward
from pybp.program.ops import Shape


class Row(NamedTuple):
    """A line of a summary."""

    name: str
    layer: str
    output: Shape
    parameters: int


def summary(graph: Graph, input_shape: Shape, dtype: str) -> str:
    """Return the table: name, description, shape of the output, number of parameters."""
    rows = _rows(graph, input_shape, dtype)
    names = ("name", "layer", "output", "parameters")
    table = [names] + [
        (row.name, row.layer, shape_text(row.output), f"{row.parameters:,}") for row in rows
    ]
    widths = [max(len(line[column]) for line in table) for column in range(4)]
    lines = [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
        for a, b, c, d in table
    ]
    lines.insert(1, "-" * len(lines[0]))
    lines.append(lines[1])
    total = sum(row.parameters for row in rows)
    lines.append(f"input {shape_text(input_shape)}, {total:,} parameters, {dtype}")
    return "\n".join(lines)


def shape_text(shape: Shape) -> str:
    """Return a shape as it is printed, with n for the number of samples."""
    return "(n" + "".join(f", {extent}" for extent in shape) + ")"


def _rows(graph: Graph, input_shape: Shape, dtype: str) -> list[Row]:
    builder, x = new_forward("summary", dtype, input_shape, training=False, role="input")
    rows: list[Row] = []
    known = 0
    for node, y in graph.walk(builder, x):
        count = sum(math.prod(parameter.shape) for parameter in builder.parameters.values())
        text = repr(node.layer)
        if node.inputs != (len(rows) - 1,):  # it doesn't just read the line above
            text += f" of {', '.join(graph.nodes[index].path for index in node.inputs)}"
        rows.append(Row(node.path, text, builder.shape(y), count - known))
        known = count
    return rows
