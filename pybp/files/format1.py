"""Nets in files of format 1, which held no names of layers and knew no nested nets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybp.cell import Cell
from pybp.data import inputs
from pybp.files.records import MOST_NODES, Reader
from pybp.graphs.graph import Graph
from pybp.graphs.graph_making import chain, named
from pybp.layers import Layer


class OldReader(Reader):
    """Reads descriptions of format 1."""

    def graph(self, description: Mapping[str, Any]) -> Graph:
        """Return the graph of a model or a cell: its inputs first, and nothing before them."""
        uses = self._uses(description)
        reads, outputs = description["inputs"], description.get("outputs")
        nodes = [tuple(inputs.whole_number(i, "input", -len(uses)) for i in node) for node in reads]
        sources = [layer for layer in uses if layer.is_source()]
        count = len(sources)
        wanted = [(-1 - i,) for i in range(count)]
        if not sources or sources != uses[:count] or nodes[:count] != wanted:
            raise ValueError("a model begins with its Inputs")
        if any(min(node, default=-1) < 0 for node in nodes[count:]):
            raise ValueError("the layers of a model read each other, or its Inputs")
        if outputs is not None:
            outputs = [inputs.whole_number(i, "output", 0) for i in outputs]
        return named(uses, nodes, outputs)

    def chain(self, description: Mapping[str, Any]) -> Graph:
        """Return the graph of a Sequential."""
        return chain(self._uses(description))

    def _uses(self, description: Mapping[str, Any]) -> list[Layer]:
        """Return the layer of each use."""
        order, distinct = description["order"], self.layers(description)
        if len(order) > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES} uses of layers")
        return [distinct[inputs.whole_number(index, "order", 0)] for index in order]

    def _cell(self, description: dict[str, Any]) -> Cell:
        count = inputs.whole_number(description["input_count"], "input_count", 1)
        return Cell.of_graph(self.graph(description), count)
