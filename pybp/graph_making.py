"""Graphs from what users write: lists of layers, and symbolic values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pybp.graph import Graph, Node
from pybp.layers import Input, Layer, Use, Value


def chain(layers: Sequence[Layer]) -> Graph:
    """Return the graph of layers that follow each other; their names are their positions.

    Raises
    ------
    ValueError
        For an Input that is not the first, or a layer before the last that writes several values.
    """
    for position, layer in enumerate(layers):
        if position and layer.is_source():
            raise ValueError(f"layer {position} is an Input, which can only stand first")
        if layer.output_count() > 1 and position < len(layers) - 1:
            raise ValueError(
                f"layer {position} ({type(layer).__name__}) writes {layer.output_count()} values, "
                "and the next one of a Sequential reads one: make a bp.Model"
            )
    paths = _paths([(layer, str(position)) for position, layer in enumerate(layers)])
    return Graph([Node(layer, paths[i], (i - 1,)) for i, layer in enumerate(layers)])


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
    return named(
        [*sources, *(use.layer for use in uses)], reads, [number(output) for output in outputs]
    )


def named(
    layers: Sequence[Layer], reads: Sequence[tuple[int, ...]], outputs: Sequence[int] | None = None
) -> Graph:
    """Return a graph whose first layers are its inputs, from its layers and what each reads."""
    sources = [layer for layer in layers if layer.is_source()]
    others = layers[len(sources) :]
    order: dict[int, int] = {}
    for layer in others:
        order.setdefault(id(layer), len(order))
    single = len(sources) == 1
    names = [
        source.given_name() or ("input" if single else f"input{i}")
        for i, source in enumerate(sources)
    ]
    paths = _paths([(layer, str(order[id(layer)])) for layer in others])
    for i, name in enumerate(names):
        if name in paths or name in names[:i]:
            raise ValueError(f"an input and a layer, or two inputs, have the name {name!r}")
    nodes = [Node(*each) for each in zip(layers, [*names, *paths], reads, strict=True)]
    return Graph(nodes, outputs)


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
