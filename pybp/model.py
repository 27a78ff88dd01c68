"""Model: a net that is a graph of layers."""

from __future__ import annotations

from typing import Any, Self

from pybp.graph import Graph
from pybp.graph_making import trace
from pybp.layers import Input, Layer, Value
from pybp.network import Network
from pybp.summary import shape_text


class Model(Network):
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

    Raises
    ------
    ValueError
        For an output that depends on an input which is not given, for an input on which none
        depends, and when a layer can't take what it would get.

    Notes
    -----
    A layer that is called twice shares its parameters. Layers are named by their ``name=``, or
    else "0", "1" ... in the order of first use.

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
    ) -> None:
        sources, results = _listed(inputs), _listed(outputs)
        for source in sources:
            if not isinstance(source, Input):
                raise TypeError(f"inputs must be a bp.Input(...) each, got {source!r}")
        for output in results:
            if not isinstance(output, Value | Input):
                raise TypeError(f"outputs must be what layers have returned, got {output!r}")
        super().__init__(trace(sources, results), dtype, seed, backend)
        self._build(tuple(source.shape for source in sources))

    @classmethod
    def of_graph(cls, graph: Graph, *, dtype: str, seed: int) -> Self:
        """Return a net of this graph that is not built yet, as reading a file needs it."""
        net = cls.__new__(cls)
        Network.__init__(net, graph, dtype, seed, None)
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
