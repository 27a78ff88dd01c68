"""The matrix product: every edge of the tiles, every path, and the promise of the same bits."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from tolerance import LINEAR, check_close

# Around the height of the tiles (4, 6, 8, 14), the limit of the path for few rows (4) and the one
# from which B is packed (512).
ROWS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 28, 29, 43]
MANY_ROWS = [512, 513]
# Around the vectors (2, 4, 8, 16) and panels (4 ... 32), and more than the few-row kernels take.
COLUMNS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 65, 130]
# Around kChunk = 256 and its multiples.
DEPTHS = [1, 2, 3, 8, 17, 255, 256, 257, 511, 513, 1025]
THREADS = [1, 2, 3, 4, 7]

Array = np.ndarray


def integers(rng: np.random.Generator, shape: tuple[int, int], dtype: str) -> Array:
    """Return small whole numbers: products and sums of them are exact in any order."""
    return rng.integers(-4, 5, shape).astype(dtype)


def stored(a: Array, transposed: bool) -> Array:
    return np.ascontiguousarray(a.T) if transposed else a


def check_exact(core: ModuleType, a: Array, b: Array, ta: bool, tb: bool) -> None:
    """Compare with NumPy bit for bit, overwriting and accumulating, with a guard behind C."""
    expected = a @ b
    guarded = np.full((len(a) + 1, b.shape[1]), np.nan, a.dtype)
    c = guarded[:-1]
    core.gemm(stored(a, ta), stored(b, tb), c, ta, tb, False)
    where = f"{a.shape} x {b.shape}, transposed {ta} {tb}"
    np.testing.assert_array_equal(c, expected, err_msg=where)
    core.gemm(stored(a, ta), stored(b, tb), c, ta, tb, True)
    np.testing.assert_array_equal(c, 2 * expected, err_msg=where)
    assert np.isnan(guarded[-1]).all(), where


@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
def test_edges_of_the_tiles(core: ModuleType, isa: str, dtype: str, ta: bool, tb: bool) -> None:
    rng = np.random.default_rng(0)
    core.set_num_threads(1)
    for m in ROWS:
        for n in COLUMNS:
            k = int(rng.choice(DEPTHS[:5]))
            check_exact(core, integers(rng, (m, k), dtype), integers(rng, (k, n), dtype), ta, tb)


@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("columns", [513, 516, 520, 1026])
def test_a_narrow_rest_of_a_wide_product(
    core: ModuleType, isa: str, dtype: str, columns: int, ta: bool, tb: bool
) -> None:
    """The last columns have tiles of another height; rows are packed for them, too."""
    rng = np.random.default_rng(2)
    core.set_num_threads(1)
    for m, k in [(97, 130), (130, 300), (256, 1024)]:
        check_exact(core, integers(rng, (m, k), dtype), integers(rng, (k, columns), dtype), ta, tb)


@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
def test_edges_of_the_chunks(core: ModuleType, isa: str, dtype: str, ta: bool, tb: bool) -> None:
    rng = np.random.default_rng(1)
    core.set_num_threads(1)
    for k in DEPTHS:
        for m in [1, 2, 4, 5, 17]:
            for n in [1, 10, 16, 33, 50, 70]:
                a, b = integers(rng, (m, k), dtype), integers(rng, (k, n), dtype)
                check_exact(core, a, b, ta, tb)


@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("m", [*MANY_ROWS, 40])
@pytest.mark.parametrize("threads", THREADS)
def test_large_products(
    core: ModuleType, isa: str, dtype: str, ta: bool, tb: bool, m: int, threads: int
) -> None:
    rng = np.random.default_rng(2)
    core.set_num_threads(threads)
    for n, k in [(67, 300), (530, 70)]:
        check_exact(core, integers(rng, (m, k), dtype), integers(rng, (k, n), dtype), ta, tb)


def chains(a: Array, b: Array) -> Array:
    """Return a @ b with the sum order that csrc/kernel_table.h fixes, in exact multiply-adds.

    float32 only: its products are exact in float64, and rounding their sum with a float32 to
    float64 and then to float32 differs from one rounding in a few cases in a thousand million.
    """
    total = None
    for begin in range(0, a.shape[1], 256):
        chunk = np.zeros((len(a), b.shape[1]), np.float32)
        for k in range(begin, min(begin + 256, a.shape[1])):
            product = a[:, k : k + 1].astype(np.float64) * b[k].astype(np.float64)
            chunk = (product + chunk).astype(np.float32)
        total = chunk if total is None else total + chunk
    return total


@pytest.mark.parametrize(("m", "n"), [(1, 40), (1, 100), (3, 40), (20, 40)])
@pytest.mark.parametrize("tb", [False, True])
def test_the_sum_order_is_the_documented_one(
    core: ModuleType, isa: str, m: int, n: int, tb: bool
) -> None:
    if isa == "v2":
        pytest.skip("v2 has no fused multiply-add: its chains round twice a step")
    rng = np.random.default_rng(3)
    a = rng.normal(size=(m, 700)).astype(np.float32)
    b = rng.normal(size=(700, n)).astype(np.float32)
    c = np.empty((m, n), np.float32)
    core.gemm(a, stored(b, tb), c, False, tb, False)
    np.testing.assert_array_equal(c, chains(a, b))


@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
def test_a_row_alone_equals_the_row_in_the_batch(
    core: ModuleType, isa: str, dtype: str, ta: bool, tb: bool, accumulate: bool
) -> None:
    rng = np.random.default_rng(4)
    for m, n, k in [(5, 40, 784), (31, 70, 300), (64, 17, 1030), (600, 33, 257)]:
        a = rng.normal(size=(m, k)).astype(dtype)
        b = rng.normal(size=(k, n)).astype(dtype)
        old = rng.normal(size=(m, n)).astype(dtype)
        batch = old.copy()
        core.gemm(stored(a, ta), stored(b, tb), batch, ta, tb, accumulate)
        for height in [1, 2, 3, 4, 9]:
            some = old[:height].copy()
            core.gemm(stored(a[:height], ta), stored(b, tb), some, ta, tb, accumulate)
            assert some.tobytes() == batch[:height].tobytes(), (m, n, k, height)


@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
def test_the_same_bits_for_any_number_of_threads(
    core: ModuleType, isa: str, dtype: str, ta: bool, tb: bool
) -> None:
    rng = np.random.default_rng(5)
    for m, n, k in [(1, 1100, 600), (100, 100, 300), (700, 40, 300), (40, 900, 257), (521, 67, 90)]:
        a = rng.normal(size=(m, k)).astype(dtype)
        b = rng.normal(size=(k, n)).astype(dtype)
        results = []
        for threads in THREADS:
            core.set_num_threads(threads)
            c = np.empty((m, n), dtype)
            core.gemm(stored(a, ta), stored(b, tb), c, ta, tb, False)
            results.append(c.tobytes())
        assert len(set(results)) == 1, (m, n, k)
        check_close(np.frombuffer(results[0], dtype).reshape(m, n), a @ b, dtype, k, LINEAR)


def test_levels_with_fused_multiply_add_agree(core: ModuleType, dtype: str) -> None:
    levels = [level for level in core.isa_levels() if level != "v2"]
    if len(levels) < 2:
        pytest.skip("one such level on this machine")
    rng = np.random.default_rng(6)
    a = rng.normal(size=(37, 600)).astype(dtype)
    b = rng.normal(size=(600, 75)).astype(dtype)
    before = core.isa()
    results = set()
    for level in levels:
        core.set_isa(level)
        c = np.empty((37, 75), dtype)
        core.gemm(a, b, c)
        results.add(c.tobytes())
    core.set_isa(before)
    assert len(results) == 1


@pytest.mark.parametrize("accumulate", [False, True])
def test_an_empty_sum(core: ModuleType, isa: str, dtype: str, accumulate: bool) -> None:
    c = np.full((3, 5), 7, dtype)
    core.gemm(
        np.ones((3, 2), dtype)[:, :0], np.ones((2, 5), dtype)[:0], c, False, False, accumulate
    )
    np.testing.assert_array_equal(c, 7.0 if accumulate else 0.0)


@pytest.mark.parametrize("m", [1, 3, 20, 600])
@pytest.mark.parametrize("tb", [False, True])
def test_nan_reaches_its_row_or_column_and_no_other(
    core: ModuleType, isa: str, dtype: str, m: int, tb: bool
) -> None:
    rng = np.random.default_rng(7)
    a, b = integers(rng, (m, 40), dtype), integers(rng, (40, 37), dtype)
    a[:, 3:5] = 1
    expected = a @ b
    a[m // 2, 11] = np.nan
    b[3:5, 35] = np.inf, -np.inf
    expected[m // 2] = expected[:, 35] = np.nan
    c = np.empty((m, 37), dtype)
    core.gemm(a, stored(b, tb), c, False, tb, False)
    np.testing.assert_array_equal(c, expected)


def test_rows_may_lie_apart(core: ModuleType, isa: str, dtype: str) -> None:
    rng = np.random.default_rng(8)
    for m, n, k in [(1, 20, 30), (30, 50, 300)]:
        a = integers(rng, (m, k + 3), dtype)[:, :k]
        b = integers(rng, (k, n + 5), dtype)[:, 2 : n + 2]
        wide = np.full((m, n + 4), np.nan, dtype)
        core.gemm(a, b, wide[:, :n])
        np.testing.assert_array_equal(wide[:, :n], a @ b)
        assert np.isnan(wide[:, n:]).all()


def test_shapes_that_do_not_agree_raise(core: ModuleType) -> None:
    c = np.zeros((2, 4), np.float32)
    with pytest.raises(ValueError, match="shapes"):
        core.gemm(np.ones((2, 3), np.float32), np.ones((5, 4), np.float32), c)
    np.testing.assert_array_equal(c, 0)


def test_an_unknown_level_raises(core: ModuleType) -> None:
    before = core.isa()
    with pytest.raises(ValueError, match=r"'v9'.*has: .*" + before):
        core.set_isa("v9")
    assert core.isa() == before


@pytest.mark.parametrize("count", [0, -1, 1025])
def test_a_number_of_threads_outside_its_range_raises(core: ModuleType, count: int) -> None:
    before = core.num_threads()
    with pytest.raises(ValueError, match="1 to 1024"):
        core.set_num_threads(count)
    assert core.num_threads() == before
