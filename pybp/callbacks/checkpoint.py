"""Checkpoints during a fit."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from pybp.callbacks.base import Callback
from pybp.callbacks.monitor import check_at_begin, check_mode, check_monitored, more_is_better
from pybp.data import inputs

if TYPE_CHECKING:
    from pybp.training.trainer import Trainer


class Checkpoint(Callback):
    """Save the trainer while it fits; ``Trainer.resume`` goes on from the file.

    A file is written beside the old one, which it replaces when it is whole: whenever the process
    is killed, there is a file that can be read. It is written after the other callbacks have seen
    the step or the epoch, wherever the checkpoint stands among them.

    Parameters
    ----------
    path : str or path
        The file.
    every_steps : int, optional
        Save after each so many training steps of the net, also in mid-epoch.
    every_epochs : int, optional
        Save after each so many epochs. Without any ``every_...`` after each epoch.
    keep : int
        How many older files are kept, as ``path.1`` (the last one before), ``path.2`` ...
    monitor : str, optional
        A key of the logs: after an epoch save only when this figure is better than ever before.
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" takes more for accuracies.

    Attributes
    ----------
    best : float
        The best figure so far, NaN before there is one.

    Raises
    ------
    OSError
        Out of a fit, when the file can't be written: the old one is left as it is.
    """

    step_interval = 0

    def __init__(
        self,
        path: str | os.PathLike[str],
        every_steps: int | None = None,
        every_epochs: int | None = None,
        keep: int = 1,
        monitor: str | None = None,
        mode: str = "auto",
    ) -> None:
        self.path = os.fspath(path)
        if every_steps is not None:
            self.step_interval = inputs.whole_number(every_steps, "every_steps", 1)
        if every_epochs is not None:
            every_epochs = inputs.whole_number(every_epochs, "every_epochs", 1)
        elif every_steps is None:
            every_epochs = 1
        self.every_epochs = every_epochs
        self.keep = inputs.whole_number(keep, "keep", 0)
        check_mode(mode)
        self.monitor, self.mode = monitor, mode
        self.best = math.nan

    def state(self) -> dict[str, Any]:
        """Return the best figure so far."""
        return {"best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` has returned."""
        self.best = float(state["best"])

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Start anew; refuse what can't be saved before anything is trained."""
        if self.monitor is not None:
            check_at_begin(self, self.monitor, trainer)
        self.best = math.nan
        trainer.check_can_be_saved()

    def save_after_step(self, trainer: Trainer) -> None:
        """Save, as ``every_steps`` training steps are done."""
        trainer.save(self.path, keep=self.keep)

    def save_after_epoch(self, trainer: Trainer, epoch: int, logs: dict[str, Any]) -> None:
        """Save, if it is time and the figure has improved."""
        if self.every_epochs is None or (epoch + 1) % self.every_epochs:
            return
        if self.monitor is not None:
            check_monitored(self, self.monitor, logs)
            value = float(logs[self.monitor])
            gain = (
                value - self.best if more_is_better(self.mode, self.monitor) else self.best - value
            )
            if not (gain > 0 or math.isnan(self.best)):
                return
            self.best = value
        trainer.save(self.path, keep=self.keep)
