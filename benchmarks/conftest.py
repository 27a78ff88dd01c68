"""Every benchmark says on which instruction set and with how many threads it ran."""

from __future__ import annotations

from typing import Any

import pybp as bp
from pybp import _core


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    machine_info["pybp"] = {"isa": _core.isa(), "threads": bp.num_threads()}


def pytest_report_header() -> str:
    return f"pybp {bp.__version__}: {_core.isa()}, {bp.num_threads()} threads"
