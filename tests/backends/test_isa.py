"""Every op on every instruction set level that this machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import op_cases
import pytest
from conftest import require_native
from op_cases import OP_CASES, Case, ids

try:
    from pybp import _core
except ImportError:  # the fixture says what to do about it
    LEVELS = []
else:
    LEVELS = _core.isa_levels()


@pytest.fixture(autouse=True)
def _restore_level() -> Iterator[None]:
    require_native()
    before = _core.isa()
    yield
    _core.set_isa(before)


@pytest.mark.parametrize("level", LEVELS[1:])
@pytest.mark.parametrize("case", OP_CASES, ids=ids)
def test_op_on_each_lower_level(case: Case, dtype: str, level: str) -> None:
    """The best level is what all other tests use."""
    _core.set_isa(level)
    op_cases.check_case(case, dtype, "native")


@pytest.mark.parametrize("level", LEVELS[1:])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33])
def test_tails_on_each_lower_level(size: int, dtype: str, level: str) -> None:
    _core.set_isa(level)
    for case in op_cases.sized_cases(size):
        op_cases.check_case(case, dtype, "native")


@pytest.mark.parametrize("level", LEVELS)
def test_the_environment_chooses_the_level(level: str) -> None:
    code = "from pybp import _core; print(_core.isa())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYBP_ISA": level},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == level


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="v9"):
        _core.set_isa("v9")
