"""Steps of recurrent nets and embedding bags: pybp against PyTorch, for equal numbers of threads.

    python benchmarks/peers/recurrent_nets.py [--only i,j] [--threads 1,2] [--pairs 15] [--check]

PyTorch is tried with the time and with the batch as the first axis, and with fused and plain Adam;
the fastest setting counts. The losses of the first steps must agree before any clock starts. The
two sides then take turns, A B B A, in blocks of 50 ms with a pause before each; ratios are
PyTorch's time over pybp's, the median of the pairs. The last lines compare what a real time step
costs in a ragged batch and in a full one. With --check nothing is timed.
"""

from __future__ import annotations

import argparse

import numpy as np
from recurrent_cases import (
    FULL,
    RAGGED,
    STEPS,
    WORKLOADS,
    PybpSide,
    TorchSide,
    Workload,
    torch_sides,
)
from turns import fastest, set_threads, take_turns

import pybp as bp
from pybp import _core

TOLERANCE = 1e-5  # of the loss


def make_sides(workload: Workload) -> tuple[PybpSide, list[TorchSide]]:
    """Return both libraries at a workload, whose first losses agree."""
    ours, theirs = PybpSide(workload), torch_sides(workload)
    expected = ours.losses()
    for side in theirs:
        losses = side.losses()
        if not np.allclose(losses, expected, rtol=TOLERANCE, atol=0):
            raise RuntimeError(
                f"{workload.title}: the first losses of PyTorch ({side.label}) are {losses}, "
                f"those of pybp {expected}"
            )
    return ours, theirs


def check(workload: Workload) -> str:
    """Return what a workload's sides agree on."""
    ours, theirs = make_sides(workload)
    return (
        f"{workload.letter:<3} {workload.title:<46} {len(theirs)} settings of PyTorch agree on "
        f"{STEPS} losses; the next is {ours.call():.6f}"
    )


def compare(workload: Workload, pairs: int) -> str:
    """Return the row of a workload: times, ratio, GFLOP/s and PyTorch's best setting."""
    ours, theirs = make_sides(workload)
    best = fastest(theirs)
    duel = take_turns(ours, best, pairs)
    return (
        f"{workload.letter:<3} {workload.title:<46} {bp.num_threads():>7} {1e3 * duel.own:>9.3f} "
        f"{1e3 * duel.peer:>10.3f} {duel.ratio:>6.2f} {duel.span():>10} "
        f"{1e-9 * workload.flops() / duel.own:>8.1f}  {best.label}"
    )


def cost_of_ragged(pairs: int) -> str:
    """Return what a real step of the ragged batch costs, as a multiple of one of the full batch."""
    duel = take_turns(PybpSide(RAGGED), PybpSide(FULL), pairs)
    share = RAGGED.real_steps() / FULL.real_steps()
    costs = sorted(1 / (share * ratio) for ratio in duel.ratios)
    return (
        f"{bp.num_threads()} threads: a real step of the ragged batch costs "
        f"{1 / (share * duel.ratio):.3f} of one of the full batch ({costs[0]:.2f}-{costs[-1]:.2f})"
    )


def times(workloads: list[Workload], threads: list[int], pairs: int) -> None:
    """Print the table of times."""
    import torch

    print(f"pybp {bp.__version__} ({_core.isa()}), PyTorch {torch.__version__}, {pairs} pairs")
    print(
        f"{'':<3} {'workload':<46} {'threads':>7} {'pybp ms':>9} {'PyTorch ms':>10} {'ratio':>6} "
        f"{'range':>10} {'GFLOP/s':>8}  PyTorch's best setting"
    )
    for count in threads:
        set_threads(count)
        for workload in workloads:
            print(compare(workload, pairs), flush=True)
    for count in threads if RAGGED in workloads else ():
        set_threads(count)
        print(cost_of_ragged(pairs), flush=True)


def main() -> None:
    """Read the options and print a table."""
    letters = [workload.letter for workload in WORKLOADS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(letters), help=f"some of {', '.join(letters)}")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--pairs", type=int, default=15, help="pairs of blocks for each row")
    parser.add_argument("--check", action="store_true", help="compare losses, time nothing")
    options = parser.parse_args()
    only = options.only.split(",")
    if not set(only) <= set(letters):
        parser.error(f"--only takes some of {', '.join(letters)}, got {options.only}")
    workloads = [workload for workload in WORKLOADS if workload.letter in only]
    threads = [int(count) for count in options.threads.split(",")]
    if not options.check:
        times(workloads, threads, options.pairs)
        return
    for count in threads:
        set_threads(count)
        print(*map(check, workloads), sep="\n", flush=True)


if __name__ == "__main__":
    main()
