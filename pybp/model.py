"""Model: a net that is a graph of layers."""

from __future__ import annotations

from typing import Any, Self

from pybp.graph import Graph, trace
from pybp.layers import Input, Layer, Value
from pybp.network import Network
from pybp.summary import shape_text


class Model(Network):
    """A net from an input to an output, through any graph of layers; built when it is made.

    Parameters
    ----------
    inputs : Input, or list of one
        Where the samples enter.
    outputs : value, or list of one
        What the layers have made of it.
    dtype, seed, backend
        See ``Network``; keyword only.

    Raises
    ------
    ValueError
        For several inputs or outputs, for an output that depends on another input, and when a
        layer can't take what it would get.

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
        source, output = _only(inputs, "inputs"), _only(outputs, "outputs")
        if not isinstance(source, Input):
            raise TypeError(f"inputs must be a bp.Input(...), got {source!r}")
        if not isinstance(output, Value | Input):
            raise TypeError(f"outputs must be what a layer has returned, got {output!r}")
        super().__init__(trace(source, output), dtype, seed, backend)
        self.build(source.shape)

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
        return (
            f"<Model of {len(self.layers) - 1} layers, {self.dtype}, "
            f"input {shape_text(self.input_shape)}>"
        )


def _only(given: Any, what: str) -> Any:
    """Return the one input or output."""
    if isinstance(given, dict):
        raise TypeError(f"{what} must be one value or a list of one, got a dictionary")
    if not isinstance(given, list | tuple):
        return given
    if len(given) != 1:
        raise ValueError(f"a model has one of the {what} for now, got {len(given)}")
    return given[0]
