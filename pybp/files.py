"""Nets as files: safetensors, with the architecture as JSON in the metadata.

Reading and writing the format is the safetensors package's work; it is imported when a file is
read or written. Loading never runs code from a file: layers are looked up in a fixed table.
"""

from __future__ import annotations

import os
from typing import Any

from pybp import activations, cell, inputs, layers
from pybp.arrays import Array, check_dtype
from pybp.cell import Cell
from pybp.graph import Graph
from pybp.graph_making import named
from pybp.initializers import INITIALIZERS, Initializer
from pybp.layers import Layer
from pybp.model import Model
from pybp.network import Network
from pybp.ports import ports
from pybp.program.ops import Shape
from pybp.programs import probe
from pybp.sequential import Sequential

_FORMAT = 1
_KEY = "pybp"
_HINT = "needs the safetensors package: pip install 'pybp-nn[files]'"

LAYERS: dict[str, type[Layer]] = {
    kind.__name__: kind
    for module in (layers, activations, cell)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Layer) and "name" in kind._fields  # no bases
}

_INNER = {**INITIALIZERS, **LAYERS}  # what the fields of a layer may hold


def save(net: Network, path: str | os.PathLike[str]) -> None:
    """Write a net: ``net.save``."""
    if not isinstance(net, Sequential | Model):
        raise TypeError(f"only Sequential nets and Models can be saved, got {net!r}")
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError(f"net.save {_HINT}") from error
    import json  # here and in load: its import would cost every program half a millisecond

    arrays = {name: array.copy() for name, array in (*net.params.items(), *net.buffers.items())}
    text = json.dumps(_describe(net))
    try:
        save_file(arrays, os.fspath(path), metadata={_KEY: text})
    except SafetensorError as error:
        raise OSError(f"{os.fspath(path)!r} can't be written: {error}") from error


def load(path: str | os.PathLike[str]) -> Network:
    """Read a net that ``net.save`` wrote.

    Raises
    ------
    ValueError
        For a damaged file, one without a description of a net, or one of a newer format.
    OSError
        When the file can't be read.
    """
    import json

    metadata, arrays = _read(path)
    if _KEY not in metadata:
        raise ValueError(f"{os.fspath(path)!r} holds no pybp net; bp.load_arrays reads its arrays")
    try:
        return _build(json.loads(metadata[_KEY]), arrays)
    except (IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)!r} holds a broken net: {error}") from error


