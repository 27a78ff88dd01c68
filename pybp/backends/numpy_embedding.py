"""Rows of a table by their number, alone and in bags, in NumPy: the definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pybp.arrays import Array
from pybp.backends.numpy_step import Arrays, Step
from pybp.program.ops import (
    Embedding,
    EmbeddingBag,
    EmbeddingBagGrad,
    EmbeddingGrad,
    Op,
    ScatterRows,
)


def _embedding(op: Embedding, a: Arrays, step: Step) -> Arrays:
    return {"y": a["w"][a["ids"]]}


def _embedding_grad(op: EmbeddingGrad, a: Arrays, step: Step) -> Arrays:
    ids, dy = a["ids"], a["dy"]
    rows, values = _by_row(ids.ravel(), dy.reshape(-1, dy.shape[-1]), ids.ravel() != op.padding)
    return {"rows": rows.reshape(ids.shape), "values": values.reshape(dy.shape)}


def _by_row(ids: Array, gradients: Array, counted: Array) -> tuple[Array, Array]:
    """Add up the gradients (p, size) of each id (p,), at the places that count.

    Returns the ids that occur, in rising order and then -1, and their sums.
    """
    found, group = np.unique(ids[counted], return_inverse=True)
    rows = np.full(len(ids), -1, np.int32)
    rows[: len(found)] = found
    values = np.zeros_like(gradients)
    np.add.at(values, group, gradients[counted])
    return rows, values


def _embedding_bag(op: EmbeddingBag, a: Arrays, step: Step) -> Arrays:
    ids, w = a["ids"], a["w"]
    counted = _counted(op, ids, step)
    if op.mode == "max":
        return _largest(op, w[ids], counted, step)
    x = w[ids] * a["weights"][:, None] if op.weights else w[ids]
    y = np.zeros((step.rows, w.shape[1]), w.dtype)
    np.add.at(y, _bags(op, step)[counted], x[counted])
    if op.mode == "mean":
        y /= np.maximum(_sizes(op, counted, step), 1)[:, None].astype(w.dtype)
    return {"y": y}


def _embedding_bag_grad(op: EmbeddingBagGrad, a: Arrays, step: Step) -> Arrays:
    ids = a["ids"]
    bags, counted = _bags(op, step), _counted(op, ids, step)
    dy = a["dy"][bags]  # (p, size), of the bag of each id
    dx = dy
    if op.mode == "mean":
        sizes = np.maximum(_sizes(op, counted, step), 1)
        dx = dy / sizes[bags][:, None].astype(dy.dtype)
    elif op.mode == "max":
        dx = np.where(a["argmax"][bags] == np.arange(len(ids))[:, None], dy, 0)
    elif op.weights:
        dx = dy * a["weights"][:, None]
    rows, values = _by_row(ids, dx, counted)
    if not op.dweights:
        return {"rows": rows, "values": values}
    dweights = np.where(counted, np.sum(dy * a["w"][ids], axis=1), 0)
    return {"rows": rows, "values": values, "dweights": dweights}


def _bags(op: EmbeddingBag | EmbeddingBagGrad, step: Step) -> Array:
    """Return the bag of each id, (p,)."""
    return step.packings[op.packing].samples()


def _sizes(op: EmbeddingBag | EmbeddingBagGrad, counted: Array, step: Step) -> Array:
    """Return how many ids of each bag count, (n,)."""
    return np.bincount(_bags(op, step)[counted], minlength=step.rows)


def _counted(op: EmbeddingBag | EmbeddingBagGrad, ids: Array, step: Step) -> Array:
    """Tell of each id whether it counts, (p,): no padding, and if unique the first in its bag."""
    counted = np.asarray(ids != op.padding)
    if op.unique:
        pairs = np.stack([_bags(op, step), ids], axis=1)
        first = np.zeros(len(ids), bool)
        first[np.unique(pairs, axis=0, return_index=True)[1]] = True
        counted &= first
    return counted


def _largest(op: EmbeddingBag, x: Array, counted: Array, step: Step) -> Arrays:
    """Return the maximum of the rows x (p, size) of each bag, and where it lies."""
    packing = step.packings[op.packing]
    y = np.zeros((step.rows, x.shape[1]), x.dtype)
    argmax = np.full(y.shape, -1, np.int32)
    for start, end in zip(packing.offsets[:-1], packing.offsets[1:], strict=True):
        bags = packing.order[: end - start]
        best, places = y[bags], np.arange(start, end)[:, None]
        better = ~(x[start:end] <= best) & ~np.isnan(best) | (argmax[bags] < 0)
        better &= counted[start:end, None]
        y[bags] = np.where(better, x[start:end], best)
        argmax[bags] = np.where(better, places, argmax[bags])
    return {"y": y, "argmax": argmax}


def _scatter_rows(op: ScatterRows, a: Arrays, step: Step) -> Arrays:
    rows, values = a["rows"].ravel(), a["values"]
    dw = a["dw"] + 0 if op.accumulate else np.zeros((op.count, values.shape[-1]), values.dtype)
    dw[rows[rows >= 0]] += values.reshape(-1, values.shape[-1])[rows >= 0]
    return {"dw": dw}


EMBEDDING_OPS: dict[type[Op], Callable[..., Arrays]] = {
    Embedding: _embedding,
    EmbeddingGrad: _embedding_grad,
    EmbeddingBag: _embedding_bag,
    EmbeddingBagGrad: _embedding_bag_grad,
    ScatterRows: _scatter_rows,
}
