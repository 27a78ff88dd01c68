"""Two laws of motion are learned from measured runs: by single steps, and through time.

    python examples/oscillator.py

A decay, x(t + 0.1) = w x(t), and an oscillator, x(t + 0.1) = w1 x(t) + w2 x(t - 0.1). Where a run
starts is known, all later values are measured with errors. A net that learns to go from measured
values to the next one takes the errors for motion. The same net, trained on whole runs by
backpropagation through time, reads the start alone, and finds the weights. Writes
oscillator.png, in which nothing was measured where it is grey.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import pybp as bp

STEP, ERROR = 0.1, 0.05  # time from one value to the next, size of the errors of measurement
RUNS, MEASURED, SHOWN = 40, 40, 120  # how many runs, and values of a run
GREY = "#9ca3af"
STYLES: dict[str, dict[str, Any]] = {
    "solution": {"color": "black", "linewidth": 1.2},
    "single steps": {"color": "#c8453b", "linewidth": 2},
    "through time": {"color": "#2f6db3", "linewidth": 2.5, "linestyle": "--"},
}


class Law(NamedTuple):
    weights: list[float]  # of the last values, the newest first
    solution: np.ndarray  # (RUNS, SHOWN)


def laws(rng: np.random.Generator) -> dict[str, Law]:
    """Return the weights of both laws, and runs from different states."""
    t, size = STEP * np.arange(SHOWN), rng.uniform(0.5, 1.5, (RUNS, 1))
    angle = 2 * t + rng.uniform(0, 2 * np.pi, (RUNS, 1))
    return {
        "decay": Law([np.exp(-0.7 * STEP)], size * np.exp(-0.7 * t)),
        "oscillator": Law([2 * np.cos(2 * STEP), -1.0], size * np.cos(angle)),
    }


def unfolded(taps: int, steps: int, weights: Any = None) -> bp.Model:
    """Return a net from the first values to those that follow: one layer, used at every step."""
    layer = bp.Linear(1, bias=False, weight_init=bp.Constant(1 / taps), name="step")
    values: list[Any] = [bp.Input((1,), name=f"x{i}") for i in range(taps)]
    for _ in range(steps):
        last = values[: -taps - 1 : -1]  # the newest first
        values.append(layer(bp.Concat()(last) if taps > 1 else last[0]))
    after = values[taps:]
    net = bp.Model(values[:taps], bp.Concat()(after) if steps > 1 else after[0], dtype="float64")
    if weights is not None:
        net.params["step.weight"] = weights
    return net


def first_values(runs: np.ndarray, taps: int) -> Any:
    """Return what ``unfolded`` reads: a column for each tap."""
    columns = tuple(runs[:, i : i + 1] for i in range(taps))
    return columns if taps > 1 else columns[0]


def learn(runs: np.ndarray, taps: int, epochs: int) -> dict[str, np.ndarray]:
    """Train on all single steps of the runs, then from these weights on the runs as a whole."""
    windows = np.lib.stride_tricks.sliding_window_view(runs, taps + 1, axis=1)
    learned: dict[str, np.ndarray] = {}
    start = None
    for name, data, rate in (
        ("single steps", windows.reshape(-1, taps + 1), 0.03), ("through time", runs, 0.006)
    ):  # fmt: skip
        net = unfolded(taps, data.shape[1] - taps, start)
        net.fit(
            first_values(data, taps), data[:, taps:], loss="mse", optimizer=bp.Adam(rate),
            epochs=epochs, batch_size=None, verbose=0,
        )  # fmt: skip
        learned[name] = start = net.params["step.weight"].copy()
    return learned


def draw(panel: Any, title: str, measured: np.ndarray, curves: dict[str, np.ndarray]) -> None:
    """Draw one run: what was measured, the solution, and the nets' free runs."""
    t = STEP * np.arange(SHOWN)
    panel.axvspan(t[MEASURED - 1], t[-1], color=GREY, alpha=0.12, linewidth=0)
    panel.plot(t[:MEASURED], measured, "o", color=GREY, markersize=3.5, label="measured")
    for label, curve in curves.items():
        panel.plot(t[-len(curve) :], curve, label=label, **STYLES[label])
    panel.set(title=title, xlabel="time", xlim=(0, t[-1]))
    panel.grid(axis="y", color="#e5e7eb")
    panel.spines[["top", "right"]].set_visible(False)


def main(epochs: int = 300, path: str | Path = "oscillator.png") -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(0)
    errors: dict[str, dict[str, float]] = {}
    pictures = []
    for name, law in laws(rng).items():
        taps, solution = len(law.weights), law.solution
        measured = solution[:, :MEASURED] + ERROR * rng.normal(size=(RUNS, MEASURED))
        measured[:, :taps] = solution[:, :taps]
        print(f"{name:<12}{'weights':<20}error of free runs")
        errors[name], curves = {}, {"solution": solution[0]}
        for way, weights in {"solution": law.weights, **learn(measured, taps, epochs)}.items():
            w = np.reshape(weights, (taps, 1))
            free = unfolded(taps, SHOWN - taps, w).predict(first_values(solution, taps))
            error = float(np.sqrt(np.square(free - solution[:, taps:]).mean()))
            print(f"  {way:<14}{' '.join(f'{v:8.5f}' for v in w.ravel()):<20}{error:10.5f}")
            errors[name][way] = error
            curves.setdefault(way, free[0])
        pictures.append((name, measured[0], curves))
    if importlib.util.find_spec("matplotlib"):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 4.4), layout="constrained")
        panels = figure.subplots(1, 2)
        for panel, picture in zip(panels, pictures, strict=True):
            draw(panel, *picture)
        names = panels[0].get_legend_handles_labels()
        figure.legend(*names, loc="outside lower center", ncols=4, frameon=False)
        figure.savefig(path, dpi=150, bbox_inches="tight", pad_inches=0.2)
        print(f"one run of each: {path}")
    return errors


if __name__ == "__main__":
    main()
