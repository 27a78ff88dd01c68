"""Metrics: what is measured beside the loss while a net trains or is evaluated."""

from __future__ import annotations

from pybp.losses import BCE, BCEWithLogits, Loss, Target
from pybp.program.ops import Accuracy as AccuracyOp
from pybp.program.program import Program
from pybp.record import Record


class Metric(Record):
    """Base of the metrics."""

    def result_name(self) -> str:
        """Return the key in logs and histories."""
        return type(self).__name__.lower()

    def add(self, program: Program, loss: Loss, prediction: str, target: Target) -> None:
        """Append the op that measures; the program has its ``target`` and ``weight`` buffers."""
        raise NotImplementedError


class Accuracy(Metric):
    """The share of right answers, weighted by the sample weights.

    The first maximum along the last axis is compared with the label, or with the first maximum of
    a target of the prediction's shape. Under a binary loss each element is one answer: a
    probability above 1/2, or a logit above 0, means yes. So is each element where there are no
    classes to choose from, the last axis being 1 long: above 1/2 means yes.
    """

    def add(self, program: Program, loss: Loss, prediction: str, target: Target) -> None:
        """Append the accuracy op."""
        shape = program.shape(prediction)
        single = target.shape == shape[1:] and (len(shape) == 1 or shape[-1] == 1)
        weight = "weight" if "weight" in program.buffers else ""
        program.append(
            AccuracyOp(
                prediction,
                "target",
                weight,
                binary=single or isinstance(loss, BCE | BCEWithLogits),
                threshold=0.0 if isinstance(loss, BCEWithLogits) else 0.5,
                ignore_index=int(loss.to_dict().get("ignore_index", -100)),
                result=program.add_result(self.result_name()),
            )
        )


METRICS: tuple[type[Metric], ...] = (Accuracy,)
