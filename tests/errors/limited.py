"""Running lines of Python in a process of their own, which may take 512 MB more than it has.

What is huge must be refused before memory is taken for it, and the process must be usable after.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

PREPARED = """
import resource, sys, time
import numpy as np
import pybp as bp
bp.use_backend({backend!r})
net = bp.Sequential([bp.Linear(5), bp.ReLU(), bp.Linear(3)]).build((4,))
x, y = np.ones((8, 4), "f4"), np.arange(8) % 3
net.fit(x, y, loss="cross_entropy", optimizer="sgd", epochs=1, verbose=0)
used = next(int(line.split()[1]) for line in open("/proc/self/status") if "VmSize" in line)
resource.setrlimit(resource.RLIMIT_AS, ((used << 10) + (512 << 20),) * 2)
rows = 2**36
BIG = np.broadcast_to(np.float32(1), (rows, 4))
IDS = np.broadcast_to(np.int32(1), (rows, 4))
LABELS = np.broadcast_to(np.int64(1), (rows,))
for line in {lines!r}:
    before = net.predict(x), net.params.flat.copy()
    began = time.perf_counter()
    try:
        exec(line)
        said = "", "nothing was raised"
    except Exception as error:
        said = type(error).__name__, str(error)
    seconds = time.perf_counter() - began
    same = (net.predict(x) == before[0]).all() and (net.params.flat == before[1]).all()
    print((line, *said, seconds, bool(same)), flush=True)
net.fit(x, y, loss="cross_entropy", optimizer="sgd", epochs=1, verbose=0)
"""


class Outcome(NamedTuple):
    """How one line ended."""

    line: str
    error: str  # the name of its class
    message: str
    seconds: float
    same: bool  # whether the net still gives the same


@cache
def run_limited(lines: tuple[str, ...], backend: str) -> dict[str, Outcome]:
    """Run lines one after the other; return how each ended, but those that hang or kill."""
    found: dict[str, Outcome] = {}
    left = lines
    while left:
        ended = _run(left, backend)
        found |= {outcome.line: outcome for outcome in ended}
        left = left[len(ended) + 1 :]  # the next one has ended the process, or does not end
    return found


def _run(lines: tuple[str, ...], backend: str) -> list[Outcome]:
    """Return how the first of some lines ended, up to one that hangs or kills the process."""
    code = PREPARED.format(lines=lines, backend=backend)
    with subprocess.Popen(  # elsewhere, so that the source folder is not what gets imported
        [sys.executable, "-c", code],
        cwd=Path(sys.executable).anchor,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            out, errors = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            out, errors = process.communicate()
    outcomes = [Outcome(*ast.literal_eval(line)) for line in out.splitlines()]
    assert outcomes or "Error" not in errors, errors
    return outcomes
