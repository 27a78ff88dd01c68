"""Named arrays as views into one flat array: one pass of an optimiser covers them all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pybp.arrays import Array, aligned_zeros

_LANE = 16  # each array starts at a multiple of 16 elements: at least one cache line


class Layout:
    """Where named shapes lie in a flat array; the gaps between them stay zero."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)
        self.offsets: dict[str, int] = {}
        self.size = 0
        for name, shape in self.shapes.items():
            self.offsets[name] = self.size
            self.size += -(-math.prod(shape) // _LANE) * _LANE

    def views(self, flat: Array) -> dict[str, Array]:
        """Return name -> view into a flat array."""
        return {
            name: flat[self.offsets[name] : self.offsets[name] + math.prod(shape)].reshape(shape)
            for name, shape in self.shapes.items()
        }


class NamedArrays(Mapping[str, Array]):
    """A mapping from names to live views; assigning copies, with a check of the shape.

    Writing through a view is seen by the next call of the net.
    """

    def __init__(self, layout: Layout, dtype: Any) -> None:
        self.flat = aligned_zeros(layout.size, dtype)
        self.views = layout.views(self.flat)

    def __getitem__(self, name: str) -> Array:
        if name not in self.views:
            raise KeyError(f"{name!r}; the names are {', '.join(self.views) or 'none'}")
        return self.views[name]

    def __setitem__(self, name: str, value: Any) -> None:
        view = self[name]
        if isinstance(value, np.ma.MaskedArray):
            raise TypeError(f"{name} takes no masked array: fill it first")
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} takes real numbers, got the dtype {array.dtype}")
        if array.shape != view.shape:
            raise ValueError(f"{name} has shape {view.shape}, got an array of shape {array.shape}")
        view[...] = array

    def __iter__(self) -> Iterator[str]:
        return iter(self.views)

    def __len__(self) -> int:
        return len(self.views)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}: {view.shape}" for name, view in self.views.items())
        return f"<{len(self)} arrays of {self.flat.dtype}: {shapes}>"


class GradientArrays(NamedArrays):
    """The gradients, under the names of the parameters.

    Reading is legal once they are known; assigning is legal before (all others are then 0).
    """

    def __init__(self, layout: Layout, dtype: Any) -> None:
        super().__init__(layout, dtype)
        self.known = False

    def __getitem__(self, name: str) -> Array:
        view = super().__getitem__(name)
        if not self.known:
            raise RuntimeError(
                "there are no gradients yet: they are known after net.backward, after fit, "
                "or with Trainer(..., keep_grads=True)"
            )
        return view

    def __setitem__(self, name: str, value: Any) -> None:
        known, self.known = self.known, True
        try:
            view = self[name]
            new = np.array(value, subok=True)  # a copy: it may be a view of what is cleared
            if not known and new.shape == view.shape:
                self.flat.fill(0)
            super().__setitem__(name, new)
        except Exception:
            self.known = known
            raise
