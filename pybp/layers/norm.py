"""Normalisation: over the batch with running statistics, or over the axes of each sample."""

from __future__ import annotations

from typing import Any

from pybp.initializers import Constant, Zeros
from pybp.layers.base import Layer, check_eps
from pybp.layers.window import plain
from pybp.program.builder import Builder
from pybp.program.ops import BatchNorm as BatchNormOp
from pybp.program.ops import ChannelMoments
from pybp.program.ops import LayerNorm as LayerNormOp

_ZEROS, _ONES = Zeros(), Constant(1.0)


class BatchNorm(Layer):
    """Normalise each channel over the batch and all places (Ioffe and Szegedy 2015).

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``. In training mean and (biased) variance
    are the batch's, and the running statistics follow: ``running = (1 - momentum) * running +
    momentum * batch``, with the unbiased variance. In evaluation they take the place of the
    batch's.

    Parameters
    ----------
    eps : float
        Added to the variance.
    momentum : float
        Weight of a batch in the running statistics, in [0, 1].
    affine : bool
        Whether there are a weight and a bias.
    track_running_stats : bool
        Whether there are running statistics. Without them evaluation too takes those of the
        batch: in ``predict`` and ``evaluate`` of all rows of the call.
    lr_scale : float
        Multiplies the rate of this layer's updates; 0 leaves its parameters as they are.
    name : str, optional
        First part of the names in place of the position.

    Notes
    -----
    Input and output (n, ..., c); parameters ``weight`` (c,), ``bias`` (c,); buffers
    ``running_mean`` (c,), ``running_var`` (c,). One value a channel in training (one row, where a
    sample has one place) raises ValueError.
    """

    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = True
    track_running_stats: bool = True
    lr_scale: float = 1.0
    name: str | None = None

    def _check(self) -> None:
        check_eps(self, self.eps)
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"BatchNorm: momentum must lie in [0, 1], got {self.momentum!r}")

    def by_rows(self) -> bool:
        """Tell that the layer acts on the last axis alone."""
        return True

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to the batch's moments where they are needed, and to the normalisation."""
        shape = builder.shape(x)
        if not shape:
            raise ValueError(
                f"layer {path} (BatchNorm) needs samples of shape (..., channels), got {shape}; "
                "is the batch axis missing? x[None] adds it"
            )
        channels = shape[-1:]
        running: dict[str, Any] = {}
        if self.track_running_stats:
            running = {
                "running_mean": builder.buffer(f"{path}.running_mean", channels, _ZEROS),
                "running_var": builder.buffer(f"{path}.running_var", channels, _ONES),
            }
        affine: dict[str, Any] = {}
        if self.affine:
            affine = {
                "gamma": builder.parameter(f"{path}.weight", channels, _ONES),
                "beta": builder.parameter(f"{path}.bias", channels, _ZEROS),
            }
        y = builder.fresh(path)
        if builder.training or not running:
            mean, var = f"{y} mean", f"{y} var"
            moments = ChannelMoments(x=x, mean=mean, var=var, momentum=self.momentum, **running)
            builder.append(moments)
        else:
            mean, var = running["running_mean"], running["running_var"]
        return builder.append(BatchNormOp(x=x, mean=mean, var=var, y=y, eps=self.eps, **affine))


class LayerNorm(Layer):
    """Normalise each sample over its last axis or axes (Ba, Kiros and Hinton 2016).

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``, with the biased variance.

    Parameters
    ----------
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether there is a weight.
    bias : bool
        Whether there is a bias beside the weight.
    axes : int or tuple of int, optional
        Axes of the whole array over which to normalise: the last ones, such as (-2, -1); the last
        one by default. The batch axis 0 is not allowed.
    lr_scale : float
        Multiplies the rate of this layer's updates; 0 leaves its parameters as they are.
    name : str, optional
        First part of the parameters' names in place of the position.

    Notes
    -----
    Input and output (n, ..., c); parameters ``weight`` and ``bias`` of the shape of the axes.
    """

    eps: float = 1e-5
    elementwise_affine: bool = True
    bias: bool = True
    axes: Any = None
    lr_scale: float = 1.0
    name: str | None = None

    def _converted(self, name: str, value: Any) -> Any:
        return plain(value) if name == "axes" else super()._converted(name, value)

    def _check(self) -> None:
        check_eps(self, self.eps)
        axes = self.axes if isinstance(self.axes, tuple) else (self.axes,)
        if self.axes is None:
            return
        if not axes or any(isinstance(a, bool) or not isinstance(a, int) for a in axes):
            raise TypeError(f"LayerNorm: axes must be whole numbers, got {self.axes!r}")

    def by_rows(self) -> bool:
        """Tell whether the layer acts on the last axis alone."""
        return self.axes in (None, -1, (-1,))

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to one op."""
        shape = builder.shape(x)
        count = self._count(shape, path)
        inner = shape[len(shape) - count :]
        affine: dict[str, Any] = {}
        if self.elementwise_affine:
            affine["gamma"] = builder.parameter(f"{path}.weight", inner, _ONES)
            if self.bias:
                affine["beta"] = builder.parameter(f"{path}.bias", inner, _ZEROS)
        y = builder.fresh(path)
        op = LayerNormOp(
            x=x, y=y, mean=f"{y} mean", rstd=f"{y} rstd", axes=count, eps=self.eps, **affine
        )
        return builder.append(op)

    def _count(self, shape: tuple[int, ...], path: str) -> int:
        """Return the number of axes, which must be the last ones of a sample."""
        ndim = 1 + len(shape)
        axes = (-1,) if self.axes is None else self.axes
        axes = axes if isinstance(axes, tuple) else (axes,)
        found = sorted(axis + ndim if axis < 0 else axis for axis in axes)
        if found != list(range(ndim - len(axes), ndim)) or len(axes) >= ndim:
            raise ValueError(
                f"layer {path} (LayerNorm): axes must be the last of an array with {ndim} axes, "
                f"without the batch axis 0, got {self.axes if self.axes is not None else -1}"
            )
        return len(axes)
