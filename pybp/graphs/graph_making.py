"""Graphs from what users write: lists of layers, and symbolic values.

A net among the layers is taken apart: its layers become nodes of the graph around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pybp.graphs.graph import Graph, Nest, Node
from pybp.graphs.nested import Nestable
from pybp.layers import Input, Layer, Use, Value

Part = Layer | Nestable


def chain(parts: Sequence[Part]) -> Graph:
    """Return the graph of layers that follow each other; their names are their positions.

    Raises
    ------
    ValueError
        For an Input that is not the first, for a part before the last that writes several values,
        and for a net of several inputs.
    """
    for position, part in enumerate(parts):
        title = f"layer {position} ({type(part).__name__})"
        if position and part.is_source():
            raise ValueError(f"layer {position} is an Input, which can only stand first")
        if isinstance(part, Nestable) and part.graph.input_count > 1:
            raise ValueError(
                f"{title} reads {part.graph.input_count} values, and what stands in a Sequential "
                "reads one: make a bp.Model"
            )
        if part.output_count() > 1 and position < len(parts) - 1:
            raise ValueError(
                f"{title} writes {part.output_count()} values, "
                "and the next one of a Sequential reads one: make a bp.Model"
            )
    names = [str(position) for position in range(len(parts))]
    reads = [(-1,)]
    for part in parts[:-1]:
        reads.append((reads[-1][0] + part.output_count(),))
    return _assembled(parts, names, reads[: len(parts)], None)


def trace(sources: Sequence[Input], outputs: Sequence[Value | Input]) -> Graph:
    """Return the graph from inputs to outputs; names are the order of first use.

    Raises
    ------
    ValueError
        When an output depends on an input that is not given, or none on one that is.
    """
    uses = _ancestors(outputs)
    found = {id(one): one for use in uses for one in use.inputs if isinstance(one, Input)}
    found |= {id(one): one for one in outputs if isinstance(one, Input)}
    given = {id(source) for source in sources}
    if len(given) < len(sources):
        raise ValueError("an input is given twice")
    for key, one in found.items():
        if key not in given:
            raise ValueError(f"the output depends on {one!r}, which is not among the inputs")
    for source in sources:
        if id(source) not in found:
            raise ValueError(f"the output does not depend on the input {source!r}")
    position: dict[int, int] = {id(source): i for i, source in enumerate(sources)}
    count = len(sources)
    for use in uses:
        position[id(use)] = count
        count += use.layer.output_count()

    def number(one: Value | Input) -> int:
        return position[id(one)] if isinstance(one, Input) else position[id(one.use)] + one.index

    reads: list[tuple[int, ...]] = [(-1 - i,) for i in range(len(sources))]
    reads += [tuple(number(one) for one in use.inputs) for use in uses]
    parts = [*sources, *(use.layer for use in uses)]
    return named(parts, reads, [number(output) for output in outputs])


def named(
    parts: Sequence[Part], reads: Sequence[tuple[int, ...]], outputs: Sequence[int] | None = None
) -> Graph:
    """Return a graph whose first layers are its inputs, from its parts and what each reads."""
    count = sum(part.is_source() for part in parts)
    order: dict[int, int] = {}
    for part in parts[count:]:
        order.setdefault(id(part), len(order))
    inputs = ["input"] if count == 1 else [f"input{i}" for i in range(count)]
    names = [*inputs, *(str(order[id(part)]) for part in parts[count:])]
    return _assembled(parts, names, reads, outputs)


def restored(nodes: Sequence[Node], outputs: Sequence[int]) -> Graph:
    """Return a graph from nodes with their names, as a file holds them.

    Raises
    ------
    ValueError
        Where a layer has two names, or two layers have one.
    """
    paths: dict[int, str] = {}
    for node in nodes:
        if not node.path or paths.setdefault(id(node.layer), node.path) != node.path:
            raise ValueError(f"a layer has the names {paths.get(id(node.layer))!r}, {node.path!r}")
    if len(set(paths.values())) < len(paths):
        raise ValueError("two layers have one name")
    return Graph(nodes, outputs)


def up_to(graph: Graph, path: str) -> Graph:
    """Return the part of a graph that leads to the first use of the layer with a name."""
    position = [node.path for node in graph.nodes].index(path)
    return _pruned(graph.nodes[: position + 1], [graph.first[position]])


# ------------------------------------------------------------------------------------------ parts


class _Assembly:
    """Collects the nodes of a graph, and gives their layers names."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.count = 0  # of the values that the nodes write
        self._paths: dict[int, str] = {}  # of each layer and net, by its first use
        self._taken: set[str] = set()
        self._nests = 0

    def add(self, part: Part, name: str, read: tuple[int, ...]) -> list[int]:
        """Append a part; return the values that it gives."""
        if isinstance(part, Nestable):
            path = self._path_of(part, part.given_name() or name)
            return self._expand(part, path, read)
        path = self._path_of(part, part.given_name() or name)
        return self._append(Node(part, path, read))

    def _path_of(self, part: Part, path: str) -> str:
        """Return the name of a layer or net: that of its first use."""
        if id(part) in self._paths:
            return self._paths[id(part)]
        if path in self._taken:
            inputs = any(node.path == path and node.layer.is_source() for node in self.nodes)
            what = "an input and a layer, or two inputs, have" if inputs else "two layers have"
            raise ValueError(f"{what} the name {path!r}")
        self._taken.add(path)
        self._paths[id(part)] = path
        return path

    def _append(self, node: Node) -> list[int]:
        first = self.count
        self.count += node.layer.output_count()
        self.nodes.append(node)
        return list(range(first, self.count))

    def _expand(self, net: Nestable, path: str, read: tuple[int, ...]) -> list[int]:
        """Append the layers of a net, their names behind its own."""
        net.check_count(len(read))
        values: list[int] = []
        nest = Nest(path, type(net).__name__, self._nests)
        first = self._nests + 1  # of the nets that stand inside this one
        self._nests += 1

        def outer(index: int) -> int:
            return read[-1 - index] if index < 0 else values[index]

        for node in net.graph.nodes:
            inner = self._path_of(node.layer, f"{path}.{node.path}")
            nets = [
                Nest(f"{path}.{each.name}", each.kind, first + each.number) for each in node.nets
            ]
            self._nests = max(self._nests, *(each.number + 1 for each in nets), 0)
            inputs = tuple(outer(index) for index in node.inputs)
            values += self._append(Node(node.layer, inner, inputs, (nest, *nets)))
        return [outer(index) for index in net.graph.outputs]


