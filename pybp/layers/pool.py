"""Pools: the maximum or the average of each window, and of the whole space."""

from __future__ import annotations

from typing import Any, ClassVar

from pybp.layers.base import check_count
from pybp.layers.window import WindowLayer, per_axis, resolve_padding
from pybp.program.builder import Builder
from pybp.program.ops import AvgPool, MaxPool
from pybp.program.ops import Reshape as ReshapeOp


class _Pool(WindowLayer):
    """Base of the pools with windows."""

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    _sizes: ClassVar[dict[str, int]] = {"kernel_size": 1, "dilation": 1}

    def _converted(self, name: str, value: Any) -> Any:
        if name == "stride" and value is not None:
            value = super()._converted("kernel_size", value)
            per_axis(type(self).__name__, name, value, self._axes, 1)
            return value
        return super()._converted(name, value)

    def _windows(self, builder: Builder, x: str, path: str) -> dict[str, Any]:
        """Return the geometry of the op."""
        *space, _ = self._sample(builder, x, path)
        kernel, dilation = self._per_axis("kernel_size"), self._per_axis("dilation")
        stride = kernel
        title = type(self).__name__
        if self.stride is not None:
            stride = per_axis(title, "stride", self.stride, self._axes, 1)
        padding = resolve_padding(title, self.padding, space, kernel, stride, dilation)
        return {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}


class _MaxPool(_Pool):
    """Base of the maximum pools: all but the number of axes."""

    dilation: Any = 1
    ceil_mode: bool = False

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to one op."""
        windows = self._windows(builder, x, path)
        return builder.append(MaxPool(x=x, y=builder.fresh(path), ceil=self.ceil_mode, **windows))


class MaxPool1d(_MaxPool):
    """The maximum of each window along one axis, channel by channel.

    Parameters
    ----------
    kernel_size : int
        Cells of a window.
    stride : int, optional
        Cells from one window to the next; the window by default.
    padding : int, (before, after), "valid" or "same"
        Cells of minus infinity on both sides, at most half a window.
    dilation : int
        Cells from one tap to the next.
    ceil_mode : bool
        Whether a last window may reach past the end.
    name : str, optional
        Name of the layer.

    Notes
    -----
    Input (n, length, c), output (n, length', c). The first maximum of a window takes the gradient;
    NaN wins. A window that lies in padding alone raises ValueError.
    """

    name: str | None = None
    _axes = 1


class MaxPool2d(_MaxPool):
    """The maximum of each window of an image, channel by channel.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Cells of a window.
    stride : int or (int, int), optional
        Cells from one window to the next; the window by default.
    padding : int, one number or a pair (before, after) for each axis, "valid" or "same"
        Cells of minus infinity around the image, at most half a window.
    dilation : int or (int, int)
        Cells from one tap to the next.
    ceil_mode : bool
        Whether a last window may reach past the end.
    name : str, optional
        Name of the layer.

    Notes
    -----
    Input (n, height, width, c), output (n, height', width', c). The first maximum of a window, row
    by row, takes the gradient; NaN wins. A window that lies in padding alone raises ValueError.
    """

    name: str | None = None
    _axes = 2


class _AvgPool(_Pool):
    """Base of the average pools: all but the number of axes."""

    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None
    dilation: Any = 1

    def _check(self) -> None:
        super()._check()
        divisor = self.divisor_override
        if divisor is None:
            return
        if isinstance(divisor, bool) or not isinstance(divisor, int):
            title = type(self).__name__
            raise TypeError(f"{title}: divisor_override must be a whole number, got {divisor!r}")
        check_count(self, "divisor_override", divisor)

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to one op."""
        windows = self._windows(builder, x, path)
        return builder.append(
            AvgPool(
                x=x,
                y=builder.fresh(path),
                ceil=self.ceil_mode,
                divisor=self.divisor_override or 0,
                count_padding=self.count_include_pad,
                **windows,
            )
        )


class AvgPool1d(_AvgPool):
    """The average of each window along one axis, channel by channel.

    Parameters
    ----------
    kernel_size : int
        Cells of a window.
    stride : int, optional
        Cells from one window to the next; the window by default.
    padding : int, (before, after), "valid" or "same"
        Zeros on both sides, at most half a window.
    ceil_mode : bool
        Whether a last window may reach past the end.
    count_include_pad : bool
        Whether the sum is divided by all cells of the window in the padded input, or only by
        those in the input.
    divisor_override : int, optional
        Divide by this number.
    dilation : int
        Cells from one tap to the next.
    name : str, optional
        Name of the layer.

    Notes
    -----
    Input (n, length, c), output (n, length', c).
    """

    name: str | None = None
    _axes = 1


class AvgPool2d(_AvgPool):
    """The average of each window of an image, channel by channel.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Cells of a window.
    stride : int or (int, int), optional
        Cells from one window to the next; the window by default.
    padding : int, one number or a pair (before, after) for each axis, "valid" or "same"
        Zeros around the image, at most half a window.
    ceil_mode : bool
        Whether a last window may reach past the end.
    count_include_pad : bool
        Whether the sum is divided by all cells of the window in the padded image, or only by
        those in the image.
    divisor_override : int, optional
        Divide by this number.
    dilation : int or (int, int)
        Cells from one tap to the next.
    name : str, optional
        Name of the layer.

    Notes
    -----
    Input (n, height, width, c), output (n, height', width', c).
    """

    name: str | None = None
    _axes = 2


class _GlobalPool(WindowLayer):
    """Base of the pools over the whole space."""

    _maximum: ClassVar[bool]

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to a pool with one window, and a reshape, which costs nothing."""
        *space, channels = self._sample(builder, x, path)
        windows: dict[str, Any] = {
            "kernel": tuple(space),
            "stride": (1,) * self._axes,
            "padding": (0,) * (2 * self._axes),
            "dilation": (1,) * self._axes,
            "ceil": False,
        }
        y = builder.fresh(path)
        if self._maximum:
            builder.append(MaxPool(x=x, y=y, **windows))
        else:
            builder.append(AvgPool(x=x, y=y, divisor=0, count_padding=True, **windows))
        return builder.append(ReshapeOp(y, builder.fresh(path), (channels,)))


class GlobalAvgPool1d(_GlobalPool):
    """The average of each channel over its length: (n, length, c) to (n, c)."""

    name: str | None = None
    _axes = 1
    _maximum = False


class GlobalMaxPool1d(_GlobalPool):
    """The maximum of each channel over its length: (n, length, c) to (n, c)."""

    name: str | None = None
    _axes = 1
    _maximum = True


class GlobalAvgPool2d(_GlobalPool):
    """The average of each channel over the image (Lin et al. 2014): (n, h, w, c) to (n, c)."""

    name: str | None = None
    _axes = 2
    _maximum = False


class GlobalMaxPool2d(_GlobalPool):
    """The maximum of each channel over the image: (n, h, w, c) to (n, c)."""

    name: str | None = None
    _axes = 2
    _maximum = True
