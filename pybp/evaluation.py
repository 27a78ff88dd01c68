"""Losses and metrics of a net on data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pybp import inputs
from pybp.arrays import Array
from pybp.batches import cut, spans
from pybp.class_weight import by_class
from pybp.losses import Loss
from pybp.metrics import Metric
from pybp.network import Network
from pybp.program.ops import Shape
from pybp.program.program import Program
from pybp.programs import Bound
from pybp.sequences import Layout, flat_like, is_ragged

_BATCH = 1024  # rows of a step; the sums of the steps are added


class Examples:
    """Inputs and targets, checked and ready: what evaluation and training work on.

    Parameters
    ----------
    net : Network
        Built from x if it is not yet.
    loss : Loss
        Says what targets it takes.
    x, y : array, or list of arrays
        Inputs and targets.
    sample_weight : array, optional
        Weights of the samples, or of their positions.
    lengths : int array, optional
        The steps that count in padded sequences.
    """

    def __init__(
        self,
        net: Network,
        loss: Loss,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        lengths: Any = None,
    ) -> None:
        was_built = net.is_built
        self.batch, outputs = net.look_at(x, lengths)
        if len(outputs) != 1:
            raise ValueError(f"a net with one output can be fitted, this one has {len(outputs)}")
        self.output = outputs[0]
        self.rows = self.batch.rows
        layout = net.layout_of(self.output, self.batch)
        sizes = self.output.sizes
        y = inputs.numbers(y, "y") if layout is None else flat_like(y, "y", layout)
        if layout is None:
            inputs.same_rows(self.rows, y)
        self.target = loss.target(y, sizes)
        self.data = [*self.batch.data, inputs.ready(y, net.dtype)]
        self.weight_shape: Shape | None = None
        if sample_weight is not None:
            w = self._weights(loss, sample_weight, layout, sizes)
            self.weight_shape = w.shape[1:]
            self.data.append(inputs.ready(w, net.dtype))
        if not was_built:
            net.build_for(x)  # now that all is found to fit

    def _weights(
        self, loss: Loss, value: Any, layout: Layout | None, sizes: tuple[int | None, ...]
    ) -> Array:
        """Return the weights of the samples, or of their time steps in a flat array."""
        if layout is None:
            return inputs.weights(value, self.rows, sizes)
        if not is_ragged(value) and inputs.numbers(value, "sample_weight").ndim == 1:
            if loss.reduction == "batch":
                raise ValueError(
                    'reduction="batch" takes weights of time steps where the net gives sequences, '
                    f"shape ({self.rows}, steps), got weights of samples"
                )
            each = inputs.weights(value, self.rows, ())
            packing = layout.packing()
            flat = np.zeros(layout.rows, each.dtype)
            flat[packing.places(layout.first)] = each[packing.samples()]
            return flat
        return inputs.weights(flat_like(value, "sample_weight", layout), layout.rows, sizes)

    def weigh_classes(self, class_weight: Any, loss: Loss, dtype: str) -> None:
        """Multiply the weights by those of the targets' classes."""
        inner = len(self.batch.data)
        w = by_class(class_weight, loss, self.output.sizes, *self.data[inner:])
        w = inputs.weights(w, len(w), self.output.sizes)
        self.weight_shape = w.shape[1:]
        self.data[inner + 1 :] = [inputs.ready(w, dtype)]

    def layouts(self, program: Program) -> tuple[Layout, ...]:
        """Return the layouts of all packings of a program."""
        return self.batch.packings_of(program)


class Evaluator:
    """The bound evaluate programs of one net, loss and list of metrics."""

    def __init__(self, net: Network, loss: Loss, metrics: Sequence[Metric]) -> None:
        if loss.reduction == "none":
            raise ValueError('one number is needed: a loss with reduction="none" gives many')
        self.net, self.loss, self.metrics = net, loss, metrics
        self._bound: dict[tuple[object, ...], Bound] = {}

    def __call__(self, examples: Examples) -> dict[str, float]:
        """Return the loss and the metrics in evaluation mode."""
        net = self.net
        net.use_states(examples.rows)
        key = (examples.target, examples.weight_shape, net.current_backend)
        rows = net.rows_at_once(examples.rows, _BATCH)
        starts = cut(examples.rows, rows, examples.batch.layouts)
        bound = self._bound[key] = net.with_room(
            self._bound.get(key),
            lambda: net.recipe.evaluate(
                self.loss, examples.target, examples.weight_shape, self.metrics
            ),
            int(np.diff(starts).max()),
            examples.batch.layouts,
            lambda: self.loss.constants(examples.output.shape),
        )
        bound.check_rows(examples.rows)
        steps = len(starts) - 1
        results = np.zeros((steps, 2 * len(bound.program.results)))
        bound.executor.run(
            *(examples.data, None, starts, np.zeros((steps, 0)), results, net.seed, 0, 0),
            len(bound.program.ops),
            spans(examples.layouts(bound.program)),
        )
        return means(bound.program.results, results, self.loss, examples.rows)


def means(names: Sequence[str], results: Array, loss: Loss, rows: int) -> dict[str, float]:
    """Return each result's sum over its divisor, from the table of all steps.

    Parameters
    ----------
    names : sequence of str
        The results of the program, "loss" first.
    results : array (steps, 2 * len(names))
        Sums and divisors of each step.
    loss : Loss
        With ``reduction="sum"`` the loss is divided by the number of rows.
    rows : int
        Number of rows of all steps.
    """
    totals = results.sum(axis=0)
    logs = {}
    for i, name in enumerate(names):
        total, divisor = totals[2 * i], totals[2 * i + 1]
        if name == "loss" and loss.reduction == "sum":
            divisor = rows
        logs[name] = float(total / divisor) if divisor else 0.0
    return logs
