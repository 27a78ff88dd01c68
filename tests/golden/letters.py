"""The letters of the word detector: streams in which the word stands now and then."""

from __future__ import annotations

import numpy as np
from golden.helpers import golden

LETTERS = 5  # a, h, p, y and any other


def letters_and_ends(draw, count, steps):
    """Return letters (count, steps) and 1 where the word has just ended, (count, steps, 1).

    Half of the sequences get the word written in somewhere, three in ten the word with one letter
    drawn anew. ``draw`` is NumPy's old generator, and the draws are those of the figures.
    """
    word = golden("S84")["happy_indices"].astype(int)
    x = draw.randint(0, LETTERS, (count, steps))
    for row in x:
        kind, place = draw.random_sample(), draw.randint(0, steps - 4)
        written = word.copy()
        if 0.5 <= kind < 0.8:
            written[draw.randint(0, 5)] = draw.randint(0, LETTERS)
        if kind < 0.8:
            row[place : place + 5] = written
    last_five = np.lib.stride_tricks.sliding_window_view(x, 5, axis=1)
    ends = np.zeros((count, steps, 1))
    ends[:, 4:, 0] = (last_five == word).all(axis=2)
    return x, ends
