"""Losses and metrics of a net on data, and of a prediction against a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pybp import backends, inputs
from pybp.arrays import FLOAT_TYPES, Array
from pybp.losses import Loss, add_loss
from pybp.metrics import Metric
from pybp.network import Network
from pybp.program.ops import N, Shape
from pybp.program.program import Program
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
        net.build(x.shape[1:])
        self.target = loss.target(y, net.output_shape)
        self.weight_shape: Shape | None = None
        self.rows = len(x)
        self.data = [inputs.ready(x, net.dtype), inputs.ready(y, net.dtype)]
        if sample_weight is not None:
            w = inputs.weights(sample_weight, self.rows, net.output_shape)
            self.weight_shape = w.shape[1:]
            self.data.append(inputs.ready(w, net.dtype))


class Evaluator:
    """The bound evaluate programs of one net, loss and list of metrics."""

    def __init__(self, net: Network, loss: Loss, metrics: Sequence[Metric]) -> None:
        self.net, self.loss, self.metrics = net, loss, metrics
        self._bound: dict[tuple[object, ...], Bound] = {}

    def __call__(self, examples: Examples) -> dict[str, float]:
        """Return the loss and the metrics in evaluation mode."""
        net = self.net
        key = (examples.target, examples.weight_shape, net.current_backend)
        bound = self._bound.get(key)
        rows = min(examples.rows, _BATCH)
        if bound is None or bound.executor.max_rows < rows:
            program = net.recipe.evaluate(
                self.loss, examples.target, examples.weight_shape, self.metrics
            )
            bound = net.bind(program, rows, self.loss.constants(net.output_shape))
            self._bound[key] = bound
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


def evaluate_loss(loss: Loss, y_hat: Any, y: Any, sample_weight: Any = None) -> tuple[Any, Array]:
    """Return a loss and its gradient by the prediction: ``Loss.value_and_grad``."""
    p = inputs.numbers(y_hat, "y_hat")
    y = inputs.numbers(y, "y")
    inputs.same_rows(p, y)
    dtype = p.dtype.name if p.dtype.name in FLOAT_TYPES else "float64"
    shape = p.shape[1:]
    program = Program("loss", dtype)
    program.add_buffer("y_hat", (N, *shape), "value")
    target = loss.target(y, shape)
    values = {"y_hat": p, "target": y}
    weight_shape: Shape | None = None
    if sample_weight is not None:
        values["weight"] = inputs.weights(sample_weight, len(p), shape)
        weight_shape = values["weight"].shape[1:]
    unreduced = loss.reduction == "none"
    add_loss(
        program,
        loss,
        "y_hat",
        target,
        weight_shape,
        roles=("value", "value"),
        dy="dy",
        losses="losses" if unreduced else "",
    )
    executor, (total, divisor) = _run_once(program, loss.constants(shape), values)
    dy = executor.read("dy", len(p))
    if unreduced:
        return executor.read("losses", len(p)), dy
    if loss.reduction == "sum":
        return total, dy
    return (total / divisor if divisor else 0.0), dy


def _run_once(
    program: Program, constants: dict[str, Any], values: dict[str, Array]
) -> tuple[backends.Executor, tuple[float, float]]:
    program.verify()
    real = FLOAT_TYPES[program.dtype]
    fixed = {name: np.ascontiguousarray(array, real) for name, array in constants.items()}
    rows = len(values["y_hat"])
    executor = backends.make_executor(backends.current_backend(), program, fixed, rows)
    for name, array in values.items():
        executor.write(name, array)
    results = np.zeros((1, 2))
    starts = np.array([0, rows])
    executor.run([], None, starts, np.zeros((1, 0)), results, 0, 0, 0, len(program.ops))
    return executor, (float(results[0, 0]), float(results[0, 1]))
