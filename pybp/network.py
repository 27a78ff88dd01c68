"""Nets: what users build, call, train and save. ``Network`` is the only class with state."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from pybp import backends, inputs
from pybp.arrays import FLOAT_TYPES, Array
from pybp.built import Built
from pybp.by_hand import HandPass
from pybp.by_name import resolve, resolve_all
from pybp.losses import LOSSES, Loss
from pybp.metrics import METRICS, Metric
from pybp.optimizers import Optimizer
from pybp.program.program import FIXED_ROLES, Program
from pybp.programs import Bound, GradientProgram, least_rows, update_program

if TYPE_CHECKING:
    from pybp.trainer import History

_BATCH = 256  # rows of a step in predict and evaluate
_NOTHING = np.zeros((1, 0))  # no hyper-parameters, no results


class Network(Built):
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

    # ------------------------------------------------------------------- binding

    @property
    def current_backend(self) -> str:
        """The name of the backend that the next call uses."""
        return self.backend or backends.current_backend()

    def bind(
        self,
        program: Program,
        rows: int,
        constants: dict[str, Any] | None = None,
        *,
        keep_forward: bool = False,
    ) -> Bound:
        """Verify a program and bind it to the arrays of this net, for at most ``rows`` samples."""
        program.verify()
        given = {
            name: np.ascontiguousarray(value, FLOAT_TYPES[self.dtype])
            for name, value in (constants or {}).items()
        }
        fixed = {
            buffer.name: given[buffer.name]
            if buffer.name in given
            else self.state.array(buffer.name)
            for buffer in program.of_role(*FIXED_ROLES)
        }
        backend = self.current_backend
        executor = backends.make_executor(backend, program, fixed, rows, keep_forward=keep_forward)
        return Bound(program, executor, least_rows(program))

    def _cached(
        self, name: str, make: Callable[[], Program], rows: int, *, keep_forward: bool = False
    ) -> Bound:
        """Bind a program when it is first used, and again for more rows or another backend."""
        key = (name, self.current_backend)
        bound = self._bound.get(key)
        if bound is None or bound.executor.max_rows < rows:
            bound = self.bind(make(), rows, keep_forward=keep_forward)
            self._bound[key] = bound
        return bound

    @contextmanager
    def training_alone(self) -> Iterator[None]:
        """Hold the right to change parameters; a second thread that wants it gets RuntimeError."""
        if not self._training.acquire(blocking=False):
            raise RuntimeError("this net is being trained already, by another thread")
        try:
            yield
        finally:
            self._training.release()

    # ----------------------------------------------------------------- inference

    def predict(self, x: Array) -> Array:
        """Return the outputs in evaluation mode.

        Parameters
        ----------
        x : array (n, *input_shape)
            Samples of any real dtype, converted batch by batch to the net's.

        Returns
        -------
        array (n, *output_shape)
            A fresh array of the net's dtype. A row's result doesn't depend on the other rows.
        """
        x = self._samples(x)
        y = np.empty((len(x), *self._output_shape), FLOAT_TYPES[self.dtype])
        with self._lock:
            rows = self.rows_at_once(len(x), _BATCH)
            bound = self._cached("predict", self.recipe.predict, rows)
            bound.check_rows(len(x))
            starts = _starts(len(x), self.rows_at_once(len(x), bound.executor.max_rows))
            steps = len(starts) - 1
            data = [x, y]
            nothing = np.zeros((steps, 0))
            bound.executor.run(
                data, None, starts, nothing, nothing, self.seed, 0, 0, len(bound.program.ops)
            )
        return y

    def evaluate(
        self,
        x: Array,
        y: Array,
        *,
        loss: Loss | str,
        metrics: Iterable[Metric | str] = (),
        sample_weight: Array | None = None,
    ) -> dict[str, float]:
        """Return the loss and the metrics on some data, in evaluation mode.

        Returns
        -------
        dict
            ``"loss"`` and the name of each metric. The loss with ``reduction="sum"`` is the sum
            divided by the number of rows, as in histories.
        """
        from pybp.evaluation import Evaluator, Examples  # they stand above the net

        judge = resolve("loss", loss, LOSSES, Loss)
        chosen = resolve_all("metric", metrics, METRICS, Metric)
        examples = Examples(self, judge, x, y, sample_weight)
        with self._lock:
            return Evaluator(self, judge, chosen)(examples)

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return the output for a batch, and keep what ``backward`` needs.

        Parameters
        ----------
        x : array (n, *input_shape)
            Samples.
        training : bool
            Whether layers act as in training. A dropout mask is keyed by the update counter, so
            it stays the same until an update.

        Returns
        -------
        array (n, *output_shape)
            A fresh array.

        Raises
        ------
        ValueError
            For samples of another shape, and in training for one row where BatchNorm would get
            one value a channel.
        """
        x = self._samples(x)
        with self._lock:
            bound, names = self._bind_gradient(training, len(x))
            bound.check_rows(len(x))
            self._pending = HandPass(bound, names, len(x), self.seed, self.state.steps)
            return self._pending.forward(x)

    def backward(self, dy: Array, accumulate: bool = False) -> Array:
        """Return dLoss/dx for the last ``forward``, and fill ``net.grads``.

        Parameters
        ----------
        dy : array (n, *output_shape)
            dLoss/dy; its shape must be that of the output, nothing is broadcast.
        accumulate : bool
            Add to the gradients instead of overwriting them.

        Raises
        ------
        RuntimeError
            Without a forward pass before.
        """
        if self._pending is None:
            raise RuntimeError("backward needs a forward pass before it: call net.forward(x)")
        rows = self._pending.rows
        dy = inputs.ready(inputs.samples(dy, "dy", self._output_shape), self.dtype)
        if len(dy) != rows:
            raise ValueError(f"dy must have the {rows} rows of the forward pass, got {len(dy)}")
        with self._lock:
            return self._pending.backward(dy, self.state.grads, accumulate=accumulate)

    def _bind_gradient(self, training: bool, rows: int) -> tuple[Bound, GradientProgram]:
        names = self._gradient_names.get(training)
        if names is None:
            names = self._gradient_names[training] = self.recipe.gradient(training=training)
        program = names.program
        bound = self._cached(f"gradient {training}", lambda: program, rows, keep_forward=True)
        return bound, names

    def _samples(self, x: Any) -> Array:
        shape = None if self._recipe is None else self._recipe.input_shape
        x = inputs.ready(inputs.samples(x, "x", shape), self.dtype)
        if self._recipe is None:
            self.build(x.shape[1:])
        return x

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
            op = optimizer.op()
            bound = self._cached(
                f"update {op!r}", lambda: update_program(self.dtype, optimizer, state.size), 1
            )
            starts = np.array([0, 1])
            bound.executor.run([], None, starts, hyper, _NOTHING, self.seed, state.steps, 0, 1)
            state.count_updates(1)

    def fit(
        self,
        x: Array,
        y: Array,
        *,
        loss: Loss | str,
        optimizer: Optimizer | str,
        metrics: Iterable[Metric | str] = (),
        **arguments: Any,
    ) -> History:
        """Train: make a ``Trainer`` and call its ``fit``, which see for all other arguments.

        Parameters
        ----------
        x : array (n, *input_shape)
            Inputs.
        y : array (n, ...)
            Targets, as the loss takes them.
        loss, optimizer, metrics
            Descriptions or names.
        **arguments
            Of ``Trainer.fit``: epochs, batch_size, shuffle, validation_data, sample_weight,
            class_weight, callbacks, stop_loss, verbose.

        Returns
        -------
        History
            ``history.history`` maps "loss", "val_loss", "accuracy" ... to a list, one entry an
            epoch.
        """
        from pybp.trainer import Trainer  # stands above the net

        trainer = Trainer(self, loss, optimizer, metrics)
        return trainer.fit(x, y, **arguments)


def _starts(rows: int, batch: int) -> Array:
    """Return where batches begin, and the end of the last one."""
    return np.append(np.arange(0, rows, batch), rows)
