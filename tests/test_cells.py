"""Cells of any layers: against the recurrent layers that have kernels, differences, plain loops."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import require_native
from finite_difference import directional_difference
from tolerance import TRAINING, check_close

import pybp as bp
from pybp.backends.compare import Inputs, first_difference
from pybp.program import ops

FEATURES, UNITS, STEPS = 3, 4, 6
LENGTHS = np.array([4, 6, 1, 6, 3])


# ------------------------------------------------------------------------- cells written by hand


def _parts(z: Any, count: int) -> list[Any]:
    return [bp.Columns(k * UNITS, UNITS)(z) for k in range(count)]


def _products(x: Any, h: Any, gates: int) -> tuple[Any, Any]:
    wide = gates * UNITS
    return bp.Linear(wide, name="ih")(x), bp.Linear(wide, name="hh")(h)


def _rnn() -> bp.Cell:
    x, h = bp.Input((FEATURES,)), bp.Input((UNITS,))
    y = bp.Tanh()(bp.Add()([*_products(x, h, 1)]))
    return bp.Cell(x, h, y, y)


def _lstm() -> bp.Cell:
    x, h, c = bp.Input((FEATURES,)), bp.Input((UNITS,)), bp.Input((UNITS,))
    i, f, g, o = _parts(bp.Add()([*_products(x, h, 4)]), 4)
    kept = bp.Multiply()([bp.Sigmoid()(f), c])
    new_c = bp.Add()([kept, bp.Multiply()([bp.Sigmoid()(i), bp.Tanh()(g)])])
    new_h = bp.Multiply()([bp.Sigmoid()(o), bp.Tanh()(new_c)])
    return bp.Cell([x], [h, c], new_h, [new_h, new_c])


def _gru() -> bp.Cell:
    x, h = bp.Input((FEATURES,)), bp.Input((UNITS,))
    z, q = _products(x, h, 3)
    (z_r, z_u, z_n), (q_r, q_u, q_n) = _parts(z, 3), _parts(q, 3)
    r = bp.Sigmoid()(bp.Add()([z_r, q_r]))
    to_u = bp.Add()([z_u, q_u])
    n = bp.Tanh()(bp.Add()([z_n, bp.Multiply()([r, q_n])]))
    new = bp.Multiply()([bp.Sigmoid(slope=-1.0)(to_u), n])  # 1 - u
    y = bp.Add()([new, bp.Multiply()([bp.Sigmoid()(to_u), h])])
    return bp.Cell(x, h, y, y)


CELLS: dict[str, tuple[Callable[[], bp.Cell], type[Any], int]] = {  # by hand, with kernels, states
    "rnn": (_rnn, bp.RNN, 1),
    "lstm": (_lstm, bp.LSTM, 2),
    "gru": (_gru, bp.GRU, 1),
}
NAMES = {"weight_ih": "ih.weight", "bias_ih": "ih.bias", "weight_hh": "hh.weight"} | {
    "bias_hh": "hh.bias"
}


def _with_states(layer: Any, states: int, dtype: str) -> bp.Model:
    """Return a net from sequences and initial states to the outputs and the final states."""
    x = bp.Input((None, FEATURES))
    held = [bp.Input((UNITS,)) for _ in range(states)]
    start = held if len(held) > 1 else held[0]
    return bp.Model([x, *held], list(layer(x, initial_state=start)), dtype=dtype)


def _data(seed: int, states: int, dtype: str) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    n = len(LENGTHS)
    arrays = [rng.normal(size=(n, STEPS, FEATURES))]
    arrays += [rng.normal(size=(n, UNITS)) for _ in range(states)]
    arrays[0][np.arange(STEPS) >= LENGTHS[:, None]] = np.nan  # padding is never looked at
    return tuple(array.astype(dtype) for array in arrays)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_by_hand_is_the_layer_with_kernels(name: str, backend: str, dtype: str) -> None:
    """Values, final states, all gradients, with sequences of different lengths and a start."""
    make, fused, states = CELLS[name]
    net = _with_states(bp.Recurrent(make(), return_state=True, name="r"), states, dtype)
    other = _with_states(fused(UNITS, return_state=True, name="r"), states, "float64")
    for key, value in NAMES.items():
        net.params[f"r.{value}"] = np.random.default_rng(len(key)).normal(
            size=net.params[f"r.{value}"].shape
        )
        other.params[f"r.{key}_l0"] = net.params[f"r.{value}"]
    data = _data(1, states, dtype)
    rng = np.random.default_rng(2)
    found = net.forward(data, training=True, lengths={"input0": LENGTHS})
    with bp.use_backend("numpy"):
        expected = other.forward(data, training=True, lengths={"input0": LENGTHS})
        seeds = tuple(rng.normal(size=each.shape).astype(dtype) for each in expected)
        expected = (*expected, *other.backward(seeds))
    found = (*found, *net.backward(seeds))
    for k, (got, want) in enumerate(zip(found, expected, strict=True)):
        real = np.ones(got.shape, bool)
        if got.ndim == 3:
            real[np.arange(STEPS) >= LENGTHS[:, None]] = False
        check_close(got[real], want[real], dtype, UNITS * STEPS, TRAINING, f"{k}")
    for key, value in NAMES.items():
        got, want = net.grads[f"r.{value}"], other.grads[f"r.{key}_l0"]
        check_close(got, want, dtype, UNITS * STEPS * len(LENGTHS), TRAINING, key)


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_reverse_is_the_second_direction(name: str, sequences: bool, backend: str) -> None:
    make, fused, _ = CELLS[name]
    x = bp.Input((None, FEATURES))
    both = [
        bp.Recurrent(make(), reverse, return_sequences=sequences, name=f"r{int(reverse)}")(x)
        for reverse in (False, True)
    ]
    net = bp.Model(x, bp.Concat()(both), dtype="float64", seed=3)
    layer = bp.Bidirectional(fused(UNITS, return_sequences=sequences))
    other = bp.Sequential([layer], dtype="float64").build((None, FEATURES))
    for key, value in NAMES.items():
        for direction, suffix in enumerate(("", "_reverse")):
            other.params[f"0.{key}_l0{suffix}"] = net.params[f"r{direction}.{value}"]
    (x_data,) = _data(4, 0, "float64")
    found = net.forward(x_data, training=True, lengths=LENGTHS)
    expected = other.forward(x_data, training=True, lengths=LENGTHS)
    dy = np.random.default_rng(5).normal(size=expected.shape)
    real = np.ones(found.shape, bool)
    if sequences:
        real[np.arange(STEPS) >= LENGTHS[:, None]] = False
    check_close(found[real], expected[real], "float64", UNITS * STEPS, TRAINING)
    dx, wanted = net.backward(dy), other.backward(dy)
    there = np.arange(STEPS) < LENGTHS[:, None]
    check_close(dx[there], wanted[there], "float64", UNITS * STEPS, TRAINING)


# ----------------------------------------------------------------------------- the layer-norm LSTM


def _normalised(x: np.ndarray, weight: np.ndarray, bias: Any = 0.0) -> np.ndarray:
    centred = x - x.mean()
    return centred / np.sqrt(np.mean(centred**2) + 1e-5) * weight + bias


def _layer_norm_lstm(p: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return the states h of one sequence, by the equations 20-22 of the paper."""
    h, c, states = np.zeros(UNITS), np.zeros(UNITS), []
    for row in x:
        z = _normalised(row @ p["ih.weight"], p["norm_ih.weight"], p["norm_ih.bias"])
        z = z + _normalised(h @ p["hh.weight"], p["norm_hh.weight"])
        i, f, g, o = np.split(z, 4)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(_normalised(c, p["norm_c.weight"], p["norm_c.bias"])) / (1 + np.exp(-o))
        states.append(h)
    return np.array(states)


