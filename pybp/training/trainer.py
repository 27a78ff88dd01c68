"""The trainer: one step is one native call, and so are many steps of a fit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Self

from pybp.callbacks import Callback
from pybp.data import inputs
from pybp.training.evaluation import Examples
from pybp.training.fit_arguments import callbacks_of, check_stateful, pair
from pybp.training.fitting import Fit, History, Position
from pybp.training.progress import Progress
from pybp.training.step_trainer import StepTrainer
from pybp.training.stream import StreamFit
from pybp.training.unfinished import Unfinished, signature


class Trainer(StepTrainer):
    """Trains a net: holds what describes a step, and the programs bound for it.

    Parameters
    ----------
    net : Network
        The net; its state goes on from where it is.
    loss : Loss or str; for several outputs a tuple of them, or a dict by the outputs' names
        The loss, or its name. Outputs with None, or left out of a dictionary, have no loss.
    optimizer : Optimizer or str
        The optimiser, or its name. Its state in the net goes on while the class stays the same.
    metrics : iterable of Metric, Loss or str; or a dict of them by output
        What is measured beside the loss: "accuracy", or any loss.
    loss_weights : tuple or dict of float, optional
        Factors of the losses of several outputs.
    accumulate : int
        Batches whose gradients make one update: that of one batch which holds them all. The rest
        at the end of an epoch makes an update too.
    clip_norm, clip_value : float, optional
        Scale all gradients by ``min(1, clip_norm / (norm + 1e-6))``, norm being the 2-norm of all
        of them; limit each number of them to ``-clip_value ... clip_value`` (before that).
    l1, l2 : float
        Penalties ``l1 * sum(abs(w)) + l2 / 2 * sum(w ** 2)`` on all parameters with two axes or
        more, so not on biases; they count in the gradient, not in the loss that is told.
    max_norm : float, optional
        After an update, shorten each column of a weight (the incoming weights of a unit) that is
        longer than this (Srivastava et al. 2014); not the tables of embeddings.
    keep_grads : bool
        Whether ``net.grads`` holds the gradients after each step; after a fit it does anyway.

    Attributes
    ----------
    optimizer : Optimizer
        May be exchanged between steps, as by a callback.
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

    Raises
    ------
    ValueError, TypeError
        For arguments that don't fit each other or the net.
    """

    _running: Unfinished | None = None
    _unfinished: Unfinished | None = None

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        epochs: int | None = None,
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
        """Train for some epochs, or finish a fit that was interrupted.

        Parameters
        ----------
        x : array (n, *input_shape), list of arrays, Ragged; or a tuple or dict of them
            Inputs of any real dtype, converted batch by batch, as for ``net.predict``. What has
            a ``shape`` and slices, but is no array (as of h5py or zarr), is read bit by bit; so
            are arrays of ``np.memmap``.
        y : array, or list of arrays; for several outputs a tuple or a dict of them
            Targets, as the loss takes them.
        epochs : int, optional
            How often to go through the data. Left out, it finishes the fit that was interrupted
            by Ctrl-C or, after ``Trainer.resume``, by the end of the process: bit for bit as if
            undisturbed. Then data, weights, ``validation_data`` and ``callbacks`` are given again,
            and the other arguments are those of that fit.
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
            The figures of each epoch; those before an interruption too.

        Raises
        ------
        ValueError, TypeError, IndexError
            For arguments that don't fit, before anything is changed; for ``epochs`` while a fit
            is unfinished (``discard()`` drops it), and for none when there is none.
        FloatingPointError
            When the loss becomes NaN: with the step and the first layer in which it does. The
            parameters are those before that step.
        """
        unfinished = self._to_finish("fit", epochs)
        if unfinished is None:
            epochs = inputs.whole_number(epochs, "epochs", 1)
            if stop_loss is not None:
                stop_loss = inputs.real_number(stop_loss, "stop_loss")
            if batch_size is not None:
                batch_size = inputs.whole_number(batch_size, "batch_size", 1)
        else:
            epochs, batch_size = unfinished.arguments["epochs"], unfinished.arguments["batch_size"]
            shuffle, stop_loss = unfinished.arguments["shuffle"], unfinished.arguments["stop_loss"]
        self.callbacks = callbacks_of(callbacks)
        examples = Examples(self.net, self.objective, x, y, sample_weight, lengths)
        if class_weight is not None:
            examples.weigh_classes(class_weight)
        validation = None
        if validation_data is not None:
            validation = Examples(self.net, self.objective, *pair(validation_data))
            self.evaluator.bind(validation)  # raises here what would else stop the fit midway
        batch = min(batch_size or examples.rows, examples.rows)
        if self.net.wanted.carried:
            check_stateful(examples.rows, batch, shuffle, validation)
        bound = self.steps.bind(examples, batch, keep_grads=True)
        bound.check_rows(examples.rows % batch or batch)  # the last batch is the smallest
        arguments = {
            "epochs": epochs,
            "batch_size": batch_size,
            "shuffle": shuffle,
            "stop_loss": stop_loss,
        }
        data = signature(examples, validation)
        running = self._begin("fit", arguments, data, unfinished)
        progress = Progress(int(epochs or 0), verbose)
        fit = Fit(self, examples, batch, shuffle, validation, progress, running.position)
        return self._run(fit, running, unfinished)

    def fit_stream(
        self,
        x: Any,
        y: Any,
        *,
        window: int | None = None,
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
        window : int, optional
            Time steps of a window, through which gradients flow. Left out, it finishes the fit of
            a stream that was interrupted, as ``fit`` without epochs does.
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
        unfinished = self._to_finish("fit_stream", window)
        arguments: dict[str, Any]
        if unfinished is None:
            arguments = {
                "window": inputs.whole_number(window, "window", 1),
                "streams": inputs.whole_number(streams, "streams", 1),
                "epochs": inputs.whole_number(epochs, "epochs", 1),
                "reset": bool(reset),
                "stop_loss": None,
            }
        else:
            arguments = unfinished.arguments
        self.callbacks = callbacks_of(callbacks)
        progress = Progress(arguments["epochs"], verbose)
        data = (x, y, sample_weight)
        layout = (arguments["window"], arguments["streams"], arguments["reset"])
        fit = StreamFit(self, data, *layout, progress, Position())
        running = self._begin("fit_stream", arguments, signature(fit.examples), unfinished)
        fit.position = running.position
        return self._run(fit, running, unfinished)

    def _to_finish(self, kind: str, new: Any) -> Unfinished | None:
        """Return the fit that a call without epochs (or window) finishes, None for a new one."""
        names = {"fit": "epochs=", "fit_stream": "window="}
        if self._unfinished is None:
            if new is None:
                raise ValueError(
                    f"{kind} needs {names[kind]}; without it, it would finish a fit that was "
                    "interrupted, but there is none"
                )
            return None
        if new is not None or self._unfinished.kind != kind:
            raise ValueError(
                f"a {self._unfinished.kind} is unfinished: trainer.{self._unfinished.kind}(x, y) "
                f"without {names[self._unfinished.kind]} finishes it, trainer.discard() drops it"
            )
        return self._unfinished

    def _begin(
        self,
        kind: str,
        arguments: dict[str, Any],
        data: list[Any],
        unfinished: Unfinished | None,
    ) -> Unfinished:
        """Return the fit that begins or goes on; check that what is given again is the same."""
        if unfinished is not None:
            unfinished.check(data, self.callbacks)
            position = Position.restore(unfinished.position.export())
            return unfinished._replace(position=position)
        return Unfinished(kind, arguments, data, Position(), {}, ())

    def _run(self, fit: Fit, running: Unfinished, unfinished: Unfinished | None) -> History:
        """Run the epochs of a fit, with its callbacks round them."""
        self.history = History({name: list(one) for name, one in running.history.items()})
        self.log_names = fit.log_names()
        with self.net.training_alone(), self.steps.interrupts:
            self.stop = running.position.stop
            self._running, self._unfinished = running, None
            try:
                for callback in self.callbacks:
                    callback.on_fit_begin(self)
                if unfinished is not None:
                    unfinished.restore(self.callbacks)
                fit.run(running.arguments["epochs"], running.arguments["stop_loss"])
                for callback in self.callbacks:
                    callback.on_fit_end(self)
                self.steps.interrupts.check()
            except (KeyboardInterrupt, SystemExit):  # the fit can be finished later
                self._unfinished = self._present()
                raise
            finally:
                self._running = None
        return self.history

    def _present(self) -> Unfinished | None:
        """Return the fit that runs now, or that was interrupted, as a checkpoint holds it."""
        if self._running is None:
            return self._unfinished
        return self._running.now(self.stop, self.history.history, self.callbacks)

    def continue_with(self, unfinished: Unfinished) -> None:
        """Have a fit to finish, as a checkpoint tells it."""
        self._unfinished = unfinished

    def discard(self) -> None:
        """Drop a fit that was interrupted, and gradients that wait for others."""
        self._unfinished = self._last = None
        if self.net.is_built:
            self.net.state.pending.clear()

    def save(self, path: str | os.PathLike[str], keep: int = 0) -> None:
        """Write a checkpoint: the net, the optimiser, and how far a fit is; also during one.

        Parameters
        ----------
        path : str or path
            The file. It is written beside the old one and replaces it when it is whole.
        keep : int
            How many older files are kept, as ``path.1`` (the last one before), ``path.2`` ...

        Raises
        ------
        OSError
            When the file can't be written; an old one is left as it is.
        TypeError
            For what no file can hold, such as a rate that is a function of one's own.
        """
        from pybp.training.checkpoints import save_trainer  # stands above the trainer

        save_trainer(self, self._present(), path, keep)

    def check_can_be_saved(self) -> None:
        """Raise what ``save`` would raise for a trainer that no file can hold."""
        from pybp.training.checkpoints import describe_trainer

        describe_trainer(self)

    @classmethod
    def resume(cls, path: str | os.PathLike[str], custom: Iterable[type] = ()) -> Self:
        """Return the trainer that ``save`` or a ``Checkpoint`` has written.

        Its net is ``trainer.net``. If a fit was under way, ``trainer.fit(x, y)`` with the same
        data, and the same callbacks made anew, finishes it bit for bit as if undisturbed (on the
        same build and ISA level, with any number of threads).

        Parameters
        ----------
        path : str or path
            The file.
        custom : iterable of classes
            The user's own kinds of layers and losses: a file never imports any.

        Raises
        ------
        ValueError
            For a file that is damaged, of a newer format, or no checkpoint.
        OSError
            When the file can't be read.
        """
        from pybp.training.checkpoints import resume_trainer

        trainer = resume_trainer(cls, path, custom)
        assert isinstance(trainer, cls)
        return trainer
