"""The vector maths against mpmath: the error bounds that docs/numerics.md states."""

from __future__ import annotations

from types import ModuleType

import mpmath
import numpy as np
import pytest
from vector_maths import BOUNDS, EXACT, NAN, SPECIAL, cases, error_in_ulps


@pytest.mark.parametrize("name", BOUNDS)
def test_error_bound(core: ModuleType, isa: str, dtype: str, name: str) -> None:
    x, exact = cases(name, dtype)
    assert len(x) > 1000
    got = core.vector_math(name, x)
    assert np.isfinite(got).all()
    errors = error_in_ulps(got, exact)
    worst = int(errors.argmax())
    assert errors[worst] <= BOUNDS[name], (
        f"{name}({x[worst]!r}) = {got[worst]!r}: {errors[worst]:.2f} ulp off"
    )


@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(core: ModuleType, isa: str, dtype: str, name: str) -> None:
    x, expected = (
        np.array(column, dtype) for column in zip(*SPECIAL[name], (NAN, NAN), strict=True)
    )
    got = core.vector_math(name, x)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.signbit(got[:-1]), np.signbit(expected[:-1]))


@pytest.mark.parametrize("name", ["exp", "log", "sigmoid"])
def test_denormal_numbers(core: ModuleType, isa: str, dtype: str, name: str) -> None:
    info = np.finfo(dtype)
    tiny = np.linspace(0, float(info.tiny), 50, endpoint=False)[1:]
    x = (tiny if name == "log" else np.log(tiny)).astype(dtype)
    got = core.vector_math(name, x)
    exact = [EXACT[name](mpmath.mpf(float(value))) for value in x]
    # Two roundings into the denormal range: the result's own and that of the scaling.
    assert error_in_ulps(got, exact).max() <= 2


@pytest.mark.parametrize("name", BOUNDS)
def test_every_length_and_no_more(core: ModuleType, isa: str, dtype: str, name: str) -> None:
    """The bits of an element depend on nothing but its value: not on its place in a vector."""
    x = np.linspace(0.1, 2, 70).astype(dtype)
    whole = core.vector_math(name, x)
    for count in range(70):
        assert core.vector_math(name, x[:count]).tobytes() == whole[:count].tobytes()


@pytest.mark.parametrize("name", BOUNDS)
def test_monotone_where_it_counts(core: ModuleType, isa: str, dtype: str, name: str) -> None:
    """No visible steps where the polynomials change over (multiples of ln 2, powers of 2)."""
    x = np.linspace(0.01, 3, 5000).astype(dtype)
    steps = np.diff(core.vector_math(name, x).astype(np.float64))
    assert (steps >= 0).all()


def test_an_unknown_name_raises(core: ModuleType) -> None:
    with pytest.raises(ValueError, match="'cosh'"):
        core.vector_math("cosh", np.zeros(1, np.float32))
