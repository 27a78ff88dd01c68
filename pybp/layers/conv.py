"""Convolutions, and the layers that enlarge pictures."""

from __future__ import annotations

from typing import Any, ClassVar

from pybp.initializers import Initializer
from pybp.layers.base import BIAS_INIT, WEIGHT_INIT, check_count, check_initializers
from pybp.layers.window import WindowLayer, explicit_padding, per_axis, resolve_padding
from pybp.program.builder import Builder
from pybp.program.ops import AvgPoolGrad, Bias, Conv, ConvGradInput


def _check_groups(layer: Any, path: str, channels: int) -> None:
    if channels % layer.groups or layer.channels % layer.groups:
        raise ValueError(
            f"layer {path} ({type(layer).__name__}): groups must divide the {channels} channels "
            f"of the input and the {layer.channels} of the output, got {layer.groups}"
        )


class _Convolution(WindowLayer):
    """Base of the convolutions: all but the number of axes."""

    channels: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    bias: bool = True
    flip: bool = False
    weight_init: Initializer = WEIGHT_INIT
    bias_init: Initializer = BIAS_INIT
    _sizes: ClassVar[dict[str, int]] = {"kernel_size": 1, "stride": 1, "dilation": 1}

    def _check(self) -> None:
        super()._check()
        check_count(self, "channels", self.channels)
        check_count(self, "groups", self.groups)
        check_initializers(self, self.weight_init, self.bias_init)

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to one conv op."""
        *space, channels = self._sample(builder, x, path)
        _check_groups(self, path, channels)
        kernel, stride, dilation = map(self._per_axis, ("kernel_size", "stride", "dilation"))
        title = type(self).__name__
        shape = (*kernel, channels // self.groups, self.channels)
        op = Conv(
            x=x,
            w=builder.parameter(f"{path}.weight", shape, self.weight_init),
            y=builder.fresh(path),
            stride=stride,
            padding=resolve_padding(title, self.padding, space, kernel, stride, dilation),
            dilation=dilation,
            groups=self.groups,
            flip=self.flip,
        )
        if self.bias:
            b = builder.parameter(f"{path}.bias", (self.channels,), self.bias_init)
            op = op.replace(b=b)
        return builder.append(op)


class Conv1d(_Convolution):
    """A convolution (in fact a cross-correlation) along one axis, such as time.

    Parameters
    ----------
    channels : int
        Channels of the output.
    kernel_size, stride, dilation : int
        Taps of the kernel; cells from one window to the next; cells from one tap to the next.
    padding : int, (before, after), "valid" or "same"
        Zeros on both sides. "same": ceil(length / stride) outputs, the smaller half before.
    groups : int
        Groups of channels that see nothing of each other; the input's channels for a depthwise
        convolution. Output channels lie group by group.
    bias : bool
        Whether a bias is added.
    flip : bool
        Take the taps in the opposite order: the convolution of mathematics.
    weight_init, bias_init : initialiser
        GlorotUniform and Zeros by default.
    lr_scale : float
        Multiplies the rate of this layer's updates; 0 leaves its parameters as they are.
    name : str, optional
        First part of the parameters' names in place of the position.

    Notes
    -----
    Input (n, length, in), output (n, length', channels) with ``length' = floor((length + before +
    after - dilation * (kernel_size - 1) - 1) / stride) + 1``; parameters ``weight`` (kernel_size,
    in / groups, channels), ``bias`` (channels,).
    """

    lr_scale: float = 1.0
    name: str | None = None
    _axes = 1


class Conv2d(_Convolution):
    """A convolution (in fact a cross-correlation) of images (LeCun et al. 1989).

    Parameters
    ----------
    channels : int
        Channels of the output.
    kernel_size, stride, dilation : int or (int, int)
        Taps of the kernel; cells from one window to the next; cells from one tap to the next.
    padding : int, one number or a pair (before, after) for each axis, "valid" or "same"
        Zeros around the image. "same": ceil(size / stride) outputs, the smaller half before.
    groups : int
        Groups of channels that see nothing of each other; the input's channels for a depthwise
        convolution. Output channels lie group by group.
    bias : bool
        Whether a bias is added.
    flip : bool
        Turn the kernel by 180 degrees: the convolution of mathematics.
    weight_init, bias_init : initialiser
        GlorotUniform and Zeros by default.
    lr_scale : float
        Multiplies the rate of this layer's updates; 0 leaves its parameters as they are.
    name : str, optional
        First part of the parameters' names in place of the position.

    Notes
    -----
    Input (n, height, width, in), output (n, height', width', channels) with ``height' =
    floor((height + before + after - dilation * (kernel - 1) - 1) / stride) + 1``; parameters
    ``weight`` (kh, kw, in / groups, channels), ``bias`` (channels,).
    """

    lr_scale: float = 1.0
    name: str | None = None
    _axes = 2


class ConvTranspose2d(WindowLayer):
    """The transpose of a convolution: a learned enlargement (Zeiler et al. 2010).

    It does forward what the input gradient of ``Conv2d`` with the same arguments does.

    Parameters
    ----------
    channels : int
        Channels of the output.
    kernel_size, stride : int or (int, int)
        Taps of the kernel; cells of the output from one window to the next.
    padding : int, one number or a pair (before, after) for each axis, or "valid"
        Cells that are cut off around the output.
    output_padding : int or (int, int)
        Cells that are added after the end, less than the stride: of the sizes that the
        convolution would bring to the same input, which one it is.
    groups, bias
        As for ``Conv2d``.
    dilation : int or (int, int)
        Cells from one tap to the next.
    weight_init, bias_init : initialiser
        GlorotUniform and Zeros by default.
    lr_scale : float
        Multiplies the rate of this layer's updates; 0 leaves its parameters as they are.
    name : str, optional
        First part of the parameters' names in place of the position.

    Notes
    -----
    Input (n, height, width, in), output (n, height', width', channels) with ``height' = (height -
    1) * stride - before - after + dilation * (kernel - 1) + output_padding + 1``; parameters
    ``weight`` (kh, kw, channels / groups, in), ``bias`` (channels,).
    """

    channels: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    output_padding: Any = 0
    groups: int = 1
    bias: bool = True
    dilation: Any = 1
    weight_init: Initializer = WEIGHT_INIT
    bias_init: Initializer = BIAS_INIT
    lr_scale: float = 1.0
    name: str | None = None
    _axes = 2
    _sizes: ClassVar[dict[str, int]] = {
        "kernel_size": 1,
        "stride": 1,
        "output_padding": 0,
        "dilation": 1,
    }

    def _check(self) -> None:
        super()._check()
        if self.padding == "same":
            raise ValueError('ConvTranspose2d: padding is given in numbers or "valid", got "same"')
        extra, stride = self._per_axis("output_padding"), self._per_axis("stride")
        if any(e >= s for e, s in zip(extra, stride, strict=True)):
            raise ValueError(
                f"ConvTranspose2d: output_padding must be smaller than the stride {self.stride}, "
                f"got {self.output_padding}"
            )
        check_count(self, "channels", self.channels)
        check_count(self, "groups", self.groups)
        check_initializers(self, self.weight_init, self.bias_init)

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to the input gradient of a convolution, and a bias op."""
        *space, channels = self._sample(builder, x, path)
        _check_groups(self, path, channels)
        kernel, stride, dilation = map(self._per_axis, ("kernel_size", "stride", "dilation"))
        padding = self._padding()
        extra = self._per_axis("output_padding")
        size = tuple(
            (space[i] - 1) * stride[i]
            - (padding[2 * i] + padding[2 * i + 1])
            + dilation[i] * (kernel[i] - 1)
            + extra[i]
            + 1
            for i in range(2)
        )
        if min(size) < 1:
            raise ValueError(
                f"layer {path} (ConvTranspose2d): the output would have the size {size}: the "
                "padding cuts off all of it"
            )
        shape = (*kernel, self.channels // self.groups, channels)
        y = builder.append(
            ConvGradInput(
                dy=x,
                w=builder.parameter(f"{path}.weight", shape, self.weight_init),
                dx=builder.fresh(path),
                size=size,
                stride=stride,
                padding=padding,
                dilation=dilation,
                groups=self.groups,
                flip=False,
            )
        )
        if not self.bias:
            return y
        b = builder.parameter(f"{path}.bias", (self.channels,), self.bias_init)
        return builder.append(Bias(y, b, builder.fresh(path)))

    def _padding(self) -> tuple[int, ...]:
        if self.padding == "valid":
            return (0,) * 4
        return explicit_padding("ConvTranspose2d", self.padding, 2)


class Upsample2d(WindowLayer):
    """Enlarge images by repeating each cell: the nearest neighbour.

    Parameters
    ----------
    scale_factor : int or (int, int)
        How often each cell is repeated along height and width.
    mode : {"nearest"}
        There is no other one.
    name : str, optional
        Name of the layer.

    Notes
    -----
    Input (n, height, width, c), output (n, height * factor, width * factor, c).
    """

    scale_factor: Any
    mode: str = "nearest"
    name: str | None = None
    _axes = 2
    _sizes: ClassVar[dict[str, int]] = {"scale_factor": 1}

    def _check(self) -> None:
        super()._check()
        if self.mode != "nearest":
            raise ValueError(f'Upsample2d: mode is "nearest", got {self.mode!r}')

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to the gradient of a pool that sums windows which touch."""
        *space, _ = self._sample(builder, x, path)
        factor = per_axis("Upsample2d", "scale_factor", self.scale_factor, 2, 1)
        return builder.append(
            AvgPoolGrad(
                dy=x,
                dx=builder.fresh(path),
                size=tuple(s * f for s, f in zip(space, factor, strict=True)),
                kernel=factor,
                stride=factor,
                padding=(0,) * 4,
                dilation=(1, 1),
                ceil=False,
                divisor=1,
                count_padding=True,
            )
        )
