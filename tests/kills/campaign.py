"""Kills trainings at random moments, and compares their ends with an undisturbed one.

    python tests/kills/campaign.py --kills 200 --interrupts 50 --seed 0

After each kill every file must be readable, and no step that was announced as saved may be lost.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import pybp as bp

WORKER = Path(__file__).resolve().parent / "worker.py"
SIZES = {"online": 30, "batches": 500, "cnn": 110, "stream": 30}


class Ended(NamedTuple):
    """What a process has said until it ended."""

    code: int
    saved: int
    result: str


def run(scenario, folder, size, seconds=None, how=signal.SIGKILL):
    """Run a worker, and kill it so long after its first checkpoint."""
    command = [sys.executable, "-P", str(WORKER), scenario, folder, str(size)]
    timer, saved, result = None, 0, ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            for word, value in re.findall(r"(saved|done) ([0-9a-f]+)", line):
                if word == "done":
                    result = value
                    continue
                saved = int(value, 10)  # a line that Ctrl-C has cut goes on with the next one
                if timer is None and seconds is not None:
                    timer = threading.Timer(seconds, process.send_signal, [how])
                    timer.start()
        code = process.wait()
    if timer is not None:
        timer.cancel()
    return Ended(code, saved, result)


def check_files(folder, saved):
    """Read every checkpoint; the newest must hold all that was announced as saved."""
    for path in Path(folder).glob("run.ckpt*"):
        if path.name not in ("run.ckpt", "run.ckpt.1"):
            continue  # left by a process that was killed while it wrote
        steps = bp.Trainer.resume(path).net.state.steps
        if path.name == "run.ckpt" and steps < saved:
            raise AssertionError(f"step {saved} was saved, but the file has only {steps}")


def disturbed(scenario, size, ways, rng):
    """Kill a training in these ways, one after the other, until it ends; return its hash.

    The ways that were used are taken off the list.
    """
    with tempfile.TemporaryDirectory() as folder:
        while ways:
            ended = run(scenario, folder, size, rng.uniform(0.0, 0.12), ways[-1])
            if ended.result:
                return ended.result
            assert ended.code in (-signal.SIGKILL, 130, -signal.SIGINT), ended
            check_files(folder, ended.saved)
            ways.pop()
        return run(scenario, folder, size).result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--interrupts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    total = 0
    for i, (scenario, size) in enumerate(SIZES.items()):
        kills, interrupts = (n // 4 + (i < n % 4) for n in (options.kills, options.interrupts))
        ways = [signal.SIGKILL] * kills + [signal.SIGINT] * interrupts
        rng.shuffle(ways)
        with tempfile.TemporaryDirectory() as folder:
            wanted = run(scenario, folder, size).result
        while ways:
            before = len(ways)
            found = disturbed(scenario, size, ways, rng)
            done = before - len(ways)
            assert found == wanted, f"{scenario}: another end after {done} kills"
            total += done
            print(f"{scenario}: the same end after {done} kills", flush=True)
    print(f"{total} kills, all files readable, no saved step lost, all ends the same")


if __name__ == "__main__":
    main()
