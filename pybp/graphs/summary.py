"""The table of a net's layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pybp.graphs.graph import Graph, Nest
from pybp.program.builder import Builder, Port, new_forward


class Row(NamedTuple):
    """A line of a summary."""

    name: str
    layer: str
    output: str
    parameters: int


def summary(graph: Graph, ports: Sequence[Port], dtype: str) -> str:
    """Return the table: name, description, shape of the output, number of parameters.

    The layers of a nested net stand indented below a line of its own.
    """
    rows = _rows(graph, ports, dtype)
    names = ("name", "layer", "output", "parameters")
    table = [names, *_lines(rows, [node.nets for node in graph.nodes])]
    widths = [max(len(line[column]) for line in table) for column in range(4)]
    lines = [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip()
        for a, b, c, d in table
    ]
    lines.insert(1, "-" * len(lines[0]))
    lines.append(lines[1])
    total = sum(row.parameters for row in rows)
    shapes = ", ".join(shape_text(port.shape) for port in ports)
    lines.append(f"input {shapes}, {total:,} parameters, {dtype}")
    return "\n".join(lines)


def shape_text(shape: Sequence[int | None]) -> str:
    """Return a shape as it is printed, with n for samples and steps for any number of them."""
    return "(n" + "".join(f", {'steps' if size is None else size}" for size in shape) + ")"


def _lines(
    rows: Sequence[Row], nets: Sequence[tuple[Nest, ...]]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield the cells of each row, and of a line for each net in which layers stand."""
    totals: dict[Nest, int] = {}
    for row, around in zip(rows, nets, strict=True):
        for nest in around:
            totals[nest] = totals.get(nest, 0) + row.parameters
    known: set[Nest] = set()
    for row, around in zip(rows, nets, strict=True):
        for depth, nest in enumerate(around):
            if nest not in known:
                known.add(nest)
                text = f"{nest.kind} with {totals[nest]:,} parameters"
                yield "  " * depth + nest.name, text, "", ""
        yield "  " * len(around) + row.name, row.layer, row.output, f"{row.parameters:,}"


def _rows(graph: Graph, ports: Sequence[Port], dtype: str) -> list[Row]:
    builder, names = new_forward("summary", dtype, ports, training=False, role="input")
    rows: list[Row] = []
    known = 0
    owner: list[str] = []  # of each value: the name of its layer
    for node, written in graph.walk(builder, names):
        count = sum(math.prod(parameter.shape) for parameter in builder.parameters.values())
        text = repr(node.layer)
        if node.inputs[0] >= 0 and node.inputs != (len(owner) - 1,):  # not just the line above
            text += f" of {', '.join(dict.fromkeys(owner[index] for index in node.inputs))}"
        outputs = ", ".join(shape_text(_sample_shape(builder, y)) for y in written)
        rows.append(Row(node.path, text, outputs, count - known))
        known = count
        owner += [node.path] * len(written)
    return rows


def _sample_shape(builder: Builder, y: str) -> tuple[int | None, ...]:
    packing = builder.packing(y)
    shape = builder.shape(y)
    return shape if packing is None else (builder.steps[packing], *shape)
