"""Fixtures for every test: the two backends, the two number types, and the data sets."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest


def require_native() -> None:
    """Fail the test when the compiled part is missing, or skip it where that is allowed.

    A missing extension must never look like a passing test, so the skip has to be asked for.
    """
    try:
        importlib.import_module("pybp._core")
    except ImportError as error:
        if os.environ.get("PYBP_ALLOW_NO_NATIVE") == "1":
            pytest.skip(f"no compiled kernels, and PYBP_ALLOW_NO_NATIVE=1: {error}")
        pytest.fail(
            f"the compiled kernels can't be imported ({error}); build the package, or set "
            "PYBP_ALLOW_NO_NATIVE=1 to test the NumPy backend alone"
        )


@pytest.fixture(params=["numpy", "native"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once on each backend; its name is the value."""
    import pybp as bp

    if request.param == "native":
        require_native()
    with bp.use_backend(request.param):
        yield request.param


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    """Run the test once in each number type; its name is the value."""
    return str(request.param)


@pytest.fixture
def data_folder() -> Path:
    """Return the folder of the data sets; only slow tests may ask for it."""
    folder = Path(os.environ["PYBP_DATA"])
    if not folder.is_dir():
        pytest.fail(f"PYBP_DATA must name the folder of the data sets, got {folder}")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the slow tests out unless PYBP_DATA is set."""
    if os.environ.get("PYBP_DATA"):
        return
    skip = pytest.mark.skip(reason="slow; runs when PYBP_DATA names the folder of the data sets")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)
