"""Training on a file of 8 GB that never is in the memory of the process.

    python benchmarks/memmap_training.py [--size 8] [--limit 1] [--folder FOLDER] [--shuffle]

Writes rows of 784 random float32 and their labels, and trains 784-512-10 (batch 128, SGD) on them
for an epoch, as ``np.memmap``, with the limit of what a process may hold itself (``ulimit -d``, in
GiB) set. The file is taken in 64 parts; beside each, in turn, stands the same number of steps on
an array in memory. The file is read once before, so that its pages are in the system's cache.
Prints the peak of the process's own memory (RssAnon, read every 20 ms), both speeds and their
ratio, the median of the pairs. Linux only.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from own_memory import Watch

import pybp as bp

FEATURES, CLASSES, BATCH, PARTS = 784, 10, 128, 64
GIB = 2**30


def write(folder: Path, rows: int) -> None:
    """Write x and y, a part at a time."""
    rng = np.random.default_rng(0)
    with (folder / "x").open("wb") as x, (folder / "y").open("wb") as y:
        for _ in range(PARTS):
            rng.random((rows // PARTS, FEATURES), np.float32).tofile(x)
            rng.integers(0, CLASSES, rows // PARTS, dtype=np.int64).tofile(y)


def read_once(path: Path) -> None:
    """Bring a file into the system's cache."""
    piece = bytearray(1 << 24)
    with path.open("rb", buffering=0) as file:
        while file.readinto(piece):
            pass


def train(folder: Path, shuffle: bool) -> None:
    """Train on all of the file, a part after the other, and print what was seen."""
    x = np.memmap(folder / "x", np.float32, "r").reshape(-1, FEATURES)
    y = np.memmap(folder / "y", np.int64, "r")
    part = len(x) // PARTS
    held = np.array(x[:part]), np.array(y[:part])
    net = bp.Sequential([bp.Linear(512), bp.ReLU(), bp.Linear(CLASSES)], seed=0).build((FEATURES,))
    trainer = bp.Trainer(net, "cross_entropy", bp.SGD(0.01))

    def seconds(x: np.ndarray, y: np.ndarray) -> float:
        start = time.perf_counter()
        trainer.fit(x, y, epochs=1, batch_size=BATCH, shuffle=shuffle, verbose=0)
        return time.perf_counter() - start

    seconds(*held)
    from_file, in_memory = [], []
    with Watch() as watch:
        for i in range(PARTS):
            rows = slice(i * part, (i + 1) * part)
            pair = [("file", (x[rows], y[rows])), ("memory", held)]
            for name, data in pair if i % 2 else pair[::-1]:
                (from_file if name == "file" else in_memory).append(seconds(*data))
    ratio = statistics.median(m / f for m, f in zip(in_memory, from_file, strict=True))
    print(f"{x.nbytes / 1e9:.2f} GB, {len(x)} rows, {'shuffled' if shuffle else 'in order'}")
    print(f"peak RssAnon      {max(watch.found) / 2**20:8.0f} MiB")
    print(f"from the file     {part / statistics.median(from_file):8.0f} rows/s")
    print(f"from memory       {part / statistics.median(in_memory):8.0f} rows/s")
    print(
        f"file : memory     {100 * ratio:8.1f} %, all parts {sum(in_memory) / sum(from_file):.1%}"
    )


def main() -> None:
    """Read the options, write the file where it is not there, and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=float, default=8.0, help="of the file, in GB")
    parser.add_argument("--limit", type=float, default=1.0, help="RLIMIT_DATA in GiB")
    parser.add_argument("--folder", type=Path, help="keeps the file here; else it is removed")
    parser.add_argument("--shuffle", action="store_true", help="rows in random order")
    options = parser.parse_args()
    rows = int(options.size * 1e9 / (4 * FEATURES)) // (PARTS * BATCH) * (PARTS * BATCH)
    resource.setrlimit(resource.RLIMIT_DATA, (int(options.limit * GIB),) * 2)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "y").exists():
            write(folder, rows)
        read_once(folder / "x")
        train(folder, options.shuffle)


if __name__ == "__main__":
    main()
