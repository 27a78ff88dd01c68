"""Nets with cells of any layers: training, what holds for every net, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import require_native
from tolerance import TRAINING, check_close

import pybp as bp
from pybp.program.program import Program


def _net(dtype: str = "float32", *, dropout: float = 0.0, units: int = 8) -> bp.Sequential:
    x, h = bp.Input((2,)), bp.Input((units,))
    dropped = bp.Dropout(dropout)(h) if dropout else h
    next_h = bp.Tanh()(bp.Add()([bp.Linear(units)(x), bp.Linear(units)(dropped)]))
    cell = bp.Cell(x, h, next_h, next_h)
    return bp.Sequential([bp.Recurrent(cell, return_sequences=False), bp.Linear(1)], dtype=dtype)


def _sums(n: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return sequences of different lengths, and the difference of the sums of their columns."""
    rng = np.random.default_rng(11)
    x = [rng.uniform(-1, 1, (int(steps), 2)) for steps in rng.integers(1, 12, n)]
    return x, np.array([[each[:, 0].sum() - each[:, 1].sum()] for each in x])


@pytest.mark.parametrize("keep_grads", [True, False])
def test_training_goes_down(backend: str, keep_grads: bool) -> None:
    x, y = _sums(64)
    net = _net()
    trainer = bp.Trainer(net, "mse", bp.Adam(lr=0.01), keep_grads=keep_grads)
    first = net.evaluate(x, y, loss="mse")["loss"]
    trainer.fit(x, y, epochs=15 if backend == "numpy" else 60, batch_size=16, verbose=0)
    assert net.evaluate(x, y, loss="mse")["loss"] < first / 3


def test_training_is_the_same_in_both_backends() -> None:
    require_native()
    x, y = _sums(24)
    losses = []
    for name in ("numpy", "native"):
        with bp.use_backend(name):
            net = _net("float64", dropout=0.3)
            history = net.fit(
                x, y, loss="mse", optimizer=bp.SGD(lr=0.05), epochs=3, batch_size=7, verbose=0
            )
            losses.append(history.history["loss"])
    check_close(np.array(losses[1]), np.array(losses[0]), "float64", 24 * 12, TRAINING)


def test_one_row_with_plain_sgd(backend: str) -> None:
    """The update is not fused into gradients that several steps add up."""
    x, y = _sums(4)
    nets = [_net("float64") for _ in range(2)]
    nets[0].fit(x, y, loss="mse", optimizer=bp.SGD(lr=0.1), epochs=2, batch_size=1, verbose=0)
    trainer = bp.Trainer(nets[1], "mse", bp.SGD(lr=0.1), keep_grads=True)
    trainer.fit(x, y, epochs=2, batch_size=1, verbose=0)
    for name, array in nets[0].params.items():
        np.testing.assert_array_equal(array, nets[1].params[name])


def test_a_row_alone_is_the_row_in_a_batch(backend: str) -> None:
    net = bp.Sequential([bp.Recurrent(bp.layer_norm_lstm(2, 9)), bp.Linear(2)])
    x, _ = _sums(20)
    whole = net.predict(x)
    if backend == "native":  # NumPy's products depend on the number of rows
        for k, each in enumerate(x):
            np.testing.assert_array_equal(net.predict([each])[0], whole[k])


def test_the_bits_do_not_depend_on_the_threads() -> None:
    require_native()
    x, y = _sums(40)
    before, found = bp.num_threads(), []
    try:
        for threads in (1, 2, 3):
            bp.set_num_threads(threads)
            with bp.use_backend("native"):
                net = _net(units=70)
                net.fit(
                    *(x, y), loss="mse", optimizer=bp.Adam(), epochs=2, batch_size=32, verbose=0
                )
                found.append(np.concatenate([array.ravel() for array in net.params.values()]))
    finally:
        bp.set_num_threads(before)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_dropout_drops_the_same_units_at_every_step(backend: str) -> None:
    x, s = bp.Input((50,)), bp.Input((50,))
    kept = bp.Dropout(0.5)(x)
    cell = bp.Cell(x, s, bp.Add()([kept, s]), bp.Multiply()([s, s]))
    net = bp.Sequential([bp.Recurrent(cell)])
    y = net.forward(np.ones((4, 6, 50)), training=True)
    assert 0.3 < np.mean(y == 0) < 0.7
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    assert np.all(net.predict(np.ones((4, 6, 50))) == 1)


