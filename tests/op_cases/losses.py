"""Cases of the losses and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from tolerance import EXACT, LINEAR, TRANSCENDENTAL

from op_cases.case import (
    Case,
    Fill,
    Shape,
    counts,
    distributions,
    labels,
    log_distributions,
    normal,
    positive,
    probabilities,
    some_zero,
    yes_or_no,
)
from pybp.program import ops
from pybp.program.ops import ELEMENTWISE_LOSSES, N

LOSS_FILLS: dict[str, tuple[Fill, Fill, float]] = {
    "squared": (normal, normal, 0.0),
    "absolute": (normal, normal, 0.0),
    "huber": (normal, normal, 0.8),
    "quantile": (normal, normal, 0.3),
    "bce": (probabilities, probabilities, 0.0),
    "kl_div": (log_distributions, distributions, 0.0),
    "kl_div_log": (log_distributions, log_distributions, 0.0),
    "poisson_log": (normal, counts, 1e-8),
    "poisson_rate": (positive, counts, 1e-8),
}


def loss_cases() -> Iterator[Case]:
    for function in ELEMENTWISE_LOSSES:
        prediction, target, parameter = LOSS_FILLS[function]
        fills = {"prediction": prediction, "target": target}
        for reduction in ("mean", "batch", "sum"):
            extra = {"function": function, "parameter": parameter}
            yield _loss(
                f"{function} {reduction}", ops.ElementwiseLoss, (5, (N, 7)), fills, reduction, extra
            )
        extra = {"function": function, "parameter": parameter, "full": True, "scale": 0.5}
        yield _loss(
            f"{function} weighted", ops.ElementwiseLoss, (6, (N, 3, 5)), fills, "mean", extra, (N,)
        )
        extra = {"function": function, "parameter": parameter}
        yield _loss(
            f"{function} large",
            ops.ElementwiseLoss,
            (256, (N, 128)),
            fills,
            "mean",
            extra,
            bench=True,
        )
    yield from _class_losses()


def _class_losses() -> Iterator[Case]:
    many = {"mean": (9, (N, 10)), "batch": (4, (N, 3, 17)), "sum": (3, (N, 1))}
    for reduction, (rows, plain) in many.items():
        shape, k = plain, plain[-1]
        logits, log_p = (
            {"target": labels(k)},
            {"prediction": log_distributions, "target": labels(k)},
        )
        size = (rows, shape)
        yield _loss(f"labels {reduction}", ops.LabelLoss, size, logits, reduction, {})
        yield _loss(f"nll {reduction}", ops.LabelLoss, size, log_p, reduction, {"logits": False})
        soft = {"target": distributions}
        yield _loss(f"distribution {reduction}", ops.DistributionLoss, size, soft, reduction, {})
        yield _loss(f"norm {reduction}", ops.NormLoss, size, {}, reduction, {})
        yes = {"target": yes_or_no}
        yield _loss(f"bce_logits {reduction}", ops.BCEWithLogitsLoss, size, yes, reduction, {})
        # With one class the gradient is a difference of equal terms: all rounding, no size to
        # measure it by. So the options are tried on at least two.
        shape = (*shape[:-1], max(k, 2))
        k, size = shape[-1], (rows, shape)
        weights: dict[str, Any] = {"class_weight": "class_weight", "label_smoothing": 0.1}
        ignored = {"target": labels(k, ignored=True), "class_weight": positive, "weight": some_zero}
        for extra in (weights, {**weights, "logits": False}):
            fills = {**ignored, "prediction": log_distributions if "logits" in extra else normal}
            name = f"labels all options {reduction} {'nll' if 'logits' in extra else 'logits'}"
            yield _loss(name, ops.LabelLoss, size, fills, reduction, extra, shape[:-1])
        fills = {"target": distributions, "class_weight": positive, "weight": some_zero}
        name = f"distribution all options {reduction}"
        yield _loss(name, ops.DistributionLoss, size, fills, reduction, weights, (N,))
        columns = {"column_weight": "column_weight", "positive_weight": "positive_weight"}
        fills = {"target": yes_or_no, "column_weight": positive, "positive_weight": positive}
        name = f"bce_logits all options {reduction}"
        yield _loss(name, ops.BCEWithLogitsLoss, size, fills, reduction, columns, (N,))
    large = (512, (N, 10))
    yield _loss(
        "labels large", ops.LabelLoss, large, {"target": labels(10)}, "mean", {}, bench=True
    )
    wide = (64, (N, 1000))
    yield _loss(
        "labels wide", ops.LabelLoss, wide, {"target": labels(1000)}, "mean", {}, bench=True
    )
    everything = {"target": lambda rng, shape: np.full(shape, -100)}
    yield _loss("labels all ignored", ops.LabelLoss, (3, (N, 4)), everything, "mean", {})


def _loss(
    name: str,
    kind: type[ops.Loss],
    size: tuple[int, Shape],
    fills: dict[str, Fill],
    reduction: str,
    extra: dict[str, Any],
    weight: Shape | None = None,
    bench: bool = False,
) -> Case:
    rows, shape = size
    positions = shape[:-1] if kind in (ops.LabelLoss, ops.DistributionLoss, ops.NormLoss) else shape
    shapes = {
        "prediction": shape,
        "target": shape[:-1] if kind is ops.LabelLoss else shape,
        "dy": shape,
        "losses": positions,
    }
    if weight is not None:
        shapes["weight"] = weight
        fills = {"weight": positive, **fills}
    for constant in ("class_weight", "column_weight", "positive_weight"):
        if constant in extra:
            shapes[constant] = (shape[-1],)
    op = kind(
        prediction="prediction",
        target="target",
        weight="" if weight is None else "weight",
        dy="dy",
        losses="losses",
        reduction=reduction,
        **extra,
    )
    elements = int(np.prod(shape[1:])) * rows
    return Case(f"loss {name}", op, rows, shapes, elements, TRANSCENDENTAL, fills, bench=bench)


def metric_cases() -> Iterator[Case]:
    shapes = {"prediction": (N, 10), "target": (N,)}
    op = ops.Accuracy("prediction", "target")
    yield Case("accuracy labels", op, 40, shapes, 40, EXACT, {"target": labels(10, ignored=True)})
    shapes = {"prediction": (N, 4), "target": (N, 4), "weight": (N,)}
    op = ops.Accuracy("prediction", "target", "weight")
    fills = {"target": distributions, "weight": positive}
    yield Case("accuracy distributions weighted", op, 40, shapes, 40, LINEAR, fills)
    shapes = {"prediction": (N, 3), "target": (N, 3)}
    op = ops.Accuracy("prediction", "target", binary=True, threshold=0.5)
    yield Case("accuracy binary", op, 40, shapes, 120, EXACT, {"target": yes_or_no})


def metric_sized(size: int, rows: int) -> Iterator[Case]:
    """Yield the accuracy over this many classes, and of as many yes-or-no answers."""
    shapes = {"prediction": (N, size), "target": (N,)}
    op = ops.Accuracy("prediction", "target")
    fills = {"target": labels(size, ignored=True)}
    yield Case(f"accuracy labels at {size}", op, rows, shapes, rows, EXACT, fills)
    shapes = {"prediction": (N, size), "target": (N, size)}
    op = ops.Accuracy("prediction", "target", binary=True, threshold=0.5)
    fills = {"target": yes_or_no}
    yield Case(f"accuracy binary at {size}", op, rows, shapes, rows * size, EXACT, fills)
