"""Sequential: a net that is a list of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pybp.graphs.graph import Graph
from pybp.graphs.graph_making import Part, chain
from pybp.graphs.nested import Nestable
from pybp.graphs.summary import shape_text
from pybp.layers import Layer
from pybp.nets.network import Network


class Sequential(Network, Nestable):
    """A net whose layers follow each other.

    Parameters
    ----------
    layers : sequence of layers
        One object used twice shares its parameters. The first may be an ``Input``, which tells the
        shape of a sample. A net may stand among them: its layers become layers of this one, with
        names such as ``3.0.weight``.
    dtype, seed, backend
        See ``Network``; keyword only.
    name : str, optional
        First part of the parameters' names where the net stands in another one.

    Attributes
    ----------
    layers : tuple of Layer
        The layers in their order, those of nested nets among them.
    paths : tuple of str
        The name of each.

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> net = bp.Sequential([bp.Linear(4), bp.Tanh(), bp.Linear(1)], seed=0)
    >>> net.predict(np.ones((2, 3))).shape
    (2, 1)
    """

    def __init__(
        self,
        layers: Sequence[Part],
        *,
        dtype: str = "float32",
        seed: int | None = 0,
        backend: str | None = None,
        name: str | None = None,
    ) -> None:
        parts = tuple(layers)
        for position, part in enumerate(parts):
            if not isinstance(part, Layer | Nestable):
                raise TypeError(f"layer {position} must be a pybp layer, got {part!r}")
        self._set(chain(parts), dtype, seed, backend, name)

    @classmethod
    def of_graph(
        cls,
        graph: Graph,
        *,
        dtype: str,
        seed: int,
        backend: str | None = None,
        name: str | None = None,
    ) -> Self:
        """Return a net of this graph that is not built yet, as reading a file needs it."""
        net = cls.__new__(cls)
        net._set(graph, dtype, seed, backend, name)
        return net

    def _set(
        self, graph: Graph, dtype: str, seed: int | None, backend: str | None, name: str | None
    ) -> None:
        Network.__init__(self, graph, dtype, seed, backend)
        self.name = name
        self.given_name()  # raises for what is no name
        self.layers = tuple(node.layer for node in graph.nodes)
        self.paths = tuple(node.path for node in graph.nodes)

    def __repr__(self) -> str:
        built = f", input {shape_text(self.input_shape)}" if self.is_built else ""
        return f"<Sequential of {len(self.layers)} layers, {self.dtype}{built}>"
