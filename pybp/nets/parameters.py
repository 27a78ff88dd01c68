"""Named arrays as views into one flat array: one pass of an optimiser covers them all."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from pybp.arrays import Array, aligned_zeros

_LANE = 16  # each array starts at a multiple of 16 elements: at least one cache line


class Layout:
    """Where named shapes lie in a flat array; the gaps between them stay zero.

    Parameters
    ----------
    shapes : dict
        Name -> shape.
    tables : collection of str
        The names of those that lie last; the first ``dense`` numbers hold all others.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]], tables: Collection[str] = ()) -> None:
        self.shapes = dict(shapes)
        self.offsets: dict[str, int] = {}
        self.size = 0
        self._place(name for name in shapes if name not in tables)
        self.dense = self.size
        self._place(name for name in shapes if name in tables)

    def _place(self, names: Iterable[str]) -> None:
        for name in names:
            self.offsets[name] = self.size
            self.size = self.span(name)[1]

    def span(self, name: str) -> tuple[int, int]:
        """Return where a name begins in a flat array, and where the next one does."""
        start = self.offsets[name]
        return start, start + -(-math.prod(self.shapes[name]) // _LANE) * _LANE

    def view(self, flat: Array, name: str) -> Array:
        """Return the view of one name into a flat array."""
        start, shape = self.offsets[name], self.shapes[name]
        return flat[start : start + math.prod(shape)].reshape(shape)

    def views(self, flat: Array) -> dict[str, Array]:
        """Return name -> view into a flat array."""
        return {name: self.view(flat, name) for name in self.shapes}


class NamedArrays(Mapping[str, Array]):
    """A mapping from names to live views; assigning copies, with a check of the shape.

    Writing through a view is seen by the next call of the net.
    """

    def __init__(self, layout: Layout, dtype: Any) -> None:
        self.layout = layout
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


class Some(Mapping[str, Array]):
    """Some of the named arrays, for a net that shares those of another one."""

    def __init__(self, arrays: NamedArrays, names: tuple[str, ...]) -> None:
        self._arrays, self._names = arrays, names

    @property
    def flat(self) -> Array:
        """The flat array of all, not just of these."""
        return self._arrays.flat

    def __getitem__(self, name: str) -> Array:
        self._check(name)
        return self._arrays[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._check(name)
        self._arrays[name] = value

    def _check(self, name: str) -> None:
        if name not in self._names:
            raise KeyError(f"{name!r}; the names are {', '.join(self._names) or 'none'}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<{len(self)} of the {self._arrays!r}>"


class Gradients(NamedTuple):
    """A copy of all gradients: the flat array, and the rows that each table's gradient has."""

    flat: Array
    rows: dict[str, Array]


class GradientArrays(NamedArrays):
    """The gradients, under the names of the parameters.

    Reading is legal once they are known; assigning is legal before (all others are then 0).

    The gradient of a table (an embedding's) may be known as some rows and their values: its array
    is made when somebody asks for it.
    """

    def __init__(self, layout: Layout, dtype: Any) -> None:
        super().__init__(layout, dtype)
        self.known = False
        self._tables = [name for name in layout.shapes if layout.offsets[name] >= layout.dense]
        self._rows: dict[str, Array] = {}  # table -> rows that have a gradient, in rising order
        self._values: dict[str, Array] = {}  # their gradients, where the array does not hold them
        self._weights: dict[str, Array] = {}  # gradients of factors that came with the input

    def __getitem__(self, name: str) -> Array:
        if name in self._weights:
            return self._weights[name]
        view = super().__getitem__(name)
        if not self.known:
            raise RuntimeError(
                "there are no gradients yet: they are known after net.backward, after fit, "
                "or with Trainer(..., keep_grads=True)"
            )
        self._fill(name)
        return view

    def __setitem__(self, name: str, value: Any) -> None:
        known, self.known = self.known, True
        try:
            view = self[name]
            new = np.array(value, subok=True)  # a copy: it may be a view of what is cleared
            if not known and new.shape == view.shape:
                self.flat.fill(0)
                self._rows = {table: np.zeros(0, np.int64) for table in self._tables}
            super().__setitem__(name, new)
        except Exception:
            self.known = known
            raise
        if name in self._tables:
            before = self._rows.get(name) if value is view else None  # by an operator such as *=
            found = np.flatnonzero(view.any(axis=1))
            self._rows[name] = found if before is None else np.union1d(before, found)

    def clear(self, name: str) -> None:
        """Let the gradient of a parameter be 0, as nothing computes it any more."""
        self._values.pop(name, None)
        self.views[name].fill(0)
        if name in self._rows:
            self._rows[name] = np.zeros(0, np.int64)

    def forget(self) -> None:
        """Have no gradients: what the next step makes is not for the user, or not yet."""
        self.known = False
        self._rows, self._values, self._weights = {}, {}, {}

    def take_rows(self, name: str, rows: Array, values: Array) -> None:
        """Take the gradient of a table as rows (k,) in rising order and values (k, size)."""
        self._rows[name], self._values[name] = rows, values

    def take_dense(self, rows: dict[str, Array]) -> None:
        """Take gradients as a program has written them; ``rows`` says which of each table."""
        self.known = True
        self._rows, self._values, self._weights = dict(rows), {}, {}

    def take_weights(self, gradients: dict[str, Any]) -> None:
        """Take the gradients of factors that came with ids: no parameters, and in no step."""
        for name, given in gradients.items():
            self._weights[name] = np.concatenate(given) if isinstance(given, list) else given

    def by_rows(self, name: str) -> tuple[Array, Array]:
        """Return the rows of a table that have a gradient, and their gradients."""
        rows = self._rows.get(name)
        if rows is None:
            rows = np.flatnonzero(self.views[name].any(axis=1))
        return rows, self._values[name] if name in self._values else self.views[name][rows]

    def fill(self, names: Iterable[str]) -> None:
        """Make the arrays of some tables."""
        for name in names:
            self._fill(name)

    def copy(self) -> Gradients:
        """Return a copy, for ``restore`` and ``add``."""
        self.fill(self._tables)
        return Gradients(self.flat.copy(), dict(self._rows))

    def restore(self, copied: Gradients) -> None:
        """Take over what ``copy`` has returned."""
        self.flat[...] = copied.flat
        self.take_dense(copied.rows)

    def add(self, copied: Gradients) -> None:
        """Add other gradients of the same net."""
        self.fill(self._tables)
        self.flat += copied.flat
        for name, rows in copied.rows.items():
            self._rows[name] = np.union1d(rows, self._rows.get(name, rows))

    def _fill(self, name: str) -> None:
        values = self._values.pop(name, None)
        if values is not None:
            view = self.views[name]
            view.fill(0)
            view[self._rows[name]] = values
