"""Bias and variance: what a model can't learn, and what it learns from the noise of its data.

    python examples/bias_variance.py

Many models are fitted to many draws of the training data. The mean of their squared errors is, at
each point, exactly ``bias^2 + variance``: (mean answer - right answer)^2, and how far the answers
lie apart. First polynomials through 100 noisy points of y = x^2, by least squares: the bias is gone
from degree 2 on, and the variance grows as 0.01 (degree + 1) / 100. Then nets with one hidden layer
of growing width on scikit-learn's digits, 20 draws of 100 training pictures: the bias falls from
0.088 to 0.014; the variance grows up to 16 units (0.029) and then falls again (0.012 with 128
units), so that here the widest net is the best. Writes bias_variance.png. Option: --draws N.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import pybp as bp

DEGREES = range(11)
WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128)
Parts = dict[int, tuple[float, float]]  # degree or width -> bias^2, variance
BLUE, RED, GREY = "#2f6db3", "#c8453b", "#6b7280"


def parts_of(answers: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Return bias^2 and variance of answers (draws, ...) to questions with one right answer."""
    return float(np.mean((answers.mean(0) - right) ** 2)), float(np.mean(answers.var(0)))


def polynomials(draws: int) -> Parts:
    """Fit polynomials: a linear neuron for each draw, on orthogonal columns that span them.

    On such columns one step of rate 1 on half the mean square is the least-squares solution.
    """
    x = np.linspace(0, 1, 100)
    noise = np.random.RandomState(1).normal(0, 0.1, (draws, 100))
    found = {}
    for degree in DEGREES:
        columns = 10 * np.linalg.qr(np.vander(x, degree + 1, increasing=True))[0]
        net = bp.Sequential(
            [bp.Linear(draws, bias=False, weight_init=bp.Zeros())], dtype="float64"
        )  # fmt: skip
        loss = bp.SquaredError("batch", half=True)
        bp.Trainer(net, loss, bp.SGD(1.0)).step(columns, x[:, None] ** 2 + noise.T)
        found[degree] = parts_of(net.predict(columns).T, x**2)
    return found


def nets(draws: int, epochs: int = 100) -> Parts:
    """Fit nets of growing width to draws of 100 digits; judge them on 500 others."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype("f4"), np.eye(10, dtype="f4")[y]
    rng = np.random.default_rng(0)
    order = rng.permutation(len(x))
    test, rest = order[:500], order[500:]
    found = {}
    for width in WIDTHS:
        answers = []
        for draw in range(draws):
            chosen = rng.choice(rest, 100, replace=False)
            net = bp.Sequential([bp.Linear(width), bp.ReLU(), bp.Linear(10)], seed=draw)
            net.fit(
                x[chosen], y[chosen], loss="mse", optimizer=bp.Adam(1e-2), epochs=epochs,
                batch_size=10, verbose=0,
            )  # fmt: skip
            answers.append(net.predict(x[test]))
        found[width] = parts_of(np.array(answers, np.float64), y[test])
    return found


def draw(panels: dict[str, Parts], path: str | Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for axes, (title, parts) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        places = list(range(len(parts)))
        bias, variance = np.array(list(parts.values())).T
        for values, name, colour in (
            (bias, "bias\u00b2", BLUE), (variance, "variance", RED), (bias + variance, "both", GREY)
        ):  # fmt: skip
            axes.plot(places, values, "o-", color=colour, label=name, markersize=4)
        axes.set_xticks(places, parts)
        axes.set(title=title, xlabel=title.split()[-1], ylabel="squared error", yscale="log")
        axes.grid(axis="y", color="#e5e7eb")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def show(title: str, parts: Parts) -> None:
    print(f"\n{title:<10}    bias^2   variance       both")
    for size, (bias, variance) in parts.items():
        print(f"{size:>10}{bias:10.5f}{variance:11.5f}{bias + variance:11.5f}")


def main(
    arguments: Sequence[str] | None = None, path: str | Path = "bias_variance.png"
) -> tuple[Parts, Parts]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20, help="of digits")
    options: Any = parser.parse_args(arguments)
    lines, digits = polynomials(20 * options.draws), nets(options.draws)
    show("degree", lines)
    show("width", digits)
    draw(
        {"100 noisy points: polynomials by degree": lines, "100 digits: nets by width": digits},
        path,
    )
    print(f"\nthe curves: {path}")
    return lines, digits


if __name__ == "__main__":
    main()
