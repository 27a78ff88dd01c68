"""The trainer: one step is one native call, and so are many steps of a fit."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pybp import inputs
from pybp.arrays import Array
from pybp.by_name import resolve, resolve_all
from pybp.callbacks import Callback
from pybp.class_weight import by_class
from pybp.evaluation import Evaluator, Examples, means
from pybp.losses import LOSSES, Loss
from pybp.metrics import METRICS, Metric
from pybp.network import Network
from pybp.optimizers import OPTIMIZERS, Optimizer
from pybp.program.program import Program
from pybp.progress import Progress
from pybp.steps import Steps

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


class Trainer:
    """Trains a net: holds what describes a step, and the programs bound for it.

    Parameters
    ----------
    net : Network
        The net; its state goes on from where it is.
    loss : Loss or str
        The loss, or its name.
    optimizer : Optimizer or str
        The optimiser, or its name. Its state in the net goes on while the class stays the same.
    metrics : iterable of Metric or str
        What is measured beside the loss: "accuracy".
    keep_grads : bool
        Whether ``net.grads`` holds the gradients after each step; after a fit it does anyway.

    Attributes
    ----------
    stop : bool
        Callbacks set it to end a fit.
    history : History
        Of the last fit.
    callbacks : tuple of Callback
        Of the last fit.
    log_names : tuple of str
        The keys which the logs of the last fit have before any callback sees them.
    """

    def __init__(
        self,
        net: Network,
        loss: Loss | str,
        optimizer: Optimizer | str,
        metrics: Iterable[Metric | str] = (),
        *,
        keep_grads: bool = False,
    ) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"net must be a pybp net, got {net!r}")
        self.net = net
        self.loss = resolve("loss", loss, LOSSES, Loss)
        self.optimizer = resolve("optimizer", optimizer, OPTIMIZERS, Optimizer)
        self.metrics = resolve_all("metric", metrics, METRICS, Metric)
        self.keep_grads = keep_grads
        self.stop = False
        self.history = History()
        self.callbacks: tuple[Callback, ...] = ()
        self.log_names: tuple[str, ...] = ()
        self._evaluator = Evaluator(net, self.loss, self.metrics)
        self._steps = Steps(net, self.loss, self.optimizer, self.metrics)

    def step(self, x: Array, y: Array, sample_weight: Array | None = None) -> float:
        """Train on one batch: forward, loss, backward, update in one native call.

        Parameters
        ----------
        x : array (n, *input_shape)
            Inputs.
        y : array
            Targets, as the loss takes them.
        sample_weight : array (n,), optional
            Weights of the samples.

        Returns
        -------
        float
            The loss before the update.
        """
        examples = Examples(self.net, self.loss, x, y, sample_weight)
        starts = np.array([0, examples.rows])
        if examples.rows == 1:
            self._steps.bind(examples, 1, keep_grads=self.keep_grads).check_rows(1)
        with self.net.training_alone():
            results = self._steps.run(
                examples, None, starts, examples.rows, keep_grads=self.keep_grads
            )
        return means(("loss",), results, self.loss, 1)["loss"]

    def fit(
        self,
        x: Array,
        y: Array,
        *,
        epochs: int,
        batch_size: int | None = 32,
        shuffle: bool = True,
        validation_data: Sequence[Any] | None = None,
        sample_weight: Array | None = None,
        class_weight: Any = None,
        callbacks: Iterable[Callback] = (),
        stop_loss: float | None = None,
        verbose: int = 1,
    ) -> History:
        """Train for some epochs.

        Parameters
        ----------
        x : array (n, *input_shape)
            Inputs of any real dtype, converted batch by batch.
        y : array
            Targets, as the loss takes them.
        epochs : int
            How often to go through the data.
        batch_size : int or None
            Rows of a step; None takes all, 1 is online learning. The last batch of an epoch may
            be smaller, and is averaged by its own size.
        shuffle : bool
            Whether each epoch has a new order, drawn from the seed and the epoch counter.
        validation_data : (x, y) or (x, y, sample_weight), optional
            Measured after each epoch, as "val_loss", "val_accuracy" ...
        sample_weight : array (n,), optional
            Weights of the samples.
        class_weight : array (classes,) or dict, optional
            Weight of each class; multiplies the sample weights. In a dictionary from labels to
            weights the classes left out weigh 1. The classes of BCE and BCEWithLogits are 0 and 1.
        callbacks : iterable of Callback
            Called in this order.
        stop_loss : float, optional
            Stop after the first epoch whose training loss is at most this.
        verbose : int
            0 prints nothing, 1 a line for each epoch.

        Returns
        -------
        History
            The figures of each epoch.

        Raises
        ------
        ValueError, TypeError, IndexError
            For arguments that don't fit, before anything is changed.
        """
        epochs = inputs.whole_number(epochs, "epochs", 1)
        self.callbacks = _callbacks(callbacks)
        if stop_loss is not None:
            stop_loss = inputs.real_number(stop_loss, "stop_loss")
        if batch_size is not None:
            batch_size = inputs.whole_number(batch_size, "batch_size", 1)
        examples = Examples(self.net, self.loss, x, y, sample_weight)
        if class_weight is not None:
            weight = by_class(class_weight, self.loss, self.net.output_shape, *examples.data[1:])
            examples = Examples(self.net, self.loss, x, y, weight)
        validation = None
        if validation_data is not None:
            validation = Examples(self.net, self.loss, *_pair(validation_data))
        batch = min(batch_size or examples.rows, examples.rows)
        bound = self._steps.bind(examples, batch, keep_grads=True)
        bound.check_rows(examples.rows % batch or batch)  # the last batch is the smallest
        self.stop, self.history = False, History()
        fit = _Fit(self, examples, batch, shuffle, validation, Progress(epochs, verbose))
        self.log_names = fit.log_names()
        with self.net.training_alone():
            for callback in self.callbacks:
                callback.on_fit_begin(self)
            for epoch in range(epochs):
                if not fit.begin(epoch):
                    break
                logs = fit.epoch(epoch)
                if stop_loss is not None and logs["loss"] <= stop_loss:
                    break
            for callback in self.callbacks:
                callback.on_fit_end(self)
        return self.history

    def program(self, x: Array, y: Array) -> Program:
        """Return the program of a step on such a batch; ``print`` shows it."""
        examples = Examples(self.net, self.loss, x, y)
        return self._steps.bind(examples, examples.rows, keep_grads=self.keep_grads).program


class _Fit:
    """The epochs of one fit: what is the same in all of them."""

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
            for name, value in trainer._evaluator(self.validation).items():
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
            count = 1 if self.watchers else min(self._pace, steps - done)
            before = time.perf_counter()
            part = self.starts[done : done + count + 1]
            results.append(self._run(order, part))
            self._set_pace(count, time.perf_counter() - before)
            done += count
            for callback in self.watchers:
                loss = means(self.names[:1], results[-1], trainer.loss, 1)["loss"]
                callback.on_step_end(trainer, net.state.steps, loss)
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
        return trainer._steps.run(self.examples, order, starts, self.batch, keep_grads=keep)

    def _warn_of_nan(self, logs: dict[str, float], epoch: int) -> None:
        if math.isnan(logs["loss"]) and not self._warned:
            self._warned = True
            warnings.warn(
                f"the loss is NaN since epoch {epoch + 1}: a smaller rate or other data may help",
                RuntimeWarning,
                stacklevel=4,
            )

    def _set_pace(self, steps: int, seconds: float) -> None:
        wanted = int(steps * _CALL_SECONDS / max(seconds, 1e-6))
        self._pace = max(1, min(wanted, 8 * self._pace, _MOST_STEPS))


def _callbacks(given: Any) -> tuple[Callback, ...]:
    """Return callbacks as a tuple."""
    if isinstance(given, Callback) or not isinstance(given, Iterable):
        raise TypeError(f"callbacks must be a list of callbacks, got {given!r}")
    callbacks = tuple(given)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks must be made from pybp.Callback, got {callback!r}")
    return callbacks


def _pair(validation_data: Any) -> tuple[Any, ...]:
    if not isinstance(validation_data, tuple) or len(validation_data) not in (2, 3):
        raise ValueError("validation_data must be a tuple (x, y) or (x, y, sample_weight)")
    return validation_data