def _randomised(net: Any, seed: int = 7) -> Any:
    rng = np.random.default_rng(seed)
    for array in net.params.values():
        array[...] = rng.normal(size=array.shape)
    return net


def test_the_layer_norm_lstm_is_the_equations(backend: str, dtype: str) -> None:
    layer = bp.Recurrent(bp.layer_norm_lstm(FEATURES, UNITS), name="r")
    net = _randomised(bp.Sequential([layer], dtype=dtype).build((None, FEATURES)))
    (x,) = _data(8, 0, dtype)
    y = net.predict(x, lengths=LENGTHS)
    p = {name.removeprefix("r."): np.float64(array) for name, array in net.params.items()}
    for sample, length in enumerate(LENGTHS):
        expected = _layer_norm_lstm(p, np.float64(x[sample, :length]))
        check_close(y[sample, :length], expected, dtype, 4 * UNITS * STEPS, TRAINING)


# ------------------------------------------------------------------------------ finite differences


def _two_inputs() -> bp.Model:
    """Two sequences of equal lengths, one in reverse, a state that is no vector, shared weights."""
    a, b, s = bp.Input((2,)), bp.Input((3,)), bp.Input((2, 2))
    shared = bp.Linear(4, name="shared")
    h = bp.Tanh()(bp.Add()([shared(bp.Flatten()(s)), bp.Linear(4)(a)]))
    h = bp.Multiply()([h, bp.Sigmoid()(bp.Add()([shared(h), bp.Linear(4)(b)]))])
    cell = bp.Cell([a, b], s, bp.Linear(2)(h), bp.Reshape((2, 2))(h))
    p, q, start = bp.Input((None, 2)), bp.Input((None, 3)), bp.Input((2, 2))
    twice = bp.Recurrent(cell, name="r", return_state=True)
    y, last = twice([p, q], initial_state=start)
    z, end = twice([y, q], initial_state=[last])  # the same weights go on where they ended
    back = bp.Recurrent(cell, reverse=True, return_sequences=False)([z, q])
    return bp.Model([p, q, start], [back, end, z], dtype="float64")


