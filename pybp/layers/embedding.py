"""Embeddings: rows of a table by their number, one for each id or one for each bag of ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.initializers import Initializer
from pybp.layers.base import WEIGHT_INIT, Layer, check_count, check_initializers
from pybp.program.builder import Builder
from pybp.program.ops import Embedding as EmbeddingOp
from pybp.program.ops import EmbeddingBag as EmbeddingBagOp
from pybp.program.ops.embedding import MODES


class _Table(Layer):
    """What both layers share: a table of ``count`` rows of ``size`` numbers."""

    takes_ids = True

    def _check(self) -> None:
        fields = self.to_dict()
        check_count(self, "count", fields["count"])
        check_count(self, "size", fields["size"])
        check_initializers(self, fields["weight_init"])
        padding, count = fields["padding_idx"], fields["count"]
        if padding is None:
            return
        title = type(self).__name__
        if isinstance(padding, bool) or not isinstance(padding, int | np.integer):
            raise TypeError(f"{title}: padding_idx must be a whole number, got {padding!r}")
        if not -count <= padding < count:
            raise ValueError(
                f"{title}: padding_idx must lie in {-count} ... {count - 1}, got {padding}"
            )

    def id_count(self) -> int:
        """Return how many ids there are: 0 ... count - 1."""
        return int(self.to_dict()["count"])

    def _padding(self) -> int:
        """Return the id whose row gets no gradient, -1 for none."""
        padding = self.to_dict()["padding_idx"]
        return -1 if padding is None else padding % self.id_count()

    def _weight(self, builder: Builder, path: str) -> str:
        """Ask for the table."""
        fields = self.to_dict()
        init = _ZeroRow(fields["weight_init"], self._padding())
        shape = (fields["count"], fields["size"])
        return builder.table(f"{path}.weight", shape, init, lazy=fields["lazy"])


class _ZeroRow(Initializer):
    """Another initialiser, with one row (-1 for none) that starts at 0."""

    other: Initializer
    row: int = -1

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        values = self.other(shape, rng)
        if self.row >= 0:
            values[self.row] = 0
        return values


class Embedding(_Table):
    """Rows of a table by their number: ``y = weight[ids]``.

    The gradient of the table is kept as the rows that occur and their values. Plain ``SGD`` without
    momentum and weight decay then changes just these rows, with the result of the dense step; the
    other optimisers update the whole table, unless the layer is ``lazy``.

    Parameters
    ----------
    count : int
        Number of rows; ids lie in 0 ... count - 1.
    size : int
        Numbers of a row.
    padding_idx : int, optional
        An id whose row starts at 0 and gets the gradient 0; negative ones count from the end.
    lazy : bool
        Let every optimiser change only the rows of the ids that occur in a batch, and their state
        (for ``Adam`` this is PyTorch's ``SparseAdam``, with eps outside the corrected root): the
        cost of a step does not depend on ``count``, but momentum and weight decay of the other rows
        wait until these occur again.
    weight_init : Initializer
        How the table starts.
    lr_scale : float
        Multiplies the rate of this layer's updates; 0 leaves its parameters as they are.
    name : str, optional
        First part of the parameter's name in place of the position.

    Notes
    -----
    Input ids (n,), (n, steps), ... of any integer dtype; output (n, ..., size). Parameter
    ``weight`` (count, size). Ids below 0 or from ``count`` on raise IndexError, float ids
    TypeError.
    """

    count: int
    size: int
    padding_idx: Any = None
    lazy: bool = False
    weight_init: Initializer = WEIGHT_INIT
    lr_scale: float = 1.0
    name: str | None = None

    def by_rows(self) -> bool:
        """Return True: each id has its own row."""
        return True

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to one op."""
        w = self._weight(builder, path)
        return builder.append(EmbeddingOp(x, w, builder.fresh(path), self._padding()))


class EmbeddingBag(_Table):
    """One row for each bag of ids: the sum, the mean or the maximum of the rows of its ids.

    The empty bag gives 0; of equal maxima the first counts. For the gradient and its updates see
    ``Embedding``.

    Parameters
    ----------
    count : int
        Number of rows; ids lie in 0 ... count - 1.
    size : int
        Numbers of a row.
    mode : {"sum", "mean", "max"}
        How the rows of a bag become one.
    padding_idx : int, optional
        An id that is left out of every bag, as if it were not there; its row starts at 0.
    unique : bool
        Count each id once a bag, however often it occurs.
    lazy : bool
        See ``Embedding``.
    weight_init : Initializer
        How the table starts.
    lr_scale : float
        Multiplies the rate of this layer's updates; 0 leaves its parameters as they are.
    name : str, optional
        First part of the parameter's name in place of the position.

    Notes
    -----
    Input: a list of n arrays of ids, ``Ragged(ids, offsets)``, or an array (n, length) of ids in
    which ``padding_idx`` fills up. Output (n, size). Parameter ``weight`` (count, size).

    In the mode "sum" ``Ragged(ids, offsets, weights)`` multiplies the row of each id by its weight;
    after ``net.backward`` their gradient stands in ``net.grads["<layer>.weights"]``.
    """

    count: int
    size: int
    mode: str = "mean"
    padding_idx: Any = None
    unique: bool = False
    lazy: bool = False
    weight_init: Initializer = WEIGHT_INIT
    lr_scale: float = 1.0
    name: str | None = None

    sequence = True

    def _check(self) -> None:
        super()._check()
        if self.mode not in MODES:
            raise ValueError(
                f"EmbeddingBag: mode must be one of {', '.join(MODES)}, got {self.mode!r}"
            )

    def takes_weights(self) -> bool:
        """Tell whether factors of the ids have a meaning: in a sum."""
        return self.mode == "sum"

    def may_be_empty(self) -> bool:
        """Return True: the empty bag gives 0."""
        return True

    def keeps_steps(self) -> bool:
        """Return False: a bag gives one row."""
        return False

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to one op, on packed ids."""
        w = self._weight(builder, path)
        packing = builder.packing(x)
        if packing is None or builder.shape(x):
            raise ValueError(
                f"layer {path} (EmbeddingBag) needs bags of ids as they enter the net, of shape "
                f"(n, length), got samples of shape {builder.shape(x)}"
            )
        weights = f"{path}.weights"
        op = EmbeddingBagOp(
            ids=x,
            w=w,
            y=builder.fresh(path),
            weights=weights if weights in builder.program.buffers else "",
            mode=self.mode,
            padding=self._padding(),
            unique=bool(self.unique),
            packing=packing,
        )
        return builder.append(op)
