"""The rows of the table: a piece of work timed, beside each peer, against the roof."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pybp.bench.own import PybpSide
from pybp.bench.own_ops import KERNELS, Kernel, KernelSide
from pybp.bench.peers import Peer
from pybp.bench.products import GEMMS, Gemm, GemmSide
from pybp.bench.roof import Roof
from pybp.bench.turns import Pace, Side, alone, fastest, take_turns
from pybp.bench.workloads import WORKLOADS, Workload

Work = Workload | Gemm | Kernel
ALL: tuple[Work, ...] = (*KERNELS, *GEMMS, *WORKLOADS)
TOLERANCE = 2e-4  # of the largest element, on which all sides agree
WIDTHS = (29, 52)


class Against(NamedTuple):
    """How a peer did."""

    peer: str
    setting: str
    seconds: float
    ratio: float  # its time over pybp's, the median of the pairs
    lowest: float
    highest: float


class Row(NamedTuple):
    """A piece of work, measured."""

    name: str
    title: str
    threads: int
    seconds: float
    flops: float  # floating point operations a second; 0 where none are counted
    intensity: float  # floating point operations for each byte that must be moved
    share: float  # the least time that the roof allows over the time taken
    bound: str  # "FMA", or the level of memory that bounds it
    against: tuple[Against, ...]

    def line(self) -> str:
        """Return the row as it is printed."""
        rate = f"{1e-9 * self.flops:8.1f}" if self.flops else f"{'':>8}"
        peers = "".join(
            f"  | {one.peer} {1e6 * one.seconds:.2f} us, ratio {one.ratio:.2f} "
            f"({one.lowest:.2f}-{one.highest:.2f}) {one.setting}".rstrip()
            for one in self.against
        )
        return (
            f"{self.name:<{WIDTHS[0]}} {self.title:<{WIDTHS[1]}} {1e6 * self.seconds:>12.2f} "
            f"{rate} {100 * self.share:>5.0f} % {self.bound:<4}{peers}"
        )

    def record(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return {**self._asdict(), "against": [one._asdict() for one in self.against]}


def heading() -> str:
    """Return the line above the rows."""
    return (
        f"{'name':<{WIDTHS[0]}} {'work':<{WIDTHS[1]}} {'us':>12} {'GFLOP/s':>8} {'roof':>7} bound"
        " | peer: its time, its time / ours (range of the pairs), its best setting"
    )


def chosen(only: str | None, *, quick: bool) -> list[Work]:
    """Return the works that ``--only`` names: "a:fit", or "a" for all that begin with "a:".

    Raises
    ------
    ValueError
        For a name that nothing has.
    """
    if only is None:
        return [work for work in ALL if not (quick and work.name.startswith("gemm:4096"))]
    wanted = only.split(",")
    for name in wanted:
        if not any(_is_named(work, name) for work in ALL):
            groups = dict.fromkeys(work.name.partition(":")[0] for work in ALL)
            raise ValueError(f"--only takes some of {', '.join(groups)}; got {name!r}")
    return [work for work in ALL if any(_is_named(work, name) for name in wanted)]


def _is_named(work: Work, name: str) -> bool:
    return work.name == name or work.name.startswith(f"{name}:")


def own_side(work: Work) -> Any:
    """Return pybp at a piece of work."""
    if isinstance(work, Gemm):
        return GemmSide(work)
    return KernelSide(work) if isinstance(work, Kernel) else PybpSide(work)


def check(work: Work, peer: str, side: Side, expected: list[np.ndarray]) -> None:
    """Raise RuntimeError unless a side's results are the expected ones."""
    for got, want in zip(side.results(), expected, strict=True):
        found = np.asarray(got)
        if found.shape == want.shape:
            error = float(np.abs(found - want).max() / max(np.abs(want).max(), 1e-30))
            if error <= TOLERANCE:
                continue
            differ = f"differ by {error:.2g} of the largest element"
        else:
            differ = f"have the shapes {found.shape} and {want.shape}"
        raise RuntimeError(
            f"{work.name}: the results of {peer} ({side.label}) and of pybp {differ}; nothing is "
            "timed"
        )


def measure(
    work: Work, peers: Sequence[Peer], roof: Roof, pace: Pace, *, quick: bool = False
) -> Row:
    """Time a piece of work, alone or in turns with each peer that does it."""
    own = own_side(work)
    expected = [np.array(result) for result in own.results()]
    against, times = [], []
    for peer in peers:
        sides = peer.sides(work, quick=quick)
        for side in sides:
            check(work, peer.NAME, side, expected)
        if sides:
            calm = pace._replace(pause=peer.PAUSE)
            best = fastest(sides, calm)
            duel = take_turns(own, best, calm)
            times.append(duel.own)
            against.append(
                Against(
                    *(peer.NAME, best.label, duel.peer),
                    *(duel.ratio, duel.ratios[0], duel.ratios[-1]),
                )
            )
    seconds = statistics.median(times) if times else alone(own, pace)
    return _row(work, roof, seconds, tuple(against))


def _row(work: Work, roof: Roof, seconds: float, against: tuple[Against, ...]) -> Row:
    cost = work.cost()
    return Row(
        work.name,
        work.title,
        roof.threads,
        seconds,
        cost.flops / seconds,
        cost.flops / cost.moved,
        roof.least_time(*cost, work.dtype) / seconds,
        roof.bound(*cost, work.dtype),
        against,
    )
