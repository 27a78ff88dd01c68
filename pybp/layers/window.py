"""What layers with windows have in common: sizes along each axis, and every form of padding."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

from pybp.layers.base import Layer, check_sample
from pybp.program.builder import Builder
from pybp.program.ops import Shape

AXES = {1: ("length", "channels"), 2: ("height", "width", "channels")}


class WindowLayer(Layer):
    """Base of the layers whose windows slide over one or two axes of space."""

    _axes: ClassVar[int]
    _sizes: ClassVar[dict[str, int]] = {}  # arguments with a number for each axis: least value

    def _converted(self, name: str, value: Any) -> Any:
        if name in self._sizes:
            return plain(value)
        if name == "padding":
            return plain(value)
        return super()._converted(name, value)

    def _check(self) -> None:
        for name, least in self._sizes.items():
            per_axis(type(self).__name__, name, getattr(self, name), self._axes, least)
        if "padding" in self._fields:
            check_padding(type(self).__name__, self.to_dict()["padding"], self._axes)

    def _per_axis(self, name: str) -> tuple[int, ...]:
        """Return an argument as one number for each axis."""
        title = type(self).__name__
        return per_axis(title, name, getattr(self, name), self._axes, self._sizes[name])

    def _sample(self, builder: Builder, x: str, path: str) -> Shape:
        """Return the shape of a sample, which must be (*space, channels)."""
        shape = builder.shape(x)
        check_sample(self, path, shape, AXES[self._axes])
        return shape


def plain(value: Any) -> Any:
    """Return numbers as plain ints and sequences as tuples; leave all else for a check."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, list | tuple):
        return tuple(plain(entry) for entry in value)
    return value


def per_axis(title: str, name: str, value: Any, axes: int, least: int) -> tuple[int, ...]:
    """Return a number, or a tuple with one number an axis, as the latter.

    Raises
    ------
    TypeError, ValueError
        For anything else, or numbers below ``least``.
    """
    entries = value if isinstance(value, tuple) else (value,) * axes
    for entry in entries:
        if isinstance(entry, bool) or not isinstance(entry, int):
            raise TypeError(f"{title}: {name} must be a whole number or {axes} of them: {value!r}")
    if len(entries) != axes:
        raise ValueError(
            f"{title}: {name} must be one number or {axes} (one an axis), got {value!r}"
        )
    if any(entry < least for entry in entries):
        raise ValueError(f"{title}: {name} must be >= {least}, got {value!r}")
    return entries


def check_padding(title: str, padding: Any, axes: int) -> None:
    """Refuse what is no padding."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(
                f"{title}: padding is a number, one number or a pair (before, after) an axis, "
                f'"valid" or "same", got {padding!r}'
            )
        return
    explicit_padding(title, padding, axes)


def explicit_padding(title: str, padding: Any, axes: int) -> tuple[int, ...]:
    """Return padding given in numbers as before, after of each axis in turn."""
    entries = padding if isinstance(padding, tuple) else (padding,) * axes
    if axes == 1 and len(entries) == 2 and not any(isinstance(e, tuple) for e in entries):
        entries = (entries,)  # one axis: its before and after
    if len(entries) != axes:
        raise ValueError(
            f"{title}: padding must be one number, or one number or a pair (before, after) for "
            f"each of {axes} axes, got {padding!r}"
        )
    flat: list[int] = []
    for entry in entries:
        flat += per_axis(title, "padding", entry, 2, 0)
    return tuple(flat)


def resolve_padding(
    title: str,
    padding: Any,
    space: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, ...]:
    """Return any padding as before, after of each axis in turn.

    ``"same"``: ``ceil(size / stride)`` outputs, the smaller half of the padding before.
    """
    if padding == "valid":
        return (0,) * (2 * len(space))
    if padding != "same":
        return explicit_padding(title, padding, len(space))
    flat = []
    for size, taps, step, apart in zip(space, kernel, stride, dilation, strict=True):
        count = -(-size // step)
        total = max((count - 1) * step + apart * (taps - 1) + 1 - size, 0)
        flat += [total // 2, total - total // 2]
    return tuple(flat)
