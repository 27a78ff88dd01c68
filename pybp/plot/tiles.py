"""Pictures in rows on one axes, with titles that fit above them."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from pybp.arrays import Array

_POINTS = 72  # of an inch
_TILE = 1.1  # inches
_LARGEST = 9.0  # points


def pyplot() -> Any:
    """Return matplotlib.pyplot, or raise an ImportError that says how to get it."""
    try:
        return importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise ImportError(
            "pybp.plot needs the Matplotlib package: pip install 'pybp-nn[plot]'"
        ) from error


def new_axes(columns: int, rows: int, ratio: float, lines: int) -> Any:
    """Return axes in a new figure for so many pictures of that height / width."""
    width = max(columns * _TILE, 3.0)
    height = rows * (_TILE * ratio + lines * 1.4 * _LARGEST / _POINTS) + 0.6
    figure = pyplot().figure(figsize=(width, max(height, 1.2)), layout="constrained")
    return figure.subplots()


class Tiles:
    """Pictures (n, height, width, 1 or 3), values 0 to 1, in rows on one axes."""

    def __init__(self, ax: Any, x: Array, columns: int, titles: list[str] | None) -> None:
        self.ax, self.x, self.columns, self.titles = ax, x, columns, titles
        self.rows = -(-len(x) // columns)
        self.height, self.width = x.shape[1:3]
        self.gap = max(1, round(0.06 * self.width))  # pixels of the pictures
        self.above = 0
        self.font = 0.0
        if titles is not None:
            self._make_room(titles)

    def _make_room(self, titles: list[str]) -> None:
        """Choose a size of type that fits above a picture, and the room that it needs."""
        longest = max(len(line) for title in titles for line in title.split("\n"))
        tallest = max(title.count("\n") + 1 for title in titles)
        box = self.ax.get_window_extent()  # in dots
        point = self.ax.figure.dpi / _POINTS
        for _ in range(5):  # the room changes the scale, which changes the room
            down, across = self._corner(self.rows * self.columns - 1)
            scale = min(
                box.width / point / (across + self.width), box.height / point / (down + self.height)
            )  # points for a pixel of the pictures
            # a letter is about 0.62 of the size wide, a line 1.3 of it high
            self.font = min(_LARGEST, scale * self.width / (0.62 * max(longest, 1)))
            self.above = math.ceil((1.3 * tallest * self.font + 3) / scale)

    def _corner(self, number: int) -> tuple[int, int]:
        row, column = divmod(number, self.columns)
        top = row * (self.height + self.gap + self.above) + self.above
        return top, column * (self.width + self.gap)

    def draw(self, colours: str) -> None:
        """Draw all pictures as one image that leaves the gaps transparent."""
        ax, channels = self.ax, self.x.shape[3]
        bottom, right = self._corner(self.rows * self.columns - 1)
        canvas = np.zeros((bottom + self.height, right + self.width, 4))
        for number, picture in enumerate(self.x):
            top, left = self._corner(number)
            place = canvas[top : top + self.height, left : left + self.width]
            if channels == 3:
                place[..., :3], place[..., 3] = picture, 1
            else:
                place[...] = pyplot().get_cmap(colours)(picture[..., 0])
            if self.titles is not None:
                middle = left + self.width / 2 - 0.5
                style = {"ha": "center", "va": "bottom", "fontsize": self.font, "linespacing": 1.1}
                ax.text(middle, top - 0.5, self.titles[number], **style)
        ax.imshow(canvas, interpolation="nearest", aspect="equal")
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
