"""Two sides take turns at the clock, A B B A, in blocks with a pause before each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

LONG = 0.25  # seconds of a call that is timed alone, without one before it that warms up
TRIES = 3  # blocks of each setting, of which the fastest goes on; one where they are long
FEWEST = 2  # pairs that are timed however long they take


class Side(Protocol):
    """What takes turns: ``call`` is the work that is timed."""

    label: str  # the setting
    steps: int  # how often a call does the work
    call: Callable[[], Any]

    def results(self) -> list[Any]:
        """Return the arrays on which all sides must agree."""
        ...


S = TypeVar("S", bound=Side)


class Pace(NamedTuple):
    """How long is measured."""

    pairs: int  # of blocks
    block: float  # seconds
    limit: float  # seconds after which no further pair begins
    pause: float = 0.02  # seconds before a block, in which the other side's threads stop spinning


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


def block_time(side: Side, pace: Pace) -> float:
    """Return the seconds of one piece of work: the mean of a block."""
    time.sleep(pace.pause)
    start = time.perf_counter()
    side.call()  # wakes the threads and warms the caches
    elapsed = time.perf_counter() - start
    if elapsed >= LONG:
        return elapsed / side.steps
    calls, elapsed, start = 0, 0.0, time.perf_counter()
    while elapsed < pace.block:
        side.call()
        calls += 1
        elapsed = time.perf_counter() - start
    return elapsed / (calls * side.steps)


def fastest(sides: Sequence[S], pace: Pace) -> S:
    """Return the side with the smallest median of a few blocks in turn."""
    if len(sides) == 1:
        return sides[0]
    short = pace._replace(block=pace.block / 2)
    times = [[block_time(side, short) for side in sides]]
    while len(times) < TRIES and max(times[0]) < LONG:
        times.append([block_time(side, short) for side in sides])
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    return sides[medians.index(min(medians))]


def take_turns(own: Side, peer: Side, pace: Pace) -> Duel:
    """Time pairs of blocks; the second of a pair goes first in the next."""
    pairs: list[tuple[float, float]] = []
    start = time.perf_counter()
    while len(pairs) < pace.pairs:
        if len(pairs) >= FEWEST and time.perf_counter() - start > pace.limit:
            break
        if len(pairs) % 2:
            theirs, ours = block_time(peer, pace), block_time(own, pace)
        else:
            ours, theirs = block_time(own, pace), block_time(peer, pace)
        pairs.append((ours, theirs))
    own_time, peer_time = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Duel(own_time, peer_time, sorted(theirs / ours for ours, theirs in pairs))


def alone(own: Side, pace: Pace) -> float:
    """Return the median time of a side that has no peer."""
    start = time.perf_counter()
    times: list[float] = []
    while len(times) < pace.pairs:
        if len(times) >= FEWEST and time.perf_counter() - start > pace.limit:
            break
        times.append(block_time(own, pace))
    return statistics.median(times)
