"""What the machine can do at best: multiply-adds, memory at every level, an empty parallel call."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pybp import _core
from pybp.arrays import FLOAT_TYPES, Array, aligned_zeros
from pybp.bench.box import KIB, caches

LEVELS = ("L1", "L2", "L3", "DRAM")
EMPTY_CALLS = 2000


class Roof(NamedTuple):
    """The measured limits for a number of threads, all of them together."""

    threads: int
    flops: dict[str, float]  # by dtype: floating point operations a second
    read: dict[str, float]  # by level: bytes a second
    copy: float  # bytes a second in the memory, read and written ones together
    empty_call: float  # seconds of a parallel call that does nothing
    sizes: dict[str, int]  # by level of cache: bytes

    def level(self, footprint: int) -> str:
        """Return the smallest level that holds so many bytes, shared among the threads."""
        for name, size in self.sizes.items():
            if footprint <= size * (1 if name == "L3" else self.threads):
                return name
        return "DRAM"

    def least_time(self, flops: float, moved: float, footprint: int, dtype: str) -> float:
        """Return the seconds below which work can't come: the arithmetic, or the bytes moved."""
        return max(flops / self.flops[dtype], moved / self.read[self.level(footprint)])

    def bound(self, flops: float, moved: float, footprint: int, dtype: str) -> str:
        """Return which of the two it is: "FMA", or a level of memory."""
        level = self.level(footprint)
        return "FMA" if flops / self.flops[dtype] >= moved / self.read[level] else level


def best_time(call: Callable[[int], Any], seconds: float) -> float:
    """Return the shortest time of one round; ``call(rounds)`` does so many, some ms in each try."""
    rounds = 1
    while True:
        start = time.perf_counter()
        call(rounds)
        elapsed = time.perf_counter() - start
        if elapsed > 2e-3:
            break
        rounds = max(2 * rounds, int(rounds * 2.5e-3 / max(elapsed, 1e-7)))
    best, end = elapsed, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call(rounds)
        best = min(best, time.perf_counter() - start)
    return best / rounds


def peak(dtype: str, threads: int, seconds: float) -> float:
    """Return the multiply-adds in registers, as floating point operations a second."""
    x = aligned_zeros(threads * _core.roof_width(dtype), FLOAT_TYPES[dtype]).reshape(threads, -1)
    x += 1.0

    def call(rounds: int) -> None:
        _core.roof_multiply_add(x, 0.5, 0.5, 1000 * rounds)

    return 2 * 1000 * x.size / best_time(call, seconds)


def sweep(size: int, threads: int) -> Array:
    """Return an array of so many bytes in all, a row for each thread, each at a cache line."""
    count = size // (4 * threads * 64) * 64
    x = aligned_zeros(threads * count, np.float32).reshape(threads, count)
    x += 1.0
    return x


def working_sets(threads: int) -> dict[str, int]:
    """Return the bytes that are read to see a level: half of a cache, much more than the last."""
    sizes = caches()
    shared = max(sizes["L3"] // 2, 2 * threads * sizes["L2"])
    return {
        "L1": threads * sizes["L1"] // 2,
        "L2": threads * sizes["L2"] // 2,
        "L3": min(shared, sizes["L3"] * 3 // 4),
        "DRAM": max(4 * sizes["L3"], 64 * KIB * KIB),
    }


def reading(x: Array, seconds: float) -> float:
    """Return the bytes a second at which an array is read again and again."""
    return x.nbytes / best_time(partial(_core.roof_sum, x), seconds)


def copying(x: Array, seconds: float) -> float:
    """Return the bytes a second, read and written ones together, at which an array is copied."""
    return 2 * x.nbytes / best_time(partial(_core.roof_copy, x, np.zeros_like(x)), seconds)


def measure(threads: int, seconds: float = 0.15) -> Roof:
    """Measure all limits; pybp must use that number of threads already."""
    flops = {dtype: peak(dtype, threads, seconds) for dtype in FLOAT_TYPES}
    arrays = {level: sweep(size, threads) for level, size in working_sets(threads).items()}
    read = {level: reading(x, seconds) for level, x in arrays.items()}
    copy = copying(arrays["DRAM"], seconds)
    _core.empty_calls(EMPTY_CALLS)  # starts the threads
    return Roof(threads, flops, read, copy, best_time(_core.empty_calls, seconds), caches())
