"""Two sides take turns at the clock, A B B A, in blocks with a pause before each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import pybp as bp

BLOCK, PAUSE = 0.05, 0.02  # seconds; in the pause the other library's threads stop spinning
TRIES = 3  # blocks of each setting, of which the fastest goes on


class Side(Protocol):
    """What takes turns: ``call`` is the work that is timed."""

    call: Callable[[], Any]


S = TypeVar("S", bound=Side)


class Duel(NamedTuple):
    """What the turns of two sides have shown."""

    own: float  # seconds, the median
    peer: float
    ratios: list[float]  # the peer's time over the own, smallest first

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios."""
        return statistics.median(self.ratios)

    def span(self) -> str:
        """Return the smallest and the largest ratio."""
        return f"{self.ratios[0]:.2f}-{self.ratios[-1]:.2f}"


def block_time(call: Callable[[], Any]) -> float:
    """Return the seconds of a call: the mean of a block."""
    time.sleep(PAUSE)
    call()  # wakes the threads and warms the caches
    calls, elapsed, start = 0, 0.0, time.perf_counter()
    while elapsed < BLOCK:
        call()
        calls += 1
        elapsed = time.perf_counter() - start
    return elapsed / calls


def fastest(sides: Sequence[S]) -> S:
    """Return the side with the smallest median of a few blocks in turn."""
    times = [[block_time(side.call) for side in sides] for _ in range(TRIES)]
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    return sides[medians.index(min(medians))]


def take_turns(own: Side, peer: Side, rounds: int) -> Duel:
    """Time pairs of blocks; the second of a pair goes first in the next."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            theirs, ours = block_time(peer.call), block_time(own.call)
        else:
            ours, theirs = block_time(own.call), block_time(peer.call)
        pairs.append((ours, theirs))
    medians = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Duel(*medians, sorted(theirs / ours for ours, theirs in pairs))


def set_threads(threads: int) -> None:
    """Let pybp and PyTorch use so many threads."""
    import torch

    bp.set_num_threads(threads)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
