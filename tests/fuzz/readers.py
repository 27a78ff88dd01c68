"""Fuzz the readers of files: ``python tests/fuzz/readers.py --count 100000 --seed 0``.

Each reader gets damaged copies of valid files, in a process of its own. It may return something or
raise ValueError or OSError, within a second of CPU time and 64 MB + 8 x the file's size of memory.
A failing file is kept, and the exit status tells whether there was one.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from fuzz.archives import idx_bomb, idx_files, npy_files, npz_damage, npz_files
from fuzz.damage import bombs, broken_header, damaged, edited_description

import pybp as bp
from pybp.datasets import load_idx, load_npy, load_npz
from pybp.datasets.cifar import read_records
from pybp.files import read_checkpoint, write_checkpoint

FAILED = 3  # exit status
MOST_SECONDS = 1.0
HANG_SECONDS = 30
MOST_BYTES, MOST_TIMES = 64 << 20, 8

Damage = Callable[[random.Random, list[bytes]], bytes]


class Reader(NamedTuple):
    """A function that reads a file, valid files for it, and what is done to them."""

    read: Callable[[Path], Any]
    files: Callable[[Path], list[bytes]]
    damages: tuple[tuple[float, Damage], ...]  # with how often each is done, of a hundred
    sealed: bool = False  # whether any changed byte must be noticed


def _nets(folder: Path) -> list[bytes]:
    x, ids = bp.Input((4, 4, 2)), bp.Input((None,), dtype="int64")
    h = bp.Add()([x, bp.BatchNorm()(bp.Conv2d(2, 3, padding="same")(x))])
    steps = bp.Bidirectional(bp.GRU(2), name="both")(bp.Embedding(5, 2)(ids))
    last = bp.Recurrent(bp.layer_norm_lstm(4, 2), return_sequences=False)(steps)
    inner = bp.Sequential([bp.Linear(2, weight_init=bp.Orthogonal()), bp.Tanh()])
    shared = bp.Linear(3, name="head")
    nets = [
        bp.Sequential([bp.Linear(3), bp.LayerNorm(), bp.LeakyReLU(0.2), bp.Dropout(0.5)]),
        bp.Sequential([shared, bp.Softplus(), shared, inner]),
        bp.Sequential([bp.Reshape((3, 1)), bp.LSTM(2, num_layers=2), bp.Flatten()]),
    ]
    models = [
        bp.Model(x, bp.GlobalAvgPool2d()(bp.MaxPool2d(2, padding=1)(h))),
        bp.Model([x, ids], bp.Concat()([bp.Flatten()(x), last])),
    ]
    return _saved(folder, [*(net.build((3,)) for net in nets), *models])


def _saved(folder: Path, nets: list[Any]) -> list[bytes]:
    for number, net in enumerate(nets):
        net.save(folder / f"{number}")
    return [(folder / f"{number}").read_bytes() for number in range(len(nets))]


def _old_nets(folder: Path) -> list[bytes]:
    data = Path(__file__).resolve().parents[1] / "data"
    return [path.read_bytes() for path in sorted(data.glob("format1_*.safetensors"))]


def _checkpoints(folder: Path) -> list[bytes]:
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "flags": np.array([True, False])}
    more = {"count": np.array(3), "none": np.zeros((0, 4)), "bytes": np.arange(99, dtype=np.uint8)}
    state = {"epoch": 2, "losses": [0.5, float("nan")], "callbacks": [{"class": "A", "best": None}]}
    for number, (description, held) in enumerate(((state, arrays | more), ({}, arrays), ({}, {}))):
        write_checkpoint(folder / f"{number}", description, held)
    return [(folder / f"{number}").read_bytes() for number in range(3)]


class Stop(bp.Callback):
    """Saves a trainer in mid-epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_step_end(self, trainer: Any, step: int, loss: float) -> None:
        if step == 1:
            trainer.save(self.path)


def _trainers(folder: Path) -> list[bytes]:
    x, y = np.linspace(-1, 1, 24).reshape(8, 3), np.arange(8) % 2
    net = bp.Sequential([bp.Linear(4), bp.BatchNorm(), bp.Dropout(0.2), bp.Linear(2)]).build((3,))
    adam = bp.Adam(bp.StepLR(0.1, step_size=3))
    trainer = bp.Trainer(net, "cross_entropy", adam, metrics=["accuracy"], clip_norm=1.0)
    trainer.save(folder / "0")
    callbacks = [bp.EarlyStopping("loss", patience=2), Stop(folder / "1")]
    trainer.fit(x, y, epochs=2, batch_size=3, callbacks=callbacks, verbose=0)
    trainer.save(folder / "2")
    a, b = bp.Input((3,)), bp.Input((3,))
    model = bp.Model([a, b], [bp.Linear(1)(bp.Add()([a, b])), bp.Linear(2, name="c")(a)])
    momentum = bp.SGD(0.1, momentum=0.9)
    trainer = bp.Trainer(model, ("mse", "cross_entropy"), momentum, accumulate=2)
    trainer.step((x, x), (x[:, :1], y))
    trainer.save(folder / "3")
    return [(folder / f"{number}").read_bytes() for number in range(4)]


def _records(folder: Path) -> list[bytes]:
    rng = random.Random(0)
    return [b"".join(bytes([i]) + rng.randbytes(3072) for i in range(n)) for n in (1, 3)]


