"""What is minimised and measured: a loss and metrics for each output of a net."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pybp.arrays import Array
from pybp.by_name import resolve
from pybp.data import inputs
from pybp.graphs.graph import Graph
from pybp.losses import LOSSES, Judged, Loss, Target, add_loss
from pybp.metrics import Metric, resolve_metrics
from pybp.program.ops import Shape
from pybp.program.program import Program


class Part(NamedTuple):
    """The part of one output: nothing where its ``loss`` is None."""

    name: str  # of the output, "" where the net has one
    suffix: str  # of the buffers
    loss: Loss | None
    weight: float
    metrics: tuple[Metric, ...]

    def key(self, result: str) -> str:
        """Return the key of a result in logs and histories."""
        return f"{self.name}_{result}" if self.name else result


class Goal(NamedTuple):
    """What the target of a part is, and the shape of its sample weights, if there are any."""

    target: Target
    weight: Shape | None


class Objective:
    """The losses of a net's outputs, their weights, and what is measured beside them.

    Parameters
    ----------
    graph : Graph
        Of the net.
    loss : Loss or str; for several outputs a tuple of them or a dict by name
        None, or a name left out, for an output that has no loss.
    metrics : iterable of Metric, Loss or str, or dict by name
        For each output that has a loss.
    loss_weights : tuple or dict of float, optional
        Factors of the losses; 1 by default.

    Raises
    ------
    ValueError, TypeError
        For losses that don't fit the outputs.
    """

    def __init__(
        self, graph: Graph, loss: Any, metrics: Any = (), loss_weights: Any = None
    ) -> None:
        names = graph.output_names()
        count = len(names)
        self.parts: tuple[Part, ...]
        if count == 1 and loss_weights is None:
            found = resolve("loss", loss, LOSSES, Loss)
            self.parts = (Part("", "", found, 1.0, resolve_metrics(metrics)),)
        else:
            losses = by_output(loss, names, "loss")
            weights = [1.0] * count
            if loss_weights is not None:
                given = by_output(loss_weights, names, "loss_weights", default=1.0)
                weights = [_weight(one, name) for one, name in zip(given, names, strict=True)]
            each = _metrics_of(metrics, names)
            self.parts = tuple(
                Part(
                    name if count > 1 else "",
                    str(k) if count > 1 else "",
                    None if losses[k] is None else resolve("loss", losses[k], LOSSES, Loss),
                    weights[k],
                    each[k],
                )
                for k, name in enumerate(names)
            )
        self._judged = [
            (k, part, part.loss) for k, part in enumerate(self.parts) if part.loss is not None
        ]
        if not self._judged:
            raise ValueError("no output has a loss")

    def judged(self) -> list[tuple[int, Part, Loss]]:
        """Return the parts that have a loss, with the places of their outputs."""
        return self._judged

    def each_of(self, value: Any, what: str) -> list[Any]:
        """Return an argument for each output, from a tuple or a dict where there are several."""
        if len(self.parts) == 1:
            return [value]
        names = [part.name for part in self.parts]
        return by_output(value, names, what)

    def add(
        self, program: Program, outputs: Sequence[str], goals: Sequence[Goal], *, gradients: bool
    ) -> dict[str, str]:
        """Append the losses and the metrics; return value -> its gradient, if these are wanted."""
        seeds: dict[str, str] = {}
        for (k, part, loss), goal in zip(self.judged(), goals, strict=True):
            judged = Judged.of(outputs[k], part.suffix, goal.weight is not None)
            dy = f"dy{part.suffix}" if gradients and part.weight else ""
            factor = part.weight or 1.0
            add_loss(program, loss, judged, goal.target, goal.weight, dy=dy, factor=factor)
            if dy:
                seeds[outputs[k]] = dy
            for i, metric in enumerate(part.metrics):
                result = part.key(metric.result_name())
                metric.add(program, loss, judged, goal.target, result, f"{part.suffix} {i}")
        return seeds

    def constants(self, sizes: Sequence[Any]) -> dict[str, Any]:
        """Return the arrays that belong to losses and metrics, for outputs of these sizes."""
        found: dict[str, Any] = {}
        for k, part, loss in self.judged():
            for name, array in loss.constants(sizes[k]).items():
                found[name + part.suffix] = array
            for i, metric in enumerate(part.metrics):
                for name, array in metric.constants(sizes[k]).items():
                    found[f"{name}{part.suffix} {i}"] = array
        return found

    def names(self) -> tuple[str, ...]:
        """Return the keys of the logs: the total first."""
        return tuple(self.means(np.zeros(2 * self.result_count()), 1))

    def result_count(self) -> int:
        """Return how many results a step has."""
        return sum(1 + len(part.metrics) for _, part, _ in self.judged())

    def means(self, totals: Array, rows: int) -> dict[str, float]:
        """Return the loss and the metrics from the summed results of all steps.

        Parameters
        ----------
        totals : array (2 * results,)
            Sum and divisor of each.
        rows : int
            Of all steps: a loss with ``reduction="sum"`` is divided by it.
        """
        values = iter(totals.reshape(-1, 2).tolist())
        logs: dict[str, float] = {"loss": 0.0}
        for _, part, loss in self.judged():
            total, divisor = next(values)
            divisor = rows if loss.reduction == "sum" else divisor
            value = total / divisor if divisor else 0.0  # with the factor of this part in it
            logs["loss"] += value if part.weight else 0.0
            if part.name:
                logs[part.key("loss")] = value / (part.weight or 1.0)
            for metric in part.metrics:
                total, divisor = next(values)
                logs[part.key(metric.result_name())] = total / divisor if divisor else 0.0
        return logs

    def loss_of(self, results: Array) -> float:
        """Return the loss of one step from its results, (2 * results,); a sum as it is."""
        loss, place = 0.0, 0
        for _, part, judge in self._judged:
            if part.weight:
                total = results.item(place)
                divisor = 1.0 if judge.reduction == "sum" else results.item(place + 1)
                loss += total / divisor if divisor else 0.0
            place += 2 + 2 * len(part.metrics)
        return loss

    def check_one_number(self) -> None:
        """Refuse losses that give many numbers."""
        for _, _, loss in self.judged():
            if loss.reduction == "none":
                raise ValueError('one number is needed: a loss with reduction="none" gives many')


def by_output(value: Any, names: Sequence[str], what: str, default: Any = None) -> list[Any]:
    """Return an argument for each output, from a tuple in their order or a dictionary by name."""
    if isinstance(value, dict):
        unknown = [name for name in value if name not in names]
        if unknown:
            raise ValueError(f"{what}: the outputs are {', '.join(names)}, got {unknown[0]!r}")
        return [value.get(name, default) for name in names]
    if not isinstance(value, tuple) or len(value) != len(names):
        raise ValueError(
            f"{what} must be a tuple of {len(names)}, one for each output, or a dict by name "
            f"({', '.join(names)}), got {type(value).__name__}"
        )
    return list(value)


def _weight(value: Any, name: str) -> float:
    number = inputs.real_number(value, f"the loss weight of {name}")
    if not 0 <= number < float("inf"):
        raise ValueError(f"the loss weight of {name} must be finite and >= 0, got {value!r}")
    return number


def _metrics_of(metrics: Any, names: Sequence[str]) -> list[tuple[Metric, ...]]:
    """Return the metrics of each output: all of a list, or those that a dictionary gives it."""
    if isinstance(metrics, dict):
        return [resolve_metrics(one or ()) for one in by_output(metrics, names, "metrics")]
    if not isinstance(metrics, Iterable):
        raise TypeError(f"metrics must be a list or a dict by output, got {metrics!r}")
    return [resolve_metrics(metrics)] * len(names)
