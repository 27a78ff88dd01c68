"""How far back a gradient reaches: a tanh net, an LSTM and a GRU, before and after learning.

    python examples/vanishing.py

Each step of a sequence brings a number; the first one, which is marked, is wanted at the end. Shown
is the size of d output / d number by how many steps ago the number came. At the start it shrinks
by about the same factor each step (Bengio, Simard and Frasconi 1994): least in the tanh net, whose
recurrent weights start orthogonal, and less in the LSTM than in the GRU, as its forget gates start
at 1. Learning opens the gates of both, so that the gradient gets through to the first number,
where 1 is right; in the tanh net it vanishes, and next to nothing is remembered.
Writes vanishing.png.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

import pybp as bp

UNITS = 32
CELLS = {"tanh": bp.RNN, "LSTM": bp.LSTM, "GRU": bp.GRU}
COLOURS = ("#9ca3af", "#2f6db3", "#c8453b")
Curves = dict[str, np.ndarray]  # cell -> sizes of the gradient, by lag


def sequences(lengths: np.ndarray, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return sequences (length, 2) of numbers and marks, and the first number of each."""
    rng = np.random.default_rng(seed)
    x = [np.zeros((length, 2), "f4") for length in lengths]
    for one in x:
        one[:, 0] = rng.uniform(-1, 1, len(one))
        one[0, 1] = 1
    return x, np.array([one[:1, 0] for one in x])


def reach(net: bp.Sequential, x: np.ndarray) -> np.ndarray:
    """Return the mean size of d output / d number over sequences, for lag 0, 1, ..."""
    net.forward(x)
    slope = net.backward(np.ones((len(x), 1), "f4"))[:, ::-1, 0]
    return np.abs(slope).mean(axis=0)


def draw(panels: dict[str, Curves], path: str | Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True)
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        for (name, sizes), colour in zip(curves.items(), COLOURS, strict=True):
            ax.plot(sizes, color=colour, linewidth=2, label=name)
        ax.set(yscale="log", ylim=(1e-12, 10), title=title, xlabel="steps ago")
        ax.grid(color="#e5e7eb")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("|d output / d number|")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def main(
    steps: int = 50, count: int = 4000, epochs: int = 16, path: str | Path = "vanishing.png"
) -> tuple[dict[str, Curves], dict[str, float]]:
    lengths = np.random.default_rng(0).integers(1, steps + 1, count)
    x, y = sequences(lengths, seed=1)
    x_test, y_test = sequences(np.full(200, steps), seed=2)
    longest = np.array(x_test)
    panels: dict[str, Curves] = {"at the start": {}, "after learning": {}}
    before, after = panels.values()
    errors = {}
    for name, cell in CELLS.items():
        net = bp.Sequential([cell(UNITS, return_sequences=False), bp.Linear(1)], seed=0)
        before[name] = reach(net.build(longest.shape[1:]), longest)
        net.fit(x, y, loss="mse", optimizer=bp.Adam(5e-3), epochs=epochs, batch_size=50, verbose=0)
        after[name] = reach(net, longest)
        errors[name] = net.evaluate(longest, y_test, loss="mse")["loss"]
    lags = sorted({lag for lag in (0, 1, 2, 5, 10, 20, 40) if lag < steps - 1} | {steps - 1})
    for title, curves in panels.items():
        print(f"{title}\nsteps ago " + "".join(f"{lag:>9}" for lag in lags))
        for name, sizes in curves.items():
            print(f"{name:<10}" + "".join(f"{sizes[lag]:>9.0e}" for lag in lags))
        print()
    print("squared error of the number that is wanted (0.333 without any memory):")
    print(", ".join(f"{name} {error:.4f}" for name, error in errors.items()))
    if importlib.util.find_spec("matplotlib"):
        draw(panels, path)
        print(f"the curves: {path}")
    return panels, errors


if __name__ == "__main__":
    main()
