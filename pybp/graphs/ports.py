"""The inputs of a net as its programs see them: which hold sequences, and which hold ids."""

from __future__ import annotations

from collections.abc import Sequence

from pybp.data.batches import Intake, SampleShape
from pybp.graphs.graph import Graph
from pybp.program.builder import Port


def input_names(count: int) -> tuple[str, ...]:
    """Return the names of a net's inputs in its programs."""
    return ("x",) if count == 1 else tuple(f"x{i}" for i in range(count))


def ports(graph: Graph, shapes: Sequence[SampleShape]) -> tuple[Port, ...]:
    """Return the inputs of a net for samples of these shapes.

    An input is packed where a layer that reads sequences meets its time steps as they come in;
    inputs whose time steps meet have one packing.

    Raises
    ------
    ValueError
        For samples that should be sequences and have no time axis, or the other way round.
    """
    reached, ids = _reached(graph)
    groups = _packed_groups(graph, reached)
    numbers = {
        group: k for k, group in enumerate(dict.fromkeys(g for g in groups if g is not None))
    }
    found = []
    for k, (name, shape) in enumerate(zip(input_names(len(shapes)), shapes, strict=True)):
        group = groups[k]
        packing = None if group is None else numbers[group]
        if packing is not None and not shape:
            raise ValueError(
                f"{_title(graph, k)} takes sequences, samples of shape (steps, ...), got {shape}; "
                "is the batch axis missing? x[None] adds it"
            )
        if None in (shape if packing is None else shape[1:]):
            raise ValueError(
                f"None stands for the time steps of a sequence, which {_title(graph, k)} does not "
                f"take there: {shape}"
            )
        weights = _weights(graph, k) if ids[k] else ()
        found.append(Port(name, shape, "int32" if ids[k] else "real", packing, weights))
    return tuple(found)


def _weights(graph: Graph, k: int) -> tuple[str, ...]:
    """Return the names of the factors that the layers which read input k take."""
    uses = [node.path for node in graph.nodes]
    return tuple(
        f"{node.path}.weights"
        for node in graph.nodes
        if node.layer.takes_weights()
        and uses.count(node.path) == 1
        and _source(graph, node.inputs[0]) == k
    )


def _source(graph: Graph, value: int) -> int:
    """Return the input that a value is, -1 for what a layer has made."""
    nodes = [node for node in graph.nodes for _ in range(node.layer.output_count())]
    while value >= 0 and nodes[value].layer.is_source():
        value = nodes[value].inputs[0]
    return -1 - value if value < 0 else -1


def _title(graph: Graph, k: int) -> str:
    return "the net" if graph.input_count == 1 else f"input {k} of the net"


def _reached(graph: Graph) -> tuple[list[frozenset[int]], list[bool]]:
    """Return for each value the inputs whose time steps it still has, and which inputs are ids."""
    reached: list[frozenset[int]] = []
    ids = [False] * graph.input_count
    for node in graph.nodes:
        read = [frozenset([-1 - i]) if i < 0 else reached[i] for i in node.inputs]
        if node.layer.takes_ids:
            for k in read[0]:
                ids[k] = True
        steps: frozenset[int] = frozenset()
        if node.layer.by_rows() or node.layer.is_source():
            steps = frozenset().union(*read)
        elif node.layer.sequence and node.layer.keeps_steps():
            steps = frozenset().union(*read[: node.layer.sequence_count()])
        rest = [frozenset[int]()] * (node.layer.output_count() - 1)
        reached += [steps, *rest]
    return reached, ids


def _packed_groups(graph: Graph, reached: Sequence[frozenset[int]]) -> list[frozenset[int] | None]:
    """Return for each input the set of those that are packed with it, None if it is not packed."""
    groups = [frozenset([k]) for k in range(graph.input_count)]
    packed = [False] * graph.input_count
    for node in graph.nodes:
        read = [frozenset([-1 - i]) if i < 0 else reached[i] for i in node.inputs]
        met = read if node.layer.by_rows() else []
        if node.layer.sequence:
            met = read[: node.layer.sequence_count()]
            for k in frozenset().union(*met):
                packed[k] = True
        together = frozenset().union(*(groups[k] for one in met for k in one))
        for k in together:
            groups[k] = together
    return [g if any(packed[k] for k in g) else None for g in groups]


def intake(graph: Graph, found: Sequence[Port]) -> Intake:
    """Return what the checks of a net's arguments need to know."""
    reached, _ = _reached(graph)
    counts = [0] * len(found)
    bags = [True] * len(found)
    names = list(input_names(len(found)))
    for node in graph.nodes:
        read = [-1 - node.inputs[0]] if node.inputs[0] < 0 else sorted(reached[node.inputs[0]])
        if node.is_source():
            names[read[0]] = node.path
        for k in read:
            if node.layer.takes_ids:
                counts[k] = min(counts[k] or node.layer.id_count(), node.layer.id_count())
            if not node.layer.may_be_empty() and not node.layer.is_source():
                bags[k] = False
    return Intake(tuple(found), tuple(names), tuple(counts), tuple(bags))
