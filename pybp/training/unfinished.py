"""A fit that is under way or was interrupted: all that finishes it, but the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pybp.callbacks import Callback
from pybp.training.evaluation import Examples
from pybp.training.fitting import Position


class Unfinished(NamedTuple):
    """What a checkpoint holds of a fit.

    ``kind`` is "fit" or "fit_stream", ``data`` the shapes and dtypes of what it was given,
    ``callbacks`` the class name and the state of each.
    """

    kind: str
    arguments: dict[str, Any]
    data: list[Any]
    position: Position
    history: dict[str, list[float]]
    callbacks: tuple[tuple[str, dict[str, Any]], ...]

    def now(
        self, stop: bool, history: dict[str, list[float]], callbacks: Sequence[Callback]
    ) -> Unfinished:
        """Return the fit as it is at this moment, in copies."""
        position = Position.restore(self.position.export())
        position.stop = stop
        states = tuple((type(one).__name__, dict(one.state())) for one in callbacks)
        kept = {name: list(values) for name, values in history.items()}
        return self._replace(position=position, history=kept, callbacks=states)

    def check(self, data: list[Any], callbacks: Sequence[Callback]) -> None:
        """Refuse other data or callbacks than the fit had.

        Raises
        ------
        ValueError
            With what is expected, and what was given.
        """
        if data != self.data:
            raise ValueError(
                "the fit that is to be finished had the arrays (shape, dtype) "
                f"{_text(self.data)}, got {_text(data)}; trainer.discard() drops it"
            )
        names = [type(one).__name__ for one in callbacks]
        wanted = [name for name, _ in self.callbacks]
        if names != wanted:
            raise ValueError(
                f"the fit that is to be finished had the callbacks {wanted}, got {names}; "
                "trainer.discard() drops it"
            )

    def restore(self, callbacks: Sequence[Callback]) -> None:
        """Let callbacks go on from where they were."""
        for callback, (_, state) in zip(callbacks, self.callbacks, strict=True):
            callback.restore(state)


def signature(examples: Examples, validation: Examples | None = None) -> list[Any]:
    """Return the shapes and dtypes of data, which a resumed fit must have too."""
    found: list[Any] = []
    for one in (examples, validation):
        if one is None:
            found.append(None)
            continue
        found.append([[list(array.shape), str(array.dtype)] for array in one.data])
        found.append(
            [[len(layout.first), int(layout.length.sum())] for layout in one.batch.layouts]
        )
    return found


def _text(data: list[Any]) -> str:
    arrays = [each for one in data if one for each in one if isinstance(each[0], list)]
    return ", ".join(f"{tuple(shape)} {dtype}" for shape, dtype in arrays)
