"""Digit pictures made by a formula, which stand in for the real ones where no data are at hand."""

from __future__ import annotations

import numpy as np

# Seven rows of five pixels for each of the digits 0 ... 9; # is ink.
GLYPHS = """
.###. ..#.. .###. ##### ...#. ##### ..##. ##### .###. .###.
#...# .##.. #...# ...#. ..##. #.... .#... ....# #...# #...#
#..## ..#.. ....# ..#.. .#.#. ####. #.... ...#. #...# #...#
#.#.# ..#.. ...#. ...#. #..#. ....# ####. ..#.. .###. .####
##..# ..#.. ..#.. ....# ##### ....# #...# .#... #...# ....#
#...# ..#.. .#... #...# ...#. #...# #...# .#... #...# ...#.
.###. .###. ##### .###. ...#. .###. .###. .#... .###. .##..
"""

SIDE = 28
SCALE = 3


def _glyph(digit: int) -> np.ndarray:
    rows = [line.split()[digit] for line in GLYPHS.split("\n") if line]
    small = np.array([[pixel == "#" for pixel in row] for row in rows], dtype=np.float64)
    return small.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def stand_in_digits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return flat pictures (count, 784) with values in [0, 1], and their labels 0, 1, ..., 9, 0 ...

    A picture is the glyph at three times its size, up to two pixels off the middle, with 30 % of
    its ink lost, at a random strength, on random grey of at most 0.3. The order of the draws from
    the legacy generator is part of the definition: the golden figures rest on it.
    """
    draw = np.random.RandomState(seed)
    pictures = np.empty((count, SIDE, SIDE))
    labels = np.arange(count) % 10
    for picture, digit in zip(pictures, labels, strict=True):
        ink = _glyph(digit)
        height, width = ink.shape
        top = 3 + draw.randint(-2, 3)
        left = 6 + draw.randint(-2, 3)
        kept = draw.random_sample(ink.shape) > 0.3
        picture[:] = 0.3 * draw.random_sample((SIDE, SIDE))
        strength = 0.4 + 0.6 * draw.random_sample()
        picture[top : top + height, left : left + width] += ink * kept * strength
    return np.clip(pictures, 0.0, 1.0).reshape(count, SIDE * SIDE), labels
