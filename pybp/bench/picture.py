"""The roofline picture: operations a second over operations a byte, below the measured limits."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def figure_module() -> Any:
    """Return ``matplotlib.figure``, or raise an ImportError that says how to get it."""
    try:
        return importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ImportError("--plot needs matplotlib: pip install 'pybp-nn[plot]'") from error


def draw(runs: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw each run, a number of threads, side by side.

    Parameters
    ----------
    runs : list of dict
        As ``--json`` writes them.
    path : Path
        The file; its ending says what kind of picture.
    """
    figure = figure_module().Figure(figsize=(7.5 * len(runs), 6), layout="constrained")
    for axes, run in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs, strict=True):
        _draw_limits(axes, run)
        _draw_rows(axes, [row for row in run["rows"] if row["flops"]])
        axes.set(
            title=f"{run['about']['processor']}\nthreads: {run['threads']}",
            xlabel="operations for each byte that must be moved",
            ylabel="GFLOP/s",
            xscale="log",
            yscale="log",
        )
        axes.legend(loc="lower right", fontsize="small")
    figure.savefig(path)


def _draw_limits(axes: Any, run: dict[str, Any]) -> None:
    """Draw the peaks of both types and a roof for each level of memory."""
    least = min((row["intensity"] for row in run["rows"] if row["flops"]), default=1.0)
    intensity = np.geomspace(min(0.05, least / 2), 2000, 200)
    peaks = {dtype: 1e-9 * rate for dtype, rate in run["roof"]["flops"].items()}
    for level, rate in run["roof"]["read"].items():
        limit = np.minimum(1e-9 * rate * intensity, peaks["float32"])
        axes.plot(intensity, limit, linewidth=1, label=f"{level} {1e-9 * rate:.0f} GB/s")
    for dtype, peak in peaks.items():
        axes.axhline(peak, color="grey", linestyle=":", linewidth=1)
        axes.annotate(f"{dtype} {peak:.0f}", (0.06, peak), va="bottom", fontsize="small")


def _draw_rows(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Draw a point for each row; workloads and kernels of several forms have their names beside."""
    for kind, marker in (("float64", "s"), ("float32", "o")):
        found = [row for row in rows if row["name"].endswith("float64") == (kind == "float64")]
        if found:
            x = [row["intensity"] for row in found]
            y = [1e-9 * row["flops"] for row in found]
            axes.scatter(x, y, 16, marker=marker, label=f"measured, {kind}")
    for row in rows:
        if not row["name"].startswith("gemm"):
            place = (row["intensity"], 1e-9 * row["flops"])
            axes.annotate(row["name"], place, (3, 3), textcoords="offset points", fontsize="small")
