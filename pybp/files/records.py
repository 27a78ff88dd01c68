"""Layers, losses, optimisers ... as JSON can hold them, and back by fixed tables of kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pybp import activations, cell, layers
from pybp.cell import Cell
from pybp.graphs.graph import Graph, Nest, Node
from pybp.graphs.graph_making import restored
from pybp.initializers import INITIALIZERS
from pybp.layers import Layer
from pybp.losses import LOSSES
from pybp.metrics import METRICS, LossMetric
from pybp.optimizers import OPTIMIZERS
from pybp.record import Record
from pybp.schedules import SCHEDULES

Kinds = Mapping[str, type[Record]]

LAYERS: dict[str, type[Layer]] = {
    kind.__name__: kind
    for module in (layers, activations, cell)
    for kind in vars(module).values()
    if isinstance(kind, type)
    and issubclass(kind, Layer)
    and "name" in kind._fields  # no bases
    and kind.__module__ != "pybp.layers.custom"  # no functions
}
RECORDS: dict[str, type[Record]] = {
    **INITIALIZERS,
    **LAYERS,
    **{kind.__name__: kind for kind in (*LOSSES, *METRICS, LossMetric, *OPTIMIZERS, *SCHEDULES)},
}


MOST_NODES = 10_000  # of a net in a file: what a small file can make a reader do has a bound


def describe(record: Record) -> dict[str, Any]:
    """Return a layer, loss, optimiser, schedule, metric or initialiser as JSON can hold it.

    Raises
    ------
    TypeError
        For a field that holds what no file can, such as a function; it is named.
    """
    if not isinstance(record, Record):
        raise TypeError(f"a description such as bp.Adam() is expected, got {record!r}")
    found: dict[str, Any] = to_json(record)
    return found


def to_json(value: Any, where: str = "the description") -> Any:
    """Return a value as JSON can hold it.

    Records become ``{"type": "Linear", "units": 3, ...}``, those of the user's own classes
    ``{"custom": "MyLayer", "fields": {...}}``, arrays ``{"array": [...], "dtype": "float32"}``.

    Raises
    ------
    TypeError
        For anything else than records, cells, arrays, texts, numbers, bool, None and sequences of
        them; ``where`` says what holds it.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.bool_ | np.integer | np.floating):
        return value.item()
    if isinstance(value, list | tuple):
        return [to_json(entry, where) for entry in value]
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return {"array": value.tolist(), "dtype": value.dtype.newbyteorder("=").name}
    if isinstance(value, Cell):
        return {"type": "Cell", "input_count": value.input_count, **describe_graph(value.graph)}
    if not isinstance(value, Record):
        raise TypeError(
            f"{where} holds {value!r:.200}, which a file can't hold: only descriptions such as "
            "bp.Linear(3) or bp.Adam(), numbers, texts and arrays; instead of a function, a class "
            "of your own (a subclass of bp.CustomLayer ...), which load(custom=) is given"
        )
    name = type(value).__name__
    fields = {key: to_json(field, f"{name}: {key}") for key, field in value.to_dict().items()}
    if RECORDS.get(name) is type(value):
        return {"type": name, **fields}
    return {"custom": name, "fields": fields}


def describe_graph(graph: Graph) -> dict[str, Any]:
    """Return a graph: the distinct layers, the uses of them with what each reads, the outputs."""
    distinct = graph.distinct()
    index = {id(layer): i for i, layer in enumerate(distinct)}
    nodes = [
        {
            "layer": index[id(node.layer)],
            "path": node.path,
            "inputs": list(node.inputs),
            **({"nets": [list(nest) for nest in node.nets]} if node.nets else {}),
        }
        for node in graph.nodes
    ]
    if len(nodes) > MOST_NODES:
        raise ValueError(
            f"a file holds nets of up to {MOST_NODES} uses of layers, not {len(nodes)}"
        )
    return {
        "layers": [to_json(layer) for layer in distinct],
        "nodes": nodes,
        "outputs": list(graph.outputs),
    }


def from_json(value: Any, kinds: Kinds, custom: Iterable[type[Record]] = ()) -> Any:
    """Return what ``to_json`` has been given; sequences come back as tuples.

    Parameters
    ----------
    value : JSON
        What ``to_json`` has returned.
    kinds : dict
        Name -> class: what the record itself may be. Its fields may be of all kinds.
    custom : iterable of classes
        The user's own, which are not in the tables.

    Raises
    ------
    ValueError, TypeError, LookupError
        For what is nothing of the kind, or has bad values.
    """
    return Reader(custom).value(value, kinds)


