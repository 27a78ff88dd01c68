"""Callbacks: what happens between the epochs and steps of a fit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pybp import inputs

if TYPE_CHECKING:
    from pybp.arrays import Array
    from pybp.trainer import Trainer


class Callback:
    """Base of the callbacks; override what is needed.

    ``trainer.stop = True`` ends the fit after the present epoch, or after the present step when
    set in ``on_step_end``. ``logs`` is one dictionary, which later callbacks see changed. To
    override ``on_step_end`` costs one native call a step.
    """

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Before the first epoch."""

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Before each epoch, which count from 0 in every fit."""

    def on_step_end(self, trainer: Trainer, step: int, loss: float) -> None:
        """After each step; ``step`` counts the net's updates, ``loss`` is the one before it."""

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: dict[str, float]) -> None:
        """After each epoch and its validation."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch."""


class EarlyStopping(Callback):
    """Stop when a figure has not improved for some epochs.

    Parameters
    ----------
    monitor : str
        A key of the logs.
    patience : int
        The fit stops after this many epochs in a row without improvement.
    min_delta : float
        How much better counts as an improvement.
    restore_best : bool
        Whether the parameters and running statistics of the best epoch are put back at the end
        of the fit.
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" takes more for accuracies.

    Attributes
    ----------
    best, best_epoch : float, int
        The best figure and its epoch.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str = "auto",
    ) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f'mode must be "auto", "min" or "max", got {mode!r}')
        if not min_delta >= 0:
            raise ValueError(f"min_delta must be >= 0, got {min_delta!r}")
        self.monitor = monitor
        self.patience = inputs.whole_number(patience, "patience", 0)
        self.min_delta = float(min_delta)
        self.restore_best = restore_best
        self.mode = mode
        self._reset()

    def _reset(self) -> None:
        self.best = math.nan
        self.best_epoch = -1
        self._waited = 0
        self._best: tuple[Array, Array] | None = None  # parameters, running statistics

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Start anew; refuse a figure that nobody can have put into the logs."""
        earlier = trainer.callbacks[: trainer.callbacks.index(self)]
        if not earlier:
            self._find(trainer.log_names)
        self._reset()

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: dict[str, Any]) -> None:
        """Compare, remember, and stop when patience is at an end."""
        self._find(logs)
        value = float(logs[self.monitor])
        if self.best_epoch < 0 or self._is_better(value):
            self.best, self.best_epoch, self._waited = value, epoch, 0
            if self.restore_best:
                net = trainer.net
                self._best = net.params.flat.copy(), net.buffers.flat.copy()
            return
        self._waited += 1
        if self._waited >= self.patience:
            trainer.stop = True

    def on_fit_end(self, trainer: Trainer) -> None:
        """Put the best parameters and their running statistics back."""
        if self._best is not None:
            trainer.net.params.flat[...], trainer.net.buffers.flat[...] = self._best

    def _find(self, names: Iterable[str]) -> None:
        if self.monitor not in names:
            raise ValueError(
                f"EarlyStopping monitors {self.monitor!r}, but the logs have only "
                f"{', '.join(names)}; val_... needs validation_data="
            )

    def _is_better(self, value: float) -> bool:
        more = self.mode == "max" or (self.mode == "auto" and "accuracy" in self.monitor)
        gain = value - self.best if more else self.best - value
        return gain > self.min_delta or (math.isnan(self.best) and not math.isnan(value))
