"""The base of the callbacks: what may happen between the epochs and steps of a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pybp.training.trainer import Trainer


class Callback:
    """Base of the callbacks; override what is needed.

    ``trainer.stop = True`` ends the fit after the present epoch, or after the present step when
    set in ``on_step_end``. ``logs`` is one dictionary, which later callbacks see changed. To
    override ``on_step_end`` costs one native call a step.

    Attributes
    ----------
    step_interval : int
        ``on_step_end`` is called after each so many training steps of the net.
    """

    step_interval: int = 1

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold for ``restore``: texts, numbers, lists, arrays."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what ``state`` has returned; called after ``on_fit_begin`` of a resumed fit."""

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Before the first epoch, and before a resumed fit goes on."""

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Before each epoch, which count from 0 in every fit."""

    def on_step_end(self, trainer: Trainer, step: int, loss: float) -> None:
        """After each step; ``step`` counts those of the net, ``loss`` is the one before it."""

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: dict[str, float]) -> None:
        """After each epoch and its validation."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch."""
