"""Formulas as text: numbers, names of entries, sums, and lines that fit a page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pybp.arrays import Array

_WIDTH = 100
_MOST_TERMS = 5  # of a sum; the middle of a longer one is left out


def number(value: Any) -> str:
    """Return a number with five digits."""
    text = f"{float(value):.5g}"
    return "0" if text == "-0" else text


def factor(value: Any) -> str:
    """Return a number as it stands beside an operator."""
    text = number(value)
    return f"({text})" if text.startswith("-") else text


def entry(name: str, index: Sequence[int]) -> str:
    """Return the name of an entry of an array: ``W1[0,2]``."""
    return f"{name}[{','.join(map(str, index))}]" if len(index) else name


def total(terms: Sequence[str]) -> str:
    """Return a sum of terms."""
    if len(terms) > _MOST_TERMS:
        terms = [*terms[:2], "...", terms[-1]]
    return " + ".join(terms)


def vector(array: Array) -> str:
    """Return all numbers of an array."""
    return "[" + ", ".join(number(value) for value in np.ravel(array)) + "]"


def equation(name: str, *sides: str) -> list[str]:
    """Return ``name = side = side ...`` in lines, the same side not twice."""
    shown = [side for k, side in enumerate(sides) if k == 0 or side != sides[k - 1]]
    lead = f"    {name} = "
    line = lead + " = ".join(shown)
    if len(line) <= _WIDTH:
        return [line]
    lines: list[str] = []
    for k, side in enumerate(shown):
        start = lead if k == 0 else f"{'= ':>{len(lead)}}"
        lines += textwrap.wrap(
            side,
            _WIDTH,
            initial_indent=start,
            subsequent_indent=" " * (len(lead) + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def paragraph(text: str, indent: str = "") -> list[str]:
    """Return text in lines."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def indices(array: Array) -> Iterable[tuple[int, ...]]:
    """Return the indices of all entries."""
    return np.ndindex(array.shape)
