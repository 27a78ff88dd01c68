"""Dropout of elements and of whole channels."""

from __future__ import annotations

from typing import ClassVar

from pybp.layers.base import Layer, check_probability
from pybp.program.builder import Builder
from pybp.program.ops import Dropout as DropoutOp


class Dropout(Layer):
    """In training, set each element to 0 with probability p and divide the rest by 1 - p.

    The mask is a function of the net's seed and step counter alone, so it is the same in both
    backends, at any thread count, and after a resume. Evaluation passes the values on unchanged.
    (Srivastava et al. 2014, in the inverted form.)

    Parameters
    ----------
    p : float
        Probability of dropping an element, in [0, 1].
    name : str, optional
        Name of the layer.
    """

    p: float = 0.5
    name: str | None = None
    _per_channel: ClassVar[bool] = False

    def _check(self) -> None:
        check_probability(self, self.p)

    def by_rows(self) -> bool:
        """Tell whether the layer acts on each number by itself."""
        return not self._per_channel

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to a dropout op in training, to nothing in evaluation."""
        if not builder.training or self.p == 0:
            return x
        stream = builder.stream()
        return builder.append(
            DropoutOp(x, builder.fresh(path), self.p, stream, per_channel=self._per_channel)
        )


class SpatialDropout(Dropout):
    """``Dropout`` of whole channels: all places of a channel of a sample share one draw.

    (Tompson et al. 2015.)

    Parameters
    ----------
    p : float
        Probability of dropping a channel, in [0, 1].
    name : str, optional
        Name of the layer.

    Notes
    -----
    Input and output (n, ..., c), with at least one axis of space.
    """

    p: float = 0.5
    name: str | None = None
    _per_channel = True

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to a dropout op in training, to nothing in evaluation."""
        shape = builder.shape(x)
        if len(shape) < 2:
            raise ValueError(
                f"layer {path} (SpatialDropout) needs samples of shape (..., channels) with axes "
                f"of space before the channels, got {shape}"
            )
        return super().lower(builder, x, path)
