"""A recurrent net forecasts ten series one step ahead, beside two rules that are hard to beat.

    PYBP_DATA=folder python examples/forecast.py    folder/timeseries and folder/bike-sharing

The rules: the same as last, and the same as a season ago. For each series a GRU reads the last 12
values and those a season before the next one, all as differences to the rule that does better on
the training part, and gives the difference that comes next. It learns from the first four fifths;
the mean absolute errors are those of the last fifth. Writes forecast.png.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np

import pybp as bp
from pybp.datasets.folder import data_folder

STEPS = 12
BLUE, RED, GREY = "#2f6db3", "#c8453b", "#9ca3af"


class Series(NamedTuple):
    name: str
    file: str
    column: str
    season: int
    epochs: int
    log: bool = False  # for a series whose ups and downs grow with it


ALL = (
    Series("air passengers", "timeseries/airline-passengers.csv", "Passengers", 12, 60, True),
    Series("car sales", "timeseries/monthly-car-sales.csv", "Sales", 12, 60, True),
    Series("shampoo sales", "timeseries/shampoo.csv", "Sales", 12, 60, True),
    Series("births", "timeseries/daily-total-female-births.csv", "Births", 7, 25),
    Series("sunspots", "timeseries/monthly-sunspots.csv", "Sunspots", 132, 25),
    Series("lowest temperature", "timeseries/daily-min-temperatures.csv", "Temp", 365, 25),
    Series("highest temperature", "timeseries/daily-max-temperatures.csv", "Temperature", 365, 25),
    Series("fine dust", "timeseries/pollution.csv.gz", "pm2.5", 24, 4),
    Series("oil temperature", "timeseries/ETTh1.csv.gz", "OT", 24, 8),
    Series("bike rentals", "bike-sharing/hour.csv.gz", "cnt", 168, 8),
)


class Forecast(NamedTuple):
    true: np.ndarray
    last: np.ndarray  # the same as last
    season: np.ndarray  # the same as a season ago
    net: np.ndarray

    def errors(self) -> list[float]:
        """Return the mean absolute error of each way."""
        return [float(np.abs(way - self.true).mean()) for way in self[1:]]


def read(series: Series) -> np.ndarray:
    """Return the values of a series; what is missing lies on the line between its neighbours."""
    folder, _, name = series.file.partition("/")
    try:
        path = data_folder(folder, None, f"in it there must be {name}") / name
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            texts = [row[series.column] for row in csv.DictReader(file)]
    except FileNotFoundError as error:
        raise SystemExit(f"no data: {error}") from error
    values = np.array([np.nan if text == "NA" else float(text) for text in texts])
    known = np.flatnonzero(~np.isnan(values))
    return np.interp(np.arange(len(values)), known, values[known])


def forecast(values: np.ndarray, series: Series) -> Forecast:
    """Train on the first four fifths of the values and forecast each of the others."""
    z, season = np.log(values) if series.log else values, series.season
    times = np.arange(max(season, STEPS), len(z))  # of the values that are forecast
    test = times >= len(z) - len(z) // 5
    before = times[:, None] + np.arange(-STEPS, 0)
    rules = z[times - 1], z[times - season]
    base = min(rules, key=lambda rule: np.abs(rule - z[times])[~test].mean())
    scale = (z[times] - base)[~test].std()
    past = z[before], z[np.maximum(before + 1 - season, 0)]
    x = (np.stack(past, axis=2) - base[:, None, None]) / scale
    y = (z[times] - base)[:, None] / scale
    net = bp.Sequential([bp.GRU(16, return_sequences=False), bp.Linear(1)], seed=0)
    net.fit(
        x[~test], y[~test], loss="mae", optimizer=bp.AdamW(3e-3), epochs=series.epochs, verbose=0
    )
    ways = z[times], *rules, net.predict(x)[:, 0] * scale + base
    return Forecast(*((np.exp(way) if series.log else way)[test] for way in ways))


def draw(forecasts: dict[str, Forecast], path: str | Path) -> None:
    """Draw the end of each series with the net's forecasts and those of the better rule."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 2.2 * -(-len(forecasts) // 2) + 0.4), layout="constrained")
    axes = figure.subplots(-(-len(forecasts) // 2), 2, squeeze=False).ravel()
    for ax, (name, found) in zip(axes, forecasts.items(), strict=False):
        last, season, net = found.errors()
        rule = ("last", found.last) if last < season else ("a season ago", found.season)
        for label, values, colour, width in (
            ("true", found.true, GREY, 3), (rule[0], rule[1], RED, 1), ("net", found.net, BLUE, 1.4)
        ):  # fmt: skip
            ax.plot(values[-96:], color=colour, linewidth=width, label=label)
        ax.set_title(f"{name}: error {net:.4g}, of the rule {min(last, season):.4g}", fontsize=10)
        ax.legend(fontsize=8, loc="upper left", ncols=3, frameon=False)
        ax.margins(x=0.01, y=0.25)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[len(forecasts) :]:
        ax.remove()
    figure.savefig(path, dpi=150)


def main(path: str | Path = "forecast.png") -> dict[str, list[float]]:
    print(f"{'series':<20} {'tested':>6} {'last':>10} {'season ago':>10} {'net':>10}")
    forecasts = {}
    for series in ALL:
        found = forecasts[series.name] = forecast(read(series), series)
        cells = " ".join(f"{error:>10.3f}" for error in found.errors())
        print(f"{series.name:<20} {len(found.true):>6} {cells}")
    if importlib.util.find_spec("matplotlib"):
        draw(forecasts, path)
        print(f"the ends of the series: {path}")
    return {name: found.errors() for name, found in forecasts.items()}


if __name__ == "__main__":
    main()
