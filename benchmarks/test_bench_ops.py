"""Op by op, from the op cases: the native and the NumPy backend in one group."""

from __future__ import annotations

from typing import Any

import numpy as np
import op_cases
import pytest
from op_cases import BENCH_CASES, BoundCase, Case, ids
from op_cases.running import IN_PLACE


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("case", BENCH_CASES, ids=ids)
def test_op(benchmark: Any, case: Case, backend: str) -> None:
    op_cases.check_case(case, "float32", backend)
    bound = BoundCase(case, "float32", backend, op_cases.make_arrays(case, "float32"))
    bound.run()
    first = bound.outputs()
    benchmark.group = case.name
    benchmark(bound.run)
    if case.hyper or isinstance(case.op, IN_PLACE):
        return  # they go on from where they are
    for name, array in bound.outputs().items():
        np.testing.assert_array_equal(array, first[name])
