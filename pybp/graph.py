"""The graph of a net: its layers, what each of them reads, and how they are lowered in turn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pybp.layers import Input, Layer, Value, WindowLayer
from pybp.layers.base import rule_of
from pybp.program.builder import Builder
from pybp.program.ops import OpError, Shape

_MOST_BYTES = 2**62  # of one value: what an address can be is not far above
_PICTURE_CHANNELS = (1, 3, 4)
_PICTURE_SIZE = 16  # square pictures from here on are taken for channels-first ones


class Node(NamedTuple):
    """One use of a layer: the layer, its name, and the nodes it reads (-1 is the net's input)."""

    layer: Layer
    path: str
    inputs: tuple[int, ...]


class Graph:
    """The uses of a net's layers, each after those it reads; the last one is the output.

    Raises
    ------
    ValueError
        When a node reads one that does not come before it, or one that is not the last is read by
        nobody.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = tuple(nodes)
        self.readers = [0] * len(self.nodes)
        for position, node in enumerate(self.nodes):
            if not node.inputs or not all(-1 <= index < position for index in node.inputs):
                raise ValueError(f"node {position} can't read the nodes {node.inputs}")
            for index in node.inputs:
                if index >= 0:
                    self.readers[index] += 1
        if 0 in self.readers[:-1]:
            raise ValueError(f"node {self.readers.index(0)} is read by nobody")

    def walk(self, builder: Builder, x: str) -> Iterator[tuple[Node, str]]:
        """Lower the layers one after the other; yield each node with the value it has written."""
        check_size("the input", builder.shape(x))
        values: list[str] = []
        for position, node in enumerate(self.nodes):
            read = [x if index < 0 else values[index] for index in node.inputs]
            self._check_layout(node, builder, read, x)
            values.append(_lower(node, builder, read, builder.shape(x)))
            if self.readers[position] > 1:
                builder.kept.add(values[-1])
            yield node, values[-1]

    def lower(self, builder: Builder, x: str) -> str:
        """Append the forward ops of all layers, from input to output."""
        y = x
        for _, written in self.walk(builder, x):
            y = written
        return y

    def distinct(self) -> list[Layer]:
        """Return the layers in the order of first use, each once."""
        known: dict[int, Layer] = {}
        for node in self.nodes:
            known.setdefault(id(node.layer), node.layer)
        return list(known.values())

    def input_shape(self) -> Shape | None:
        """Return the shape of a sample, where an ``Input`` says it."""
        first = self.nodes[0].layer if self.nodes else None
        return first.shape if isinstance(first, Input) else None

    def _check_layout(self, node: Node, builder: Builder, read: list[str], x: str) -> None:
        """Refuse a picture whose channels obviously come first, unless its layout is given."""
        if not isinstance(node.layer, WindowLayer) or x not in read:
            return
        shape = builder.shape(x)
        first = self.nodes[0].layer
        given = isinstance(first, Input) and first.layout is not None
        if not given and _layout_hint(shape) and shape[1] == shape[2] >= _PICTURE_SIZE:
            raise ValueError(
                f"layer {node.path} ({type(node.layer).__name__}) needs samples of shape "
                f"(height, width, channels), got {shape}{_layout_hint(shape)}; if they are "
                f'channels-last after all, begin with bp.Input({shape}, layout="channels_last")'
            )


def _lower(node: Node, builder: Builder, read: list[str], input_shape: Shape) -> str:
    """Lower one layer; errors name it, and say so where the channels seem to come first."""
    layer, path = node.layer, node.path
    title = f"layer {path} ({type(layer).__name__})"
    hint = _layout_hint(input_shape) if isinstance(layer, WindowLayer) else ""
    try:
        y = layer.lower_many(builder, read, path)
    except OpError as error:
        raise ValueError(f"{title}: {rule_of(error)}{hint}") from error
    except ValueError as error:
        if hint:
            raise ValueError(f"{error}{hint}") from error
        raise
    check_size(title, builder.shape(y))
    return y


def _layout_hint(shape: Shape) -> str:
    """Return what an error adds for samples that look like (channels, height, width)."""
    if len(shape) != 3 or shape[0] not in _PICTURE_CHANNELS or shape[2] in _PICTURE_CHANNELS:
        return ""
    if min(shape[1:]) <= shape[0]:
        return ""
    return (
        f"; samples of shape {shape} look as if their channels came first: bp.Input({shape}, "
        'layout="channels_first") takes them, as the first layer'
    )


def check_size(what: str, shape: Shape) -> None:
    """Refuse a sample that no memory can hold, before sizes overflow."""
    if math.prod(shape) * 8 >= _MOST_BYTES:
        raise ValueError(f"{what}: a sample of shape {shape} is larger than any memory")


def chain(layers: Sequence[Layer]) -> Graph:
    """Return the graph of layers that follow each other; their names are their positions."""
    for position, layer in enumerate(layers):
        if position and layer.is_source():
            raise ValueError(f"layer {position} is an Input, which can only stand first")
    paths = _paths([(layer, str(position)) for position, layer in enumerate(layers)])
    return Graph([Node(layer, paths[i], (i - 1,)) for i, layer in enumerate(layers)])


def trace(source: Input, output: Value | Input) -> Graph:
    """Return the graph from an input to an output; names are the order of first use.

    Raises
    ------
    ValueError
        When the output depends on another input, or not on this one.
    """
    values = _ancestors(output)
    found = {id(one): one for value in values for one in value.inputs if isinstance(one, Input)}
    if isinstance(output, Input):
        found[id(output)] = output
    others = [one for one in found.values() if one is not source]
    if others or not found:
        raise ValueError(
            f"the output depends on {others[0]!r}, which is not among the inputs"
            if others
            else "the output does not depend on the input"
        )
    position = {id(source): 0} | {id(value): i + 1 for i, value in enumerate(values)}
    reads = [(-1,)] + [tuple(position[id(one)] for one in value.inputs) for value in values]
    return named([source] + [value.layer for value in values], reads)


def named(layers: Sequence[Layer], reads: Sequence[tuple[int, ...]]) -> Graph:
    """Return a graph whose first layer is its input, from its layers and what each reads."""
    order: dict[int, int] = {}
    for layer in layers[1:]:
        order.setdefault(id(layer), len(order))
    names = [(layer, str(order[id(layer)])) for layer in layers[1:]]
    source = layers[0]
    paths = [source.given_name() or "input", *_paths(names)]
    if paths[0] in paths[1:]:
        raise ValueError(f"an input and a layer have the name {paths[0]!r}")
    return Graph([Node(*each) for each in zip(layers, paths, reads, strict=True)])


def _ancestors(output: Value | Input) -> list[Value]:
    """Return all values that an output is made from, and itself, in the order of their making."""
    found: dict[int, Value] = {}
    open_ends: list[Any] = [output]
    while open_ends:
        value = open_ends.pop()
        if isinstance(value, Value) and value.number not in found:
            found[value.number] = value
            open_ends += value.inputs
    return [found[number] for number in sorted(found)]


def _paths(uses: Sequence[tuple[Layer, str]]) -> list[str]:
    """Return the name of the layer of each use: its own, or that of its first use."""
    by_object: dict[int, str] = {}
    taken: set[str] = set()
    for layer, default in uses:
        if id(layer) in by_object:
            continue
        path = layer.given_name() or default
        if path in taken:
            raise ValueError(f"two layers have the name {path!r}")
        taken.add(path)
        by_object[id(layer)] = path
    return [by_object[id(layer)] for layer, _ in uses]
