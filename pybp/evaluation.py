"""Losses and metrics of a net on data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pybp import inputs
from pybp.arrays import Array
from pybp.losses import Loss
from pybp.metrics import Metric
from pybp.network import Network
from pybp.program.ops import Shape
from pybp.programs import Bound

_BATCH = 1024  # rows of a step; the sums of the steps are added


class Examples:
    """Inputs and targets, checked and ready: what evaluation and training work on.

    Parameters
    ----------
    net : Network
        Built from x if it is not yet.
    loss : Loss
        Says what targets it takes.
    x, y : array
        Inputs and targets.
    sample_weight : array, optional
        Weights of the samples, or of their positions.
    """

    def __init__(self, net: Network, loss: Loss, x: Any, y: Any, sample_weight: Any = None) -> None:
        x = inputs.samples(x, "x", net.input_shape if net.is_built else None)
        y = inputs.numbers(y, "y")
        inputs.same_rows(x, y)
        outputs = net.output_shape_for(x.shape[1:])
        self.target = loss.target(y, outputs)
        self.weight_shape: Shape | None = None
        self.rows = len(x)
        self.data = [inputs.ready(x, net.dtype), inputs.ready(y, net.dtype)]
        if sample_weight is not None:
            w = inputs.weights(sample_weight, self.rows, outputs)
            self.weight_shape = w.shape[1:]
            self.data.append(inputs.ready(w, net.dtype))
        if not net.is_built:
            net.build(x.shape[1:])  # now that all is found to fit


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
        key = (examples.target, examples.weight_shape, net.current_backend)
        bound = self._bound.get(key)
        rows = net.rows_at_once(examples.rows, _BATCH)
        if bound is None or bound.executor.max_rows < rows:
            program = net.recipe.evaluate(
                self.loss, examples.target, examples.weight_shape, self.metrics
            )
            bound = net.bind(program, rows, self.loss.constants(net.output_shape))
            self._bound[key] = bound
        bound.check_rows(examples.rows)
        starts = np.append(np.arange(0, examples.rows, rows), examples.rows)
        steps = len(starts) - 1
        results = np.zeros((steps, 2 * len(bound.program.results)))
        bound.executor.run(
            examples.data,
            None,
            starts,
            np.zeros((steps, 0)),
            results,
            net.seed,
            0,
            0,
            len(bound.program.ops),
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
