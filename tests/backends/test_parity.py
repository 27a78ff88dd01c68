"""The first judge: the native executor computes what the NumPy executor does, op by op."""

from __future__ import annotations

import numpy as np
import op_cases
import pytest
from conftest import require_native
from op_cases import OP_CASES, Case, ids

from pybp.backends.numpy_losses import log_softmax


@pytest.mark.parametrize("case", OP_CASES, ids=ids)
def test_native_equals_numpy(case: Case, dtype: str) -> None:
    """Both are held to NumPy in float64 on the same (rounded) inputs."""
    require_native()
    op_cases.check_case(case, dtype, "native")


@pytest.mark.parametrize("case", OP_CASES, ids=ids)
def test_numpy_in_float32_stays_near_float64(case: Case) -> None:
    op_cases.check_case(case, "float32", "numpy")


@pytest.mark.parametrize("case", [c for c in OP_CASES if "all ignored" in c.name], ids=ids)
def test_all_labels_ignored_gives_zero(case: Case, backend: str, dtype: str) -> None:
    written = op_cases.run(case, dtype, backend)
    assert not written["dy"].any()
    assert written["results"].tolist() == [[0.0, 0.0]]


def test_log_softmax_of_large_numbers_is_finite() -> None:
    assert log_softmax(np.array([[1e300, -1e300]])).tolist() == [[0.0, -2e300]]
