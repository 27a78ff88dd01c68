"""Nets as files: their architecture in the description, their arrays under their names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pybp.arrays import Array, check_dtype
from pybp.data import inputs
from pybp.files import container
from pybp.files.format1 import OldReader
from pybp.files.records import Reader, describe_graph, model_graph
from pybp.graphs.ports import ports
from pybp.nets.model import Model
from pybp.nets.network import Network
from pybp.nets.programs import probe
from pybp.nets.sequential import Sequential
from pybp.program.builder import Builder, Parameter
from pybp.record import Record

Net = Sequential | Model
_KINDS: dict[str, type[Sequential] | type[Model]] = {"Sequential": Sequential, "Model": Model}
Classes = Iterable[type[Record]]
_BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def save(net: Network, path: str | os.PathLike[str]) -> None:
    """Write a net: ``net.save``."""
    if not isinstance(net, Sequential | Model):
        raise TypeError(f"only Sequential nets and Models can be saved, got {net!r}")
    container.write(path, describe_net(net), {**net.params, **net.buffers})


def load(path: str | os.PathLike[str], custom: Classes = ()) -> Net:
    """Read a net that ``net.save`` wrote.

    Parameters
    ----------
    path : str or path
        The file.
    custom : iterable of classes
        The classes of your own layers in the net: ``custom=[MyLayer]``. A file names them, and
        nothing is ever imported by a name from a file.

    Raises
    ------
    ValueError
        For a file that is damaged, cut off, of a newer format, without a net, or with a layer of a
        class of your own that is not given.
    OSError
        When the file can't be read.
    """
    custom = tuple(custom)
    Reader(custom)  # a bad argument is no fault of the file
    description, arrays = container.read(path, _KINDS, "no pybp net", mapped=True)
    assert description is not None
    try:
        return build_net(description, arrays, custom)
    except _BROKEN as error:
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
    return container.read(path).arrays


def describe_net(net: Net) -> dict[str, Any]:
    """Return the architecture of a net and its counters as JSON can hold it.

    Raises
    ------
    TypeError
        For a layer with a field that no file can hold, such as a function.
    """
    shapes = [list(port.shape) for port in net.recipe.ports]
    return {
        "kind": "Model" if isinstance(net, Model) else "Sequential",
        **describe_graph(net.graph),
        "name": net.name,
        "dtype": net.dtype,
        "seed": net.seed,
        "input_shapes": shapes,
        "steps": net.state.steps,
        "epochs": net.state.epochs,
        "frozen": sorted(net._frozen),
    }


def build_net(
    description: Mapping[str, Any],
    arrays: Mapping[str, Array],
    custom: Classes = (),
) -> Net:
    """Return the net that ``describe_net`` has described, with these parameters and buffers.

    Parameters
    ----------
    description : dict
        From ``describe_net``.
    arrays : dict
        Name -> array, of ``net.params`` and ``net.buffers`` together; they are copied.
    custom : iterable of classes
        The user's own layers, initialisers ... in it.

    Raises
    ------
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError
        For a description that is broken, or other arrays than it asks for.
    """
    net, shapes = (_old_net if "order" in description else _net)(description, custom)
    _check_arrays(net, shapes, arrays)
    net.build_empty(tuple(shapes))
    net.state.steps = inputs.whole_number(description["steps"], "steps", 0)
    net.state.epochs = inputs.whole_number(description["epochs"], "epochs", 0)
    for layer in description.get("frozen", ()):
        net.trainable(layer, False)
    for name, array in arrays.items():
        held = net.params if name in net.params else net.buffers
        held[name] = array
    return net


def _net(description: Mapping[str, Any], custom: Classes) -> tuple[Net, list[Any]]:
    """Return the net of a description, before it takes any memory, and the shapes of its inputs."""
    graph = Reader(custom).graph(description)
    kind = _KINDS[description["kind"]]
    if kind is Model:
        model_graph(graph)
    net = kind.of_graph(graph, **_options(description), name=description["name"])
    return net, [inputs.check_shape(shape) for shape in description["input_shapes"]]


def _old_net(description: Mapping[str, Any], custom: Classes) -> tuple[Net, list[Any]]:
    """Return the same from a description of format 1."""
    reader, kind = OldReader(custom), _KINDS[description["kind"]]
    graph = reader.graph(description) if kind is Model else reader.chain(description)
    given = description["input_shape"]
    shapes = [inputs.check_shape(shape) for shape in (given if graph.input_count > 1 else [given])]
    return kind.of_graph(graph, **_options(description)), shapes


def _options(description: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dtype": check_dtype(description["dtype"]),
        "seed": inputs.whole_number(description["seed"], "seed", 0),
    }


class _Expected(dict[str, Parameter]):
    """Arrays that layers ask for: one that the file doesn't hold is refused at once.

    So the size of the file bounds what the layers of a broken description can ask for.
    """

    def __init__(self, held: Mapping[str, Array]) -> None:
        super().__init__()
        self._held = held

    def __setitem__(self, name: str, parameter: Parameter) -> None:
        found = self._held[name].shape if name in self._held else None
        if found != parameter.shape:
            raise ValueError(
                f"it should hold the array {name} of shape {parameter.shape}, got "
                f"{'none' if found is None else found}"
            )
        super().__setitem__(name, parameter)


def _check_arrays(net: Net, shapes: list[Any], arrays: Mapping[str, Array]) -> None:
    """Refuse other arrays than the layers ask for, before memory is taken."""

    def lower(builder: Builder, given: Sequence[str]) -> tuple[str, ...]:
        builder.parameters, builder.running = _Expected(arrays), _Expected(arrays)
        return net.graph.lower(builder, given)

    if len(shapes) != net.graph.input_count:
        raise ValueError(f"it should hold {net.graph.input_count} shapes, got {shapes}")
    wanted = probe(lower, net.dtype, ports(net.graph, shapes))
    unknown = [name for name in arrays if name not in {*wanted.parameters, *wanted.buffers}]
    if unknown:
        raise ValueError(f"it should hold the arrays of its layers alone, got {unknown}")
