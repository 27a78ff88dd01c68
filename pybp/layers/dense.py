"""The dense layer."""

from __future__ import annotations

from pybp.initializers import Initializer
from pybp.layers.base import BIAS_INIT, WEIGHT_INIT, Layer, check_count, check_initializers
from pybp.program.builder import Builder
from pybp.program.ops import Dense


class Linear(Layer):
    """A dense layer on the last axis: ``y = x @ weight + bias``.

    Parameters
    ----------
    units : int
        Size of the output's last axis.
    bias : bool
        Whether a bias is added.
    weight_init, bias_init : initialiser
        GlorotUniform and Zeros by default.
    lr_scale : float
        Multiplies the rate of this layer's updates; 0 leaves its parameters as they are.
    name : str, optional
        First part of the parameters' names in place of the position.

    Notes
    -----
    Input (n, ..., in), output (n, ..., units); parameters ``weight`` (in, units), ``bias``
    (units,).
    """

    units: int
    bias: bool = True
    weight_init: Initializer = WEIGHT_INIT
    bias_init: Initializer = BIAS_INIT
    lr_scale: float = 1.0
    name: str | None = None

    def _check(self) -> None:
        check_count(self, "units", self.units)
        check_initializers(self, self.weight_init, self.bias_init)

    def by_rows(self) -> bool:
        """Tell that the layer acts on the last axis alone."""
        return True

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to one dense op."""
        shape = builder.shape(x)
        if not shape or shape[-1] < 1:
            raise ValueError(
                f"layer {path} (Linear) needs samples of shape (..., features), got {shape}; "
                "is the batch axis missing? x[None] adds it"
            )
        weight_shape = (shape[-1], self.units)
        w = builder.parameter(f"{path}.weight", weight_shape, self.weight_init)
        b = ""
        if self.bias:
            b = builder.parameter(f"{path}.bias", (self.units,), self.bias_init)
        return builder.append(Dense(x, w, builder.fresh(path), b))
