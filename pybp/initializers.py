"""Initialisers: how a parameter starts. Descriptions that draw from a given generator."""

from __future__ import annotations

import math

import numpy as np

from pybp.arrays import Array
from pybp.record import Record


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (fan in, fan out) of a weight (..., in, out); leading axes are a kernel's taps."""
    if len(shape) < 2:
        raise ValueError(f"fans need a weight of at least 2 axes, got the shape {shape}")
    taps = math.prod(shape[:-2])
    return taps * shape[-2], taps * shape[-1]


class Initializer(Record):
    """Base of the initialisers: call with a shape and a NumPy generator, get a float64 array."""

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        raise NotImplementedError


class Zeros(Initializer):
    """All zero."""

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        return np.zeros(shape)


class Constant(Initializer):
    """All equal to ``value``."""

    value: float

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        return np.full(shape, float(self.value))


class Uniform(Initializer):
    """Uniform in [low, high)."""

    low: float = 0.0
    high: float = 1.0

    def _check(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"Uniform needs low <= high, got {self.low} and {self.high}")

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        return rng.uniform(self.low, self.high, shape)


class Normal(Initializer):
    """Normal with mean and standard deviation."""

    mean: float = 0.0
    std: float = 1.0

    def _check(self) -> None:
        if not self.std >= 0:
            raise ValueError(f"Normal needs std >= 0, got {self.std}")

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        return rng.normal(self.mean, self.std, shape)


class GlorotUniform(Initializer):
    """Uniform within ``gain * sqrt(6 / (fan in + fan out))`` (Glorot and Bengio 2010, eq. 16)."""

    gain: float = 1.0

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        bound = self.gain * math.sqrt(6 / sum(fans(shape)))
        return rng.uniform(-bound, bound, shape)


class GlorotNormal(Initializer):
    """Normal with variance ``gain^2 * 2 / (fan in + fan out)`` (Glorot and Bengio 2010)."""

    gain: float = 1.0

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        return rng.normal(0, self.gain * math.sqrt(2 / sum(fans(shape))), shape)


class HeUniform(Initializer):
    """Uniform within ``gain * sqrt(3 / fan in)`` (He et al. 2015); gain sqrt(2) suits ReLU."""

    gain: float = math.sqrt(2)

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        bound = self.gain * math.sqrt(3 / fans(shape)[0])
        return rng.uniform(-bound, bound, shape)


class HeNormal(Initializer):
    """Normal with variance ``gain^2 / fan in`` (He et al. 2015, eq. 10)."""

    gain: float = math.sqrt(2)

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        return rng.normal(0, self.gain / math.sqrt(fans(shape)[0]), shape)


class LeCunNormal(Initializer):
    """Normal with variance ``1 / fan in`` (LeCun et al. 1998; the start that SELU assumes)."""

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        return rng.normal(0, 1 / math.sqrt(fans(shape)[0]), shape)


class Orthogonal(Initializer):
    """Orthonormal rows or columns of the weight as a matrix (everything but the last axis, out).

    Saxe et al. 2014; the signs of the QR decomposition are fixed, so that it is uniform over the
    orthogonal matrices (Mezzadri 2007).
    """

    gain: float = 1.0

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        q = q * np.where(np.diag(r) < 0, -1, 1)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


INITIALIZERS: dict[str, type[Initializer]] = {
    kind.__name__: kind
    for kind in (
        Zeros,
        Constant,
        Uniform,
        Normal,
        GlorotUniform,
        GlorotNormal,
        HeUniform,
        HeNormal,
        LeCunNormal,
        Orthogonal,
    )
}
