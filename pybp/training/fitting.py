"""The epochs of a fit: many steps a native call, callbacks between, figures at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pybp.arrays import Array
from pybp.callbacks import Callback, Checkpoint
from pybp.data.feeding import most_steps
from pybp.training.evaluation import Examples, running_sum
from pybp.training.progress import Progress

if TYPE_CHECKING:
    from pybp.training.trainer import Trainer

_CALL_SECONDS = 0.1  # about what one native call of a fit lasts
_MOST_STEPS = 1 << 16


class History:
    """What a fit has measured.

    Attributes
    ----------
    history : dict
        "loss", "val_loss", "accuracy", "val_accuracy" ... -> list with one entry an epoch.
    """

    def __init__(self, history: dict[str, list[float]] | None = None) -> None:
        self.history: dict[str, list[float]] = history or {}

    def add(self, logs: dict[str, float]) -> None:
        """Append the figures of an epoch."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"<History of {len(self.history.get('loss', []))} epochs: {last}>"


class Position:
    """How far a fit has come: what a checkpoint holds of it, beside the net.

    Attributes
    ----------
    epoch : int
        The present epoch, from 0.
    begun : bool
        Whether the callbacks know of this epoch.
    done : int
        Its steps that were taken.
    totals : array (2 * results,) or None
        The sums of their results.
    logs : dict or None
        The figures of the epoch, when its steps and its validation are done.
    told : int
        How many callbacks have seen these figures.
    stop : bool
        Whether the fit is to end.
    """

    def __init__(self) -> None:
        self.epoch, self.begun, self.done, self.told = 0, False, 0, 0
        self.totals: Array | None = None
        self.logs: dict[str, float] | None = None
        self.stop = False

    def export(self) -> dict[str, Any]:
        """Return a copy, for ``restore``."""
        kept = dict(vars(self))
        if self.totals is not None:
            kept["totals"] = self.totals.copy()
        if self.logs is not None:
            kept["logs"] = dict(self.logs)
        return kept

    @classmethod
    def restore(cls, exported: dict[str, Any]) -> Position:
        """Return the position that ``export`` has told."""
        position = cls()
        for name in vars(position):
            setattr(position, name, exported[name])
        return position


