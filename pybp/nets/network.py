"""Nets: what users build, call, train and save. ``Network`` is the only class with state."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pybp.arrays import Array
from pybp.data.batches import Batch, Delivery, cut, spans, take_seeds
from pybp.data.feeding import calls, feed
from pybp.data.sequences import Layout
from pybp.data.sources import Rows
from pybp.nets.binding import Binding
from pybp.nets.by_hand import HandPass
from pybp.nets.objective import Objective
from pybp.nets.programs import Bound, GradientProgram
from pybp.nets.repeated import RepeatedPredict
from pybp.nets.training_lock import TrainingLock
from pybp.nets.update_programs import Pieces, rows_program, update_program
from pybp.optimizers import Optimizer
from pybp.program.builder import Parameter

if TYPE_CHECKING:
    from pybp.nets.stepper import Stepper
    from pybp.training.fitting import History

_BATCH = 256  # rows of a step in predict and evaluate
_NOTHING = np.zeros((1, 0))  # no hyper-parameters, no results


class Network(Binding):
    """Base of the nets: ``Sequential`` and ``Model``.

    Parameters
    ----------
    graph : Graph
        The layers.
    dtype : {"float32", "float64"}
        Type of parameters and of all that is computed.
    seed : int or None
        Start of everything random: weights, shuffles, dropout. None draws one, kept in ``seed``.
    backend : {"native", "numpy"} or None
        None reads the default at each call (``pybp.use_backend``).
    """

    def training_alone(self) -> TrainingLock:
        """Return the right to change parameters, for ``with``."""
        return self._training

    # ----------------------------------------------------------------- inference

    def predict(self, x: Any, lengths: Any = None) -> Any:
        """Return the outputs in evaluation mode.

        Parameters
        ----------
        x : array (n, *input_shape), list of arrays, Ragged; or a tuple or dict of them
            Samples of any real dtype, converted batch by batch to the net's. A list holds
            sequences of different lengths, (steps, ...) each. A net of several inputs takes a
            tuple, or a dictionary by their names.
        lengths : int array (n,), optional
            The steps that count in padded sequences (n, steps, ...); the outputs after them are 0.

        Returns
        -------
        array (n, *output_shape)
            A fresh array of the net's dtype; a list of arrays for a list of sequences where the
            net gives sequences; a tuple where the net has several outputs. A row's result doesn't
            depend on the other rows.
        """
        with self._lock:
            known = self._predicted
            if known is not None and lengths is None and known.holds(self, x):
                return known(x)
            batch = self.take_batch(x, lengths)
            self.use_states(batch.rows)
            rows = self.rows_at_once(batch.rows, _BATCH)
            starts = cut(batch.rows, rows, batch.layouts)
            most = rows if len(starts) == 2 else int(np.diff(starts).max())
            bound = self.bind_predict(most, batch.layouts)
            bound.check_rows(batch.rows)
            delivery = Delivery(self.wanted.outputs, batch, bound.program, self.dtype)
            given: dict[str, Rows] = {}
            given.update(zip(bound.program.outputs, delivery.arrays, strict=True))
            given.update(zip(bound.data, batch.data, strict=False))  # the inputs come first
            data = [given[name] for name in bound.data]
            if len(starts) == 2 and len(delivery.arrays) == 1:
                self._predicted = RepeatedPredict.of(self, x, lengths, batch, bound)
            for part in calls(data, starts):
                fed = feed(bound.program, data, None, starts[part], spans(delivery.layouts))
                nothing = _NOTHING if len(fed.starts) == 2 else np.zeros((len(fed.starts) - 1, 0))
                bound.executor.run(
                    *(fed.data, None, fed.starts, nothing, nothing, self.seed, 0, 0),
                    *(len(bound.program.ops), fed.spans),
                )
        return delivery.give_back()

    def bind_predict(self, rows: int, layouts: Sequence[Layout]) -> Bound:
        """Return the program of ``predict``, bound for steps of this size."""
        return self._cached("predict", self.recipe.predict, rows, layouts)

    def stepper(self, rows: int = 1) -> Stepper:
        """Return a function that takes one time step of ``rows`` sequences, in microseconds.

        Raises
        ------
        ValueError
            For a net of several inputs or outputs, or whose recurrent layers are not stateful.
        """
        from pybp.nets.stepper import Stepper  # stands above the nets

        return Stepper(self, rows)

    def evaluate(
        self,
        x: Any,
        y: Any,
        *,
        loss: Any,
        metrics: Any = (),
        sample_weight: Any = None,
        lengths: Any = None,
        loss_weights: Any = None,
    ) -> dict[str, float]:
        """Return the loss and the metrics on some data, in evaluation mode.

        Parameters
        ----------
        x, y, sample_weight, lengths
            As for ``Trainer.fit``.
        loss, metrics, loss_weights
            As for ``Trainer``.

        Returns
        -------
        dict
            ``"loss"`` and the name of each metric; of several outputs also ``"<output>_loss"`` and
            ``"<output>_<metric>"``. The loss with ``reduction="sum"`` is the sum
            divided by the number of rows, as in histories.
        """
        from pybp.training.evaluation import Evaluator, Examples  # they stand above the net

        objective = Objective(self.graph, loss, metrics, loss_weights)
        evaluator = Evaluator(self, objective)
        examples = Examples(self, objective, x, y, sample_weight, lengths)
        with self._lock:
            return evaluator(examples)

    def forward(self, x: Any, training: bool = False, lengths: Any = None) -> Any:
        """Return the output for a batch, and keep what ``backward`` needs.

        Parameters
        ----------
        x : array (n, *input_shape), list of arrays, Ragged; or a tuple or dict of them
            Samples, as for ``predict``.
        training : bool
            Whether layers act as in training. A dropout mask is keyed by the update counter, so
            it stays the same until an update.
        lengths : int array (n,), optional
            The steps that count in padded sequences.

        Returns
        -------
        array (n, *output_shape)
            A fresh array; as for ``predict``.

        Raises
        ------
        ValueError
            For samples of another shape, and in training for one row where BatchNorm would get
            one value a channel.
        """
        with self._lock:
            batch = self.take_batch(x, lengths)
            self.use_states(batch.rows)
            bound, names = self._bind_gradient(training, batch)
            bound.check_rows(batch.rows)
            self._pending = HandPass(bound, names, batch, self.seed, self.state.steps)
            return self._pending.forward(self.wanted.outputs)

    def backward(self, dy: Any, accumulate: bool = False) -> Any:
        """Return dLoss/dx for the last ``forward``, and fill ``net.grads``.

        Parameters
        ----------
        dy : array (n, *output_shape)
            dLoss/dy; its shape must be that of the output, nothing is broadcast. A net of several
            outputs takes a tuple, in which None stands for zeros.
        accumulate : bool
            Add to the gradients instead of overwriting them.

        Returns
        -------
        array (n, *input_shape)
            None for an input of ids; a tuple where the net has several inputs.

        Raises
        ------
        RuntimeError
            Without a forward pass before.
        """
        pending = self._pending
        if pending is None:
            raise RuntimeError("backward needs a forward pass before it: call net.forward(x)")
        outputs, program = self.wanted.outputs, pending.bound.program
        seeds = take_seeds(outputs, dy, pending.batch, program, self.dtype)
        with self._lock:
            ports = self.recipe.ports
            return pending.backward(seeds, ports, self.state.grads, accumulate=accumulate)

    def _bind_gradient(self, training: bool, batch: Batch) -> tuple[Bound, GradientProgram]:
        names = self._gradient_names.get(training)
        if names is None:
            names = self._gradient_names[training] = self.recipe.gradient(training=training)
        program = names.program
        bound = self._cached(
            f"gradient {training}", lambda: program, batch.rows, batch.layouts, keep_forward=True
        )
        return bound, names

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write architecture and arrays to one safetensors file; ``pybp.load`` reads it."""
        from pybp.files import save  # stands above the nets

        save(self, path)

    # ------------------------------------------------------------------ training

    def apply_gradients(self, optimizer: Optimizer) -> None:
        """Update the parameters once from ``net.grads``: what ``optimizer.step(net)`` calls."""
        state = self.state
        if not state.grads.known:
            raise RuntimeError(
                "there are no gradients to step: call net.backward, or assign to net.grads"
            )
        if state.size == 0:
            raise ValueError("this net has no parameters to update")
        with self.training_alone():
            hyper = state.use_optimizer(optimizer, 1)
            self._update_dense(optimizer, hyper)
            for name, table in self.recipe.parts.tables.items():
                if table.lazy:
                    self._update_rows(optimizer, hyper, name, table)
            state.count_updates(1)
            state.pending.clear()

    def take_trained(self, numbers: Array) -> None:
        """Write all trainable numbers, in the order in which optimisers with the loss see them."""
        Pieces(self.recipe.parts, self.state.layout).scatter(numbers, self.state.params.flat)

    def _update_dense(self, optimizer: Optimizer, hyper: Array) -> None:
        """Update all parameters but the lazy tables."""
        parts = self.recipe.parts
        tables = [name for name, table in parts.tables.items() if not table.lazy]
        if not parts.runs and not tables:
            return
        self.state.grads.fill(tables)
        bound = self._cached(
            f"update {optimizer.op('', '')!r}",
            lambda: update_program(self.dtype, optimizer, parts),
            1,
        )
        self._run_update(bound, [], 1, hyper)

    def _update_rows(self, optimizer: Optimizer, hyper: Array, name: str, table: Parameter) -> None:
        """Update the rows of a lazy table that have a gradient."""
        rows, values = self.state.grads.by_rows(name)
        if len(rows) == 0:
            return
        bound = self._cached(
            f"update {optimizer.op('', '')!r} of {name}",
            lambda: rows_program(self.dtype, optimizer, name, table),
            len(rows),
        )
        self._run_update(bound, [rows, values], len(rows), hyper)

    def _run_update(self, bound: Bound, data: list[Array], rows: int, hyper: Array) -> None:
        starts = np.array([0, rows])
        ops = len(bound.program.ops)
        bound.executor.run(data, None, starts, hyper, _NOTHING, self.seed, self.state.steps, 0, ops)

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        loss: Any,
        optimizer: Optimizer | str,
        metrics: Any = (),
        loss_weights: Any = None,
        accumulate: int = 1,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        max_norm: float | None = None,
        **arguments: Any,
    ) -> History:
        """Train: make a ``Trainer`` of the arguments named here, and call its ``fit``.

        Parameters
        ----------
        x : array (n, *input_shape), list of arrays, Ragged; or a tuple or dict of them
            Inputs.
        y : array (n, ...); for several outputs a tuple or a dict of them
            Targets, as the loss takes them.
        loss, optimizer, metrics, loss_weights, accumulate, clip_norm, clip_value, l1, l2, max_norm
            See ``Trainer``.
        **arguments
            Of ``Trainer.fit``: epochs, batch_size, shuffle, validation_data, sample_weight,
            class_weight, lengths, callbacks, stop_loss, verbose.

        Returns
        -------
        History
            ``history.history`` maps "loss", "val_loss", "accuracy" ... to a list, one entry an
            epoch.
        """
        from pybp.training.trainer import Trainer  # stands above the net

        trainer = Trainer(
            self,
            loss,
            optimizer,
            metrics,
            loss_weights=loss_weights,
            accumulate=accumulate,
            clip_norm=clip_norm,
            clip_value=clip_value,
            l1=l1,
            l2=l2,
            max_norm=max_norm,
        )
        return trainer.fit(x, y, **arguments)
