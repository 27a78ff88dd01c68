"""The graph of a net: its layers, what each of them reads, and how they are lowered in turn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pybp.layers import Input, Layer, WindowLayer
from pybp.layers.base import rule_of
from pybp.program.builder import Builder
from pybp.program.ops import OpError, Shape

_MOST_BYTES = 2**62  # of one value: what an address can be is not far above
_PICTURE_CHANNELS = (1, 3, 4)
_PICTURE_SIZE = 16  # square pictures from here on are taken for channels-first ones


class Nest(NamedTuple):
    """One use of a net as a layer of another net: its name, what it is, and which use it is."""

    name: str
    kind: str  # "Sequential" or "Model"
    number: int


class Node(NamedTuple):
    """One use of a layer: the layer, its name, and the values it reads.

    Values are numbered in the order in which the nodes write them; -1 is the net's first input, -2
    its second ... ``nets`` are the nets in which the layer stands, the outermost first.
    """

    layer: Layer
    path: str
    inputs: tuple[int, ...]
    nets: tuple[Nest, ...] = ()

    def is_source(self) -> bool:
        """Tell whether an input of the net enters here; that of a nested net reads a value."""
        return self.layer.is_source() and self.inputs[0] < 0


class Graph:
    """The uses of a net's layers, each after those it reads.

    Parameters
    ----------
    nodes : sequence of Node
        The uses.
    outputs : sequence of int, optional
        The values that the net gives; those of the last node by default.

    Raises
    ------
    ValueError
        When a node reads a value that is not written before, or nobody reads what a node writes.
    """

    def __init__(self, nodes: Sequence[Node], outputs: Sequence[int] | None = None) -> None:
        self.nodes = tuple(nodes)
        self.first: list[int] = []  # value that a node writes first
        count = 0
        for position, node in enumerate(self.nodes):
            if not node.inputs or not all(index < count for index in node.inputs):
                raise ValueError(f"node {position} can't read the values {node.inputs}")
            self.first.append(count)
            count += node.layer.output_count()
        last = range(self.first[-1], count) if self.nodes else [-1]
        self.outputs = tuple(last if outputs is None else outputs)
        self.input_count = max([1, *(-index for node in self.nodes for index in node.inputs)])
        self.readers = [0] * count
        for index in (*self.outputs, *(i for node in self.nodes for i in node.inputs)):
            if index >= 0:
                self.readers[index] += 1
        for position, start in enumerate(self.first):
            if not any(self.readers[start : start + self.nodes[position].layer.output_count()]):
                raise ValueError(f"node {position} is read by nobody")

    def walk(
        self, builder: Builder, inputs: Sequence[str]
    ) -> Iterator[tuple[Node, tuple[str, ...]]]:
        """Lower the layers one after the other; yield each node with the values it has written."""
        for x in inputs:
            check_size("the input", builder.shape(x))
        values: list[str] = []
        for node in self.nodes:
            read = [inputs[-1 - index] if index < 0 else values[index] for index in node.inputs]
            self._check_layout(node, builder, read, inputs)
            before = set(builder.parameters)
            written = _lower(node, builder, read, builder.shape(inputs[0]))
            _scale_rates(builder, before, node.layer.rate_scale())
            for value in written:
                if self.readers[len(values)] > 1:
                    builder.kept.add(value)
                values.append(value)
            yield node, written

    def lower(self, builder: Builder, inputs: Sequence[str]) -> tuple[str, ...]:
        """Append the forward ops of all layers; return the values that the net gives."""
        values = [value for _, written in self.walk(builder, inputs) for value in written]
        return tuple(inputs[-1 - i] if i < 0 else values[i] for i in self.outputs)

    def distinct(self) -> list[Layer]:
        """Return the layers in the order of first use, each once."""
        known: dict[int, Layer] = {}
        for node in self.nodes:
            known.setdefault(id(node.layer), node.layer)
        return list(known.values())

    def output_names(self) -> tuple[str, ...]:
        """Return the names of the net's outputs: those of the layers that write them.

        The second value of a layer has "_1" behind the name, the third "_2" ...; an output that
        is given twice has its place behind the name.
        """
        names: list[str] = []
        for place, value in enumerate(self.outputs):
            name = self._value_name(value)
            names.append(f"{name}_{place}" if name in names else name)
        return tuple(names)

    def _value_name(self, value: int) -> str:
        if value < 0:
            return "input"
        position = max(i for i, first in enumerate(self.first) if first <= value)
        index = value - self.first[position]
        path = self.nodes[position].path
        return f"{path}_{index}" if index else path

    def sources(self) -> list[Input | None]:
        """Return the ``Input`` that reads each input of the net, None where there is none."""
        found: list[Input | None] = [None] * self.input_count
        for node in self.nodes:
            if isinstance(node.layer, Input) and node.is_source():
                found[-1 - node.inputs[0]] = node.layer
        return found

    def _check_layout(
        self, node: Node, builder: Builder, read: list[str], inputs: Sequence[str]
    ) -> None:
        """Refuse a picture whose channels obviously come first, unless its layout is given."""
        if not isinstance(node.layer, WindowLayer) or read[0] not in inputs:
            return
        shape = builder.shape(read[0])
        source = self.sources()[inputs.index(read[0])]
        given = source is not None and source.layout is not None
        if not given and _layout_hint(shape) and shape[1] == shape[2] >= _PICTURE_SIZE:
            raise ValueError(
                f"layer {node.path} ({type(node.layer).__name__}) needs samples of shape "
                f"(height, width, channels), got {shape}{_layout_hint(shape)}; if they are "
                f'channels-last after all, begin with bp.Input({shape}, layout="channels_last")'
            )


def _scale_rates(builder: Builder, before: set[str], scale: float) -> None:
    """Give the parameters that a layer has asked for, and no layer before it, its scale."""
    if scale != 1.0:
        for name in builder.parameters.keys() - before:
            builder.parameters[name] = builder.parameters[name]._replace(lr_scale=scale)


def _lower(node: Node, builder: Builder, read: list[str], input_shape: Shape) -> tuple[str, ...]:
    """Lower one layer; errors name it, and say so where the channels seem to come first."""
    layer, path = node.layer, node.path
    title = f"layer {path} ({type(layer).__name__})"
    hint = _layout_hint(input_shape) if isinstance(layer, WindowLayer) else ""
    try:
        y = layer.lower_many(builder, _prepared(layer, builder, read, title), path)
    except OpError as error:
        raise ValueError(f"{title}: {rule_of(error)}{hint}") from error
    except ValueError as error:
        if hint:
            raise ValueError(f"{error}{hint}") from error
        raise
    written = (y,) if isinstance(y, str) else y
    for value in written:
        check_size(title, builder.shape(value))
    return written


def _prepared(layer: Layer, builder: Builder, read: list[str], title: str) -> list[str]:
    """Return the values that a layer reads as it wants them: whole samples or packed steps."""
    holds_ids = builder.program.buffers[read[0]].dtype == "int32"
    if holds_ids != layer.takes_ids and not layer.is_source():
        wanted = "ids" if layer.takes_ids else "real numbers"
        raise ValueError(f"{title} takes {wanted}, but its input holds other numbers")
    if layer.sequence:
        count = layer.sequence_count()
        return [*(builder.packed(x, title) for x in read[:count]), *read[count:]]
    if layer.by_rows() and len({builder.packing(x) for x in read}) == 1:
        return read
    if layer.is_source():
        return read
    return [builder.whole(x, title) for x in read]


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
