"""Calls on arrays that look like those of the call before: most checks then need no second run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from pybp.arrays import FLOAT_TYPES, Array
from pybp.data.batches import Batch, check_ids, spans
from pybp.nets.programs import Bound

if TYPE_CHECKING:
    from pybp.nets.binding import Binding

_NOTHING = np.zeros((1, 0))  # no hyper-parameters, no results


class Looks(NamedTuple):
    """What says how executors read an array: two arrays of equal looks are read alike."""

    kind: type
    dtype: Any
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, array: Any, taken: Any) -> Looks | None:
        """Return the looks of an argument that is taken as it lies, None for any other."""
        if not isinstance(array, np.ndarray) or not isinstance(taken, np.ndarray):
            return None
        if not array.flags.c_contiguous or not np.may_share_memory(array, taken):
            return None
        return cls(type(array), array.dtype, array.shape, array.strides)

    def fit(self, array: Any) -> bool:
        """Tell whether an argument looks so."""
        found = array.__class__
        return found is self.kind and self[1:] == (array.dtype, array.shape, array.strides)


class Known:
    """What a call with one plain input has found out about it, good for inputs of equal looks.

    Attributes
    ----------
    shape : tuple of int
        Of the input as executors take it.
    spans : pairs of arrays
        Where its sequences lie.
    """

    def __init__(self, net: Binding, looks: Looks, batch: Batch, bound: Bound) -> None:
        self._made, self._backend, self._looks = net.made, net.current_backend, looks
        self._id_count = net.made.intake.id_counts[0]
        self.bound = bound
        self.shape: tuple[int, ...] = batch.data[0].shape
        self.spans = spans(batch.packings_of(bound.program))

    @classmethod
    def of(cls, net: Binding, x: Any, lengths: Any, batch: Batch, bound: Bound) -> Self | None:
        """Return what is known now; None where the next call has to look at everything again."""
        made = net.made
        if lengths is not None or len(batch.data) != 1 or made.wanted.carried:
            return None
        looks = Looks.of(x, batch.data[0])
        return None if looks is None else cls(net, looks, batch, bound)

    def holds(self, net: Binding, x: Any) -> bool:
        """Tell whether the next call can go the same way; refuse ids that no table has."""
        if (
            net.current_backend != self._backend
            or net.made is not self._made
            or not self._looks.fit(x)
        ):
            return False
        if self._id_count:
            check_ids(x, None, self._id_count, "x")
        return True


class RepeatedPredict(Known):
    """A ``predict`` like the one before."""

    def __init__(self, net: Binding, looks: Looks, batch: Batch, bound: Bound) -> None:
        super().__init__(net, looks, batch, bound)
        port = net.wanted.outputs[0]
        rows = batch.rows
        self._dtype = FLOAT_TYPES[net.dtype]
        layout = net.layout_of(port, batch)
        self._flat: tuple[int, ...] = (rows if layout is None else layout.rows, *port.sizes)
        self._whole = self._flat if layout is None else (rows, layout.steps, *port.sizes)
        self._as_it_is = self._whole == self._flat and self.shape == looks.shape
        self._run = bound.executor.run
        end = len(bound.program.ops)
        self._rest = (np.array([0, rows]), _NOTHING, _NOTHING, net.seed, 0, 0, end, self.spans)

    def __call__(self, x: Array) -> Array:
        """Return the output."""
        y = np.empty(self._whole, self._dtype)
        flat = (x, y) if self._as_it_is else (x.reshape(self.shape), y.reshape(self._flat))
        self._run(flat, None, *self._rest)
        return y
