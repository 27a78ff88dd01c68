"""Online training: one pass over the first weight updates it and computes the next row's output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import require_native
from tolerance import TRAINING, check_close

import pybp as bp

SIZES = [(3, 1, 2), (1, 5, 3), (17, 130, 3), (300, 77, 5), (784, 40, 10), (600, 1000, 4)]
ROWS = 12


def _data(features: int, classes: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS, features))
    x[rng.random(x.shape) < 0.3] = 0  # rows of the weight that a step leaves alone
    return x.astype(dtype), rng.integers(0, classes, ROWS)


def _net(size: tuple[int, int, int], dtype: str) -> bp.Sequential:
    _, hidden, classes = size
    return bp.Sequential([bp.Linear(hidden), bp.Tanh(), bp.Linear(classes)], dtype=dtype, seed=3)


def _fit(net: bp.Sequential, x: Any, y: np.ndarray, decay: float, **arguments: Any) -> bp.History:
    optimizer = bp.SGD(0.05, weight_decay=decay)
    given = {"epochs": 2, "batch_size": 1, "shuffle": False, "verbose": 0, **arguments}
    return net.fit(x, y, loss="cross_entropy", optimizer=optimizer, **given)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_fit_has_the_bits_of_single_steps(
    size: tuple[int, int, int], decay: float, threads: int, dtype: str
) -> None:
    require_native()
    x, y = _data(size[0], size[2], dtype)
    nets = [_net(size, dtype) for _ in range(3)]
    before = bp.num_threads()
    try:
        bp.set_num_threads(threads)
        history = _fit(nets[0], x, y, decay).history["loss"]
        trainer = bp.Trainer(nets[1], "cross_entropy", bp.SGD(0.05, weight_decay=decay))
        for _ in range(2):
            for k in range(ROWS):
                trainer.step(x[k : k + 1], y[k : k + 1])
    finally:
        bp.set_num_threads(before)
    assert nets[0].params.flat.tobytes() == nets[1].params.flat.tobytes()
    with bp.use_backend("numpy"):
        expected = _fit(nets[2], x, y, decay).history["loss"]
    check_close(np.array(history), np.array(expected), dtype, size[0], TRAINING)


def test_rows_in_any_order_and_of_any_dtype(dtype: str) -> None:
    """Rows that must be converted first can't be read where they lie: these go the long way."""
    require_native()
    x = np.random.default_rng(0).integers(0, 255, (ROWS, 20)).astype(np.uint8)
    y = np.random.default_rng(1).integers(0, 3, ROWS)
    nets = [_net((20, 9, 3), dtype) for _ in range(2)]
    _fit(nets[0], x, y, 0.0, shuffle=True)
    _fit(nets[1], x.astype(dtype), y, 0.0, shuffle=True)
    assert nets[0].params.flat.tobytes() == nets[1].params.flat.tobytes()


def test_a_nan_in_the_next_row_stops_at_its_own_step(dtype: str) -> None:
    require_native()
    x, y = _data(20, 3, dtype)
    x[5, 7] = np.nan
    nets = [_net((20, 9, 3), dtype) for _ in range(2)]
    with pytest.raises(FloatingPointError, match="training step 5"):
        _fit(nets[0], x, y, 0.0)
    _fit(nets[1], x[:5], y[:5], 0.0, epochs=1)
    assert nets[0].params.flat.tobytes() == nets[1].params.flat.tobytes()
