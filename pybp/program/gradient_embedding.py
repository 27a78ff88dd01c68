"""The gradient rows of the embedding ops: rows and values, then the dense gradient of the table.

A train program that updates a table by rows takes ``ScatterRows`` out again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pybp.program.ops import (
    Embedding,
    EmbeddingBag,
    EmbeddingBagGrad,
    EmbeddingGrad,
    Op,
    ScatterRows,
)
from pybp.program.walk import Walk


def _embedding(walk: Walk, op: Embedding) -> None:
    rows, values = _parts(op.y)
    walk.append(EmbeddingGrad(op.ids, walk.of(op.y), rows, values, op.padding))
    _scatter(walk, op.w, rows, values)


def _embedding_bag(walk: Walk, op: EmbeddingBag) -> None:
    rows, values = _parts(op.y)
    fields: dict[str, Any] = {
        name: getattr(op, name) for name in ("weights", "mode", "padding", "unique", "packing")
    }
    if op.mode == "max":
        fields["argmax"] = f"{op.y} argmax"
        walk.amend(op, argmax=fields["argmax"])
    if op.weights in walk.wanted:
        fields |= {"w": op.w, "dweights": walk.give(op.weights)}
    dy = walk.of(op.y)
    walk.append(EmbeddingBagGrad(ids=op.ids, dy=dy, rows=rows, values=values, **fields))
    _scatter(walk, op.w, rows, values)


def _parts(y: str) -> tuple[str, str]:
    """Return the names of the rows and the values that one use of a table makes."""
    return f"rows of d({y})", f"values of d({y})"


def _scatter(walk: Walk, w: str, rows: str, values: str) -> None:
    if w in walk.wanted:
        dw, accumulate = walk.give_parameter(w)
        walk.append(ScatterRows(rows, values, dw, walk.program.shape(w)[0], accumulate))


EMBEDDING_GRADIENTS: dict[type[Op], Callable[[Walk, Any], None]] = {
    Embedding: _embedding,
    EmbeddingBag: _embedding_bag,
}
