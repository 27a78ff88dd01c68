"""Peak memory of one step: pybp's workspaces, and what processes of both libraries grow by.

    python benchmarks/peers/peak_memory.py letter side threads

runs one call of a workload and prints what was found as JSON; ``table`` starts such a process for
each figure. The side is "pybp", "NCHW" or "channels_last". The library is imported and woken up,
net and data are built, and free memory goes back to the system; then the peak is set back to what
is resident, so that the growth is the peak of that one call. Linux only.
"""

from __future__ import annotations

import ctypes
import gc
import json
import re
import subprocess
import sys
from pathlib import Path

from conv_cases import LAYOUTS, WORKLOADS, PybpSide, TorchSide, Workload, small
from turns import set_threads

import pybp as bp

MIB = 2**20


def _resident(field: str) -> int:
    """Return a field of the process's status in bytes: VmRSS is resident, VmHWM its peak."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    if found is None:
        raise OSError(f"/proc/self/status has no {field}")
    return 1024 * int(found[1])


def _make(workload: Workload, side: str) -> PybpSide | TorchSide:
    if side == "pybp":
        return PybpSide(workload)
    return TorchSide(workload, side, workload.updates[0])


def measure(workload: Workload, side: str) -> dict[str, int]:
    """Return the growth of one call in bytes; of pybp also the memory it has bound."""
    _make(small(workload), side).call()
    worker = _make(workload, side)
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak is what is resident now
    before = _resident("VmRSS")
    worker.call()
    found = {"growth": _resident("VmHWM") - before}
    if isinstance(worker, PybpSide):
        parameters = worker.net.params.flat.nbytes
        states = len(worker.optimizer.state_names()) if worker.optimizer else 0
        executors = worker.executors()
        found["workspace"] = sum(executor._work.nbytes for executor in executors)
        found["scratch"] = sum(executor._core.scratch_bytes for executor in executors)
        found["gradients"] = 0 if worker.kind == "predict" else parameters
        found["state"] = states * parameters
    return found


def _in_a_process(workload: Workload, side: str, threads: int) -> dict[str, int]:
    command = [sys.executable, __file__, workload.letter, side, str(threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, int] = json.loads(done.stdout)
    return found


def table(workloads: list[Workload], threads: list[int]) -> None:
    """Print the peaks of all workloads."""
    print(
        "Peak memory of one call in MiB. workspace + scratch: what pybp binds. gradients, state: "
        "of the\nparameters and the optimiser, on both sides the same. growth: of a process, with "
        "gradients and state;\npybp's gradients exist before the call and are added."
    )
    print(
        f"{'':<3} {'workload':<46} {'threads':>7} {'workspace':>9} {'scratch':>8} {'gradients':>9} "
        f"{'state':>6} {'pybp growth':>11} {'NCHW growth':>11} {'channels_last growth':>20}"
    )
    for count in threads:
        for workload in workloads:
            own = _in_a_process(workload, "pybp", count)
            own["growth"] += own["gradients"]
            figures = [own[name] for name in ("workspace", "scratch", "gradients", "state")]
            growths = [own["growth"]]
            growths += [_in_a_process(workload, side, count)["growth"] for side in LAYOUTS]
            widths = (9, 8, 9, 6, 11, 11, 20)
            cells = (
                f"{figure / MIB:>{width}.2f}"
                for figure, width in zip(figures + growths, widths, strict=True)
            )
            print(f"{workload.letter:<3} {workload.title:<46} {count:>7}", *cells, flush=True)


if __name__ == "__main__":
    letter, side, threads = sys.argv[1:]
    if side == "pybp":
        bp.set_num_threads(int(threads))  # without an import of PyTorch
    else:
        set_threads(int(threads))
    print(json.dumps(measure(next(w for w in WORKLOADS if w.letter == letter), side)))
