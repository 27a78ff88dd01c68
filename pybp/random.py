"""Counter-based random numbers: the same bits in Python and in C++, in any order, on any thread.

The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as
1, 2, 3; SC 2011). It encrypts a counter with a key, so a number depends on nothing but its place:
there is no state to keep, and a resumed training draws what an undisturbed one would have drawn.
Its C++ twin is ``csrc/kernels/philox.h``.
"""

from __future__ import annotations

import numpy as np

from pybp.arrays import Array

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and sqrt(3) - 1, as fractions of 2^32

_LOW = 0xFFFFFFFF


def philox_block(counter: list[Array], key: tuple[int, int]) -> list[Array]:
    """Encrypt counters of four words with one key.

    Parameters
    ----------
    counter
        Four arrays of one shape, uint64, each number below 2**32.
    key
        Two words below 2**32.

    Returns
    -------
    list of arrays
        The four words of each block, as the counter came.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0 = c0 * np.uint64(MULTIPLIERS[0])  # below 2**64: nothing is lost
        product1 = c2 * np.uint64(MULTIPLIERS[1])
        c0 = (product1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0)
        c1 = product1 & np.uint64(_LOW)
        c2 = (product0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1)
        c3 = product0 & np.uint64(_LOW)
        k0 = (k0 + KEY_STEPS[0]) & _LOW
        k1 = (k1 + KEY_STEPS[1]) & _LOW
    return [c0, c1, c2, c3]


def philox4x32(seed: int, stream: int, step: int, first: int, count: int) -> Array:
    """Return the random words ``first ... first + count - 1`` of a stream.

    Word e is word ``e % 4`` of the block whose counter is ``(e // 4 mod 2**32, stream, step mod
    2**32, step // 2**32)`` under the key ``(seed mod 2**32, seed // 2**32)``.

    Parameters
    ----------
    seed, step
        Whole numbers from 0 to 2**64 - 1.
    stream
        A whole number from 0 to 2**32 - 1, one for each use of random numbers in a step.
    first, count
        The range of words, not negative.

    Returns
    -------
    array of shape (count,), uint32

    Raises
    ------
    ValueError
        If a number lies outside its range.
    """
    _check("seed", seed, 64)
    _check("stream", stream, 32)
    _check("step", step, 64)
    _check("first", first, 62)
    _check("count", count, 62)
    blocks = np.arange(first // 4, (first + count + 3) // 4, dtype=np.uint64) & np.uint64(_LOW)
    words = [stream, step & _LOW, step >> 32]
    counter = [blocks, *(np.full_like(blocks, word) for word in words)]
    drawn = np.stack(philox_block(counter, (seed & _LOW, seed >> 32)), axis=-1).ravel()
    return drawn[first % 4 : first % 4 + count].astype(np.uint32)


def dropout_mask(seed: int, stream: int, step: int, p: float, count: int) -> Array:
    """Return which of ``count`` elements dropout keeps: those whose word is at least ``p * 2**32``.

    Parameters
    ----------
    seed, stream, step
        As in :func:`philox4x32`.
    p
        The probability of dropping an element, from 0 to 1; 0 keeps all, 1 drops all.
    count
        The number of elements.

    Returns
    -------
    array of shape (count,), bool

    Raises
    ------
    ValueError
        If a number lies outside its range.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p must lie in [0, 1], got {p}")
    threshold = int(p * 2.0**32)  # up to 2**32, which no word reaches
    return philox4x32(seed, stream, step, 0, count).astype(np.uint64) >= np.uint64(threshold)


def _check(name: str, value: int, bits: int) -> None:
    if not 0 <= value < 2**bits:
        raise ValueError(f"{name} must be a whole number from 0 to 2**{bits} - 1, got {value}")
