"""A recurrent net reads letters one by one and calls out when the last five were "happy".

    python examples/happy.py

It learns from random streams of 12 letters in which the word stands now and then, or almost the
word. A word counts as found where the output is above 0.9. Nobody tells the net how far to look
back, and no stream that it is tested on has been seen before.
"""

from __future__ import annotations

import numpy as np

import pybp as bp

WORD, CODES = "happy", "ahpy."  # all letters that are not in the word have one code
THRESHOLD = 0.9
TEXT = "oh happy day, the snappy puppy was unhappy: hapy, happpy, haappy, hahappy, happyhappy"


def codes(text: str) -> np.ndarray:
    """Return the place of each letter in CODES."""
    return np.array([CODES.index(letter if letter in CODES else ".") for letter in text])


def fresh_streams(rng: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Return codes (count, length): half hold the word, three in ten the word misspelt."""
    streams = rng.integers(0, len(CODES), (count, length))
    for stream in streams:
        written, kind, place = codes(WORD), rng.random(), rng.integers(0, length - 4)
        if kind > 0.5:
            written[rng.integers(5)] = rng.integers(len(CODES))
        if kind < 0.8:
            stream[place : place + 5] = written
    return streams


def letters_in(streams: np.ndarray) -> np.ndarray:
    """Return one-hot rows (count, length, 5)."""
    return np.eye(len(CODES), dtype="f4")[streams]


def word_ends(streams: np.ndarray) -> np.ndarray:
    """Return 1 where the word has just ended, else 0, (count, length, 1)."""
    last_five = np.lib.stride_tricks.sliding_window_view(streams, 5, axis=1)
    ends = np.zeros((*streams.shape, 1), "f4")
    ends[:, 4:, 0] = (last_five == codes(WORD)).all(axis=2)
    return ends


def judge(net: bp.Sequential, streams: np.ndarray) -> tuple[int, int, int]:
    """Return how often the word is there, how often it is found, and the false alarms."""
    there, found = word_ends(streams) > 0, net.predict(letters_in(streams)) > THRESHOLD
    return int(there.sum()), int((found & there).sum()), int((found & ~there).sum())


def main(count: int = 48_000) -> list[tuple[int, int, int]]:
    rng = np.random.default_rng(0)
    net = bp.Sequential([bp.RNN(24), bp.Linear(1), bp.Sigmoid()], seed=0)
    known = fresh_streams(rng, count, 12)
    history = net.fit(
        letters_in(known), word_ends(known), loss="bce", optimizer=bp.Adam(0.01), epochs=2,
        verbose=0,
    )  # fmt: skip
    print(f"{count} streams of 12 letters, read twice: mean loss {history.history['loss'][-1]:.6f}")
    print(f"\n{'fresh streams':<24}{'words':>8}{'found':>8}{'false alarms':>15}")
    rows = []
    for number, length in ((2000, 20), (20, 10_000)):
        rows.append(judge(net, fresh_streams(rng, number, length)))
        words, found, alarms = rows[-1]
        print(f"{f'{number} of {length} letters':<24}{words:8d}{found:8d}{alarms:15d}")
    outputs = net.predict(letters_in(codes(TEXT)[None])).ravel()
    print("\n" + TEXT)
    print("".join("^" if output > THRESHOLD else " " for output in outputs).rstrip())
    return rows


if __name__ == "__main__":
    main()