def _assembled(
    parts: Sequence[Part],
    names: Sequence[str],
    reads: Sequence[tuple[int, ...]],
    outputs: Sequence[int] | None,
) -> Graph:
    """Return the graph of parts, whose values are numbered as they give them; see ``Node``."""
    assembly = _Assembly()
    values: list[int] = []  # that the parts give -> that the nodes write
    last: list[int] = [-1]

    def inner(index: int) -> int:
        return index if index < 0 else values[index]

    for part, name, read in zip(parts, names, reads, strict=True):
        if not all(index < len(values) for index in read):
            raise ValueError(f"node {len(assembly.nodes)} can't read the values {read}")
        last = assembly.add(part, name, tuple(inner(index) for index in read))
        values += last
    given = last if outputs is None else [inner(index) for index in outputs]
    if not any(node.nets for node in assembly.nodes):
        return Graph(assembly.nodes, given)
    return _pruned(assembly.nodes, given)


def _pruned(nodes: Sequence[Node], outputs: Sequence[int]) -> Graph:
    """Return a graph without what nobody reads, as the layers behind an output of a nested net.

    Raises
    ------
    ValueError
        When the outputs don't depend on an input of the net.
    """
    first: list[int] = []
    count = 0
    for node in nodes:
        first.append(count)
        count += node.layer.output_count()
    needed = set(outputs)
    kept: list[int] = []
    for position in reversed(range(len(nodes))):
        node = nodes[position]
        written = range(first[position], first[position] + node.layer.output_count())
        if needed.intersection(written):
            needed.update(node.inputs)
            kept.append(position)
        elif node.is_source():
            raise ValueError(f"the output does not depend on the input {node.layer!r}")
    if len(kept) == len(nodes):
        return Graph(nodes, outputs)
    kept.reverse()
    number: dict[int, int] = {}  # of the values; inputs stay what they are
    for position in kept:
        for k in range(nodes[position].layer.output_count()):
            number[first[position] + k] = len(number)
    renumbered = [
        nodes[position]._replace(inputs=tuple(number.get(i, i) for i in nodes[position].inputs))
        for position in kept
    ]
    return Graph(renumbered, [number.get(index, index) for index in outputs])


def _ancestors(outputs: Sequence[Value | Input]) -> list[Use]:
    """Return all uses of layers that the outputs are made by, in the order of the calls."""
    found: dict[int, Use] = {}
    open_ends: list[Any] = list(outputs)
    while open_ends:
        value = open_ends.pop()
        if isinstance(value, Value) and value.use.number not in found:
            found[value.use.number] = value.use
            open_ends += value.use.inputs
    return [found[number] for number in sorted(found)]
