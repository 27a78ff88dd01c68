"""The epochs of a fit: many steps a native call, callbacks between, figures at the end."""

from __future__ import annotations

import math
import time
import warnings
from typing import TYPE_CHECKING

import numpy as np

from pybp.arrays import Array
from pybp.callbacks import Callback
from pybp.evaluation import Examples, means
from pybp.progress import Progress

if TYPE_CHECKING:
    from pybp.trainer import Trainer

_CALL_SECONDS = 0.1  # about what one native call of a fit lasts
_MOST_STEPS = 1 << 16


class History:
    """What a fit has measured.

    Attributes
    ----------
    history : dict
        "loss", "val_loss", "accuracy", "val_accuracy" ... -> list with one entry an epoch.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}

    def add(self, logs: dict[str, float]) -> None:
        """Append the figures of an epoch."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"<History of {len(self.history.get('loss', []))} epochs: {last}>"


class Fit:
    """The epochs of one fit: what is the same in all of them.

    Parameters
    ----------
    trainer : Trainer
        Whose net is trained.
    examples, validation : Examples
        The data.
    batch, shuffle, progress
        See ``Trainer.fit``.
    """

    def __init__(
        self,
        trainer: Trainer,
        examples: Examples,
        batch: int,
        shuffle: bool,
        validation: Examples | None,
        progress: Progress,
    ) -> None:
        self.trainer, self.examples, self.batch, self.shuffle = trainer, examples, batch, shuffle
        self.validation, self.progress = validation, progress
        self.callbacks = trainer.callbacks
        self.watchers = [
            c for c in self.callbacks if type(c).on_step_end is not Callback.on_step_end
        ]
        self.starts = np.append(np.arange(0, examples.rows, batch), examples.rows)
        self.names = ("loss", *(metric.result_name() for metric in trainer.metrics))
        self._pace = 8  # steps of the next native call
        self._warned = False

    def log_names(self) -> tuple[str, ...]:
        """Return the keys of the logs."""
        measured = () if self.validation is None else (f"val_{name}" for name in self.names)
        return (*self.names, *measured)

    def begin(self, epoch: int) -> bool:
        """Call the callbacks before an epoch; tell whether it takes place."""
        if self.trainer.stop:
            return False
        for callback in self.callbacks:
            callback.on_epoch_begin(self.trainer, epoch)
        return not self.trainer.stop

    def epoch(self, epoch: int) -> dict[str, float]:
        """Train for one epoch, measure, call the callbacks; return the logs."""
        trainer = self.trainer
        self.progress.begin()
        results, rows = self._train(epoch)
        logs = means(self.names, results, trainer.loss, rows)
        if self.validation is not None:
            for name, value in trainer.evaluator(self.validation).items():
                logs[f"val_{name}"] = value
        for callback in self.callbacks:
            callback.on_epoch_end(trainer, epoch, logs)
        trainer.history.add(logs)
        self.progress.end(epoch, logs)
        self._warn_of_nan(logs, epoch)
        return logs

    def _train(self, epoch: int) -> tuple[Array, int]:
        """Go once through the data, in calls of about ``_CALL_SECONDS``."""
        trainer, rows = self.trainer, self.examples.rows
        net = trainer.net
        order = net.state.order(rows, net.seed) if self.shuffle else None
        steps = len(self.starts) - 1
        results: list[Array] = []
        done = 0
        while done < steps and not trainer.stop:
            count = self.steps_of_call(steps - done)
            before = time.perf_counter()
            results.append(self._run(order, self.starts[done : done + count + 1]))
            self.after_call(count, time.perf_counter() - before, results[-1])
            done += count
            self.progress.show(epoch, int(self.starts[done]), rows)
        net.state.epochs += 1
        return np.concatenate(results), int(self.starts[done])

    def _run(self, order: Array | None, starts: Array) -> Array:
        """Run some steps of an epoch; the gradients of its last step are kept.

        A callback that watches the steps may end the epoch after any of them.
        """
        trainer = self.trainer
        last = int(starts[-1]) == self.examples.rows
        if len(starts) > 2 and last and self.batch == 1:
            # steps that keep no gradients are faster: only the last one keeps them
            most = self._run(order, starts[:-1])
            return np.concatenate([most, self._run(order, starts[-2:])])
        keep = trainer.keep_grads or last or bool(self.watchers)
        return trainer.steps.run(self.examples, order, starts, self.batch, keep_grads=keep)

    def _warn_of_nan(self, logs: dict[str, float], epoch: int) -> None:
        if math.isnan(logs["loss"]) and not self._warned:
            self._warned = True
            warnings.warn(
                f"the loss is NaN since epoch {epoch + 1}: a smaller rate or other data may help",
                RuntimeWarning,
                stacklevel=4,
            )

    def steps_of_call(self, left: int) -> int:
        """Return how many steps the next native call takes."""
        return 1 if self.watchers else min(self._pace, left)

    def after_call(self, steps: int, seconds: float, results: Array) -> None:
        """Call the callbacks that watch steps, and choose the length of the next call."""
        for callback in self.watchers:
            loss = means(self.names[:1], results, self.trainer.loss, 1)["loss"]
            callback.on_step_end(self.trainer, self.trainer.net.state.steps, loss)
        wanted = int(steps * _CALL_SECONDS / max(seconds, 1e-6))
        self._pace = max(1, min(wanted, 8 * self._pace, _MOST_STEPS))
