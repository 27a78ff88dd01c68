"""Peak memory of one step: pybp's workspaces, and what processes of both libraries grow by.

    python benchmarks/peers/peak_memory.py [--only f,g] [--threads 1,2]

Each figure comes from a process of its own, which does one call of a workload (--side pybp, NCHW or
channels_last is such a process). The library is imported and woken up, net and data are built, and
free memory goes back to the system; then the peak is set back to what is resident, so that the
growth is the peak of that one call. Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import peer_pytorch
from torch_sides import LAYOUTS, NetSide, Setting

import pybp as bp
from pybp.bench.own import PybpSide
from pybp.bench.workloads import WORKLOADS, Workload

MIB = 2**20
IMAGES = {work.name: work for work in WORKLOADS if len(work.shape) == 3}


def small(workload: Workload) -> Workload:
    """Return a workload with the same kinds of layers that is done at once: it wakes a library."""
    if workload.way == "gradients":
        return workload._replace(layers=lambda: [bp.Conv2d(4, 3)], shape=(8, 8, 4), rows=1)

    def layers() -> list[bp.layers.Layer]:
        return [bp.Conv2d(4, 3), bp.ReLU(), bp.MaxPool2d(2), bp.Flatten(), bp.Linear(10)]

    return workload._replace(layers=layers, shape=(8, 8, 1), rows=1)


def _resident(field: str) -> int:
    """Return a field of the process's status in bytes: VmRSS is resident, VmHWM its peak."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    if found is None:
        raise OSError(f"/proc/self/status has no {field}")
    return 1024 * int(found[1])


def _make(workload: Workload, side: str) -> PybpSide | NetSide:
    if side == "pybp":
        return PybpSide(workload)
    return NetSide(workload, Setting("fused" if workload.optimizer else "", side))


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
        optimizer = workload.optimizer
        states = len(optimizer.state_names()) if optimizer is not None else 0
        executors = _executors(worker)
        found["workspace"] = sum(executor._work.nbytes for executor in executors)
        found["scratch"] = sum(executor._core.scratch_bytes for executor in executors)
        found["gradients"] = 0 if workload.way == "predict" else parameters
        found["state"] = states * parameters
    return found


def _executors(side: PybpSide) -> list[Any]:
    """Return the native executors that are bound."""
    bound = [*side.net._bound.values()]
    bound += side.trainer.steps._bound.values() if side.workload.way == "step" else []
    return [one.executor for one in bound]


def _in_a_process(workload: Workload, side: str, threads: int) -> dict[str, int]:
    options = f"--only={workload.name}", f"--side={side}", f"--threads={threads}"
    command = [sys.executable, __file__, *options]
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
        f"{'':<6} {'workload':<46} {'threads':>7} {'workspace':>9} {'scratch':>8} {'gradients':>9} "
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
            print(f"{workload.name:<6} {workload.title:<46} {count:>7}", *cells, flush=True)


def main() -> None:
    """Print the table, or measure one side in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(IMAGES), help=f"some of {', '.join(IMAGES)}")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--side", choices=("pybp", *LAYOUTS), help="measure it here, print JSON")
    options = parser.parse_args()
    names = options.only.split(",")
    if not set(names) <= set(IMAGES):
        parser.error(f"--only takes some of {', '.join(IMAGES)}, got {options.only}")
    workloads = [IMAGES[name] for name in names]
    threads = [int(count) for count in options.threads.split(",")]
    if options.side is None:
        table(workloads, threads)
        return
    bp.set_num_threads(threads[0])
    if options.side != "pybp":  # else without an import of PyTorch
        peer_pytorch.set_threads(threads[0])
    print(json.dumps(measure(workloads[0], options.side)))


if __name__ == "__main__":
    main()
