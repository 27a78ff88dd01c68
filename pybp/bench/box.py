"""The machine as the system describes it: processor, caches, load and stolen time."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

import pybp as bp
from pybp import _core

KIB, MIB = 2**10, 2**20
USUAL_CACHES = {"L1": 32 * KIB, "L2": MIB, "L3": 32 * MIB}  # where the system doesn't tell
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
STEAL = 7  # of the columns of /proc/stat: time that the host gave to others


def processor() -> str:
    """Return the name of the processor."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def caches() -> dict[str, int]:
    """Return the bytes of the caches L1, L2 and L3: the first two of one core, the last of all."""
    found = dict(USUAL_CACHES)
    for folder in sorted(CACHES.glob("index*")):
        kind, level, size = (
            (folder / name).read_text("ascii").strip() for name in ("type", "level", "size")
        )
        if kind != "Instruction" and f"L{level}" in found and size.endswith("K"):
            found[f"L{level}"] = int(size[:-1]) * KIB
    return found


class Moment(NamedTuple):
    """How busy the machine is, and its clocks since the start."""

    load: float  # average of the last minute; NaN where the system has none
    stolen: int  # ticks of all processors
    ticks: int

    @classmethod
    def now(cls) -> Moment:
        """Return the present figures."""
        load, stolen, ticks = float("nan"), 0, 0
        with contextlib.suppress(OSError, AttributeError):
            load = os.getloadavg()[0]
        with contextlib.suppress(OSError):
            counts = [
                int(c) for c in Path("/proc/stat").read_text("ascii").split("\n")[0].split()[1:]
            ]
            stolen, ticks = counts[STEAL], sum(counts[: STEAL + 1])
        return cls(load, stolen, ticks)

    def stolen_since(self, earlier: Moment) -> float:
        """Return the share of the time since then that the host gave to others, 0 ... 1."""
        return (self.stolen - earlier.stolen) / max(self.ticks - earlier.ticks, 1)


def description() -> dict[str, str]:
    """Return what the figures depend on, by name."""
    sizes = ", ".join(
        f"{level} {size // KIB} KiB" if size < MIB else f"{level} {size // MIB} MiB"
        for level, size in caches().items()
    )
    return {
        "processor": f"{processor()}, {os.cpu_count()} CPUs, {sizes}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "pybp": f"{bp.__version__}, ISA level {_core.isa()}, {_core.build_info()['compiler']}",
        "python": f"{sys.version.split()[0]}, NumPy {np.__version__}",
    }
