"""Every op at every inner size up to 65, round 128 and 256, and at batches of 1 to 9 rows.

Native against NumPy in float64, so that no tail of a vector, of a tile or of a block goes unseen.
"""

from __future__ import annotations

import op_cases
import pytest
from conftest import require_native
from op_cases import OP_CASES

SIZES = [*range(1, 66), 127, 128, 129, 255, 256, 257]


def test_every_kind_of_op_has_a_size() -> None:
    kinds = {type(case.op).__name__ for case in OP_CASES}
    for size in (2, 33):
        sized = {type(case.op).__name__ for case in op_cases.sized_cases(size)}
        assert kinds - sized == set()


@pytest.mark.parametrize("size", SIZES)
def test_native_equals_numpy_at_every_size(size: int, dtype: str) -> None:
    require_native()
    for case in op_cases.sized_cases(size):
        op_cases.check_case(case, dtype, "native")


@pytest.mark.parametrize("rows", range(1, 10))
def test_native_equals_numpy_at_every_batch(rows: int, dtype: str) -> None:
    """One size below the width of a vector, one above it."""
    require_native()
    for size in (3, 21):
        for case in op_cases.sized_cases(size, rows):
            op_cases.check_case(case, dtype, "native")
