"""Look into LeNet-5: its filters, what they make of a digit, and the digits it gets most wrong.

    PYBP_DATA=folder python examples/lenet.py          trains the net: lenet.safetensors
    PYBP_DATA=folder python examples/look_inside.py    draws it

Writes filters.png, feature_maps.png and most_wrong.png into the folder lenet.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

import pybp as bp


def read_test() -> tuple[np.ndarray, np.ndarray]:
    """Return the digits to test, scaled as examples/lenet.py scales them."""
    spec = importlib.util.spec_from_file_location("lenet", Path(__file__).with_name("lenet.py"))
    lenet = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lenet)
    return lenet.read_data()[1]


def main(
    net_file: str | Path = "lenet.safetensors", folder: str | Path = "lenet", digit: int = 0
) -> list[Path]:
    from matplotlib.figure import Figure

    if not Path(net_file).exists():
        raise SystemExit(f"there is no {net_file}: run examples/lenet.py first")
    net = bp.load(net_file)
    x, y = read_test()
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    written = []

    def save(figure: Figure, name: str) -> None:
        written.append(folder / name)
        figure.savefig(written[-1], dpi=150)
        print(f"wrote {written[-1]}")

    figure = Figure(figsize=(12, 7), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=[2, 5])
    bp.plot.filters(net, 0, ax=top)
    bp.plot.filters(net, 3, ax=bottom)
    save(figure, "filters.png")

    figure = Figure(figsize=(9, 7), layout="constrained")
    places = {"the first convolution": 0, "after ReLU and pooling": 2, "the second convolution": 3}
    for ax, (name, layer) in zip(figure.subplots(3, 1), places.items(), strict=True):
        bp.plot.feature_maps(net, x[digit], layer, ax=ax)
        ax.set_title(name, fontsize=9)
    save(figure, "feature_maps.png")

    save(bp.plot.most_wrong(net, x, y).figure, "most_wrong.png")
    return written


if __name__ == "__main__":
    main(*sys.argv[1:])
