"""Rows of the table: arguments of fits, optimisers, callbacks and layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from errors.table import Row

import pybp as bp

NAN, INF = math.nan, math.inf


def _make(given: str, error: type[Exception], *calls: tuple[Callable[[], Any], str]) -> list[Row]:
    """Return rows that make a description, for which no net is needed."""
    return [Row(given, lambda _, make=make: make(), error, message) for make, message in calls]


def _fits(given: str, error: type[Exception], *fits: tuple[dict[str, Any], str]) -> list[Row]:
    """Return rows of fits with these arguments."""
    return [
        Row(given, lambda s, more=more: s.fit(**more), error, message) for more, message in fits
    ]


def _trainers(
    given: str, error: type[Exception], *options: tuple[dict[str, Any], str]
) -> list[Row]:
    """Return rows of both a trainer and a fit with these options."""
    rows = _fits(given, error, *options)
    return rows + [
        Row(given, lambda s, more=more: s.trainer(**more), error, message)
        for more, message in options
    ]


def _average() -> bp.SWA:
    """Return the average of a net of another shape."""
    average, x = bp.SWA(0), np.ones((2, 3))
    net = bp.Sequential([bp.Linear(1)])
    net.fit(x, x[:, :1], loss="mse", optimizer="sgd", epochs=1, callbacks=[average], verbose=0)
    return average


FITS = [
    *_fits(
        "epochs or a batch size below 1, or no whole numbers", ValueError,
        ({"epochs": 0}, "epochs must be >= 1, got 0"),
        ({"epochs": -3}, "epochs must be >= 1, got -3"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"batch_size": -1}, "batch_size must be >= 1, got -1"),
    ),
    *_fits(
        "epochs or a batch size below 1, or no whole numbers", TypeError,
        ({"epochs": 1.5}, "epochs must be a whole number, got 1.5"),
        ({"epochs": True}, "epochs must be a whole number, got True"),
        ({"epochs": "3"}, "epochs must be a whole number, got '3'"),
        ({"batch_size": 2.0}, "batch_size must be a whole number, got 2.0"),
        ({"batch_size": NAN}, "batch_size must be a whole number, got nan"),
    ),
    *_fits(
        "an unknown argument", TypeError,
        ({"epoch": 3}, "epoch"),
        ({"learning_rate": 0.1}, "learning_rate"),
    ),
    *_fits(
        "an unknown loss, optimiser or metric", ValueError,
        ({"loss": "mean_error"}, "there is no loss 'mean_error'; known names: "),
        ({"optimizer": "adamm"}, "there is no optimizer 'adamm'; known names: "),
        ({"metrics": ["f1"]}, "there is no metric 'f1'; known names: "),
    ),
    *_fits(
        "something else than a loss, an optimiser, a metric, a callback", TypeError,
        ({"loss": None}, "loss must be"),
        ({"optimizer": 0.1}, "optimizer must be"),
        ({"metrics": "accuracy"}, r"\['accuracy'\]"),
        ({"metrics": [3]}, "metric must be"),
        ({"callbacks": bp.EarlyStopping()}, "callbacks must be a list"),
        ({"callbacks": 3}, "callbacks must be a list"),
        ({"callbacks": [bp.EarlyStopping]}, "callbacks must be made from pybp.Callback"),
        ({"stop_loss": "low"}, "stop_loss must be a real number"),
    ),
    *_fits(
        "a loss that is no single number", ValueError,
        ({"loss": bp.CrossEntropy(reduction="none")}, "one number"),
    ),
    *_fits(
        "one row for a BatchNorm that has one value a channel", ValueError,
        ({"batch_size": 7}, "two rows at least are needed"),
        ({"batch_size": 1}, "two rows at least are needed"),
    ),
    *_trainers(
        "a norm, a value or a penalty that is negative, NaN, infinite or no number", ValueError,
        ({"clip_norm": -1.0}, "clip_norm"),
        ({"clip_norm": NAN}, "clip_norm"),
        ({"clip_value": -1.0}, "clip_value"),
        ({"clip_value": NAN}, "clip_value"),
        ({"l1": -1.0}, "l1"),
        ({"l1": NAN}, "l1"),
        ({"l1": INF}, "l1"),
        ({"l2": -1.0}, "l2"),
        ({"l2": NAN}, "l2"),
        ({"l2": INF}, "l2"),
        ({"max_norm": -1.0}, "max_norm"),
        ({"max_norm": NAN}, "max_norm"),
    ),
    *_trainers(
        "a norm, a value or a penalty that is negative, NaN, infinite or no number", TypeError,
        ({"clip_norm": "1"}, "clip_norm"),
        ({"clip_value": True}, "clip_value"),
        ({"l1": None}, "l1"),
        ({"l2": 1j}, "l2"),
        ({"max_norm": [1.0]}, "max_norm"),
    ),
    *_trainers(
        "an accumulation of no steps", ValueError,
        ({"accumulate": 0}, "accumulate must be >= 1, got 0"),
        ({"accumulate": -2}, "accumulate must be >= 1, got -2"),
    ),
    *_trainers("an accumulation of no steps", TypeError, ({"accumulate": 1.5}, "accumulate")),
    Row("a figure that nobody measures", lambda s: s.fit(callbacks=[bp.EarlyStopping()]),
        ValueError, "EarlyStopping monitors 'val_loss', but the logs have only loss"),
    Row("a figure that nobody measures", lambda s: s.fit(callbacks=[bp.ReduceOnPlateau()]),
        ValueError, "ReduceOnPlateau monitors 'val_loss', but the logs have only loss"),
    Row("a rate on a plateau beside a schedule", lambda s: s.fit(
        callbacks=[bp.ReduceOnPlateau("loss")], optimizer=bp.SGD(lambda t: 0.1)),
        ValueError, "has the schedule"),
    Row("a schedule that gives a negative rate or NaN",
        lambda s: s.fit(optimizer=bp.Adam(lambda t: -0.1)), ValueError, "rate -0.1 for update 1"),
    Row("a schedule that gives a negative rate or NaN",
        lambda s: s.fit(optimizer=bp.Adam(lambda t: NAN)), ValueError, "rate nan for update 1"),
    Row("a step before there are gradients",
        lambda _: bp.SGD(0.1).step(bp.Sequential([bp.Linear(2)]).build((4,))),
        RuntimeError, "no gradients to step: call net.backward"),
    Row("a backward pass before a forward pass, gradients before there are any",
        lambda _: bp.Sequential([bp.Linear(2)]).build((4,)).backward(np.ones((8, 2))),
        RuntimeError, r"call net.forward\(x\)"),
    Row("a backward pass before a forward pass, gradients before there are any",
        lambda _: bp.Sequential([bp.Linear(2)]).build((4,)).grads["0.weight"],
        RuntimeError, "no gradients yet"),
    Row("parameters of a net that is not built",
        lambda _: bp.Sequential([bp.Linear(2)]).params, RuntimeError, "not built yet"),
    Row("averages of nothing, or of another net",
        lambda s: bp.EMA().apply(s.net), RuntimeError, "averaged nothing yet"),
    Row("averages of nothing, or of another net", lambda s: _average().apply(s.net), ValueError,
        "SWA holds averages of .*the net has"),
]  # fmt: skip


OPTIMIZERS = [
    *_make(
        "a rate, a decay, an epsilon or a momentum that is negative, NaN or infinite", ValueError,
        (lambda: bp.SGD(-0.1), "lr must be a finite number >= 0, got -0.1"),
        (lambda: bp.SGD(NAN), "lr"),
        (lambda: bp.SGD(INF), "lr"),
        (lambda: bp.Adam(-1e-3), "lr"),
        (lambda: bp.SGD(0.1, momentum=-0.9), "momentum"),
        (lambda: bp.SGD(0.1, momentum=NAN), "momentum"),
        (lambda: bp.SGD(0.1, weight_decay=-1e-4), "weight_decay"),
        (lambda: bp.Adam(eps=-1e-8), "eps"),
        (lambda: bp.Adam(eps=NAN), "eps"),
        (lambda: bp.AdamW(weight_decay=-1.0), "weight_decay"),
        (lambda: bp.Adam(weight_decay=INF), "weight_decay"),
        (lambda: bp.Adagrad(-0.1), "lr"),
        (lambda: bp.Adagrad(lr_decay=-1.0), "lr_decay"),
        (lambda: bp.Adagrad(initial_accumulator_value=-1.0), "initial_accumulator_value"),
        (lambda: bp.RMSprop(alpha=-0.1), "alpha"),
        (lambda: bp.RMSprop(alpha=1.5), "alpha"),
        (lambda: bp.RMSprop(momentum=NAN), "momentum"),
        (lambda: bp.Adadelta(rho=1.5), "rho"),
        (lambda: bp.Adadelta(eps=-1.0), "eps"),
        (lambda: bp.NAdam(momentum_decay=-1.0), "momentum_decay"),
        (lambda: bp.Annealing(p0=1.5), "p0"),
        (lambda: bp.Annealing(gamma=NAN), "gamma"),
        (lambda: bp.Annealing(sigma=-1.0), "sigma"),
        (lambda: bp.LBFGS(-1.0), "lr"),
    ),
    *_make(
        "betas that are no two numbers in [0, 1)", ValueError,
        (lambda: bp.Adam(betas=(0.9, 1.0)), r"two numbers in \[0, 1\), got \(0.9, 1.0\)"),
        (lambda: bp.Adam(betas=(-0.1, 0.9)), "betas"),
        (lambda: bp.Adam(betas=(NAN, 0.9)), "betas"),
        (lambda: bp.Adam(betas=(0.9,)), "betas"),
        (lambda: bp.AdamW(betas=(1.0, 0.9)), "betas"),
        (lambda: bp.Adamax(betas=(0.9, 1.0)), "betas"),
        (lambda: bp.NAdam(betas=(0.9, -0.1)), "betas"),
        (lambda: bp.RAdam(betas=(0.9, 1.0)), "betas"),
    ),
    *_make(
        "Nesterov's momentum without a momentum, or with dampening", ValueError,
        (lambda: bp.SGD(0.1, nesterov=True), "nesterov needs momentum > 0 and dampening = 0"),
        (lambda: bp.SGD(0.1, momentum=0.9, dampening=0.5, nesterov=True), "nesterov"),
    ),
    *_make(
        "an unknown option of an optimiser, a layer or a loss", TypeError,
        (lambda: bp.SGD(rate=0.1), "no argument 'rate'; its arguments: lr"),
        (lambda: bp.Adam(beta1=0.9), "no argument 'beta1'"),
        (lambda: bp.Linear(3, units_in=4), "no argument 'units_in'"),
        (lambda: bp.MSE(mean=True), "mean"),
    ),
    *_make(
        "an option of another type", TypeError,
        (lambda: bp.Adam(eps="small"), "eps must be a real number, got 'small'"),
        (lambda: bp.SGD(0.1, nesterov=1), "nesterov must be True or False, got 1"),
        (lambda: bp.SGD(0.1, momentum=None), "momentum must be a real number, got None"),
        (lambda: bp.Linear("4"), "units must be a whole number, got '4'"),
    ),
]  # fmt: skip


SCHEDULES = [
    *_make(
        "a schedule of no steps", ValueError,
        (lambda: bp.StepLR(0.1, 0), "step_size must be .*0"),
        (lambda: bp.StepLR(0.1, -2), "step_size"),
        (lambda: bp.CosineLR(0.1, 0), "T_max must be .*0"),
        (lambda: bp.CosineAnnealingWarmRestarts(0.1, 0), "T_0 must be .*0"),
        (lambda: bp.CosineAnnealingWarmRestarts(0.1, 3, 0), "T_mult"),
        (lambda: bp.LinearLR(0.1, total_iters=0), "total_iters"),
        (lambda: bp.PolynomialLR(0.1, 0), "total_iters"),
        (lambda: bp.CyclicLR(0.1, 0.2, step_size_up=0), "step_size_up"),
        (lambda: bp.OneCycleLR(0.1, 0), "total_steps"),
        (lambda: bp.WarmupLR(0.1, 0), "steps"),
        (lambda: bp.MultiStepLR(0.1, [3, -1]), "milestones"),
    ),
    *_make(
        "a schedule with a rate or a factor that is negative, NaN or out of range", ValueError,
        (lambda: bp.StepLR(-0.1, 3), "lr must be"),
        (lambda: bp.StepLR(NAN, 3), "lr must be"),
        (lambda: bp.ExponentialLR(0.1, -0.9), "gamma"),
        (lambda: bp.ExponentialLR(0.1, NAN), "gamma"),
        (lambda: bp.InverseTimeLR(0.1, -1.0), "k must be"),
        (lambda: bp.ConstantLR(0.1, -1.0), "factor"),
        (lambda: bp.CosineLR(0.1, 3, -0.1), "eta_min"),
        (lambda: bp.CyclicLR(0.1, 0.2, mode="square"), "mode"),
        (lambda: bp.OneCycleLR(0.1, 10, pct_start=1.5), "pct_start"),
    ),
    *_make(
        "a schedule with steps that are no whole number", TypeError,
        (lambda: bp.StepLR(0.1, 2.5), "step_size must be a whole number, got 2.5"),
        (lambda: bp.CosineLR(0.1, "3"), "T_max must be a whole number"),
    ),
    Row("an optimiser that needs the loss, stepped by hand",
        lambda s: bp.LBFGS().step(s.net), TypeError, "LBFGS.*(fit|Trainer)"),
    Row("an optimiser that needs the loss, stepped by hand",
        lambda s: bp.Annealing().step(s.net), TypeError, "Annealing.*(fit|Trainer)"),
]  # fmt: skip


CALLBACKS = [
    *_make(
        "a patience, threshold, factor or decay of a callback outside its range", ValueError,
        (lambda: bp.EarlyStopping(patience=-1), "patience must be >= 0, got -1"),
        (lambda: bp.EarlyStopping(min_delta=-1.0), "min_delta must be >= 0, got -1.0"),
        (lambda: bp.EarlyStopping(min_delta=NAN), "min_delta"),
        (lambda: bp.EarlyStopping(mode="best"), 'mode must be "auto", "min" or "max"'),
        (lambda: bp.ReduceOnPlateau(factor=1.0), "factor must lie between 0 and 1, got 1.0"),
        (lambda: bp.ReduceOnPlateau(factor=NAN), "factor"),
        (lambda: bp.ReduceOnPlateau(min_lr=-1.0), "min_lr must be a finite number >= 0"),
        (lambda: bp.EMA(1.0), r"decay must lie in \[0, 1\), got 1.0"),
        (lambda: bp.SWA(-1), "start must be >= 0, got -1"),
        (lambda: bp.CSVLogger("log.csv", ",,"), "separator must be one character, got ',,'"),
    ),
    *_make(
        "a patience, threshold, factor or decay of a callback outside its range", TypeError,
        (lambda: bp.EarlyStopping(patience=2.5), "patience must be a whole number, got 2.5"),
        (lambda: bp.ReduceOnPlateau(cooldown="1"), "cooldown must be a whole number, got '1'"),
        (lambda: bp.EMA("slow"), "decay must be a real number, got 'slow'"),
    ),
]  # fmt: skip


DESCRIPTIONS = [
    *_make(
        "a chance of dropout outside [0, 1], or NaN", ValueError,
        (lambda: bp.Dropout(-0.1), r"p must lie in \[0, 1\], got -0.1"),
        (lambda: bp.Dropout(1.1), r"p must lie in \[0, 1\], got 1.1"),
        (lambda: bp.Dropout(NAN), "p must lie in"),
        (lambda: bp.SpatialDropout(NAN), "p must lie in"),
    ),
    *_make(
        "a size, kernel, stride, dilation or number of groups below 1; a padding below 0",
        ValueError,
        (lambda: bp.Linear(0), "units must be >= 1, got 0"),
        (lambda: bp.Linear(-3), "units must be >= 1, got -3"),
        (lambda: bp.Conv2d(0, 3), "channels must be >= 1, got 0"),
        (lambda: bp.Conv2d(4, 0), "kernel_size must be >= 1"),
        (lambda: bp.Conv2d(4, (3, -1)), "kernel_size must be >= 1"),
        (lambda: bp.Conv2d(4, 3, stride=0), "stride must be >= 1"),
        (lambda: bp.Conv2d(4, 3, stride=-2), "stride must be >= 1"),
        (lambda: bp.Conv1d(4, 3, dilation=0), "dilation must be >= 1"),
        (lambda: bp.Conv2d(4, 3, groups=0), "groups must be >= 1"),
        (lambda: bp.Conv2d(4, 3, padding=-1), "padding must be >= 0"),
        (lambda: bp.ConvTranspose2d(4, 3, padding=((0, -1), 0)), "padding must be >= 0"),
        (lambda: bp.MaxPool2d(0), "kernel_size must be >= 1"),
        (lambda: bp.AvgPool1d(2, stride=0), "stride must be >= 1"),
        (lambda: bp.Upsample2d(0), "scale_factor must be >= 1"),
        (lambda: bp.LSTM(0), "units must be >= 1"),
        (lambda: bp.GRU(3, num_layers=0), "num_layers must be >= 1"),
        (lambda: bp.Embedding(0, 3), "must be >= 1"),
        (lambda: bp.EmbeddingBag(3, 0), "must be >= 1"),
        (lambda: bp.Sequential([bp.Linear(2)]).build((0,)), "sizes must be >= 1"),
        (lambda: bp.Sequential([bp.Conv2d(2, 1)]).build((4, 4, 0)), "sizes must be >= 1"),
        (lambda: bp.Sequential([bp.LSTM(2)]).build((None, 0)), "sizes must be >= 1"),
    ),
    *_make(
        "groups that do not divide the channels, a kernel larger than the padded input", ValueError,
        (lambda: bp.Sequential([bp.Conv2d(4, 3, groups=3)]).build((8, 8, 3)), "divide.*got 3"),
        (lambda: bp.Sequential([bp.Conv2d(4, 3)]).build((2, 8, 3)), "larger than the padded"),
        (lambda: bp.Sequential([bp.MaxPool2d(3)]).build((2, 8, 3)), "larger than the padded"),
        (lambda: bp.Sequential([bp.Conv1d(4, 3, dilation=4)]).build((8, 3)), "it spans 9, got 8"),
    ),
    *_make(
        "a pool's padding over half a window, or a window that lies only in padding", ValueError,
        (lambda: bp.Sequential([bp.MaxPool2d(2, padding=2)]).build((8, 8, 3)), "half a window"),
        (lambda: bp.Sequential([bp.AvgPool1d(3, padding=2)]).build((8, 3)), "half a window"),
        (
            lambda: bp.Sequential([bp.MaxPool1d(2, 2, 1, dilation=2)]).build((1, 3)),
            "lies only in padding|larger than the padded",
        ),
        (
            lambda: bp.Sequential([bp.MaxPool1d(2, 1, 1, dilation=2)]).build((1, 3)),
            "window 0 of axis 1 lies only in padding",
        ),
    ),
    *_make(
        "a smoothing outside [0, 1], a delta or a quantile outside its range", ValueError,
        (lambda: bp.CrossEntropy(label_smoothing=-0.1), "label_smoothing"),
        (lambda: bp.CrossEntropy(label_smoothing=1.5), "label_smoothing"),
        (lambda: bp.CrossEntropy(label_smoothing=NAN), "label_smoothing"),
        (lambda: bp.Huber(delta=0.0), "delta"),
        (lambda: bp.Huber(delta=NAN), "delta"),
        (lambda: bp.Quantile(1.0), "q must lie"),
        (lambda: bp.MSE("average"), "reduction is one of"),
    ),
]  # fmt: skip

ROWS = [*FITS, *OPTIMIZERS, *SCHEDULES, *CALLBACKS, *DESCRIPTIONS]