def load_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Return name -> array of any safetensors file.

    Raises
    ------
    ValueError
        For a damaged file.
    OSError
        When the file can't be read.
    """
    return _read(path)[1]


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, Array]]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ImportError(f"bp.load {_HINT}") from error
    from pathlib import Path  # here, since its import takes 2.5 ms

    name = os.fspath(path)
    with Path(name).open("rb"):
        pass  # a clear OSError for a missing file or a folder
    try:
        with safe_open(name, framework="numpy") as file:
            names = list(file.keys())
            return dict(file.metadata() or {}), {key: file.get_tensor(key) for key in names}
    except SafetensorError as error:
        raise ValueError(f"{name!r} is no valid safetensors file: {error}") from error
    except (AttributeError, TypeError) as error:  # so the package says it for bfloat16 and float8
        raise ValueError(f"{name!r} holds numbers that NumPy has no type for: {error}") from error


def _describe(net: Network) -> dict[str, Any]:
    """Return a net as JSON can hold it."""
    graph = _describe_graph(net.graph)
    if isinstance(net, Sequential):
        graph = {name: graph[name] for name in ("order", "layers")}
    return {
        "format": _FORMAT,
        "kind": "Model" if isinstance(net, Model) else "Sequential",
        **graph,
        "dtype": net.dtype,
        "seed": net.seed,
        "input_shape": [list(port.shape) for port in net.recipe.ports]
        if net.graph.input_count > 1
        else list(net.input_shape),
        "steps": net.state.steps,
        "epochs": net.state.epochs,
    }


def _describe_graph(graph: Graph) -> dict[str, Any]:
    """Return a graph: the distinct layers, the index of each use, what each reads, the outputs."""
    distinct = graph.distinct()
    index = {id(layer): i for i, layer in enumerate(distinct)}
    return {
        "order": [index[id(node.layer)] for node in graph.nodes],
        "inputs": [list(node.inputs) for node in graph.nodes],
        "outputs": list(graph.outputs),
        "layers": [_to_json(layer) for layer in distinct],
    }


def _to_json(value: Any) -> Any:
    if isinstance(value, Layer | Initializer):
        fields = {name: _to_json(field) for name, field in value.to_dict().items()}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Cell):
        return {"type": "Cell", "input_count": value.input_count, **_describe_graph(value.graph)}
    if isinstance(value, tuple):
        return list(value)
    return value


def _build(description: dict[str, Any], arrays: dict[str, Array]) -> Network:
    net = _unbuilt(description)
    given = description["input_shape"]
    several = net.graph.input_count > 1
    shapes = [inputs.check_shape(shape) for shape in (given if several else [given])]
    wanted = probe(net.graph.lower, net.dtype, ports(net.graph, shapes))
    both = {**wanted.parameters, **wanted.buffers}
    _check_shapes({name: array.shape for name, array in both.items()}, arrays)
    net.build(shapes if several else shapes[0])
    net.state.steps = inputs.whole_number(description["steps"], "steps", 0)
    net.state.epochs = inputs.whole_number(description["epochs"], "epochs", 0)
    for name, array in arrays.items():
        held = net.params if name in net.params else net.buffers
        held[name] = array
    return net


def _unbuilt(description: dict[str, Any]) -> Network:
    """Return the net that a file describes, before it takes any memory."""
    if description["format"] != _FORMAT:
        raise ValueError(f"format {description['format']!r}, this version reads {_FORMAT}")
    kind = description["kind"]
    if kind not in ("Sequential", "Model"):
        raise ValueError(f"kind {kind!r} is unknown")
    dtype = check_dtype(description["dtype"])
    seed = inputs.whole_number(description["seed"], "seed", 0)
    uses = _uses(description)
    if kind == "Sequential":
        return Sequential(uses, dtype=dtype, seed=seed)
    graph = _graph(uses, description["inputs"], description.get("outputs"))
    return Model.of_graph(graph, dtype=dtype, seed=seed)


def _uses(description: dict[str, Any]) -> list[Layer]:
    """Return the layer of each use in a graph."""
    distinct = [_from_json(layer, LAYERS) for layer in description["layers"]]
    return [distinct[inputs.whole_number(index, "order", 0)] for index in description["order"]]


def _cell(description: dict[str, Any]) -> Cell:
    count = inputs.whole_number(description["input_count"], "input_count", 1)
    graph = _graph(_uses(description), description["inputs"], description["outputs"])
    return Cell.of_graph(graph, count)


def _graph(uses: list[Layer], reads: list[list[int]], outputs: list[int] | None) -> Graph:
    """Return the graph of a model: its inputs first, and nothing that reads before them."""
    nodes = [tuple(inputs.whole_number(i, "input", -len(uses)) for i in node) for node in reads]
    sources = [layer for layer in uses if not isinstance(layer, Layer) or layer.is_source()]
    count = len(sources)
    wanted = [(-1 - i,) for i in range(count)]
    if not sources or sources != uses[:count] or nodes[:count] != wanted:
        raise ValueError("a model begins with its Inputs")
    if any(min(node, default=-1) < 0 for node in nodes[count:]):
        raise ValueError("the layers of a model read each other, or its Inputs")
    if outputs is not None:
        outputs = [inputs.whole_number(i, "output", 0) for i in outputs]
    return named(uses, nodes, outputs)


def _check_shapes(wanted: dict[str, Shape], arrays: dict[str, Array]) -> None:
    """Refuse other arrays than wanted, before memory is taken: the file's size bounds it."""
    found = {name: array.shape for name, array in arrays.items()}
    if found != wanted:
        raise ValueError(f"it should hold the arrays (name: shape) {wanted}, got {found}")


def _from_json(value: Any, kinds: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(entry, {}) for entry in value)
    if not isinstance(value, dict):
        return value
    if value["type"] == "Cell" and kinds is _INNER:
        return _cell(value)
    kind = kinds.get(value["type"])
    if kind is None:
        raise ValueError(f"unknown type {value['type']!r}")
    fields = {name: _from_json(field, _INNER) for name, field in value.items() if name != "type"}
    return kind(**fields)