SAFETENSORS: tuple[tuple[float, Damage], ...] = (
    *((40, damaged), (28, broken_header), (31.9, edited_description), (0.1, bombs)),
)
READERS = {
    "load_idx": Reader(load_idx, idx_files, ((99, damaged), (1, idx_bomb))),
    "load": Reader(bp.load, _nets, SAFETENSORS, sealed=True),
    "load_format_1": Reader(bp.load, _old_nets, SAFETENSORS),
    "load_arrays": Reader(bp.load_arrays, _checkpoints, SAFETENSORS),
    "read_checkpoint": Reader(read_checkpoint, _checkpoints, SAFETENSORS, sealed=True),
    "resume": Reader(bp.Trainer.resume, _trainers, SAFETENSORS, sealed=True),
    "load_npy": Reader(load_npy, npy_files, ((100, damaged),)),
    "load_npz": Reader(load_npz, npz_files, ((50, damaged), (50, npz_damage))),
    "cifar10_records": Reader(read_records, _records, ((100, damaged),)),
}


class Worst(NamedTuple):
    """What a run has needed at most, and how many files were refused."""

    seconds: float = 0.0
    extra: float = 0.0  # bytes, as a share of what is allowed
    refused: int = 0


class Trial:
    """Runs one reader on damaged files, in a folder of its own."""

    def __init__(self, name: str, seed: int, folder: Path) -> None:
        self.name, self.seed, self.folder = name, seed, folder
        self.reader = READERS[name]
        self.files = self.reader.files(folder)
        self.path = folder / "damaged"
        self.worst = Worst()

    def make(self, number: int) -> bytes:
        """Return the damaged file with this number."""
        rng = random.Random(f"{self.seed} {self.name} {number}")
        weights, damages = zip(*self.reader.damages, strict=True)
        damage = rng.choices(damages, weights)[0]
        data = damage(rng, self.files)
        self.must_fail = self.reader.sealed and damage is damaged and data not in self.files
        return data

    def run(self, number: int) -> str:
        """Read a damaged file; return what went wrong, or nothing."""
        data = self.make(number)
        self.path.write_bytes(data)
        tracemalloc.reset_peak()
        before, start = tracemalloc.get_traced_memory()[0], time.process_time()
        wrong = ""
        refused = False
        try:
            self.reader.read(self.path)
        except (ValueError, OSError):
            refused = True
        except BaseException as error:
            wrong = f"{type(error).__name__}: {error}"
        seconds = time.process_time() - start
        extra = (tracemalloc.get_traced_memory()[1] - before) / (
            MOST_BYTES + MOST_TIMES * len(data)
        )
        if seconds > MOST_SECONDS:
            seconds = self.time()
        worst = self.worst
        self.worst = Worst(
            max(worst.seconds, seconds), max(worst.extra, extra), worst.refused + refused
        )
        if seconds > MOST_SECONDS:
            wrong = wrong or f"{seconds:.2f} s"
        if extra > 1:
            wrong = wrong or f"{extra:.2f} times the memory that is allowed"
        if self.must_fail and not refused:
            wrong = wrong or "a damaged file was read"
        return wrong

    def time(self) -> float:
        """Return the CPU time without what measuring the memory takes: the better of two."""
        tracemalloc.stop()
        found = []
        for _ in range(2):
            start = time.process_time()
            with contextlib.suppress(Exception):
                self.reader.read(self.path)
            found.append(time.process_time() - start)
        tracemalloc.start()
        return min(found)


def work(name: str, count: int, seed: int, first: int) -> int:
    """Run one reader in this process; return the number of failures."""
    size = 6 << 30  # what escapes tracemalloc must not take the machine down
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    root = "/dev/shm" if Path("/dev/shm").is_dir() else None
    failures = 0
    with tempfile.TemporaryDirectory(dir=root) as folder:
        trial = Trial(name, seed, Path(folder))
        tracemalloc.start()
        for number in range(first, first + count):
            print(number, file=sys.stderr)  # the last one is the one that crashed
            signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)  # CPU time; then SIGPROF ends it
            wrong = trial.run(number)
            signal.setitimer(signal.ITIMER_PROF, 0)
            if wrong:
                failures += 1
                kept = Path(tempfile.gettempdir()) / f"fuzz-{name}-{seed}-{number}"
                kept.write_bytes(trial.make(number))
                print(f"{name} {number}: {wrong} ({kept})", flush=True)
    worst = trial.worst
    print(
        f"{name}: {count} files, {worst.refused} refused, {failures} failures; at most "
        f"{worst.seconds:.3f} s, {worst.extra:.1%} of the memory that is allowed",
        flush=True,
    )
    return failures


def main() -> int:
    """Run all readers, or some, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="damaged files for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--reader", choices=READERS, action="append")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        failures = work(given.reader[0], given.count, given.seed, given.first)
        return FAILED if failures else 0
    failed = False
    for name in given.reader or READERS:
        options = ["--count", str(given.count), "--seed", str(given.seed)]
        command = [sys.executable, "-P", __file__, "--worker", "--reader", name, *options]
        with tempfile.TemporaryFile("w+") as log:
            result = subprocess.run(
                [*command, "--first", str(given.first)], stderr=log, check=False
            )
            if result.returncode not in (0, FAILED):
                log.seek(max(log.seek(0, io.SEEK_END) - 100, 0))
                print(f"{name}: the process ended with {result.returncode}; last: {log.read()}")
            failed |= result.returncode != 0
    return int(failed)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
