"""The arguments of a fit that more than one array must fit to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pybp.callbacks import Callback
from pybp.training.evaluation import Examples


def check_stateful(rows: int, batch: int, shuffle: bool, validation: Examples | None) -> None:
    """Refuse what would mix up the states that go on from batch to batch."""
    if shuffle:
        raise ValueError(
            "stateful layers carry states from a row of a batch to the same row of the next: "
            "shuffle=False keeps them in order"
        )
    if rows % batch:
        raise ValueError(
            f"stateful layers need batches of equal size, got {rows} rows in batches of {batch}"
        )
    if validation is not None:
        raise ValueError(
            "validation data would change the states that stateful layers carry: evaluate between "
            "fits, with net.reset_states()"
        )


def callbacks_of(given: Any) -> tuple[Callback, ...]:
    """Return callbacks as a tuple."""
    if isinstance(given, Callback) or not isinstance(given, Iterable):
        raise TypeError(f"callbacks must be a list of callbacks, got {given!r}")
    callbacks = tuple(given)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks must be made from pybp.Callback, got {callback!r}")
    return callbacks


def pair(validation_data: Any) -> tuple[Any, ...]:
    """Return validation data as a tuple of two or three."""
    if not isinstance(validation_data, tuple) or len(validation_data) not in (2, 3):
        raise ValueError("validation_data must be a tuple (x, y) or (x, y, sample_weight)")
    return validation_data
