"""Model: a net that is a graph of layers."""

from __future__ import annotations

from typing import Any, Self

from pybp.graphs.graph import Graph, Node
from pybp.graphs.graph_making import trace
from pybp.graphs.nested import Nestable
from pybp.graphs.summary import shape_text
from pybp.layers import Input, Layer, Value
from pybp.nets.network import Network


class Model(Network, Nestable):
    """A net from inputs to outputs, through any graph of layers; built when it is made.

    Parameters
    ----------
    inputs : Input, or list of them
        Where the samples enter. Arrays for several are given as a tuple in this order, or as a
        dictionary by their names.
    outputs : value, or list of them
        What the layers have made of them.
    dtype, seed, backend
        See ``Network``; keyword only.
    name : str, optional
        First part of the parameters' names where the net stands in another one.
    share : Network, optional
        A net whose arrays this one uses: its layers with parameters are all layers (the same
        objects) of that net and have their names there. Dtype and seed are those of that net.

    Raises
    ------
    ValueError
        For an output that depends on an input which is not given, for an input on which none
        depends, and when a layer can't take what it would get.

    Notes
    -----
    A layer that is called twice shares its parameters. Layers are named by their ``name=``, or
    else "0", "1" ... in the order of first use. A net that is called on symbolic values is a layer
    too, and its layers have names such as ``3.0.weight``.

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> x = bp.Input((8, 8, 3))
    >>> h = bp.ReLU()(bp.Conv2d(3, 3, padding="same")(x))
    >>> net = bp.Model(x, bp.GlobalAvgPool2d()(bp.Add()([x, h])))
    >>> net.predict(np.ones((2, 8, 8, 3))).shape
    (2, 3)
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        *,
        dtype: str = "float32",
        seed: int | None = 0,
        backend: str | None = None,
        name: str | None = None,
        share: Network | None = None,
    ) -> None:
        sources, results = _listed(inputs), _listed(outputs)
        for source in sources:
            if not isinstance(source, Input):
                raise TypeError(f"inputs must be a bp.Input(...) each, got {source!r}")
        for output in results:
            if not isinstance(output, Value | Input):
                raise TypeError(f"outputs must be what layers have returned, got {output!r}")
        graph = trace(sources, results)
        if share is not None:
            graph, dtype, seed = _shared(graph, share), share.dtype, share.seed
        super().__init__(graph, dtype, seed, backend)
        if share is not None:
            self.use_arrays_of(share)
        self.name = name
        self.given_name()  # raises for what is no name
        self._build(tuple(source.shape for source in sources))

    @classmethod
    def of_graph(cls, graph: Graph, *, dtype: str, seed: int, name: str | None = None) -> Self:
        """Return a net of this graph that is not built yet, as reading a file needs it."""
        net = cls.__new__(cls)
        Network.__init__(net, graph, dtype, seed, None)
        net.name = name
        return net

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in the order of first use, each once; the input is the first."""
        return tuple(self.graph.distinct())

    def __repr__(self) -> str:
        shapes = ", ".join(shape_text(port.shape) for port in self.recipe.ports)
        count = len(self.layers) - len(self.recipe.ports)
        return f"<Model of {count} layers, {self.dtype}, input {shapes}>"


def _listed(given: Any) -> list[Any]:
    """Return one value, or several, as a list."""
    if isinstance(given, dict):
        raise TypeError("inputs and outputs are values or lists of them; Input(name=) names one")
    values = list(given) if isinstance(given, list | tuple) else [given]
    if not values:
        raise ValueError("a model has at least one input and one output")
    return values


def _shared(graph: Graph, net: Network) -> Graph:
    """Return a graph whose layers have the names that they have in another net."""
    if not isinstance(net, Network):
        raise TypeError(f"share must be a pybp net, got {net!r}")
    known = {id(node.layer): node.path for node in net.graph.nodes}
    taken = set(known.values())

    def path(node: Node) -> str:
        own = node.path
        while own in taken:
            own += "_"
        return known.get(id(node.layer), own)

    return Graph([node._replace(path=path(node)) for node in graph.nodes], graph.outputs)
