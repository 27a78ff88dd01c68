"""A smaller rate when a figure gets no better."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pybp.callbacks.base import Callback
from pybp.callbacks.monitor import check_at_begin, check_mode, check_monitored, more_is_better
from pybp.data import inputs

if TYPE_CHECKING:
    from pybp.training.trainer import Trainer


class ReduceOnPlateau(Callback):
    """Multiply the rate by a factor when a figure has not improved for some epochs.

    The rule of PyTorch's ``ReduceLROnPlateau``. Each epoch that is not better than the best so far
    counts as bad; after more than ``patience`` bad epochs in a row the rate becomes ``max(lr *
    factor, min_lr)``, and for ``cooldown`` epochs none counts as bad.

    Parameters
    ----------
    monitor : str
        A key of the logs.
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" takes more for accuracies.
    factor : float
        In (0, 1).
    patience : int
        How many bad epochs in a row leave the rate as it is.
    threshold : float
        How much better counts.
    threshold_mode : {"rel", "abs"}
        Better is less than ``best * (1 - threshold)`` or ``best - threshold``; where more is
        better, more than ``best * (1 + threshold)`` or ``best + threshold``.
    cooldown : int
        Epochs after a change of the rate in which none counts as bad.
    min_lr : float
        The rate falls no further.
    eps : float
        A change of the rate that is not larger than this is left out.

    Attributes
    ----------
    best : float
        The best figure.

    Notes
    -----
    Adds ``"lr"`` to the logs: the rate that the epoch was trained with. The rate stays reduced in
    the trainer after the fit. Each fit begins with no best figure and no bad epochs.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        check_mode(mode)
        self.factor = inputs.real_number(factor, "factor")
        if not 0 < self.factor < 1:
            raise ValueError(f"factor must lie between 0 and 1, got {factor!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f'threshold_mode must be "rel" or "abs", got {threshold_mode!r}')
        self.monitor, self.mode, self.threshold_mode = monitor, mode, threshold_mode
        self.patience = inputs.whole_number(patience, "patience", 0)
        self.cooldown = inputs.whole_number(cooldown, "cooldown", 0)
        self.threshold = _at_least_0(threshold, "threshold")
        self.min_lr = _at_least_0(min_lr, "min_lr")
        self.eps = _at_least_0(eps, "eps")
        self._more = more_is_better(mode, monitor)
        self._reset()

    def _reset(self) -> None:
        self.best = -math.inf if self._more else math.inf
        self._bad = 0
        self._cooling = 0

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Start anew; refuse a schedule, and a figure that nobody can have put into the logs."""
        if trainer.optimizer.has_schedule():
            raise ValueError(
                "ReduceOnPlateau changes a rate that is a number, but the optimiser has the "
                f"schedule {vars(trainer.optimizer)['lr']!r}"
            )
        check_at_begin(self, self.monitor, trainer)
        self._reset()

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: dict[str, Any]) -> None:
        """Compare, count, and reduce the rate when patience is at an end."""
        check_monitored(self, self.monitor, logs)
        rate = float(vars(trainer.optimizer)["lr"])
        logs["lr"] = rate
        value = float(logs[self.monitor])
        if self._is_better(value):
            self.best, self._bad = value, 0
        else:
            self._bad += 1
        if self._cooling:
            self._cooling -= 1
            self._bad = 0
        if self._bad > self.patience:
            self._bad, self._cooling = 0, self.cooldown
            reduced = max(rate * self.factor, self.min_lr)
            if rate - reduced > self.eps:
                trainer.optimizer = trainer.optimizer.replace(lr=reduced)

    def state(self) -> dict[str, Any]:
        """Return the best figure and the two counts; the rate is the optimiser's."""
        return {"best": self.best, "bad": self._bad, "cooling": self._cooling}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` has returned."""
        self.best = float(state["best"])
        self._bad, self._cooling = int(state["bad"]), int(state["cooling"])

    def _is_better(self, value: float) -> bool:
        if self.threshold_mode == "rel":
            sign = 1.0 if self._more else -1.0
            limit = self.best * (1.0 + sign * self.threshold)
        else:
            limit = self.best + (self.threshold if self._more else -self.threshold)
        return value > limit if self._more else value < limit


def _at_least_0(value: float, name: str) -> float:
    number = inputs.real_number(value, name)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} must be a finite number >= 0, got {value!r}")
    return number
