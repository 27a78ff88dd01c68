"""Rows of the table: ids, bags, lengths and ragged batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from errors.table import Row

import pybp as bp

IDS = np.array([[0, 1, 2], [3, 4, 5]])
SEQUENCES = np.random.default_rng(0).normal(size=(3, 5, 2))


def _table() -> bp.Sequential:
    return bp.Sequential([bp.Embedding(6, 2), bp.Flatten(), bp.Linear(1)]).build((3,))


def _bags(**options: Any) -> bp.Sequential:
    return bp.Sequential([bp.EmbeddingBag(6, 2, **options)]).build((None,))


def _rnn() -> bp.Sequential:
    return bp.Sequential([bp.RNN(3)]).build((None, 2))


def _ids(value: Any, dtype: Any = None) -> np.ndarray:
    ids = IDS.astype(dtype or np.int64)
    ids[0, 1] = value
    return ids


def _lengths(*lengths: Any) -> np.ndarray:
    return np.array(lengths)


ROWS = [
    *(
        Row("an id below 0 or beyond the table", lambda _, v=v: _table().predict(v), IndexError,
            r"0 \.\.\. 5")
        for v in (_ids(6), _ids(-1), _ids(2**62), _ids(-(2**63)), _ids(2**64 - 1, "u8"))
    ),
    *(
        Row("an id below 0 or beyond the table", lambda _, v=v: _bags().predict(v), IndexError,
            r"0 \.\.\. 5")
        for v in (_ids(6), _ids(-1), [np.array([0, 6])], bp.Ragged(np.array([0, -2]), [0]))
    ),
    Row("an id below 0 or beyond the table", lambda _: _table().fit(
        _ids(2**31), np.ones((2, 1)), loss="mse", optimizer="sgd", epochs=1), IndexError,
        r"0 \.\.\. 5"),
    *(
        Row("ids of a float or bool dtype", lambda _, n=n, d=d: n().predict(IDS.astype(d)),
            TypeError, str(np.dtype(d)))
        for n in (_table, _bags) for d in ("f4", "f8", "?", "f2")
    ),
    Row("offsets of bags that don't begin at 0, fall, or pass the end",
        lambda _: bp.Ragged(IDS[0], np.array([1, 2])), ValueError, "0.*1|begin"),
    Row("offsets of bags that don't begin at 0, fall, or pass the end",
        lambda _: bp.Ragged(IDS[0], np.array([0, 2, 1])), ValueError, "fall"),
    Row("offsets of bags that don't begin at 0, fall, or pass the end",
        lambda _: bp.Ragged(IDS[0], np.array([0, 4])), ValueError, "4"),
    Row("offsets of bags that don't begin at 0, fall, or pass the end",
        lambda _: bp.Ragged(IDS[0], np.array([0, 2**62])), ValueError, "4611686018427387904"),
    Row("offsets of bags that don't begin at 0, fall, or pass the end",
        lambda _: bp.Ragged(IDS[0], np.array([0, -1])), ValueError, "fall|-1"),
    Row("offsets of bags that don't begin at 0, fall, or pass the end",
        lambda _: bp.Ragged(IDS[0], np.array([], int)), ValueError, "offset"),
    Row("offsets that are no whole numbers",
        lambda _: bp.Ragged(IDS[0], np.array([0.0, 1.0])), TypeError, "float64"),
    Row("weights of ids of another length, or for another mode than \"sum\"",
        lambda _: bp.Ragged(IDS[0], np.array([0]), np.ones(2)), ValueError, r"\(3,\).*\(2,\)"),
    Row("weights of ids of another length, or for another mode than \"sum\"",
        lambda _: _bags(mode="max").predict(bp.Ragged(IDS[0], np.array([0]), np.ones(3))),
        ValueError, "sum"),
    Row("an unknown mode of an EmbeddingBag",
        lambda _: bp.EmbeddingBag(6, 2, mode="median"), ValueError, "median"),
    Row("a padding id outside the table",
        lambda _: bp.EmbeddingBag(6, 2, padding_idx=6), ValueError, "padding_idx"),
    *(
        Row("lengths of 0, below 0, beyond the time steps, or of another number", lambda _, v=v:
            _rnn().predict(SEQUENCES, lengths=v), ValueError, m)
        for v, m in (
            (_lengths(5, 0, 2), "got 0|0 in row 1|row 1"), (_lengths(5, -1, 2), "-1"),
            (_lengths(5, 6, 2), "6"), (_lengths(5, 2**62, 2), "4611686018427387904"),
            (_lengths(5, 2), r"\(2,\)"), (np.ones((3, 1), int), r"\(3, 1\)"),
        )
    ),
    Row("lengths that are no whole numbers",
        lambda _: _rnn().predict(SEQUENCES, lengths=_lengths(5.0, 2.0, 3.0)), TypeError, "float64"),
    Row("lengths that are no whole numbers",
        lambda _: _rnn().predict(SEQUENCES, lengths=_lengths(True, True, True)), TypeError, "bool"),
    Row("sequences without time steps, of another width, or none",
        lambda _: _rnn().predict(SEQUENCES[:, :0]), ValueError, "step|0"),
    Row("sequences without time steps, of another width, or none",
        lambda _: _rnn().predict(SEQUENCES[..., :1]), ValueError,
        r"\(n, steps, 2\), got samples of \(5, 1\)"),
    Row("sequences without time steps, of another width, or none",
        lambda _: _rnn().predict([np.ones((3, 2)), np.ones((0, 2))]), ValueError, "1"),
    Row("sequences without time steps, of another width, or none",
        lambda _: _rnn().predict([np.ones((3, 2)), np.ones((2, 3))]), ValueError, "1"),
    Row("sequences without time steps, of another width, or none",
        lambda _: _rnn().predict([]), ValueError, "empty|no"),
]  # fmt: skip
