"""The rows of the table of bad input, and what holds for every one of them.

A row is refused with the named class and a message that says what was expected and what came; the
arrays that were passed and the net are left as they are, byte by byte; it takes less than 5 s.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import pybp as bp

SECONDS = 5.0


class Row(NamedTuple):
    """One row: what is given, as docs/errors.md says it, and how it is refused.

    ``message`` is a regular expression. ``call`` takes a ``Setting``.
    """

    given: str
    call: Callable[[Setting], Any]
    error: type[BaseException]
    message: str


class Setting:
    """A net that has been trained a little, and data for it."""

    def __init__(self, backend: str) -> None:
        rng = np.random.default_rng(0)
        self.backend = backend
        self.x = rng.normal(size=(8, 4))
        self.y = np.arange(8) % 3
        self.weight = np.ones(8)
        layers = [bp.Linear(5), bp.BatchNorm(), bp.ReLU(), bp.Dropout(0.2), bp.Linear(3)]
        self.net = bp.Sequential(layers, dtype="float64").build((4,))
        self.fit(epochs=1)
        self.net.forward(self.x)
        self.passed: list[np.ndarray] = [self.x, self.y, self.weight]

    def fit(self, x: Any = None, y: Any = None, **changes: Any) -> Any:
        """Fit, with some arguments replaced."""
        arguments: dict[str, Any] = {
            "loss": "cross_entropy", "optimizer": "adam", "epochs": 1, "verbose": 0
        } | changes  # fmt: skip
        x, y = self.x if x is None else x, self.y if y is None else y
        return self.net.fit(x, y, **arguments)

    def trainer(self, **options: Any) -> bp.Trainer:
        """Return a trainer of the net."""
        return bp.Trainer(self.net, "cross_entropy", options.pop("optimizer", "adam"), **options)

    def watch(self, array: Any) -> Any:
        """Return an array, and see to it that it is not written."""
        if isinstance(array, np.ndarray):
            self.passed.append(array)
        return array

    def snapshot(self) -> dict[str, Any]:
        """Return all bytes that an error must leave alone."""
        net, state = self.net, self.net.state
        return {
            "params": net.params.flat.tobytes(),
            "buffers": net.buffers.flat.tobytes(),
            "grads": net.grads.flat.tobytes(),
            "moments": {name: array.tobytes() for name, array in state.moments.items()},
            "counters": (state.steps, state.epochs, state.updates, state.optimizer),
            "passed": [(array.shape, array.dtype, array.tobytes()) for array in self.passed],
        }


def check_refused(row: Row, backend: str) -> None:
    """Check one row."""
    setting = Setting(backend)
    before = setting.snapshot()
    began = time.perf_counter()
    with pytest.raises(row.error) as caught:
        row.call(setting)
    assert time.perf_counter() - began < SECONDS
    assert re.search(row.message, str(caught.value)), str(caught.value)
    after = setting.snapshot()
    after["passed"] = after["passed"][: len(before["passed"])]
    assert after == before
    assert np.isfinite(setting.net.predict(setting.x)).all()


def ids(row: Row) -> str:
    """Return the name of a row, for test ids."""
    return row.given.replace(" ", "-")