def _two_layers() -> bp.Model:
    x = bp.Input((None, 3))
    cell = bp.layer_norm_lstm(3, 4)
    y = bp.Tanh()(bp.Linear(3)(bp.Recurrent(cell)(x)))
    y, h, c = bp.Recurrent(bp.layer_norm_lstm(3, 2), reverse=True, return_state=True)(y)
    return bp.Model(x, [y, h, c], dtype="float64")


def _handed_on() -> bp.Model:
    """States that are handed on as they are: a value of the step before, and of the input."""
    x, before, older = bp.Input((2,)), bp.Input((2,)), bp.Input((2,))
    y = bp.Linear(3)(bp.Concat()([x, bp.Multiply()([before, older])]))
    cell = bp.Cell(x, [before, older], y, [x, before])
    p = bp.Input((None, 2))
    return bp.Model(p, bp.Recurrent(cell)(p), dtype="float64")


def _pictures() -> bp.Model:
    """A state of pictures, between convolutions (Shi et al. 2015), and a pool that notes maxima."""
    x, h = bp.Input((4, 4, 2)), bp.Input((4, 4, 3))
    z = bp.Conv2d(6, 3, padding=1)(bp.Concat()([x, h]))
    gated = bp.Multiply()([bp.Sigmoid()(bp.Columns(0, 3)(z)), bp.Tanh()(bp.Columns(3, 3)(z))])
    new = bp.LayerNorm()(bp.Add()([gated, h]))
    cell = bp.Cell(x, h, bp.Flatten()(bp.MaxPool2d(2)(new)), new)
    p = bp.Input((None, 4, 4, 2))
    return bp.Model(p, bp.Recurrent(cell)(p), dtype="float64")


NETS = {
    "pictures": _pictures,
    "two inputs": _two_inputs,
    "two layers": _two_layers,
    "handed on": _handed_on,
}


def _without_padding(array: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return an array with 0 behind the ends of sequences, which alone have 5 steps here."""
    if array.ndim < 3 or array.shape[:2] != (3, 5):
        return array
    there = np.arange(5) < lengths[:, None]
    return array * there.reshape(3, 5, *(1,) * (array.ndim - 2))


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_finite_differences(name: str) -> None:
    with bp.use_backend("numpy"):
        net = _randomised(NETS[name]())
        rng = np.random.default_rng(9)
        shapes = [port.shape for port in net.recipe.ports]
        data = [
            rng.normal(size=(3, *(5 if size is None else size for size in shape)))
            for shape in shapes
        ]
        given: Any = tuple(data) if len(data) > 1 else data[0]
        lengths = np.array([2, 5, 3])
        several = {f"input{k}": lengths for k in range(2)}
        told: Any = several if len(data) > 1 else lengths

        def outputs() -> tuple[np.ndarray, ...]:
            y = net.forward(given, training=True, lengths=told)
            return y if isinstance(y, tuple) else (y,)

        seeds = tuple(rng.normal(size=y.shape) for y in outputs())
        seeds = tuple(_without_padding(seed, lengths) for seed in seeds)

        def loss() -> float:
            return sum(float(np.sum(y * seed)) for y, seed in zip(outputs(), seeds, strict=True))

        loss()
        gradients = net.backward(seeds if len(seeds) > 1 else seeds[0])
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        found = [*zip(data, gradients, strict=True)]
        found += [(net.params[key], net.grads[key].copy()) for key in net.params]
        for array, gradient in found:
            assert np.any(gradient)
            direction = _without_padding(rng.normal(size=array.shape), lengths)
            expected = directional_difference(loss, array, direction)
            got = float(np.sum(gradient * direction))
            size = max(abs(expected), float(np.sum(np.abs(gradient * direction))))
            assert abs(got - expected) <= 1e-8 * size


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_both_backends_agree_op_by_op(name: str, training: bool) -> None:
    require_native()
    net = _randomised(NETS[name]())
    made = net.recipe.gradient(training=training)
    program = made.program
    rng = np.random.default_rng(10)
    lengths = np.array([2, 5, 0, 3])
    spans = [(np.cumsum(lengths) - lengths, lengths)] * len(program.packings)
    sizes = {ops.N: 4, ops.packed(0): 10}
    values = {
        name: rng.normal(size=program.buffers[name].full_shape(sizes))
        for name in (*made.inputs, *made.seeds)
    }
    fixed = {b.name: rng.normal(size=b.shape) for b in program.of_role("param", "grad")}
    assert first_difference(program, Inputs(fixed, values, 4, spans=spans)) is None


def test_a_net_with_cells_is_saved_and_pickled(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    rng = np.random.default_rng(12)
    x = rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 5, 3)), rng.normal(size=(3, 2, 2))
    net = _randomised(_two_inputs())
    path = tmp_path / "net.safetensors"
    net.save(path)
    for other in (bp.load(path), pickle.loads(pickle.dumps(net))):
        assert list(other.params) == list(net.params)
        for got, want in zip(other.predict(x), net.predict(x), strict=True):
            np.testing.assert_array_equal(got, want)
