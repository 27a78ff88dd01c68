"""Counting characters and words of a text with the frequencies of natural language."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pybp.text import count_characters, count_words, counting

LINES, WORDS_PER_LINE, VOCABULARY = 5_000, 12, 20_000

Count = Callable[[list[str]], dict[str, int]]


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Return lines of words whose frequencies fall as in Zipf's law."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    spellings = ["".join(rng.choice(letters, size)) for size in rng.integers(1, 10, VOCABULARY)]
    weights = 1.0 / np.arange(1, VOCABULARY + 1)
    drawn = rng.choice(VOCABULARY, (LINES, WORDS_PER_LINE), p=weights / weights.sum())
    return [" ".join(spellings[i] for i in row) for row in drawn]


@pytest.mark.parametrize(
    "count", [count_characters, counting.python_count_characters], ids=["compiled", "python"]
)
@pytest.mark.benchmark(group="count characters")
def test_count_characters(benchmark: BenchmarkFixture, count: Count, lines: list[str]) -> None:
    counts = benchmark(count, lines)
    assert sum(counts.values()) == sum(map(len, lines))
    assert counts == counting.python_count_characters(lines)


@pytest.mark.parametrize(
    "count", [count_words, counting.python_count_words], ids=["compiled", "python"]
)
@pytest.mark.benchmark(group="count words")
def test_count_words(benchmark: BenchmarkFixture, count: Count, lines: list[str]) -> None:
    counts = benchmark(count, lines)
    assert sum(counts.values()) == LINES * WORDS_PER_LINE
    assert counts == counting.python_count_words(lines)