class Fit:
    """The epochs of one fit: what is the same in all of them, and how far they are.

    Parameters
    ----------
    trainer : Trainer
        Whose net is trained.
    examples, validation : Examples
        The data.
    batch, shuffle, progress
        See ``Trainer.fit``.
    position : Position
        Where the fit begins.
    """

    def __init__(
        self,
        trainer: Trainer,
        examples: Examples,
        batch: int,
        shuffle: bool,
        validation: Examples | None,
        progress: Progress,
        position: Position,
    ) -> None:
        self.trainer, self.examples, self.batch, self.shuffle = trainer, examples, batch, shuffle
        self.validation, self.progress, self.position = validation, progress, position
        self.callbacks = trainer.callbacks
        self.savers = [c for c in self.callbacks if isinstance(c, Checkpoint)]
        self.watchers = [
            c for c in self.callbacks if type(c).on_step_end is not Callback.on_step_end
        ]
        self.starts = np.append(np.arange(0, examples.rows, batch), examples.rows)
        self._pace = 8  # steps of the next native call

    def log_names(self) -> tuple[str, ...]:
        """Return the keys of the logs."""
        names = self.trainer.objective.names()
        measured = () if self.validation is None else (f"val_{name}" for name in names)
        return (*names, *measured)

    @property
    def steps(self) -> int:
        """The number of steps of an epoch."""
        return len(self.starts) - 1

    def run(self, epochs: int, stop_loss: float | None) -> None:
        """Train until the last epoch, or until something stops the fit."""
        while self.position.epoch < epochs:
            if (self.trainer.stop and not self.position.begun) or not self.epoch(stop_loss):
                break

    def epoch(self, stop_loss: float | None) -> bool:
        """Train for the rest of an epoch, measure, call the callbacks; False if it began not."""
        position, trainer = self.position, self.trainer
        self.progress.begin()
        if position.logs is None:
            if not position.begun and not self._begin():
                return False
            self.train()
            trainer.steps.flush(self.examples, self.batch)
            position.logs = self._measure()
        for place in range(position.told, len(self.callbacks)):
            position.told = place + 1
            self.callbacks[place].on_epoch_end(trainer, position.epoch, position.logs)
        self._close(stop_loss)
        trainer.steps.interrupts.check()
        return True

    def _begin(self) -> bool:
        """Call the callbacks before an epoch; tell whether it takes place."""
        for callback in self.callbacks:
            callback.on_epoch_begin(self.trainer, self.position.epoch)
        results = self.trainer.objective.result_count()
        self.position.totals = np.zeros(2 * results)
        self.position.begun = not self.trainer.stop
        return self.position.begun

    def _measure(self) -> dict[str, float]:
        """Return the figures of the epoch's steps and of the validation data."""
        trainer, totals = self.trainer, self.position.totals
        assert totals is not None
        logs = trainer.objective.means(totals, self.rows_done())
        if self.validation is not None:
            for name, value in self._validate(self.validation).items():
                logs[f"val_{name}"] = value
        return logs

    def _validate(self, validation: Examples) -> dict[str, float]:
        """Return the figures of the validation data; Ctrl-C may stop that: it changes nothing."""
        interrupts = self.trainer.steps.interrupts
        interrupts.check()
        interrupts.open = True
        try:
            return self.trainer.evaluator(validation)
        finally:
            interrupts.open = False

    def _close(self, stop_loss: float | None) -> None:
        """End an epoch: all is done but the saving."""
        position, trainer, logs = self.position, self.trainer, self.position.logs
        assert logs is not None
        trainer.history.add(logs)
        self.progress.end(position.epoch, logs)
        if stop_loss is not None and logs["loss"] <= stop_loss:
            trainer.stop = True
        trainer.net.state.epochs += 1
        epoch = position.epoch
        position.epoch, position.begun, position.done, position.told = epoch + 1, False, 0, 0
        position.totals, position.logs = None, None
        for saver in self.savers:
            saver.save_after_epoch(trainer, epoch, logs)

    # --------------------------------------------------------------------- steps of an epoch

    def train(self) -> None:
        """Take the steps of an epoch that are left, in calls of about ``_CALL_SECONDS``."""
        state = self.trainer.net.state
        rows, position = self.examples.rows, self.position
        order = state.order(rows, self.trainer.net.seed) if self.shuffle else None
        while position.done < self.steps and not self.trainer.stop:
            here = self.starts[position.done :]
            count = min(self.steps_of_call(), most_steps(self.examples.data, here))
            self.take(order, here[: count + 1], last=position.done + count == self.steps)
            self.progress.show(position.epoch, int(self.starts[position.done]), rows)

    def take(self, order: Array | None, starts: Array, *, last: bool) -> None:
        """Take some steps in one call, and call the callbacks that watch them."""
        if len(starts) > 2 and last and self.batch == 1:
            # steps that keep no gradients are faster: only the last one keeps them
            self.take(order, starts[:-1], last=False)
            if self.trainer.stop:
                return
            starts = starts[-2:]
        before = time.perf_counter()
        results = self._run(order, starts, last=last)
        self._set_pace(len(results), time.perf_counter() - before)
        self._tell(results[-1])
        self.trainer.steps.interrupts.check()

    def _run(self, order: Array | None, starts: Array, *, last: bool) -> Array:
        """Take some steps; whatever happens, the position counts those that were finished."""
        trainer, position, examples = self.trainer, self.position, self.examples
        keep = trainer.keep_grads or last or bool(self.watchers)
        bound = trainer.steps.bind(examples, self.batch, keep_grads=keep)
        results = np.zeros((len(starts) - 1, 2 * len(bound.program.results)))
        state = trainer.net.state
        before = state.steps
        try:
            trainer.steps.run_into(results, bound, examples, order, starts, keep_grads=keep)
        finally:
            taken = state.steps - before
            assert position.totals is not None
            position.totals = running_sum(position.totals, results[:taken])
            position.done += taken
        return results

    def rows_done(self) -> int:
        """Return the rows of the steps that were taken in this epoch."""
        return int(self.starts[self.position.done])

    def steps_of_call(self) -> int:
        """Return how many steps the next native call takes: until a callback wants to see one."""
        count = min(self._pace, self.steps - self.position.done)
        taken = self.trainer.net.state.steps
        for callback in (*self.watchers, *self.savers):
            interval = callback.step_interval
            if interval:
                count = min(count, interval - taken % interval)
        return count

    def _set_pace(self, steps: int, seconds: float) -> None:
        wanted = int(steps * _CALL_SECONDS / max(seconds, 1e-6))
        self._pace = max(1, min(wanted, 8 * max(self._pace, steps), _MOST_STEPS))

    def _tell(self, results: Array) -> None:
        """Call the callbacks that watch the step which was taken last."""
        trainer = self.trainer
        taken = trainer.net.state.steps
        for callback in self.watchers:
            if taken % callback.step_interval == 0:
                loss = trainer.objective.loss_of(results)
                callback.on_step_end(trainer, taken, loss)
        for saver in self.savers:
            if saver.step_interval and taken % saver.step_interval == 0:
                saver.save_after_step(trainer)
