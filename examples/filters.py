"""Filters made by hand look at a colour photograph: blur, sharpen, edges.

    python examples/filters.py      a photograph that comes with scikit-learn

A filter is a small array of weights that slides over each colour of the picture; a convolutional
layer learns such weights. Writes filters.png.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import pybp as bp

SOBEL = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])  # answers to edges that run upright
LAPLACIAN = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])  # the second derivative
BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256  # nearly a Gauss curve
SHARPEN = np.array([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]])  # the picture less its Laplacian


def filtered(photo: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each filter makes of a photograph (height, width, 3) with values 0 to 1."""
    across = bp.functional.filter_image(photo, SOBEL)
    down = bp.functional.filter_image(photo, SOBEL.T)
    return {
        "photograph": photo,
        "blur": bp.functional.filter_image(photo, BINOMIAL),
        "sharpen": bp.functional.filter_image(photo, SHARPEN),
        "Laplacian (0 is grey)": 0.5 + bp.functional.filter_image(photo, LAPLACIAN),
        "Sobel, upright edges (0 is grey)": 0.5 + across / 4,
        "Sobel, size of the slope": np.hypot(across, down) / 2,
    }


def main(path: str | Path = "filters.png", size: int | None = None) -> dict[str, np.ndarray]:
    from matplotlib.figure import Figure
    from sklearn.datasets import load_sample_image

    photo = load_sample_image("china.jpg")[:size, :size].astype("f4") / 255
    pictures = filtered(photo)
    print("filter                              least   greatest   mean")
    for name, picture in pictures.items():
        print(f"{name:<34} {picture.min():6.2f} {picture.max():10.2f} {picture.mean():6.2f}")
    figure = Figure(figsize=(12, 6), layout="constrained")
    tiles = np.stack(list(pictures.values()))
    bp.plot.images(tiles, list(pictures), columns=3, limits=(0, 1), ax=figure.subplots())
    figure.savefig(path, dpi=150)
    return pictures


if __name__ == "__main__":
    main()
