"""The counter-based generator: published vectors, ranges, and what dropout needs of it."""

from __future__ import annotations

import numpy as np
import pytest

from pybp.random import dropout_mask, philox4x32, philox_block

# Known-answer vectors of Philox4x32-10, published with the paper's own code: counter, key, words.
KNOWN_ANSWERS = [
    (
        [0x00000000] * 4,
        (0x00000000, 0x00000000),
        [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8],
    ),
    (
        [0xFFFFFFFF] * 4,
        (0xFFFFFFFF, 0xFFFFFFFF),
        [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
    ),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        (0xA4093822, 0x299F31D0),
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_known_answers(counter: list[int], key: tuple[int, int], words: list[int]) -> None:
    drawn = philox_block([np.array([word], np.uint64) for word in counter], key)
    assert [int(word[0]) for word in drawn] == words


def test_the_arguments_are_placed_as_documented() -> None:
    counter, key, words = KNOWN_ANSWERS[2]
    seed = key[0] | key[1] << 32
    step = counter[2] | counter[3] << 32
    drawn = philox4x32(seed, counter[1], step, 4 * counter[0], 4)
    assert drawn.dtype == np.uint32
    assert drawn.tolist() == words


@pytest.mark.parametrize("first", [0, 1, 2, 3, 4, 63, 64, 65, 2**34 - 2])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 67])
def test_any_range_is_a_part_of_the_stream(first: int, count: int) -> None:
    whole = philox4x32(7, 3, 11, first - first % 4, count + 4)
    part = philox4x32(7, 3, 11, first, count)
    np.testing.assert_array_equal(part, whole[first % 4 :][:count])


def test_every_argument_changes_the_words() -> None:
    drawn = [
        philox4x32(*arguments, 0, 64)
        for arguments in [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4), (1 + 2**32, 2, 3)]
    ] + [philox4x32(1, 2, 3 + 2**32, 0, 64), philox4x32(1, 2, 3, 64, 64)]
    assert len({words.tobytes() for words in drawn}) == len(drawn)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share(p: float) -> None:
    count = 200_000
    kept = np.count_nonzero(dropout_mask(5, 1, 9, p, count))
    deviation = np.sqrt(count * p * (1 - p))
    assert abs(kept - count * (1 - p)) < 5 * deviation


def test_dropout_at_its_limits() -> None:
    assert dropout_mask(0, 0, 0, 0.0, 1000).all()
    assert not dropout_mask(0, 0, 0, 1.0, 1000).any()


def test_dropout_keeps_the_words_at_the_threshold() -> None:
    words = philox4x32(3, 2, 1, 0, 100)
    p = int(words[17]) / 2**32
    np.testing.assert_array_equal(dropout_mask(3, 2, 1, p, 100), words >= words[17])


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((-1, 0, 0, 0, 1), "seed"),
        ((2**64, 0, 0, 0, 1), "seed"),
        ((0, 2**32, 0, 0, 1), "stream"),
        ((0, 0, -1, 0, 1), "step"),
        ((0, 0, 0, -1, 1), "first"),
        ((0, 0, 0, 0, -1), "count"),
    ],
)
def test_numbers_outside_their_range_raise(arguments: tuple[int, ...], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        philox4x32(*arguments)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_probability_outside_0_to_1_raises(p: float) -> None:
    with pytest.raises(ValueError, match="p must lie in"):
        dropout_mask(0, 0, 0, p, 1)
