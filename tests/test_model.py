"""Graphs: Model, shared values and layers, running statistics, copies and files."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from finite_difference import directional_difference

import pybp as bp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 8, 6, 3))
Y = np.arange(5) % 2


def _residual(
    dtype: str = "float64", act: bp.layers.Layer | None = None, **arguments: object
) -> bp.Model:
    """Return a small net with two residual blocks, one of them with a convolution beside."""
    x = bp.Input((8, 6, 3))
    act = act or bp.ReLU()
    h = act(bp.BatchNorm()(bp.Conv2d(4, 3, padding="same", bias=False)(x)))
    for stride in (1, 2):
        inner = act(bp.BatchNorm()(bp.Conv2d(4, 3, stride, padding=1)(h)))
        inner = bp.BatchNorm()(bp.Conv2d(4, 3, padding="same")(inner))
        beside = h if stride == 1 else bp.Conv2d(4, 1, stride, name="beside")(h)
        h = act(bp.Add()([inner, beside]))
    out = bp.Linear(2, name="head")(bp.GlobalAvgPool2d()(h))
    return bp.Model(inputs=x, outputs=out, dtype=dtype, **arguments)


def _check_gradients(net: bp.Model, x: np.ndarray) -> None:
    x = x.copy()
    weight = RNG.normal(size=net.forward(x).shape)

    def value() -> float:
        return float(np.sum(net.forward(x, training=True) * weight))

    net.forward(x, training=True)
    dx = net.backward(weight)
    analytic = {name: net.grads[name].copy() for name in net.params}
    for name, array in {**dict(net.params), "x": x}.items():
        direction = RNG.normal(size=array.shape)
        expected = directional_difference(value, array, direction)
        terms = (dx if name == "x" else analytic[name]) * direction
        assert abs(terms.sum() - expected) <= 1e-8 * max(np.abs(terms).sum(), 1e-1), name


def test_a_residual_net_against_finite_differences(backend: str) -> None:
    _check_gradients(_residual(act=bp.Tanh()), X)  # a kink would spoil the differences


def _twice() -> bp.Model:
    x = bp.Input((4,))
    layer, norm = bp.Linear(4), bp.BatchNorm()
    return bp.Model(x, bp.Add()([norm(bp.Tanh()(layer(x))), norm(layer(x)), x]), dtype="float64")


def _activated_and_bare() -> bp.Model:
    x = bp.Input((4,))
    h = bp.Linear(4)(x)
    same = bp.Identity()(h)
    return bp.Model(x, bp.Add()((bp.Sigmoid()(same), h, h)), dtype="float64")


def _input_twice() -> bp.Model:
    x = bp.Input((4,))
    return bp.Model([x], [bp.Add()([x, x])], dtype="float64")


@pytest.mark.parametrize("make", [_twice, _activated_and_bare, _input_twice])
def test_shared_values_and_layers_against_finite_differences(
    make: Callable[[], bp.Model], backend: str
) -> None:
    _check_gradients(make(), RNG.normal(size=(6, 4)))


def test_no_activation_is_fused_into_a_value_with_other_readers(backend: str) -> None:
    x = RNG.normal(size=(6, 4))
    net = _activated_and_bare()
    h = x @ net.params["0.weight"] + net.params["0.bias"]
    np.testing.assert_allclose(net.predict(x), 1 / (1 + np.exp(-h)) + 2 * h, rtol=1e-12)
    np.testing.assert_allclose(_input_twice().predict(x), 2 * x)


def test_names_are_given_or_the_order_of_first_use() -> None:
    x = bp.Input((4,))
    shared, named = bp.Linear(4), bp.Linear(4, name="middle")
    first = shared(x)
    out = bp.Linear(2)(shared(bp.ReLU()(named(first))))
    net = bp.Model(x, out)
    assert list(net.params) == [
        "0.weight", "0.bias", "middle.weight", "middle.bias", "3.weight", "3.bias",
    ]  # fmt: skip
    assert [type(layer).__name__ for layer in net.layers] == [
        "Input", "Linear", "Linear", "ReLU", "Linear",
    ]  # fmt: skip
    assert net.layers[1] is shared


def test_values_that_do_not_lead_to_the_output_are_left_out() -> None:
    x = bp.Input((4,))
    bp.Linear(100)(x)
    net = bp.Model(x, bp.Linear(2)(x))
    assert list(net.params) == ["0.weight", "0.bias"]


def test_a_model_of_a_chain_is_a_sequential(backend: str) -> None:
    layers = [bp.Conv2d(4, 3), bp.ReLU(), bp.MaxPool2d(2), bp.Flatten(), bp.Linear(2)]
    x = bp.Input((8, 6, 3))
    h: object = x
    for layer in layers:
        h = layer(h)
    one, two = bp.Model(x, h), bp.Sequential(layers)
    for net in (one, two):
        net.fit(X, Y, loss="cross_entropy", optimizer="adam", epochs=2, batch_size=2, verbose=0)
    assert one.params.flat.tobytes() == two.params.flat.tobytes()
    assert one.predict(X).tobytes() == two.predict(X).tobytes()


def test_channels_first_in_a_model(backend: str) -> None:
    x = bp.Input((3, 8, 6), layout="channels_first")
    net = bp.Model(x, bp.GlobalAvgPool2d()(bp.Add()([x, bp.Conv2d(3, 1)(x)])))
    assert net.input_shape == (3, 8, 6)
    net.forward(np.moveaxis(X, -1, 1))
    assert net.backward(np.ones((5, 3))).shape == (5, 3, 8, 6)


def test_the_summary_tells_what_is_read() -> None:
    net = _residual()
    lines = net.summary().splitlines()
    assert len(lines) == 2 + len(net.graph.nodes) + 2
    assert [line for line in lines if "Add() of 6, 2" in line]
    count = sum(array.size for array in net.params.values())
    assert f"input (n, 8, 6, 3), {count} parameters, float64" in lines[-1]


def test_a_graph_may_be_deep() -> None:
    """Deeper than Python's recursion goes."""
    x = bp.Input((2,))
    h: object = x
    for _ in range(3000):
        h = bp.Identity()(h)
    net = bp.Model(x, h)
    assert len(pickle.loads(pickle.dumps(net)).layers) == 3001


