"""Metrics: what is measured beside the loss while a net trains or is evaluated."""

from __future__ import annotations

from typing import Any

from pybp.by_name import resolve, resolve_all
from pybp.losses import BCE, LOSSES, BCEWithLogits, Judged, Loss, Target, add_loss_op
from pybp.program.ops import Accuracy as AccuracyOp
from pybp.program.ops import OpError
from pybp.program.program import Program
from pybp.record import Record


class Metric(Record):
    """Base of the metrics."""

    def result_name(self) -> str:
        """Return the key in logs and histories."""
        return type(self).__name__.lower()

    def add(
        self,
        program: Program,
        loss: Loss,
        judged: Judged,
        target: Target,
        result: str,
        suffix: str,
    ) -> None:
        """Append the op that measures.

        Parameters
        ----------
        program : Program
            Has the buffers of ``judged``.
        loss : Loss
            Of the same output.
        judged : Judged
            Prediction, target and weight.
        target : Target
            What the target is.
        result : str
            The key in logs.
        suffix : str
            Stands behind the names of the arrays that belong to the metric.
        """
        raise NotImplementedError

    def constants(self, shape: Any) -> dict[str, Any]:
        """Return the arrays that belong to the metric itself, for predictions of this shape."""
        return {}


class Accuracy(Metric):
    """The share of right answers, weighted by the sample weights.

    The first maximum along the last axis is compared with the label, or with the first maximum of
    a target of the prediction's shape. Under a binary loss each element is one answer: a
    probability above 1/2, or a logit above 0, means yes. So is each element where there are no
    classes to choose from, the last axis being 1 long: above 1/2 means yes.
    """

    def add(
        self,
        program: Program,
        loss: Loss,
        judged: Judged,
        target: Target,
        result: str,
        suffix: str,
    ) -> None:
        """Append the accuracy op."""
        shape = program.shape(judged.prediction)
        single = target.shape == shape[1:] and (len(shape) == 1 or shape[-1] == 1)
        program.append(
            AccuracyOp(
                judged.prediction,
                judged.target,
                judged.weight,
                binary=single or isinstance(loss, BCE | BCEWithLogits),
                threshold=0.0 if isinstance(loss, BCEWithLogits) else 0.5,
                ignore_index=int(loss.to_dict().get("ignore_index", -100)),
                result=program.add_result(result),
            )
        )


class LossMetric(Metric):
    """A loss as a metric, under its name in lower case: ``metrics=["accuracy", bp.MAE()]``.

    Parameters
    ----------
    loss : Loss
        Takes the same targets as the loss that is minimised.
    """

    loss: Loss

    def _check(self) -> None:
        if self.loss.reduction not in ("mean", "batch"):
            raise ValueError(
                f'a metric is a mean: reduction must be "mean" or "batch", got {self.loss!r}'
            )

    def result_name(self) -> str:
        """Return the name of the loss in lower case."""
        return type(self.loss).__name__.lower()

    def add(
        self,
        program: Program,
        loss: Loss,
        judged: Judged,
        target: Target,
        result: str,
        suffix: str,
    ) -> None:
        """Append the op of the loss, without a gradient."""
        try:
            add_loss_op(program, self.loss, judged, target, program.add_result(result), suffix)
        except OpError as error:
            raise ValueError(f"the metric {self.loss!r} can't judge these targets") from error

    def constants(self, shape: Any) -> dict[str, Any]:
        """Return those of the loss."""
        return self.loss.constants(shape)


METRICS: tuple[type[Metric], ...] = (Accuracy,)


def resolve_metrics(given: Any) -> tuple[Metric, ...]:
    """Return metrics from a list of metrics, losses, or names of either.

    Raises
    ------
    ValueError, TypeError
        For what is none of them, and for two with one name.
    """
    if isinstance(given, list | tuple):
        given = [_as_metric(one) for one in given]
    metrics = resolve_all("metric", given, METRICS, Metric)
    names = [metric.result_name() for metric in metrics]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two metrics have the name {name!r}")
    return metrics


def _as_metric(one: Any) -> Any:
    """Return a loss, or the name of one, as a metric; all else as it is."""
    if isinstance(one, Loss) or (isinstance(one, type) and issubclass(one, Loss)):
        return LossMetric(resolve("metric", one, LOSSES, Loss))
    names = {kind.__name__.lower() for kind in LOSSES}
    if isinstance(one, str) and one.lower().replace("_", "") in names:
        return LossMetric(resolve("metric", one, LOSSES, Loss))
    return one
