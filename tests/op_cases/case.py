"""A case: an op with its data, and the ways to fill a buffer."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pybp.program.function import Function
from pybp.program.ops import Op
from pybp.program.program import run_time_sizes

Shape = tuple[int, ...]
Fill = Callable[[np.random.Generator, Shape], np.ndarray]


def spans_of(lengths: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the spans of a packing (of none without lengths): sequences one after the other."""
    numbers = np.array(lengths, np.int64)
    return [(np.cumsum(numbers) - numbers, numbers)] if lengths else []


class Case(NamedTuple):
    """An op on data.

    ``shapes`` has an entry for each buffer that the op names; N stands for ``rows``, packed(0) for
    all time steps of sequences of these ``lengths``, one for each row. ``fills`` says how a buffer
    starts where that is not a standard normal draw. ``terms`` and ``amp`` go into the tolerance
    formula.
    """

    name: str
    op: Op
    rows: int
    shapes: dict[str, Shape]
    terms: int
    amp: float
    fills: dict[str, Fill] = {}  # noqa: RUF012 - never changed
    hyper: tuple[float, ...] = ()
    bench: bool = False
    lengths: tuple[int, ...] = ()
    functions: tuple[Function, ...] = ()  # that the op calls

    @property
    def packed_rows(self) -> tuple[int, ...]:
        """The number of time steps of each packing."""
        return (sum(self.lengths),) if self.lengths else ()

    @property
    def spans(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Where the sequences lie, for each packing."""
        return spans_of(self.lengths)

    def full_shape(self, name: str) -> Shape:
        """Return the shape of a buffer's array."""
        sizes = run_time_sizes(self.rows, self.packed_rows)
        return tuple(sizes.get(extent, extent) for extent in self.shapes[name])


# ------------------------------------------------------------------------------ how to fill buffers


def normal(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.normal(size=shape)


def probabilities(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(0.05, 0.95, shape)


def distributions(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    raw = rng.uniform(0.1, 1, shape)
    return raw / raw.sum(axis=-1, keepdims=True)


def log_distributions(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return np.log(distributions(rng, shape))


def positive(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(0.5, 3, shape)


def small(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(-0.5, 0.5, shape)


def counts(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.integers(0, 6, shape).astype(float)


def yes_or_no(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.integers(0, 2, shape).astype(float)


def some_zero(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(0.5, 2, shape) * (rng.uniform(size=shape) > 0.3)


def labels(classes: int, ignored: bool = False) -> Fill:
    def fill(rng: np.random.Generator, shape: Shape) -> np.ndarray:
        drawn = rng.integers(0, classes, shape)
        return np.where(rng.uniform(size=shape) < 0.3, -100, drawn) if ignored else drawn

    return fill


def away_from(*points: float) -> Fill:
    """Return normal numbers that keep a distance from kinks, so that differences make sense."""

    def fill(rng: np.random.Generator, shape: Shape) -> np.ndarray:
        x = rng.normal(size=shape) * 2
        for point in points:
            x = np.where(np.abs(x - point) < 0.05, x + 0.2, x)
        return x

    return fill


def not_a_number(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return np.full(shape, np.nan)


def some_rows(count: int) -> Fill:
    """Return different rows in rising order and then -1, as the gradient of a table has them."""

    def fill(rng: np.random.Generator, shape: Shape) -> np.ndarray:
        flat = np.full(int(np.prod(shape)), -1)
        found = np.unique(rng.integers(0, count, len(flat) * 3 // 4))
        flat[: len(found)] = found
        return flat.reshape(shape)

    return fill


def ids(case: Case) -> str:
    """Return the name of a case, for test ids."""
    return case.name