def test_not_a_number_travels_through_its_own_sequence_alone(backend: str) -> None:
    net = _net()
    x, _ = _sums(5)
    clean = net.predict(x)
    x[2][0, 0] = np.nan
    y = net.predict(x)
    assert np.isnan(y[2]).all()
    np.testing.assert_array_equal(np.delete(y, 2, 0), np.delete(clean, 2, 0))


# ----------------------------------------------------------------------------------------- errors


def _simple(layer: Any = None) -> bp.Cell:
    x, h = bp.Input((2,)), bp.Input((3,))
    y = bp.Add()([bp.Linear(3)(x), h])
    y = layer(y) if layer is not None else y
    return bp.Cell(x, h, y, y)


@pytest.mark.parametrize(
    "layer", [bp.BatchNorm(), bp.LSTM(3), bp.Bidirectional(bp.RNN(3)), bp.Embedding(4, 3)]
)
def test_layers_that_look_at_more_than_a_step_are_refused(layer: Any) -> None:
    with pytest.raises(ValueError, match=f"{type(layer).__name__}.* can't stand in a cell"):
        _simple(layer)


def test_a_cell_in_a_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="can't stand in a cell"):
        _simple(bp.Recurrent(_simple()))


def test_wrong_arguments_of_a_cell_are_refused() -> None:
    x, h, many = bp.Input((2,)), bp.Input((2,)), bp.Input((None, 2))
    y, joined = bp.Add()([x, h]), bp.Concat()([many, h])
    with pytest.raises(ValueError, match="at least one input and one state"):
        bp.Cell(x, [], y, [])
    with pytest.raises(ValueError, match="of 1 states has as many next, got 2"):
        bp.Cell(x, h, y, [y, y])
    with pytest.raises(TypeError, match=r"bp.Input\(...\) each, got <value"):
        bp.Cell(y, h, y, y)
    with pytest.raises(TypeError, match="what layers have returned, got 3"):
        bp.Cell(x, h, 3, y)
    with pytest.raises(ValueError, match="does not depend on the input"):
        bp.Cell(x, h, bp.Tanh()(x), bp.Tanh()(x))
    with pytest.raises(ValueError, match="sizes alone"):
        bp.Cell(many, h, joined, joined)
    with pytest.raises(TypeError, match=r"Recurrent takes a bp\.Cell, got RNN"):
        bp.Recurrent(bp.RNN(3))


def test_wrong_calls_of_the_layer_are_refused() -> None:
    layer = bp.Recurrent(_simple())
    x = bp.Input((None, 2))
    with pytest.raises(ValueError, match="the cell has 1 inputs, got 2"):
        layer([x, x])
    with pytest.raises(ValueError, match="the cell has 1 states, got 2"):
        layer(x, initial_state=[x, x])
    with pytest.raises(TypeError, match=r"net\.predict takes arrays"):
        layer(np.ones((2, 3, 2)))
    h = bp.Input((4,))
    y = layer(x, initial_state=h)
    with pytest.raises(ValueError, match=r"a state of the cell is \(3,\) for each sample, got"):
        bp.Model([x, h], y)
    with pytest.raises(ValueError, match=r"0.input0 \(Input\) takes samples of shape \(2,\), got"):
        bp.Sequential([layer]).build((None, 5))


def test_a_state_that_changes_its_shape_is_refused() -> None:
    x, h = bp.Input((2,)), bp.Input((3,))
    y = bp.Linear(4)(bp.Concat()([x, h]))
    with pytest.raises(ValueError, match=r"a state of \(3,\) can't become \(4,\)"):
        bp.Sequential([bp.Recurrent(bp.Cell(x, h, y, y))]).build((None, 2))


def test_the_program_of_a_loop_prints_its_ops() -> None:
    program: Program = bp.Sequential([bp.Recurrent(_simple())]).build((None, 2)).program
    assert "0.y2 (p, 3) = loop(x, 0.0.weight" in str(program)
