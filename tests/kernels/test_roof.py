"""What measures the machine does the work that it says."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

DTYPES = ("float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tasks", [1, 3])
def test_multiply_adds(core: ModuleType, isa: str, dtype: str, tasks: int) -> None:
    width = core.roof_width(dtype)
    x = np.arange(tasks * width, dtype=dtype).reshape(tasks, width)
    core.roof_multiply_add(x, 0.5, 1.0, 4)  # exact: all are multiples of 1 / 16
    start = np.arange(tasks * width, dtype=dtype).reshape(tasks, width)
    np.testing.assert_array_equal(x, start / 16 + (1 + 1 / 2 + 1 / 4 + 1 / 8))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 7, 64, 1001])
def test_sums_and_copies(core: ModuleType, isa: str, dtype: str, count: int) -> None:
    x = np.arange(2 * count, dtype=dtype).reshape(2, count) % 31
    np.testing.assert_array_equal(core.roof_sum(x, 3), 3 * x.sum(1))
    y = np.full_like(x, -1)
    core.roof_copy(x, y, 2)
    np.testing.assert_array_equal(y, x)


def test_nan_travels_through_a_sum(core: ModuleType, isa: str) -> None:
    x = np.zeros((1, 100), np.float32)
    x[0, 17] = np.nan
    assert np.isnan(core.roof_sum(x, 1)[0])


def test_wrong_arrays(core: ModuleType) -> None:
    x = np.zeros((2, 8), np.float32)
    with pytest.raises(ValueError, match="x: expected rows of"):
        core.roof_multiply_add(x[:, :3].copy(), 1.0, 0.0, 1)
    with pytest.raises(ValueError, match="x: expected a contiguous array of 2 axes"):
        core.roof_sum(x[0], 1)
    with pytest.raises(ValueError, match="x: expected a contiguous array of 2 axes"):
        core.roof_sum(x[:, ::2], 1)
    with pytest.raises(ValueError, match="x and y: expected equal shapes"):
        core.roof_copy(x, x[:1].copy(), 1)
    with pytest.raises(ValueError, match="dtype: expected float32 or float64"):
        core.roof_width("float16")
