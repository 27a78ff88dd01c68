"""Fixtures of the worked examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from golden.helpers import assert_close


@pytest.fixture
def close(dtype: str) -> Callable[..., None]:
    """Return ``assert_close`` for the number type of the test."""
    return partial(assert_close, dtype=dtype)


@pytest.fixture
def array(dtype: str) -> Callable[[Any], np.ndarray]:
    """Return a function that makes an array of the number type of the test."""
    return partial(np.array, dtype=dtype)


@pytest.fixture
def sequential(backend: str, dtype: str) -> Callable[..., Any]:
    """Return a function that builds a net and sets ALL its parameters to given values.

    It takes the layers, the shape of one input, and the parameters by name; further arguments go
    to ``Sequential``.
    """
    import pybp as bp

    def make(
        layers: list[Any], inputs: tuple[int | None, ...], params: Mapping[str, Any], **options: Any
    ) -> Any:
        net = bp.Sequential(layers, dtype=dtype, **options)
        net.build(inputs)
        return set_all(net, params)

    return make


@pytest.fixture
def model(backend: str, dtype: str) -> Callable[..., Any]:
    """Return a function that makes a ``Model`` and sets ALL its parameters to given values.

    It takes the inputs, the outputs, and the parameters by name.
    """
    import pybp as bp

    def make(inputs: Any, outputs: Any, params: Mapping[str, Any]) -> Any:
        return set_all(bp.Model(inputs, outputs, dtype=dtype), params)

    return make


def set_all(net: Any, params: Mapping[str, Any]) -> Any:
    """Set all parameters of a net; return the net."""
    assert set(net.params) == set(params), "every parameter of the example must be given"
    for name, value in params.items():
        net.params[name] = np.asarray(value, dtype=net.dtype)
    return net
