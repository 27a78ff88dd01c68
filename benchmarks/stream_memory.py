"""Memory of truncated backpropagation through time over a stream of 10 million steps.

    python benchmarks/stream_memory.py [--steps 10000000] [--folder FOLDER]

A GRU(16) learns the next value of a noisy wave, in windows of 100 steps of 64 pieces side by side.
The stream lies in files, which the training reads bit by bit; what counts is the memory that the
process holds itself, without the pages of those files. It is read every 20 ms. Linux only.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from own_memory import Watch

import pybp as bp

WINDOW, STREAMS, UNITS = 100, 64, 16
PART = 1_000_000  # steps that are written at once
MIB = 2**20


def write_stream(folder: Path, steps: int) -> tuple[np.memmap, np.memmap]:
    """Write a wave and its next values as float32; return both, (steps, 1), to be read only."""
    rng = np.random.default_rng(0)
    with (folder / "stream").open("wb") as file:
        for start in range(0, steps + 1, PART):
            time_steps = np.arange(start, min(start + PART, steps + 1))
            wave = np.sin(0.1 * time_steps) + 0.1 * rng.normal(size=len(time_steps))
            wave.astype(np.float32).tofile(file)
    stream = np.memmap(folder / "stream", np.float32, "r").reshape(-1, 1)
    return stream[:-1], stream[1:]


def main() -> None:
    """Train and print what the memory did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000_000)
    parser.add_argument(
        "--folder", help="where the stream is written; the default may be in memory"
    )
    options = parser.parse_args()
    net = bp.Sequential([bp.GRU(UNITS, stateful=True), bp.Linear(1)], seed=0, backend="native")
    trainer = bp.Trainer(net, "mse", bp.Adam(1e-3))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        x, y = write_stream(Path(folder), options.steps)
        trainer.fit_stream(x[:PART], y[:PART], window=WINDOW, streams=STREAMS, verbose=0)
        start = time.perf_counter()
        with Watch() as watch:
            history = trainer.fit_stream(x, y, window=WINDOW, streams=STREAMS, verbose=0)
        seconds = time.perf_counter() - start
        del x, y
    tenth = len(watch.found) // 10
    begin, later = watch.found[tenth], watch.found[tenth:]
    print(
        f"{options.steps} steps in {seconds:.1f} s, loss {history.history['loss'][0]:.4f} (the "
        f"noise alone 0.01)\nown memory after the first tenth {begin / MIB:.2f} MiB, at the end "
        f"{later[-1] / MIB:.2f}, at most {max(later) / MIB:.2f}: growth "
        f"{(max(later) - begin) / MIB:.2f} MiB in {len(later)} readings"
    )


if __name__ == "__main__":
    main()
