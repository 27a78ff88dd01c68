"""Convolutional nets and layers: pybp against PyTorch, for equal numbers of threads.

    python benchmarks/peers/conv_nets.py [--only f,g] [--threads 1,2] [--rounds 15] [--memory]

PyTorch is tried with images as NCHW and as channels_last (and with its fused and foreach updates);
the fastest setting counts. The results must agree before any clock starts. The two sides then take
turns, A B B A, in blocks of 50 ms with a pause before each; ratios are PyTorch's time over pybp's,
the median of the pairs. With --memory the peaks of one step are shown in place of times.
"""

from __future__ import annotations

import argparse

import numpy as np
from conv_cases import WORKLOADS, PybpSide, TorchSide, Workload, torch_sides
from turns import fastest, set_threads, take_turns

import pybp as bp
from pybp import _core

TOLERANCE = 1e-4  # of the largest element


def check(workload: Workload, ours: PybpSide, theirs: list[TorchSide]) -> None:
    """Raise unless all sides agree."""
    expected = ours.results()
    for side in theirs:
        for got, want in zip(side.results(), expected, strict=True):
            error = float(np.abs(got - want).max() / np.abs(want).max())
            if got.shape != want.shape or not error <= TOLERANCE:
                raise RuntimeError(
                    f"{workload.title}: PyTorch ({side.label}) and pybp differ by {error:.2g} of "
                    f"the largest element, shapes {got.shape} and {want.shape}"
                )


def compare(workload: Workload, rounds: int) -> str:
    """Return the row of a workload: PyTorch's best setting, times, ratio and GFLOP/s."""
    ours, theirs = PybpSide(workload), torch_sides(workload)
    check(workload, ours, theirs)
    best = fastest(theirs)
    duel = take_turns(ours, best, rounds)
    return (
        f"{workload.letter:<3} {workload.title:<46} {bp.num_threads():>7} {1e3 * duel.own:>9.3f} "
        f"{1e3 * duel.peer:>10.3f} {duel.ratio:>6.2f} "
        f"{duel.span():>10} {1e-9 * ours.flops() / duel.own:>8.1f}  {best.label}"
    )


def times(workloads: list[Workload], threads: list[int], rounds: int) -> None:
    """Print the table of times."""
    import torch

    print(f"pybp {bp.__version__} ({_core.isa()}), PyTorch {torch.__version__}, {rounds} pairs")
    print(
        f"{'':<3} {'workload':<46} {'threads':>7} {'pybp ms':>9} {'PyTorch ms':>10} {'ratio':>6} "
        f"{'range':>10} {'GFLOP/s':>8}  PyTorch's best setting"
    )
    for count in threads:
        set_threads(count)
        for workload in workloads:
            print(compare(workload, rounds), flush=True)


def main() -> None:
    """Read the options and print a table."""
    letters = [workload.letter for workload in WORKLOADS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(letters), help=f"some of {', '.join(letters)}")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=15, help="pairs of blocks for each row")
    parser.add_argument("--memory", action="store_true", help="peak memory in place of times")
    options = parser.parse_args()
    only = options.only.split(",")
    if not set(only) <= set(letters):
        parser.error(f"--only takes some of {', '.join(letters)}, got {options.only}")
    workloads = [workload for workload in WORKLOADS if workload.letter in only]
    threads = [int(count) for count in options.threads.split(",")]
    if options.memory:
        import peak_memory

        peak_memory.table(workloads, threads)
    else:
        times(workloads, threads, options.rounds)


if __name__ == "__main__":
    main()
