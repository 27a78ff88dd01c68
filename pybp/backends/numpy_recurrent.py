"""The recurrent ops in NumPy: a loop over time whose lines look like the equations.

Inside a loop the samples stand in the order of their rank (``Packing``): the samples of a step are
the first ones, so ``h[:size]`` are the states that a step reads and writes. States of samples that
are over, or in reverse have not begun, stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from pybp.arrays import Array
from pybp.backends.numpy_activations import sigmoid
from pybp.backends.numpy_step import Arrays, Step, accumulated, activation, slope
from pybp.program.ops import DropMask, Op, Recurrent, RecurrentGrad, RecurrentGradWeight
from pybp.program.ops.recurrent import GATES, SAVED
from pybp.program.packing import Packing
from pybp.random import dropout_mask


def _times(packing: Packing, reverse: bool) -> Iterator[tuple[slice, int]]:
    """Yield the rows of each time step in packed arrays, and how many there are."""
    steps = range(len(packing.sizes))
    for t in reversed(steps) if reverse else steps:
        yield slice(packing.offsets[t], packing.offsets[t + 1]), int(packing.sizes[t])


def _by_rank(array: Array | None, packing: Packing, like: Array, fill: float = 0.0) -> Array:
    """Return a copy of an array of the samples (n, h) by rank; ``fill`` where there is none."""
    if array is None:
        return np.full((len(packing.order), like.shape[-1]), fill, like.dtype)
    return np.asarray(array[packing.order])


def _by_sample(ranked: Array, packing: Packing) -> Array:
    """Return the way back from ``_by_rank``."""
    y = np.empty_like(ranked)
    y[packing.order] = ranked
    return y


def _before(states: Array, first: Array | None, packing: Packing, reverse: bool) -> Array:
    """Return the state before each step (p, h): that of the step before, or first (n, h)."""
    before, state = np.empty_like(states), _by_rank(first, packing, states)
    for rows, size in _times(packing, reverse):
        before[rows] = state[:size]
        state[:size] = states[rows]
    return before


# ---------------------------------------------------------------------------------- forward

# From z, q (size, g * h) and the states h, c (size, h) to the states after the step, and ``gates``.
Forward = Callable[[Array, Array, Array, Array], tuple[Array, Array, Array]]


def _rnn(function: str) -> Forward:
    def forward(z: Array, q: Array, h: Array, c: Array) -> tuple[Array, Array, Array]:
        return activation(function, 0.0, 0.0, z + q), c, h[:, :0]

    return forward


def _lstm(z: Array, q: Array, h: Array, c: Array) -> tuple[Array, Array, Array]:
    i, f, g, o = np.split(z + q, 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    h = o * np.tanh(c)
    return h, c, np.concatenate([i, f, g, o], axis=1)


def _gru(z: Array, q: Array, h: Array, c: Array) -> tuple[Array, Array, Array]:
    z_r, z_u, z_n = np.split(z, 3, axis=1)
    q_r, q_u, q_n = np.split(q, 3, axis=1)
    r = sigmoid(z_r + q_r)
    u = sigmoid(z_u + q_u)
    n = np.tanh(z_n + r * q_n)
    h = (1 - u) * n + u * h
    return h, c, np.concatenate([r, u, n, q_n], axis=1)


FORWARD = {"rnn_tanh": _rnn("tanh"), "rnn_relu": _rnn("relu"), "lstm": _lstm, "gru": _gru}


def _recurrent(op: Recurrent, a: Arrays, step: Step) -> Arrays:
    packing, x, w_hh = step.packings[op.packing], a["x"], a["w_hh"]
    zero = np.zeros((), x.dtype)
    y, cells = np.empty((2, len(x), len(w_hh)), x.dtype)
    gates = np.empty((len(x), SAVED[op.cell] * len(w_hh)), x.dtype)
    h = _by_rank(a.get("h0"), packing, y)
    c = _by_rank(a.get("c0"), packing, y)
    mask = _by_rank(a.get("mask"), packing, y, 1.0)
    z = x @ a["w_ih"] + a.get("b_ih", zero)
    for rows, size in _times(packing, op.reverse):
        q = (h[:size] * mask[:size]) @ w_hh + a.get("b_hh", zero)
        h[:size], c[:size], gates[rows] = FORWARD[op.cell](z[rows], q, h[:size], c[:size])
        y[rows], cells[rows] = h[:size], c[:size]
    hn, cn = _by_sample(h, packing), _by_sample(c, packing)
    return {"y": y, "hn": hn, "cn": cn, "gates": gates, "cells": cells}


# ---------------------------------------------------------------------------------- backward


class _Saved(NamedTuple):
    """What a step of one cell has read and written, each (size, h); gates (size, 4 * h)."""

    y: Array
    before: Array  # the h before the step
    gates: Array
    cells: Array
    cells_before: Array


# From dh, dc (size, h) after a step and what it saved to dz, dq (size, g * h), and the parts of dh
# and dc before the step that don't come through q.
Backward = Callable[[Array, Array, _Saved], tuple[Array, Array, Array, Array]]


def _rnn_grad(function: str) -> Backward:
    def backward(dh: Array, dc: Array, s: _Saved) -> tuple[Array, Array, Array, Array]:
        dz = dh * slope(function, 0.0, 0.0, s.y)
        return dz, dz, np.zeros_like(dh), dc

    return backward


def _lstm_grad(dh: Array, dc: Array, s: _Saved) -> tuple[Array, Array, Array, Array]:
    i, f, g, o = np.split(s.gates, 4, axis=1)
    tanh_c = np.tanh(s.cells)
    dc = dc + dh * o * (1 - tanh_c * tanh_c)
    dz_i = dc * g * i * (1 - i)
    dz_f = dc * s.cells_before * f * (1 - f)
    dz_g = dc * i * (1 - g * g)
    dz_o = dh * tanh_c * o * (1 - o)
    dz = np.concatenate([dz_i, dz_f, dz_g, dz_o], axis=1)
    return dz, dz, np.zeros_like(dh), dc * f


def _gru_grad(dh: Array, dc: Array, s: _Saved) -> tuple[Array, Array, Array, Array]:
    r, u, n, q_n = np.split(s.gates, 4, axis=1)
    dz_n = dh * (1 - u) * (1 - n * n)
    dz_u = dh * (s.before - n) * u * (1 - u)
    dz_r = dz_n * q_n * r * (1 - r)
    dz = np.concatenate([dz_r, dz_u, dz_n], axis=1)
    dq = np.concatenate([dz_r, dz_u, dz_n * r], axis=1)
    return dz, dq, dh * u, dc


BACKWARD = {
    "rnn_tanh": _rnn_grad("tanh"),
    "rnn_relu": _rnn_grad("relu"),
    "lstm": _lstm_grad,
    "gru": _gru_grad,
}


def _recurrent_grad(op: RecurrentGrad, a: Arrays, step: Step) -> Arrays:
    packing, y, w_hh = step.packings[op.packing], a["y"], a["w_hh"]
    gates = a["gates"] if op.gates else y[:, :0]
    cells = a["cells"] if op.cells else np.zeros_like(y)
    before = _before(y, a.get("h0"), packing, op.reverse)
    cells_before = _before(cells, a.get("c0"), packing, op.reverse)
    dz, dq = np.empty((2, len(y), GATES[op.cell] * len(w_hh)), y.dtype)
    dh = _by_rank(a.get("dhn"), packing, y)
    dc = _by_rank(a.get("dcn"), packing, y)
    mask = _by_rank(a.get("mask"), packing, y, 1.0)
    for rows, size in _times(packing, not op.reverse):
        if op.dy:
            dh[:size] += a["dy"][rows]
        saved = _Saved(y[rows], before[rows], gates[rows], cells[rows], cells_before[rows])
        dz[rows], dq[rows], dh_past_q, dc[:size] = BACKWARD[op.cell](dh[:size], dc[:size], saved)
        dh[:size] = dh_past_q + (dq[rows] @ w_hh.T) * mask[:size]
    return {"dz": dz, "dq": dq, "dh0": _by_sample(dh, packing), "dc0": _by_sample(dc, packing)}


def _recurrent_grad_weight(op: RecurrentGradWeight, a: Arrays, step: Step) -> Arrays:
    packing, dq = step.packings[op.packing], a["dq"]
    h = _before(a["y"], a.get("h0"), packing, op.reverse)
    if op.mask:
        h = h * a["mask"][packing.samples()]
    return accumulated(op, a, {"dw": h.T @ dq, "db": np.sum(dq, axis=0)})


def _drop_mask(op: DropMask, a: Arrays, step: Step) -> Arrays:
    kept = dropout_mask(step.seed, op.stream, step.number, op.p, step.rows * op.size)
    scale = 1 / (1 - op.p) if op.p < 1 else 0
    return {"y": np.where(kept, scale, 0).astype(step.real).reshape(step.rows, op.size)}


RECURRENT_OPS: dict[type[Op], Callable[..., Arrays]] = {
    Recurrent: _recurrent,
    RecurrentGrad: _recurrent_grad,
    RecurrentGradWeight: _recurrent_grad_weight,
    DropMask: _drop_mask,
}
