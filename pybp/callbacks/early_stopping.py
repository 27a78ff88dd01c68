"""Early stopping: a fit ends when a figure gets no better."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pybp.callbacks.base import Callback
from pybp.callbacks.monitor import check_at_begin, check_mode, check_monitored, more_is_better
from pybp.data import inputs

if TYPE_CHECKING:
    from pybp.arrays import Array
    from pybp.training.trainer import Trainer


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
        check_mode(mode)
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
        check_at_begin(self, self.monitor, trainer)
        self._reset()

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: dict[str, Any]) -> None:
        """Compare, remember, and stop when patience is at an end."""
        check_monitored(self, self.monitor, logs)
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

    def state(self) -> dict[str, Any]:
        """Return the best figure, its epoch, the epochs waited, and the best parameters."""
        kept: dict[str, Any] = {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "waited": self._waited,
        }
        if self._best is not None:
            kept["params"], kept["buffers"] = self._best
        return kept

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` has returned."""
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])
        self._waited = int(state["waited"])
        self._best = (state["params"], state["buffers"]) if "params" in state else None

    def _is_better(self, value: float) -> bool:
        more = more_is_better(self.mode, self.monitor)
        gain = value - self.best if more else self.best - value
        return gain > self.min_delta or (math.isnan(self.best) and not math.isnan(value))
