"""Options, the order of events, and what is printed and written."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pybp as bp
from pybp.bench import box, peers, picture, roof, table
from pybp.bench.turns import Pace

PEERS = Path("benchmarks/peers")
FULL, QUICK = Pace(9, 0.05, 3.0), Pace(3, 0.01, 1.0)
ROOF_SECONDS = {False: 0.15, True: 0.02}  # by quick


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; exit with a message for wrong ones."""
    parser = argparse.ArgumentParser(
        prog="python -m pybp.bench", description="The machine's limits, and how near pybp comes."
    )
    parser.add_argument("--only", help='names such as a, gemm:512, op, or "machine" for its limits')
    parser.add_argument("--threads", default=None, help="such as 1,2; each in a process of its own")
    parser.add_argument("--pairs", type=int, help=f"of blocks for each row; {FULL.pairs}")
    parser.add_argument("--peers", type=Path, help=f"folder of the peers' side; {PEERS}")
    parser.add_argument("--with", dest="names", help="which peers: pytorch,jax,sklearn; or none")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--plot", type=Path, help="draw the roofline picture into this file")
    parser.add_argument("--quick", action="store_true", help="a rough look in little time")
    options = parser.parse_args(arguments)
    try:
        options.threads = _numbers(options.threads)
        options.works = (
            [] if options.only == "machine" else table.chosen(options.only, quick=options.quick)
        )
        if options.pairs is not None and options.pairs < 1:
            raise ValueError(f"--pairs must be at least 1, got {options.pairs}")
    except ValueError as error:
        parser.error(str(error))
    return options


def _numbers(text: str | None) -> list[int]:
    """Return the numbers of threads; without any, what pybp uses now."""
    if text is None:
        return [bp.num_threads()]
    counts, most = text.split(","), max(len(_cpus()), 1)
    if not all(count.isdecimal() and 1 <= int(count) <= most for count in counts):
        raise ValueError(
            f"--threads takes numbers from 1 to {most}, such as 1,{most}; got {text!r}"
        )
    return [int(count) for count in counts]


def _cpus() -> set[int]:
    """Return the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    options = parse(arguments)
    if options.plot is not None:
        picture.figure_module()  # raises now rather than after all the work
    if len(options.threads) > 1:
        runs = [_in_a_process(list(arguments), count) for count in options.threads]
    else:
        with bound_to(options.threads[0]):
            runs = [run(options, options.threads[0])]
    if options.json is not None:
        options.json.write_text(json.dumps({"runs": runs}, indent=1), "utf-8")
    if options.plot is not None:
        picture.draw(runs, options.plot)
    return 0


def _in_a_process(arguments: list[str], threads: int) -> dict[str, Any]:
    """Run the command anew for a number of threads; return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        safe = ["-P"] if sys.flags.safe_path else []  # as this process was started
        command = [sys.executable, *safe, "-m", "pybp.bench", *_without_files(arguments)]
        subprocess.run([*command, f"--threads={threads}", f"--json={file}"], check=True)
        (found,) = json.loads(file.read_text("utf-8"))["runs"]
    return dict(found)


def _without_files(arguments: list[str]) -> list[str]:
    """Return the arguments without those that name a file to write."""
    kept, skip = [], False
    for argument in arguments:
        if not skip and argument.partition("=")[0] not in ("--json", "--plot"):
            kept.append(argument)
        skip = not skip and argument in ("--json", "--plot")
    return kept


@contextmanager
def bound_to(threads: int) -> Iterator[None]:
    """Let pybp use so many threads, and this process as many CPUs; undone at the end."""
    before, cpus = bp.num_threads(), _cpus()
    fewer = len(cpus) > threads and hasattr(os, "sched_setaffinity")
    if fewer:
        os.sched_setaffinity(0, sorted(cpus)[:threads])
    bp.set_num_threads(threads)
    try:
        yield
    finally:
        bp.set_num_threads(before)
        if fewer:
            os.sched_setaffinity(0, cpus)


def run(options: argparse.Namespace, threads: int) -> dict[str, Any]:
    """Measure the machine, then row by row; return all figures."""
    start = box.Moment.now()
    found = load_peers(options)
    for peer in found:
        peer.set_threads(threads)
    about = box.description()
    about["peers"] = ", ".join(f"{peer.NAME} {peer.version()}" for peer in found) or "none"
    for name, value in about.items():
        say(f"{name:<10} {value}")
    say(f"{'load':<10} {start.load:.2f} in the last minute; {threads} threads")
    limits = roof.measure(threads, ROOF_SECONDS[options.quick])
    say(*roof_lines(limits), sep="\n")
    pace = QUICK if options.quick else FULL
    pace = pace._replace(pairs=options.pairs or pace.pairs)
    rows = []
    if options.works:
        say(table.heading())
    for work in options.works:
        rows.append(table.measure(work, found, limits, pace, quick=options.quick))
        say(rows[-1].line())
    end = box.Moment.now()
    stolen = end.stolen_since(start)
    say(f"load at the end {end.load:.2f}; stolen by the host {100 * stolen:.1f} % of the time\n")
    return {
        "about": about,
        "threads": threads,
        "load": [start.load, end.load],
        "stolen": stolen,
        "roof": limits._asdict(),
        "rows": [row.record() for row in rows],
    }


def load_peers(options: argparse.Namespace) -> list[peers.Peer]:
    """Return the peers that take part."""
    if options.names == "none" or (options.peers is None and not PEERS.is_dir()):
        return []
    names = options.names.split(",") if options.names else None
    found, absent = peers.load(options.peers or PEERS, names)
    for line in absent:
        say(line)
    return found


def roof_lines(limits: roof.Roof) -> list[str]:
    """Return the machine's limits as they are printed."""
    rates = ", ".join(f"{level} {1e-9 * rate:.1f}" for level, rate in limits.read.items())
    peak = ", ".join(f"{dtype} {1e-9 * rate:.1f}" for dtype, rate in limits.flops.items())
    return [
        f"{'peak':<10} GFLOP/s of multiply-adds: {peak}",
        f"{'memory':<10} GB/s read: {rates}; DRAM copied {1e-9 * limits.copy:.1f}",
        f"{'call':<10} an empty parallel call takes {1e6 * limits.empty_call:.2f} us",
    ]


def say(*lines: str, sep: str = " ") -> None:
    """Print at once."""
    print(*lines, sep=sep, flush=True)
