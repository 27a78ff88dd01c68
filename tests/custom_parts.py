"""Layers and losses written in NumPy, for the tests; in a module, so that they can be pickled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from finite_difference import directional_difference

import pybp as bp


class Dense(bp.CustomLayer):
    """What ``bp.Linear`` is, in NumPy."""

    units: int
    start: Any = bp.GlorotUniform()

    def output_shape(self, shape: Any) -> Any:
        return (*shape[:-1], self.units)

    def by_rows(self) -> bool:
        return True

    def parameters(self, shape: Any) -> dict[str, Any]:
        return {
            "weight": ((shape[-1], self.units), self.start),
            "bias": ((self.units,), bp.Zeros()),
        }

    def forward(self, x: Any, params: dict[str, np.ndarray]) -> np.ndarray:
        return x @ params["weight"] + params["bias"]

    def backward(self, x: Any, y: np.ndarray, dy: np.ndarray, params: dict[str, np.ndarray]) -> Any:
        flat, slopes = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        return dy @ params["weight"].T, {"weight": flat.T @ slopes, "bias": slopes.sum(axis=0)}


class Gate(bp.CustomLayer):
    """``a * w + b * b``, of two values."""

    start: float = 0.5
    merges = True

    def output_shape(self, shape: Any) -> Any:
        return shape[0]

    def parameters(self, shape: Any) -> dict[str, Any]:
        return {"w": (shape[0], bp.Constant(self.start))}

    def forward(self, x: Any, params: dict[str, np.ndarray]) -> np.ndarray:
        a, b = x
        return a * params["w"] + b * b

    def backward(self, x: Any, y: np.ndarray, dy: np.ndarray, params: dict[str, np.ndarray]) -> Any:
        a, b = x
        return (dy * params["w"], 2 * b * dy), {"w": (dy * a).sum(axis=0)}


class Squares(bp.CustomLoss):
    """What ``bp.MSE`` is, in NumPy, with a factor."""

    factor: float = 1.0

    def forward(self, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self.factor * (y_hat - y) ** 2

    def backward(self, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 2 * self.factor * (y_hat - y)


class Distances(bp.CustomLoss):
    """What ``bp.NormError`` is, in NumPy: a loss for each row."""

    def forward(self, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.sqrt(np.sum((y_hat - y) ** 2, axis=-1))

    def backward(self, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (y_hat - y) / self.forward(y_hat, y)[..., None]


class Classes(bp.CustomLoss):
    """What ``bp.CrossEntropy`` is, in NumPy, on labels."""

    def target_shape(self, shape: Any) -> Any:
        return shape[:-1]

    def forward(self, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        assert y.dtype == np.int32
        chosen = np.take_along_axis(self._log(y_hat), y[..., None], axis=-1)
        return -chosen[..., 0]

    def backward(self, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        right = np.arange(y_hat.shape[-1]) == y[..., None]
        return np.exp(self._log(y_hat)) - right.astype(y_hat.dtype)

    def _log(self, z: np.ndarray) -> np.ndarray:
        z = z - z.max(axis=-1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def square() -> bp.Lambda:
    return bp.Lambda(lambda x: x * x, lambda dy, y, x: 2 * x * dy)


def check_gradients(
    net: Any, x: np.ndarray, forward: Callable[[np.ndarray], np.ndarray] | None = None
) -> None:
    """Hold all gradients of a float64 net to finite differences; x is a float64 array."""
    forward = forward or net.forward
    rng = np.random.default_rng(5)
    weight = rng.normal(size=forward(x).shape)

    def value() -> float:
        return float(np.sum(forward(x) * weight))

    forward(x)
    dx = net.backward(weight)
    analytic = {name: net.grads[name].copy() for name in net.params} | {"x": dx}
    for name, array in {**dict(net.params), "x": x}.items():
        direction = rng.normal(size=array.shape)
        expected = directional_difference(value, array, direction)
        terms = analytic[name] * direction
        assert abs(terms.sum() - expected) <= 1e-8 * max(np.abs(terms).sum(), 1e-1), name
