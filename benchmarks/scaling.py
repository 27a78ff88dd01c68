"""How the cost of a training step of an MLP grows with the batch, the width and the depth.

    python benchmarks/scaling.py [--threads 1] [--seconds 0.3]

Prints for each size the median time of a step in a ``fit`` (SGD, cross entropy), the multiply-adds
of its products, the time for a million of them, and the exponent p of time ~ size^p since the row
above, beside that of the arithmetic: where both are equal the cost is what the arithmetic asks.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time

import numpy as np

import pybp as bp

CLASSES = 10
SIZES = {
    "batch": [1, 4, 16, 64, 256, 1024, 4096],
    "width": [16, 32, 64, 128, 256, 512, 1024, 2048],
    "depth": [1, 4, 16, 64, 256, 1024],
}
BATCH, WIDTH, DEPTH = 64, 128, 2  # where they are not what varies


def multiply_adds(batch: int, width: int, depth: int) -> int:
    """Return those of forward, input gradients (not of the first layer) and weight gradients."""
    weights = [width * width] * depth + [width * CLASSES]
    return batch * (3 * sum(weights) - weights[0])


def step_time(batch: int, width: int, depth: int, seconds: float) -> float:
    """Return the median seconds of a step."""
    layers = [layer for _ in range(depth) for layer in (bp.Linear(width), bp.ReLU())]
    net = bp.Sequential([*layers, bp.Linear(CLASSES)], seed=0, backend="native")
    trainer = bp.Trainer(net.build((width,)), "cross_entropy", bp.SGD(1e-4))
    steps = max(2, min(200, int(2e8 / multiply_adds(batch, width, depth))))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch * steps, width)).astype(np.float32)
    y = rng.integers(0, CLASSES, batch * steps)
    found: list[float] = []
    end = 0.0
    while len(found) < 4 or time.perf_counter() < end:
        start = time.perf_counter()
        trainer.fit(x, y, epochs=1, batch_size=batch, shuffle=False, verbose=0)
        found.append((time.perf_counter() - start) / steps)
        end = end or time.perf_counter() + seconds
    return statistics.median(found[1:])


def table(what: str, sizes: list[int], seconds: float) -> None:
    """Print the rows of one size that varies."""
    print(f"{what:>8} {'us a step':>12} {'Mmadd':>10} {'us/Mmadd':>10} {'p time':>8} {'p work':>8}")
    before: tuple[int, float, int] | None = None
    for size in sizes:
        shape = {"batch": BATCH, "width": WIDTH, "depth": DEPTH} | {what: size}
        work, spent = multiply_adds(**shape), step_time(**shape, seconds=seconds)
        line = f"{size:>8} {1e6 * spent:>12.1f} {work / 1e6:>10.3f} {1e12 * spent / work:>10.2f}"
        if before:
            times = math.log(size / before[0])
            line += f" {math.log(spent / before[1]) / times:>8.2f}"
            line += f" {math.log(work / before[2]) / times:>8.2f}"
        print(line, flush=True)
        before = size, spent, work


def main() -> None:
    """Read the options and print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each size, at least")
    options = parser.parse_args()
    bp.set_num_threads(options.threads)
    for what, sizes in SIZES.items():
        table(what, sizes, options.seconds)


if __name__ == "__main__":
    main()
