"""A net learns a few digits by heart: its figures on them, and on digits it never saw.

    python examples/overfitting.py                     scikit-learn's digits, 200 to train
    PYBP_DATA=folder python examples/overfitting.py    MNIST, 1000 to train

The same net is trained twice from the same start: for 350 rounds, and with early stopping, which
ends when the error on a third set of digits has not fallen for 10 rounds. Writes overfitting.png;
there the figures on the known digits are those during a round, not after it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import pybp as bp

Examples = tuple[np.ndarray, np.ndarray]  # pictures (n, pixels) in [0, 1], one-hot rows (n, 10)
Curves = dict[str, list[float]]  # "loss" and "accuracy", one figure a round
BLUE, RED, GREY = "#2f6db3", "#c8453b", "#9ca3af"


class Data(NamedTuple):
    name: str
    train: Examples
    validation: Examples
    test: Examples
    rate: float


def read_data() -> Data:
    if os.environ.get("PYBP_DATA"):
        (x, y), (x_test, y_test) = bp.datasets.mnist()
        x, y = np.concatenate([x[:2000], x_test]), np.concatenate([y[:2000], y_test])
        name, top, cuts, rate = "MNIST", 255, (1000, 2000), 0.0025
    else:
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(x))  # they come writer by writer
        x, y = x[order], y[order]
        name, top, cuts, rate = "scikit-learn's digits", 16, (200, 500), 0.02
    x = (x.reshape(len(x), -1) / top).astype("f4")
    y = np.eye(10, dtype="f4")[y]
    return Data(name, *zip(np.split(x, cuts), np.split(y, cuts), strict=True), rate)


class OnTest(bp.Callback):
    """Keeps error and accuracy on the test digits after each round."""

    def __init__(self, test: Examples) -> None:
        self.test = test
        self.curves: Curves = {"loss": [], "accuracy": []}

    def on_epoch_end(self, trainer: bp.Trainer, epoch: int, logs: dict[str, float]) -> None:
        figures = trainer.net.evaluate(*self.test, loss=trainer.loss, metrics=trainer.metrics)
        for name, values in self.curves.items():
            values.append(figures[name])


def train(data: Data, rounds: int, callback: bp.Callback) -> tuple[bp.Sequential, Curves]:
    """Train a net with 40 hidden units online, in fixed order, on the squared error."""
    start: dict[str, Any] = {"bias": False, "weight_init": bp.Uniform(-0.1, 0.1)}
    net = bp.Sequential([bp.Linear(40, **start), bp.ReLU(), bp.Linear(10, **start)], seed=1)
    history = net.fit(
        *data.train, loss=bp.SquaredError("batch"), optimizer=bp.SGD(data.rate),
        metrics=["accuracy"], epochs=rounds, batch_size=1, shuffle=False,
        validation_data=data.validation, callbacks=[callback], verbose=0,
    ).history  # fmt: skip
    return net, history


def draw(curves: dict[str, Curves], best: int, path: str | Path) -> None:
    """Draw error and accuracy by round; ``best`` is the round that early stopping goes back to."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle("Learning by heart: ever better on the known digits, ever worse on all others")
    left, right = figure.subplots(1, 2)
    draw_panel(left, {name: curve["loss"] for name, curve in curves.items()}, best, "{:.3f}", 1)
    left.set_title("squared error of a digit")
    left.set_ylim(0)
    draw_panel(
        right, {name: curve["accuracy"] for name, curve in curves.items()}, best, "{:.1%}", -1
    )
    right.set_title("accuracy")
    right.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    figure.savefig(path, dpi=150, bbox_inches="tight", pad_inches=0.2)


def draw_panel(axes: Any, curves: dict[str, list[float]], best: int, form: str, side: int) -> None:
    last = len(curves["train"])
    axes.axvspan(best, last, color=GREY, alpha=0.12, linewidth=0)
    offset: dict[str, Any] = {"textcoords": "offset points", "va": "center"}
    for (name, values), colour in zip(curves.items(), (BLUE, RED), strict=True):
        axes.plot(range(1, last + 1), values, color=colour, linewidth=2)
        label = f"{name} {form.format(values[-1])}"
        axes.annotate(label, (last, values[-1]), (6, 0), color=colour, **offset)
    stopped = curves["test"][best - 1]
    axes.plot(best, stopped, "o", color=RED, markersize=7)
    label = f"stopped early, round {best}:\ntest {form.format(stopped)}"
    axes.annotate(label, (best, stopped), (0, 26 * side), color=RED, ha="center", **offset)
    axes.set(xscale="log", xlabel="round", xlim=(1, last))
    ticks = [tick for tick in (1, 3, 10, 30, 100, 350) if tick <= last]
    axes.set_xticks(ticks, ticks)
    axes.set_xticks([], minor=True)
    axes.grid(axis="y", color="#e5e7eb")
    axes.spines[["top", "right"]].set_visible(False)


def main(rounds: int = 350, path: str | Path = "overfitting.png") -> None:
    data = read_data()
    print(f"{data.name}: {len(data.train[0])} to train, {len(data.test[0])} to test")
    on_test, early = OnTest(data.test), bp.EarlyStopping(patience=10)
    long, seen = train(data, rounds, on_test)
    stopped, _ = train(data, rounds, early)
    best = early.best_epoch + 1
    for name, net in ((f"all {rounds} rounds", long), (f"stopped at round {best}", stopped)):
        for part, examples in (("train", data.train), ("test", data.test)):
            figures = net.evaluate(*examples, loss=bp.SquaredError("batch"), metrics=["accuracy"])
            print(f"{name:<20} {part:<6} error {figures['loss']:.3f}"
                  f"   accuracy {figures['accuracy']:.1%}")  # fmt: skip
    draw({"train": seen, "test": on_test.curves}, best, path)
    print(f"the curves: {path}")


if __name__ == "__main__":
    main()
