"""The trainer: one step is one native call, and so are many steps of a fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pybp import inputs
from pybp.by_name import resolve, resolve_all
from pybp.callbacks import Callback
from pybp.evaluation import Evaluator, Examples, means
from pybp.fitting import Fit, History
from pybp.losses import LOSSES, Loss
from pybp.metrics import METRICS, Metric
from pybp.network import Network
from pybp.optimizers import OPTIMIZERS, Optimizer
from pybp.program.program import Program
from pybp.progress import Progress
from pybp.steps import Steps
from pybp.stream import StreamFit


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
    steps, evaluator
        The bound programs that train and that measure.
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
        self.evaluator = Evaluator(net, self.loss, self.metrics)
        self.steps = Steps(net, self.loss, self.optimizer, self.metrics)

    def step(self, x: Any, y: Any, sample_weight: Any = None, lengths: Any = None) -> float:
        """Train on one batch: forward, loss, backward, update in one native call.

        Parameters
        ----------
        x : array (n, *input_shape), list of arrays, Ragged; or a tuple or dict of them
            Inputs, as for ``net.predict``.
        y : array, or list of arrays
            Targets, as the loss takes them.
        sample_weight : array (n,), optional
            Weights of the samples; (n, steps), or a list of arrays, of time steps.
        lengths : int array (n,), optional
            The steps that count in padded sequences.

        Returns
        -------
        float
            The loss before the update.
        """
        examples = Examples(self.net, self.loss, x, y, sample_weight, lengths)
        starts = np.array([0, examples.rows])
        with self.net.training_alone():
            results = self.steps.run(
                examples, None, starts, examples.rows, keep_grads=self.keep_grads
            )
        return means(("loss",), results, self.loss, 1)["loss"]

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        epochs: int,
        batch_size: int | None = 32,
        shuffle: bool = True,
        validation_data: Sequence[Any] | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        lengths: Any = None,
        callbacks: Iterable[Callback] = (),
        stop_loss: float | None = None,
        verbose: int = 1,
    ) -> History:
        """Train for some epochs.

        Parameters
        ----------
        x : array (n, *input_shape), list of arrays, Ragged; or a tuple or dict of them
            Inputs of any real dtype, converted batch by batch, as for ``net.predict``.
        y : array, or list of arrays
            Targets, as the loss takes them.
        epochs : int
            How often to go through the data.
        batch_size : int or None
            Rows of a step; None takes all, 1 is online learning. The last batch of an epoch may
            be smaller, and is averaged by its own size.
        shuffle : bool
            Whether each epoch has a new order, drawn from the seed and the epoch counter. Not for
            nets with stateful layers, whose batches must also have equal sizes.
        validation_data : (x, y) or (x, y, sample_weight), optional
            Measured after each epoch, as "val_loss", "val_accuracy" ...
        sample_weight : array (n,), optional
            Weights of the samples; (n, steps), or a list of arrays, of time steps.
        class_weight : array (classes,) or dict, optional
            Weight of each class; multiplies the sample weights. In a dictionary from labels to
            weights the classes left out weigh 1. The classes of BCE and BCEWithLogits are 0 and 1.
        lengths : int array (n,), optional
            The steps that count in padded sequences (n, steps, ...): those after them are not
            computed and weigh nothing.
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
        examples = Examples(self.net, self.loss, x, y, sample_weight, lengths)
        if class_weight is not None:
            examples.weigh_classes(class_weight, self.loss, self.net.dtype)
        validation = None
        if validation_data is not None:
            validation = Examples(self.net, self.loss, *_pair(validation_data))
        batch = min(batch_size or examples.rows, examples.rows)
        if self.net.wanted.carried:
            _check_stateful(examples.rows, batch, shuffle, validation)
        bound = self.steps.bind(examples, batch, keep_grads=True)
        bound.check_rows(examples.rows % batch or batch)  # the last batch is the smallest
        fit = Fit(self, examples, batch, shuffle, validation, Progress(epochs, verbose))
        return self._run(fit, epochs, stop_loss)

    def fit_stream(
        self,
        x: Any,
        y: Any,
        *,
        window: int,
        streams: int = 1,
        epochs: int = 1,
        sample_weight: Any = None,
        reset: bool = True,
        callbacks: Iterable[Callback] = (),
        verbose: int = 1,
    ) -> History:
        """Train on one long sequence by truncated backpropagation through time.

        The stream is cut into ``streams`` pieces of equal length, which go side by side as the rows
        of a batch; a step takes the next ``window`` time steps of each. Stateful layers carry their
        states from window to window, gradients stay within one (Williams and Peng 1990). The memory
        of a step does not depend on the length of the stream.

        Parameters
        ----------
        x : array (steps, ...)
            The inputs, without a batch axis; ``np.memmap`` is read bit by bit.
        y : array (steps, ...)
            The targets of each time step.
        window : int
            Time steps of a window, through which gradients flow.
        streams : int
            Pieces that are trained side by side. The last ``steps % streams`` steps are left out.
        epochs : int
            How often to go through the stream.
        sample_weight : array (steps,), optional
            Weights of the time steps.
        reset : bool
            Whether each epoch begins with zero states; without it they go on from where they are,
            as for the next part of a stream that comes in parts.
        callbacks, verbose
            As in ``fit``.

        Returns
        -------
        History
            The figures of each epoch.

        Raises
        ------
        ValueError, TypeError, IndexError
            For a net without stateful layers, and for arguments that don't fit, before anything is
            changed.
        """
        epochs = inputs.whole_number(epochs, "epochs", 1)
        self.callbacks = _callbacks(callbacks)
        fit = StreamFit(self, (x, y, sample_weight), window, streams, Progress(epochs, verbose))
        fit.reset = reset
        return self._run(fit, epochs, None)

    def _run(self, fit: Fit, epochs: int, stop_loss: float | None) -> History:
        """Run the epochs of a fit, with its callbacks round them."""
        self.stop, self.history = False, History()
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

    def program(self, x: Any, y: Any) -> Program:
        """Return the program of a step on such a batch; ``print`` shows it."""
        examples = Examples(self.net, self.loss, x, y)
        return self.steps.bind(examples, examples.rows, keep_grads=self.keep_grads).program


def _check_stateful(rows: int, batch: int, shuffle: bool, validation: Examples | None) -> None:
    """Refuse what would mix up the states that go on from batch to batch."""
    if shuffle:
        raise ValueError(
            "stateful layers carry states from a row of a batch to the same row of the next: "
            "shuffle=False keeps them in order"
        )
    if rows % batch:
        raise ValueError(
            f"stateful layers need batches of equal size, got {rows} rows in batches of {batch}"
        )
    if validation is not None:
        raise ValueError(
            "validation data would change the states that stateful layers carry: evaluate between "
            "fits, with net.reset_states()"
        )


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
