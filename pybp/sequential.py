"""Sequential: a net that is a list of layers."""

from __future__ import annotations

from collections.abc import Sequence

from pybp.graph_making import chain
from pybp.layers import Layer
from pybp.network import Network
from pybp.summary import shape_text


class Sequential(Network):
    """A net whose layers follow each other.

    Parameters
    ----------
    layers : sequence of layers
        One object used twice shares its parameters. The first may be an ``Input``, which tells the
        shape of a sample.
    dtype, seed, backend
        See ``Network``; keyword only.

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> net = bp.Sequential([bp.Linear(4), bp.Tanh(), bp.Linear(1)], seed=0)
    >>> net.predict(np.ones((2, 3))).shape
    (2, 1)
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        dtype: str = "float32",
        seed: int | None = 0,
        backend: str | None = None,
    ) -> None:
        layers = tuple(layers)
        for position, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"layer {position} must be a pybp layer, got {layer!r}")
        super().__init__(chain(layers), dtype, seed, backend)
        self.layers = layers
        self.paths = tuple(node.path for node in self.graph.nodes)

    def __repr__(self) -> str:
        built = f", input {shape_text(self.input_shape)}" if self.is_built else ""
        return f"<Sequential of {len(self.layers)} layers, {self.dtype}{built}>"