class Reader:
    """Makes records from JSON, by the fixed tables and the classes that the user has given.

    Parameters
    ----------
    custom : iterable of classes
        The user's own.
    """

    def __init__(self, custom: Iterable[type[Record]] = ()) -> None:
        self._custom: dict[str, type[Record]] = {}
        for kind in custom:
            if not isinstance(kind, type) or not issubclass(kind, Record):
                raise TypeError(f"custom must hold classes of layers, losses ..., got {kind!r}")
            if self._custom.setdefault(kind.__name__, kind) is not kind:
                raise ValueError(f"custom holds two classes with the name {kind.__name__!r}")

    def value(self, value: Any, kinds: Kinds = RECORDS) -> Any:
        """Return what a JSON value stands for; a record must be one of ``kinds``."""
        if isinstance(value, list):
            return tuple(self.value(entry) for entry in value)
        if not isinstance(value, dict):
            return value
        if "array" in value:
            return _array(value)
        if "custom" in value:
            return self._own(value["custom"], value["fields"])
        name = value["type"]
        if name == "Cell" and kinds is RECORDS:
            return self._cell(value)
        kind = kinds.get(name)
        if kind is None:
            raise ValueError(f"unknown type {name!r}")
        return self._made(kind, {key: v for key, v in value.items() if key != "type"})

    def layer(self, value: Any) -> Layer:
        """Return a layer."""
        found = self.value(value, LAYERS)
        if not isinstance(found, Layer):
            raise ValueError(f"{found!r:.80} is no layer")
        return found

    def _made(self, kind: type[Record], fields: dict[str, Any]) -> Record:
        values = {name: self.value(field) for name, field in fields.items()}
        try:
            return kind(**values)
        except (ArithmeticError, AttributeError) as error:  # such as from float(10**400)
            raise ValueError(f"{kind.__name__}: {error}") from error

    def _own(self, name: Any, fields: Any) -> Record:
        """Return a record of a class of the user's own."""
        kind = self._custom.get(name)
        if kind is None:
            raise ValueError(
                f"it has a {name}, a class of your own: pass custom=[{name}] to the function that "
                "reads the file"
            )
        if not isinstance(fields, dict):
            raise TypeError(f"the fields of a {name} are no dictionary")
        return self._made(kind, fields)

    def layers(self, description: Mapping[str, Any]) -> list[Layer]:
        """Return the distinct layers of a graph."""
        return [self.layer(layer) for layer in _list(description["layers"])]

    def graph(self, description: Mapping[str, Any]) -> Graph:
        """Return a graph."""
        distinct, given = self.layers(description), _list(description["nodes"])
        if len(given) > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES} uses of layers")
        nodes = [
            Node(
                distinct[size(node["layer"])],
                text(node["path"]),
                tuple(whole(i) for i in _list(node["inputs"])),
                tuple(_nest(nest) for nest in _list(node.get("nets", []))),
            )
            for node in given
        ]
        return restored(nodes, [whole(i) for i in _list(description["outputs"])])

    def _cell(self, description: dict[str, Any]) -> Cell:
        graph = model_graph(self.graph(description))
        return Cell.of_graph(graph, size(description["input_count"]))


def model_graph(graph: Graph) -> Graph:
    """Return a graph, if its first nodes are its inputs and no other node reads before them."""
    sources = [node for node in graph.nodes if node.is_source()]
    wanted = [(-1 - i,) for i in range(len(sources))]
    count = len(sources)
    if not sources or [node.inputs for node in graph.nodes[:count]] != wanted:
        raise ValueError("a model begins with its Inputs")
    if any(min(node.inputs) < 0 for node in graph.nodes[count:]) or min(graph.outputs) < 0:
        raise ValueError("the layers of a model read each other, or its Inputs")
    return graph


def _nest(value: Any) -> Nest:
    name, kind, number = _list(value)
    return Nest(text(name), text(kind), size(number))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"a list is expected, got {value!r:.80}")
    return value


def text(value: Any) -> str:
    """Return a text that a file holds."""
    if not isinstance(value, str):
        raise TypeError(f"a text is expected, got {value!r:.80}")
    return value


def whole(value: Any) -> int:
    """Return a whole number that a file holds: no bool, no float."""
    if type(value) is not int:
        raise TypeError(f"a whole number is expected, got {value!r:.80}")
    return value


def size(value: Any) -> int:
    """Return a whole number >= 0 that a file holds."""
    if whole(value) < 0:
        raise ValueError(f"a number >= 0 is expected, got {value}")
    return whole(value)


def _array(value: dict[str, Any]) -> Any:
    dtype = np.dtype(text(value["dtype"]))
    if dtype.kind not in "fiub":
        raise ValueError(f"an array of the dtype {dtype}")
    return np.array(_list(value["array"]), dtype)