# ------------------------------------------------------------------- running statistics


def _arrays(net: bp.layers.Layer) -> bytes:
    return net.params.flat.tobytes() + net.buffers.flat.tobytes()


FIT = {"loss": "cross_entropy", "optimizer": bp.Adam(0.05), "batch_size": 3, "verbose": 0}


def test_buffers_are_a_mapping_with_a_check_of_the_shape(backend: str) -> None:
    net = _residual()
    assert net.buffers["1.running_mean"].tolist() == [0] * 4
    assert net.buffers["1.running_var"].tolist() == [1] * 4
    net.buffers["1.running_mean"] = [1, 2, 3, 4]
    assert net.buffers["1.running_mean"].tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"1.running_mean has shape \(4,\), got .* \(3,\)"):
        net.buffers["1.running_mean"] = np.zeros(3)
    with pytest.raises(KeyError, match="running_var"):
        net.buffers["1.weight"]


def test_only_training_changes_buffers(backend: str) -> None:
    net = _residual()
    before = net.buffers.flat.copy()
    net.predict(X)
    net.forward(X)
    net.backward(np.ones((5, 2)))
    net.evaluate(X, Y, loss="cross_entropy")
    np.testing.assert_array_equal(net.buffers.flat, before)
    net.forward(X, training=True)
    trained = net.buffers.flat.copy()
    assert (trained != before).any()
    net.backward(np.ones((5, 2)))
    bp.SGD(0.1).step(net)
    net.reset_optimizer()
    np.testing.assert_array_equal(net.buffers.flat, trained)
    bp.Trainer(net, "cross_entropy", "sgd").step(X, Y)
    assert (net.buffers.flat != trained).any()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_go_on_as_the_original(copied: Callable[[bp.Model], bp.Model], backend: str) -> None:
    net = _residual()
    net.fit(X, Y, epochs=2, **FIT)
    twin = copied(net)
    assert _arrays(net) == _arrays(twin)
    for one in (net, twin):
        one.fit(X, Y, epochs=2, **FIT)
    assert _arrays(net) == _arrays(twin)
    assert net.predict(X).tobytes() == twin.predict(X).tobytes()


def test_files_hold_graph_parameters_and_buffers(tmp_path: Path, backend: str, dtype: str) -> None:
    net = _residual(dtype, seed=7)
    net.fit(X, Y, epochs=2, **FIT)
    net.save(tmp_path / "net.safetensors")
    again = bp.load(tmp_path / "net.safetensors")
    assert isinstance(again, bp.Model)
    assert _arrays(again) == _arrays(net)
    assert again.summary() == net.summary()
    assert (again.seed, again.state.epochs) == (7, 2)
    assert again.predict(X).tobytes() == net.predict(X).tobytes()
    assert set(bp.load_arrays(tmp_path / "net.safetensors")) == {*net.params, *net.buffers}


def test_a_shared_layer_is_shared_in_a_file(tmp_path: Path, backend: str) -> None:
    net = _twice()
    net.save(tmp_path / "net.safetensors")
    again = bp.load(tmp_path / "net.safetensors")
    x = RNG.normal(size=(3, 4))
    assert len(again.layers) == len(net.layers) == 5
    np.testing.assert_array_equal(again.predict(x), net.predict(x))


def test_early_stopping_restores_buffers_with_parameters(backend: str) -> None:
    net = _residual()
    seen = []

    class Record(bp.Callback):
        def on_epoch_end(self, trainer: bp.Trainer, epoch: int, logs: dict[str, float]) -> None:
            seen.append(_arrays(net))
            logs["val_loss"] = [1.0, 0.5, 0.7, 0.9][epoch]

    net.fit(X, Y, epochs=4, callbacks=[Record(), bp.EarlyStopping(patience=5)], **FIT)
    assert len(set(seen)) == 4
    assert _arrays(net) == seen[1]


ONE = RNG.normal(size=(1, 4))


@pytest.mark.parametrize(
    "call",
    [
        lambda net: net.forward(ONE, training=True),
        lambda net: bp.Trainer(net, "mse", "sgd").step(ONE, ONE),
        lambda net: net.fit(
            np.ones((7, 4)), np.ones((7, 4)), loss="mse", optimizer="sgd", epochs=1, batch_size=3
        ),
        lambda net: net.fit(ONE, ONE, loss="mse", optimizer="sgd", epochs=1),
    ],
)
def test_one_value_a_channel_is_refused_before_anything_changes(
    call: Callable[[bp.Model], object], backend: str
) -> None:
    net = _twice()
    before = _arrays(net)
    with pytest.raises(ValueError, match=r"one value a channel.*last batch of a fit"):
        call(net)
    assert _arrays(net) == before
    assert net.state.steps == 0
    assert net.predict(ONE).shape == (1, 4)
    net.forward(np.ones((2, 4)), training=True)


def test_one_row_with_several_places_is_enough(backend: str) -> None:
    net = _residual()
    net.forward(X[:1], training=True)
    bp.Trainer(net, "cross_entropy", "sgd").step(X[:1], Y[:1])
