"""Denormal numbers count as 0 in native calls, in every thread, and as themselves afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from conftest import require_native

import pybp as bp

TINY = {"float32": 1e-39, "float64": 1e-310}


@pytest.fixture(autouse=True)
def _mode_is_put_back(dtype: str) -> Iterator[None]:
    require_native()
    yield
    tiny = np.full(64, TINY[dtype], dtype)
    assert (tiny * tiny.dtype.type(0.5) > 0).all(), "denormals are flushed outside of native calls"


def _net(dtype: str, *layers: bp.layers.Layer) -> bp.Sequential:
    net = bp.Sequential([*layers, bp.Linear(256, bias=False)], dtype=dtype, seed=0)
    net.backend = "native"
    net.build((256,))
    return net


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_read_and_written(threads: int, dtype: str) -> None:
    """1e-39 is read as 0; the square root of the smallest normal number, squared half, is 0."""
    net = _net(dtype)
    before = bp.num_threads()
    bp.set_num_threads(threads)
    try:
        net.params["0.weight"][...] = TINY[dtype]
        read = net.predict(np.ones((512, 256), dtype))
        small = np.sqrt(np.finfo(dtype).tiny) / 8
        net.params["0.weight"][...] = np.eye(256) * small
        written = net.predict(np.full((512, 256), small, dtype))
    finally:
        bp.set_num_threads(before)
    assert not read.any()
    assert not written.any()


def test_after_an_exception_in_a_layer(dtype: str) -> None:
    def fail(x: np.ndarray) -> np.ndarray:
        raise RuntimeError("the layer fails")

    net = _net(dtype, bp.Lambda(lambda x: fail(x) if len(x) == 3 else x, lambda x, dy: dy))
    with pytest.raises(RuntimeError, match="the layer fails"):
        net.predict(np.ones((3, 256), dtype))


def test_after_a_nan(dtype: str) -> None:
    net = _net(dtype)
    trainer = bp.Trainer(net, "mse", bp.SGD(0.1))
    with pytest.raises(FloatingPointError):
        trainer.step(np.full((4, 256), np.nan, dtype), np.zeros((4, 256), dtype))
