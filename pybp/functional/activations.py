"""Activations; the formulas stand in ``pybp.activations``. All keep the shape (n, ...)."""

from __future__ import annotations

from typing import Any

from pybp import activations as layers
from pybp.functional.function import Call, function, given


def _of_one(layer: Any, name: str, x: Any) -> Call:
    return Call(layer.replace(name=name), {"x": given("x", x)})


@function("x")
def relu(x: Any, straight_through: bool = False) -> Call:
    """Return ``max(x, 0)``; with ``straight_through`` the slope is 1 everywhere."""
    return _of_one(layers.ReLU(straight_through), "relu", x)


@function("x")
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Call:
    """Return x above 0, ``negative_slope * x`` else."""
    return _of_one(layers.LeakyReLU(negative_slope), "leaky_relu", x)


@function("x")
def sigmoid(x: Any, slope: float = 1.0) -> Call:
    """Return ``1 / (1 + exp(-slope * x))``."""
    return _of_one(layers.Sigmoid(slope), "sigmoid", x)


@function("x")
def tanh(x: Any) -> Call:
    """Return the hyperbolic tangent."""
    return _of_one(layers.Tanh(), "tanh", x)


@function("x")
def elu(x: Any, alpha: float = 1.0) -> Call:
    """Return x above 0, ``alpha * (exp(x) - 1)`` else (Clevert et al. 2016)."""
    return _of_one(layers.ELU(alpha), "elu", x)


@function("x")
def selu(x: Any) -> Call:
    """Return the self-normalising ELU (Klambauer et al. 2017)."""
    return _of_one(layers.SELU(), "selu", x)


@function("x")
def gelu(x: Any, approximate: str = "none") -> Call:
    """Return ``x * Phi(x)``, exact or with ``approximate="tanh"`` (Hendrycks and Gimpel 2016)."""
    return _of_one(layers.GELU(approximate), "gelu", x)


@function("x")
def silu(x: Any) -> Call:
    """Return ``x * sigmoid(x)`` (Elfwing et al. 2018)."""
    return _of_one(layers.SiLU(), "silu", x)


@function("x")
def mish(x: Any) -> Call:
    """Return ``x * tanh(softplus(x))`` (Misra 2019)."""
    return _of_one(layers.Mish(), "mish", x)


@function("x")
def softplus(x: Any, beta: float = 1.0) -> Call:
    """Return ``log(1 + exp(beta * x)) / beta``, everywhere by this formula."""
    return _of_one(layers.Softplus(beta), "softplus", x)


@function("x")
def softsign(x: Any) -> Call:
    """Return ``x / (1 + |x|)``."""
    return _of_one(layers.Softsign(), "softsign", x)


@function("x")
def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Call:
    """Return ``min(max(x, min_val), max_val)``."""
    return _of_one(layers.HardTanh(min_val, max_val), "hardtanh", x)


@function("x")
def hardsigmoid(x: Any) -> Call:
    """Return ``min(max(x / 6 + 1 / 2, 0), 1)``."""
    return _of_one(layers.HardSigmoid(), "hardsigmoid", x)


@function("x")
def heaviside(x: Any) -> Call:
    """Return 1 above 0, else 0; its gradient is 0."""
    return _of_one(layers.Heaviside(), "heaviside", x)


@function("x")
def softmax(x: Any, axis: int = -1) -> Call:
    """Return ``exp(x_j) / sum_i exp(x_i)`` along an axis, which is not that of the rows, 0."""
    return _of_one(layers.Softmax(axis), "softmax", x)


@function("x")
def log_softmax(x: Any, axis: int = -1) -> Call:
    """Return the logarithm of the softmax along an axis, which is not that of the rows, 0."""
    return _of_one(layers.LogSoftmax(axis), "log_softmax", x)
