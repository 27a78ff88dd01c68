"""Ragged batches: what they hold, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pybp as bp

VALUES = np.arange(10).reshape(5, 2)


def test_what_it_holds() -> None:
    batch = bp.Ragged(VALUES, [0, 2, 2])
    assert batch.rows == len(batch) == 3
    assert batch.values is VALUES
    assert batch.first.tolist() == [0, 2, 2]
    assert batch.lengths.tolist() == [2, 0, 3]
    assert batch.first.dtype == batch.lengths.dtype == np.int64
    assert batch.weights is None
    assert repr(batch) == "<Ragged: 3 sequences, 5 steps of shape (2,) (int64)>"


def test_weights() -> None:
    weights = np.ones(5)
    batch = bp.Ragged(np.arange(5), np.array([0], np.uint8), weights)
    assert batch.weights is weights
    assert repr(batch) == "<Ragged: 1 sequences, 5 steps (int64), with weights>"


def test_later_changes_of_the_offsets_are_not_seen() -> None:
    offsets = np.array([0, 1, 4])
    batch = bp.Ragged(VALUES, offsets)
    offsets[:] = 99
    assert batch.first.tolist() == [0, 1, 4]
    assert batch.lengths.tolist() == [1, 3, 1]
    with pytest.raises(ValueError, match="read-only"):
        batch.first[0] = 1


def test_of_a_list() -> None:
    batch = bp.Ragged.of([VALUES[:2], VALUES[:0], VALUES[3:4]])
    assert batch.values.tolist() == [[0, 1], [2, 3], [6, 7]]
    assert batch.lengths.tolist() == [2, 0, 1]
    assert batch.first.tolist() == [0, 2, 2]


def test_an_empty_entry_has_no_dtype_to_speak_of() -> None:
    batch = bp.Ragged.of([np.array([]), np.array([3, 4], np.int16)])
    assert batch.values.dtype == np.int16
    assert batch.lengths.tolist() == [0, 2]
    assert bp.Ragged.of([np.array([]), np.array([])]).lengths.tolist() == [0, 0]


def test_integers_of_different_size_become_the_larger() -> None:
    batch = bp.Ragged.of([np.array([1], np.int8), np.array([300], np.int32)])
    assert batch.values.tolist() == [1, 300]


@pytest.mark.parametrize(
    ("offsets", "error", "words"),
    [
        ([], ValueError, "at least one entry"),
        ([[0, 1]], ValueError, "shape"),
        (0, ValueError, "shape"),
        ([1, 2], ValueError, "begin at 0, got 1"),
        ([-1, 2], ValueError, "begin at 0, got -1"),
        ([0, 3, 2, 4], ValueError, "never fall, got 3 and then 2 in place 2"),
        ([0, 6], ValueError, "within the 5 values, got 6"),
        ([0, 2**62], ValueError, "within the 5 values"),
        ([0.0, 1.0], TypeError, "whole numbers"),
        (["0"], TypeError, "whole numbers"),
        ([True], TypeError, "whole numbers"),
    ],
)
def test_bad_offsets(offsets: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        bp.Ragged(VALUES, offsets)


@pytest.mark.parametrize(
    ("values", "weights", "error", "words"),
    [
        ([1, 2], None, TypeError, "values must be an array, got list"),
        (None, None, TypeError, "values must be an array"),
        (np.array(["a"]), None, TypeError, "real numbers"),
        (np.ma.array([1.0]), None, TypeError, "array"),
        (np.array(1), None, ValueError, "at least one axis"),
        (VALUES, np.ones(4), ValueError, r"weights must have shape \(5,\).*got \(4,\)"),
        (VALUES, np.ones((5, 1)), ValueError, "weights must have shape"),
        (VALUES, [1] * 5, TypeError, "weights must be an array"),
    ],
)
def test_bad_values(values: Any, weights: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        bp.Ragged(values, [0], weights)


@pytest.mark.parametrize(
    ("sequences", "error", "words"),
    [
        ([], ValueError, "x holds no arrays"),
        ([VALUES, [1, 2]], TypeError, r"x\[1\] must be an array, got list"),
        ([VALUES, None], TypeError, r"x\[1\]"),
        ([VALUES, np.array(3)], ValueError, r"x\[1\] must have a time axis"),
        ([np.array([object()])], TypeError, r"x\[0\] must hold real numbers"),
        ([VALUES, VALUES, VALUES[:, :1]], ValueError, r"x\[2\] must have shape \(steps, 2\)"),
        ([VALUES, VALUES + 0.5], ValueError, r"x\[1\] must hold whole numbers as x\[0\]"),
    ],
)
def test_bad_lists(sequences: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        bp.Ragged.of(sequences, "x")
