"""Embeddings, and cells run through time: sequences are (n, steps, features)."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp import layers
from pybp.arrays import Array
from pybp.data import inputs
from pybp.data.ragged import Ragged
from pybp.functional.function import NOTHING, Call, function, given, some


@function("ids", "weight")
def embedding(ids: Any, weight: Any, padding_idx: int | None = None) -> Call:
    """Return the rows of a table: ``weight[ids]``.

    Parameters
    ----------
    ids : int array (n, ...)
        Which rows.
    weight : array (count, size)
        The table.
    padding_idx : int, optional
        An id whose row gets the gradient 0.

    Returns
    -------
    array (n, ..., size)

    Raises
    ------
    IndexError
        For ids below 0, or from ``count`` on.
    """
    table = given("weight", weight, "count", "size")
    count, size = table.shape
    layer = layers.Embedding(
        count, size, padding_idx=padding_idx, weight_init=NOTHING, name="embedding"
    )
    return Call(layer, {"ids": _ids(ids)}, {"weight": table})


@function("ids", "weight", "per_sample_weights")
def embedding_bag(
    ids: Any,
    weight: Any,
    offsets: Any = None,
    mode: str = "mean",
    per_sample_weights: Any = None,
    padding_idx: int | None = None,
    unique: bool = False,
) -> Call:
    """Return one row for each bag of ids: the sum, the mean or the maximum of the rows of its ids.

    Parameters
    ----------
    ids : int array (n, length), or (p,) with offsets; or a list of n int arrays
        The bags.
    weight : array (count, size)
        The table.
    offsets : int array (n,), optional
        Where each bag begins in ids (p,).
    mode : {"mean", "sum", "max"}
        How rows become one; the empty bag gives 0.
    per_sample_weights : array of the shape of ids, optional
        Factors of the rows, in the mode "sum".
    padding_idx : int, optional
        An id that is left out.
    unique : bool
        Count each id once a bag.

    Returns
    -------
    array (n, size)
    """
    table = given("weight", weight, "count", "size")
    count, size = table.shape
    layer = layers.EmbeddingBag(
        count,
        size,
        mode=mode,
        padding_idx=padding_idx,
        unique=unique,
        weight_init=NOTHING,
        name="embedding_bag",
    )
    if isinstance(ids, list):
        if offsets is not None or per_sample_weights is not None:
            raise ValueError("offsets and per_sample_weights go with an array of ids")
        return Call(layer, {"ids": ids}, {"weight": table})
    bags = _ids(ids)
    if bags.ndim != (2 if offsets is None else 1):
        raise ValueError(f"ids must be (n, length), or (p,) with offsets, got {bags.shape}")
    if offsets is None and per_sample_weights is None:
        return Call(layer, {"ids": bags}, {"weight": table})
    starts = np.arange(len(bags)) * bags.shape[1] if offsets is None else offsets
    factors = None
    if per_sample_weights is not None:
        factors = given("per_sample_weights", per_sample_weights)
        if factors.shape != bags.shape:
            raise ValueError(
                f"per_sample_weights must have the shape of ids {bags.shape}, got {factors.shape}"
            )
    batch = Ragged(bags.ravel(), starts, None if factors is None else factors.ravel())
    wanted = None if factors is None else ("per_sample_weights", bags.shape)
    return Call(layer, {"ids": batch}, {"weight": table}, factors=wanted)


def _ids(ids: Any) -> Array:
    array = inputs.numbers(ids, "ids")
    if array.dtype.kind not in "iu":
        raise TypeError(f"ids must be whole numbers, got the dtype {array.dtype}")
    return array


@function("x", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "h0")
def rnn(
    x: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    h0: Any = None,
    lengths: Any = None,
    nonlinearity: str = "tanh",
) -> Call:
    """Run an Elman cell through time: ``h = tanh(x @ w_ih + b_ih + h @ w_hh + b_hh)``.

    Parameters
    ----------
    x : array (n, steps, features)
        Sequences, padded where they are of different lengths.
    weight_ih : array (features, units)
        Weights of the inputs.
    weight_hh : array (units, units)
        Weights of the state.
    bias_ih, bias_hh : array (units,), optional
        Biases.
    h0 : array (n, units), optional
        The state before the first step; zeros by default.
    lengths : int array (n,), optional
        The steps that count; the outputs after them are 0.
    nonlinearity : {"tanh", "relu"}
        The function of the state.

    Returns
    -------
    y : array (n, steps, units)
        The state after each step.
    h : array (n, units)
        The state after each row's own last step.
    """
    weights = _weights(weight_ih, weight_hh, bias_ih, bias_hh)
    call = _through_time(layers.RNN, "rnn", x, weights, some(h0=h0), nonlinearity=nonlinearity)
    return call._replace(lengths=lengths)


@function("x", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "h0", "c0")
def lstm(
    x: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    h0: Any = None,
    c0: Any = None,
    lengths: Any = None,
) -> Call:
    """Run an LSTM cell through time: see ``LSTM``.

    Parameters
    ----------
    x : array (n, steps, features)
        Sequences, padded where they are of different lengths.
    weight_ih : array (features, 4 * units)
        Weights of the inputs, in the order i, f, g, o.
    weight_hh : array (units, 4 * units)
        Weights of the state.
    bias_ih, bias_hh : array (4 * units,), optional
        Biases.
    h0, c0 : array (n, units), optional
        The state before the first step: both or neither; zeros by default.
    lengths : int array (n,), optional
        The steps that count; the outputs after them are 0.

    Returns
    -------
    y : array (n, steps, units)
        h after each step.
    h, c : array (n, units)
        The state after each row's own last step.
    """
    if (h0 is None) != (c0 is None):
        raise ValueError("h0 and c0 are given together, or neither of them")
    weights = _weights(weight_ih, weight_hh, bias_ih, bias_hh)
    call = _through_time(layers.LSTM, "lstm", x, weights, some(h0=h0, c0=c0))
    return call._replace(lengths=lengths)


@function("x", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "h0")
def gru(
    x: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    h0: Any = None,
    lengths: Any = None,
) -> Call:
    """Run a GRU cell through time, the reset after the product: see ``GRU``.

    Parameters
    ----------
    x : array (n, steps, features)
        Sequences, padded where they are of different lengths.
    weight_ih : array (features, 3 * units)
        Weights of the inputs, in the order r, z, n.
    weight_hh : array (units, 3 * units)
        Weights of the state.
    bias_ih, bias_hh : array (3 * units,), optional
        Biases.
    h0 : array (n, units), optional
        The state before the first step; zeros by default.
    lengths : int array (n,), optional
        The steps that count; the outputs after them are 0.

    Returns
    -------
    y : array (n, steps, units)
        The state after each step.
    h : array (n, units)
        The state after each row's own last step.
    """
    weights = _weights(weight_ih, weight_hh, bias_ih, bias_hh)
    call = _through_time(layers.GRU, "gru", x, weights, some(h0=h0))
    return call._replace(lengths=lengths)


def _weights(weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any) -> dict[str, Array]:
    """Return the arrays that are given, under the names of a recurrent layer."""
    arrays = {
        "weight_ih": given("weight_ih", weight_ih, "features", "gates * units"),
        "weight_hh": given("weight_hh", weight_hh, "units", "gates * units"),
        **some(bias_ih=bias_ih, bias_hh=bias_hh),
    }
    return {f"{name}_l0": array for name, array in arrays.items()}


def _through_time(
    kind: Any, name: str, x: Any, weights: dict[str, Array], states: dict[str, Array], **fields: Any
) -> Call:
    """Return the call of a recurrent layer that gives its state too."""
    biases = {"bias_ih_l0", "bias_hh_l0"}
    found = biases & set(weights)
    absent = biases - found if found else ()
    layer = kind(
        weights["weight_hh_l0"].shape[0],
        return_state=True,
        bias=bool(found),
        weight_init=NOTHING,
        recurrent_init=NOTHING,
        bias_init=NOTHING,
        name=name,
        **fields,
    )
    fixed = {bias: np.zeros_like(weights[one]) for bias in absent for one in found}
    rows = given("x", x, "n", "steps", "features")
    return Call(layer, {"x": rows, **states}, weights, fixed)
