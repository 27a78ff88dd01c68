"""Convolutions and pools. Images are (n, height, width, channels), sequences (n, length, channels).

Sizes, strides and dilations are a number, or one for each axis; paddings a number, one for each
axis, a pair (before, after) for each axis, "valid" or "same": as for the layers of the same names.
"""

from __future__ import annotations

from typing import Any

from pybp import layers
from pybp.functional.function import NOTHING, Call, function, given, some


def _conv(kind: Any, name: str, x: Any, weight: Any, bias: Any, **geometry: Any) -> Call:
    sizes = ("kw",) if kind is layers.Conv1d else ("kh", "kw")
    w = given("weight", weight, *sizes, "in / groups", "out")
    layer = kind(
        w.shape[-1],
        w.shape[:-2],
        bias=bias is not None,
        weight_init=NOTHING,
        bias_init=NOTHING,
        name=name,
        **geometry,
    )
    return Call(layer, {"x": given("x", x)}, {"weight": w, **some(bias=bias)})


@function("x", "weight", "bias")
def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    flip: bool = False,
) -> Call:
    """Return the cross-correlation along one axis.

    Parameters
    ----------
    x : array (n, length, in)
        Sequences.
    weight : array (kernel, in / groups, out)
        The kernels; output channels lie group by group.
    bias : array (out,), optional
        Added to each channel.
    stride, padding, dilation, groups, flip
        As for ``Conv1d``.

    Returns
    -------
    array (n, length', out)
    """
    geometry = {"stride": stride, "padding": padding, "dilation": dilation}
    return _conv(layers.Conv1d, "conv1d", x, weight, bias, groups=groups, flip=flip, **geometry)


@function("x", "weight", "bias")
def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    flip: bool = False,
) -> Call:
    """Return the cross-correlation of images.

    Parameters
    ----------
    x : array (n, height, width, in)
        Images.
    weight : array (kh, kw, in / groups, out)
        The kernels; output channels lie group by group.
    bias : array (out,), optional
        Added to each channel.
    stride, padding, dilation, groups, flip
        As for ``Conv2d``.

    Returns
    -------
    array (n, height', width', out)
    """
    geometry = {"stride": stride, "padding": padding, "dilation": dilation}
    return _conv(layers.Conv2d, "conv2d", x, weight, bias, groups=groups, flip=flip, **geometry)


@function("x", "weight", "bias")
def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Call:
    """Return the transpose of a convolution of images: what its input gradient computes.

    Parameters
    ----------
    x : array (n, height, width, in)
        Images.
    weight : array (kh, kw, out / groups, in)
        The kernels.
    bias : array (out,), optional
        Added to each channel.
    stride, padding, output_padding, groups, dilation
        As for ``ConvTranspose2d``.

    Returns
    -------
    array (n, height', width', out)
    """
    w = given("weight", weight, "kh", "kw", "out / groups", "in")
    several = isinstance(groups, int) and groups > 1
    layer = layers.ConvTranspose2d(
        w.shape[2] * groups if several else w.shape[2],
        w.shape[:2],
        stride,
        padding,
        output_padding,
        groups,
        bias is not None,
        dilation,
        NOTHING,
        NOTHING,
        name="conv_transpose2d",
    )
    return Call(layer, {"x": given("x", x)}, {"weight": w, **some(bias=bias)})


@function("x")
def upsample2d(x: Any, scale_factor: Any) -> Call:
    """Repeat each cell of images: (n, h, w, c) to (n, h * factor, w * factor, c)."""
    return Call(layers.Upsample2d(scale_factor, name="upsample2d"), {"x": given("x", x)})


def _max_pool(kind: Any, name: str, x: Any, *geometry: Any) -> Call:
    return Call(kind(*geometry, name=name), {"x": given("x", x)})


@function("x")
def max_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Call:
    """Return the maximum of each window: x (n, length, c); see ``MaxPool1d``."""
    geometry = (kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool(layers.MaxPool1d, "max_pool1d", x, *geometry)


@function("x")
def max_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Call:
    """Return the maximum of each window: x (n, height, width, c); see ``MaxPool2d``.

    The first maximum of a window takes the gradient; NaN wins.
    """
    geometry = (kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool(layers.MaxPool2d, "max_pool2d", x, *geometry)


@function("x")
def avg_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    dilation: Any = 1,
) -> Call:
    """Return the average of each window: x (n, length, c); see ``AvgPool1d``."""
    geometry = (kernel_size, stride, padding, ceil_mode, count_include_pad)
    layer = layers.AvgPool1d(*geometry, divisor_override, dilation, name="avg_pool1d")
    return Call(layer, {"x": given("x", x)})


@function("x")
def avg_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    dilation: Any = 1,
) -> Call:
    """Return the average of each window: x (n, height, width, c); see ``AvgPool2d``."""
    geometry = (kernel_size, stride, padding, ceil_mode, count_include_pad)
    layer = layers.AvgPool2d(*geometry, divisor_override, dilation, name="avg_pool2d")
    return Call(layer, {"x": given("x", x)})


@function("x")
def global_avg_pool1d(x: Any) -> Call:
    """Return the average of each channel: (n, length, c) to (n, c)."""
    return Call(layers.GlobalAvgPool1d(name="global_avg_pool1d"), {"x": given("x", x)})


@function("x")
def global_max_pool1d(x: Any) -> Call:
    """Return the maximum of each channel: (n, length, c) to (n, c)."""
    return Call(layers.GlobalMaxPool1d(name="global_max_pool1d"), {"x": given("x", x)})


@function("x")
def global_avg_pool2d(x: Any) -> Call:
    """Return the average of each channel: (n, height, width, c) to (n, c)."""
    return Call(layers.GlobalAvgPool2d(name="global_avg_pool2d"), {"x": given("x", x)})


@function("x")
def global_max_pool2d(x: Any) -> Call:
    """Return the maximum of each channel: (n, height, width, c) to (n, c)."""
    return Call(layers.GlobalMaxPool2d(name="global_max_pool2d"), {"x": given("x", x)})
