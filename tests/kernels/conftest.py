"""Fixtures for the tests of single kernels: the extension, and each ISA level of the machine."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from types import ModuleType

import pytest


def _load() -> ModuleType | None:
    try:
        return importlib.import_module("pybp._core")
    except ImportError:
        if os.environ.get("PYBP_ALLOW_NO_NATIVE") == "1":
            return None
        raise


CORE = _load()
LEVELS = CORE.isa_levels() if CORE else ["none"]


@pytest.fixture
def core() -> Iterator[ModuleType]:
    """Return the extension; its number of threads is put back afterwards."""
    if CORE is None:
        pytest.skip("no compiled kernels, and PYBP_ALLOW_NO_NATIVE=1")
    threads = CORE.num_threads()
    yield CORE
    CORE.set_num_threads(threads)


@pytest.fixture(params=LEVELS)
def isa(request: pytest.FixtureRequest, core: ModuleType) -> Iterator[str]:
    """Run the test once on each ISA level of this machine; its name is the value."""
    before = core.isa()
    core.set_isa(request.param)
    yield request.param
    core.set_isa(before)
