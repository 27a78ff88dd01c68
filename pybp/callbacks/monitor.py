"""What the callbacks that watch a figure of the logs have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pybp.callbacks.base import Callback
    from pybp.training.trainer import Trainer


def check_mode(mode: str) -> None:
    """Refuse another mode than "auto", "min", "max"."""
    if mode not in ("auto", "min", "max"):
        raise ValueError(f'mode must be "auto", "min" or "max", got {mode!r}')


def more_is_better(mode: str, monitor: str) -> bool:
    """Tell whether a larger figure is better; "auto" takes more for accuracies."""
    return mode == "max" or (mode == "auto" and "accuracy" in monitor)


def check_at_begin(callback: Callback, monitor: str, trainer: Trainer) -> None:
    """Refuse a figure that nobody can have put into the logs: no earlier callback is there."""
    if trainer.callbacks.index(callback) == 0:
        check_monitored(callback, monitor, trainer.log_names)


def check_monitored(callback: Callback, monitor: str, names: Iterable[str]) -> None:
    """Refuse a figure that is not in the logs."""
    if monitor not in names:
        raise ValueError(
            f"{type(callback).__name__} monitors {monitor!r}, but the logs have only "
            f"{', '.join(names)}; val_... needs validation_data="
        )
