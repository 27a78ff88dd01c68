"""The losses and metrics: value and gradient in one pass, sums for the results."""

from __future__ import annotations

from pybp.program.ops.base import MaybeRead, MaybeWrite, Op, Read, Shape, is_prefix

REDUCTIONS = ("mean", "batch", "samples", "sum")
ELEMENTWISE_LOSSES = (
    "squared",
    "absolute",
    "huber",
    "quantile",
    "bce",
    "kl_div",
    "kl_div_log",
    "poisson_log",
    "poisson_rate",
)


class Loss(Op):
    """Base of the losses: value and gradient in one pass.

    With l the loss of one element or position, s = ``scale``, w the weight of its sample, the op
    writes ``dy = s * w * l' / d`` and adds two columns of results: ``result`` gets
    ``s * sum(w * l)``, ``result + 1`` gets d. The divisor d follows from ``reduction``:

    ``"mean"``     the sum of w over all elements or positions;
    ``"batch"``    the sum of w over the samples;
    ``"samples"``  the number of samples, which packed predictions can't tell;
    ``"sum"``      1, and dy is that of the plain sum.

    ``losses`` receives ``s * w * l`` unreduced. Where d is 0 (all labels ignored) dy is 0.
    """

    prediction: Read
    target: Read
    weight: MaybeRead = ""
    dy: MaybeWrite = ""
    losses: MaybeWrite = ""
    reduction: str = "mean"
    scale: float = 1.0
    result: int = 0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        prediction, target = shape["prediction"], shape["target"]
        if self.reduction not in REDUCTIONS:
            raise self.fail(f"reduction is one of {', '.join(REDUCTIONS)}, got {self.reduction!r}")
        if target != self._target_shape(prediction):
            raise self.fail(f"target must be {self._target_shape(prediction)}, got {target}")
        if self.weight and not is_prefix(shape["weight"], self._positions(prediction)):
            raise self.fail(
                f"weight must be (n,) or lead {self._positions(prediction)}, got {shape['weight']}"
            )
        return {"dy": prediction, "losses": self._positions(prediction)}

    def _target_shape(self, prediction: Shape) -> Shape:
        return prediction

    def _positions(self, prediction: Shape) -> Shape:
        """Return the shape of the unreduced losses."""
        return prediction


class ElementwiseLoss(Loss):
    """A loss of each element, with p the prediction and t the target.

    ``squared``       ``(p - t)^2``
    ``absolute``      ``|p - t|``, slope 0 at a tie
    ``huber``         ``(p - t)^2 / 2`` within ``parameter``, linear beyond
    ``quantile``      ``max(q (t - p), (q - 1) (t - p))`` with q = ``parameter``, slope 0 at a tie
    ``bce``           ``-t log p - (1 - t) log(1 - p)``, each logarithm at least -100
    ``kl_div``        ``t (log t - p)``, 0 where t = 0 (p are log-probabilities)
    ``kl_div_log``    ``exp(t) (t - p)``
    ``poisson_log``   ``exp(p) - t p``
    ``poisson_rate``  ``p - t log(p + parameter)``

    ``full`` adds Stirling's ``t log t - t + log(2 pi t) / 2`` for t > 1 to the two Poisson losses.
    """

    function: str = "squared"
    parameter: float = 0.0
    full: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        if self.function not in ELEMENTWISE_LOSSES:
            raise self.fail(f"function is one of {', '.join(ELEMENTWISE_LOSSES)}")
        return super().shapes(shape)


class BCEWithLogitsLoss(Loss):
    """Binary cross entropy on logits; per-column weights multiply terms and leave d alone.

    ``c_j (1 - t) p + c_j (1 + (q_j - 1) t) log(1 + exp(-p))`` with c = ``column_weight`` [columns]
    and q = ``positive_weight`` [columns], computed without overflow.
    """

    column_weight: MaybeRead = ""
    positive_weight: MaybeRead = ""


class NormLoss(Loss):
    """The 2-norm of each row of ``prediction - target``; its gradient at 0 is 0."""

    def _positions(self, prediction: Shape) -> Shape:
        return prediction[:-1]


class LabelLoss(Loss):
    """Cross entropy of integer labels, from logits or from log-probabilities (``logits=False``).

    Positions whose label is ``ignore_index`` weigh 0. With class weights c and smoothing e the
    loss of a position is ``-(1 - e) c_y log p_y - e / k * sum_j c_j log p_j``, and it counts c_y
    in the divisor of ``"mean"``.
    """

    class_weight: MaybeRead = ""
    ignore_index: int = -100
    label_smoothing: float = 0.0
    logits: bool = True

    def _target_shape(self, prediction: Shape) -> Shape:
        return prediction[:-1]

    def _positions(self, prediction: Shape) -> Shape:
        return prediction[:-1]


class DistributionLoss(Loss):
    """Cross entropy of target distributions: ``-sum_j c_j ((1 - e) t_j + e / k) log p_j``."""

    class_weight: MaybeRead = ""
    label_smoothing: float = 0.0

    def _positions(self, prediction: Shape) -> Shape:
        return prediction[:-1]


class Accuracy(Op):
    """The share of right positions: results get the weighted count of hits and the weights.

    Labels are compared with the first maximum of a row; so are distributions, by their own first
    maximum. With ``binary`` each element counts: right when it lies above ``threshold`` exactly
    where the target lies above 1/2.
    """

    prediction: Read
    target: Read
    weight: MaybeRead = ""
    binary: bool = False
    threshold: float = 0.0
    ignore_index: int = -100
    result: int = 0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        prediction, target = shape["prediction"], shape["target"]
        allowed = [prediction] if self.binary else [prediction, prediction[:-1]]
        if target not in allowed:
            raise self.fail(f"target must be one of {allowed}, got {target}")
        positions = prediction if self.binary else prediction[:-1]
        if self.weight and not is_prefix(shape["weight"], positions):
            raise self.fail(f"weight must be (n,) or lead {positions}, got {shape['weight']}")
        return {}
