"""Activations and their slopes in NumPy: the definition.

Each function takes the array and the parameters alpha and beta. A slope takes ``saved``: the
output where ``pybp.program.activations`` says so, else the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pybp.arrays import Array

Function = Callable[[Array, float, float], Array]

# Klambauer et al. 2017, self-normalising networks
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x)), without overflow and without a linear cut-off."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def erf(x: Array) -> Array:
    """Return the error function of each element."""
    return np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype)


def _normal_cdf(x: Array) -> Array:
    return (1 + erf(x / math.sqrt(2))) / 2


def _normal_density(x: Array) -> Array:
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _gelu(x: Array, alpha: float, beta: float) -> Array:
    return np.where(x == -np.inf, -0.0, x * _normal_cdf(x)).astype(x.dtype)


def _gelu_slope(x: Array, alpha: float, beta: float) -> Array:
    finite = np.where(np.isinf(x), 0, x)  # inf * density is 0, not NaN
    return _normal_cdf(x) + finite * _normal_density(x)


def _tanh(x: Array, alpha: float, beta: float) -> Array:
    return np.tanh(x)


def _gelu_tanh_argument(x: Array) -> Array:
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def _gelu_tanh(x: Array, alpha: float, beta: float) -> Array:
    cdf = sigmoid(2 * _gelu_tanh_argument(x))  # (1 + tanh(u)) / 2, without cancellation
    return np.where(x == -np.inf, -0.0, x * cdf).astype(x.dtype)


def _gelu_tanh_slope(x: Array, alpha: float, beta: float) -> Array:
    u = _gelu_tanh_argument(x)
    cdf = sigmoid(2 * u)
    bounded = np.clip(x, -100, 100)  # beyond, the density is 0 and x^2 might overflow
    inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * bounded * bounded)
    return cdf + bounded * 2 * cdf * sigmoid(-2 * u) * inner


def _silu(x: Array, alpha: float, beta: float) -> Array:
    return np.where(x == -np.inf, -0.0, x * sigmoid(x)).astype(x.dtype)


def _silu_slope(x: Array, alpha: float, beta: float) -> Array:
    s = sigmoid(x)
    finite = np.where(np.isinf(x), 0, x)
    return s + finite * s * sigmoid(-x)


def _mish(x: Array, alpha: float, beta: float) -> Array:
    return np.where(x == -np.inf, -0.0, x * np.tanh(softplus(x))).astype(x.dtype)


def _mish_slope(x: Array, alpha: float, beta: float) -> Array:
    t = np.tanh(softplus(x))
    finite = np.where(np.isinf(x), 0, x)
    return t + finite * (1 - t * t) * sigmoid(x)


def _selu(x: Array, alpha: float, beta: float) -> Array:
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))


def _selu_slope(x: Array, alpha: float, beta: float) -> Array:
    return SELU_SCALE * np.where(x > 0, 1, SELU_ALPHA * np.exp(np.minimum(x, 0)))


def _hard_tanh(x: Array, low: float, high: float) -> Array:
    return np.clip(x, low, high)


def _hard_sigmoid_slope(x: Array, alpha: float, beta: float) -> Array:
    return np.where((x > -3) & (x < 3), 1 / 6, 0)


# name -> (function, slope); PyTorch's formulas where it has the activation
ACTIVATION_FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "identity": (lambda x, a, b: x.copy(), lambda y, a, b: np.ones_like(y)),
    "relu": (lambda x, a, b: np.where(x <= 0, 0, x), lambda y, a, b: np.where(y > 0, 1, 0)),
    "straight_through_relu": (
        lambda x, a, b: np.where(x <= 0, 0, x),
        lambda y, a, b: np.ones_like(y),
    ),
    "leaky_relu": (
        lambda x, a, b: np.where(x > 0, x, a * x),
        lambda y, a, b: np.where(y > 0, 1, a),
    ),
    "sigmoid": (lambda x, a, b: sigmoid(a * x), lambda y, a, b: a * y * (1 - y)),
    "tanh": (_tanh, lambda y, a, b: 1 - y * y),
    "elu": (
        lambda x, a, b: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))),
        lambda x, a, b: np.where(x > 0, 1, a * np.exp(np.minimum(x, 0))),
    ),
    "selu": (_selu, _selu_slope),
    "gelu": (_gelu, _gelu_slope),
    "gelu_tanh": (_gelu_tanh, _gelu_tanh_slope),
    "silu": (_silu, _silu_slope),
    "mish": (_mish, _mish_slope),
    "softplus": (lambda x, a, b: softplus(a * x) / a, lambda x, a, b: sigmoid(a * x)),
    "softsign": (lambda x, a, b: x / (1 + np.abs(x)), lambda x, a, b: (1 + np.abs(x)) ** -2),
    "hard_tanh": (
        _hard_tanh,
        lambda x, a, b: np.where((x > a) & (x < b), 1, 0),
    ),
    "hard_sigmoid": (lambda x, a, b: np.clip(x / 6 + 0.5, 0, 1), _hard_sigmoid_slope),
    "heaviside": (
        lambda x, a, b: np.where(np.isnan(x), x, np.where(x > 0, 1, 0)),
        lambda y, a, b: np.zeros_like(y),
    ),
}
