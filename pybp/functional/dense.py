"""Products, sums and their like on rows: (n, ...)."""

from __future__ import annotations

from typing import Any

from pybp import layers
from pybp.data import inputs
from pybp.functional.function import NOTHING, Call, function, given, some


@function("x", "weight", "bias")
def linear(x: Any, weight: Any, bias: Any = None) -> Call:
    """Return ``x @ weight + bias``.

    Parameters
    ----------
    x : array (n, ..., in)
        Rows.
    weight : array (in, out)
        The matrix.
    bias : array (out,), optional
        Added to each row.

    Returns
    -------
    array (n, ..., out)
    """
    w = given("weight", weight, "in", "out")
    layer = layers.Linear(w.shape[1], bias is not None, NOTHING, NOTHING, name="linear")
    return Call(layer, {"x": given("x", x)}, {"weight": w, **some(bias=bias)})


@function("a", "b")
def add(a: Any, b: Any) -> Call:
    """Return ``a + b`` for arrays (n, ...) of one shape: nothing is broadcast."""
    return Call(layers.Add(name="add"), {"a": given("a", a), "b": given("b", b)})


@function("a", "b")
def multiply(a: Any, b: Any) -> Call:
    """Return ``a * b``, element by element, for arrays (n, ...) of one shape."""
    return Call(layers.Multiply(name="multiply"), {"a": given("a", a), "b": given("b", b)})


@function("a", "b")
def concat(a: Any, b: Any) -> Call:
    """Return a (n, ..., p) and b (n, ..., q) side by side: (n, ..., p + q)."""
    return Call(layers.Concat(name="concat"), {"a": given("a", a), "b": given("b", b)})


@function("x")
def dropout(x: Any, p: float = 0.5, training: bool = True, *, seed: int = 0, step: int = 0) -> Call:
    """Set each element to 0 with probability p, and divide the rest by 1 - p.

    Parameters
    ----------
    x : array (n, ...)
        Values.
    p : float
        Probability of dropping an element.
    training : bool
        Whether anything is dropped at all.
    seed, step : int
        The key of the mask: the same key gives the same mask. It is that of a net of this seed,
        after so many updates, whose first random layer this is.

    Returns
    -------
    array (n, ...)
    """
    return Call(
        layers.Dropout(p, name="dropout"),
        {"x": given("x", x)},
        training=bool(training),
        seed=inputs.check_seed(inputs.whole_number(seed, "seed", 0)),
        step=inputs.whole_number(step, "step", 0),
    )
