"""Frozen layers, rates of layers, and nets that share their arrays."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import pybp as bp

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(24, 4)), rng.integers(0, 3, 24)
both = pytest.mark.parametrize("backend", ["native", "numpy"])


def make_net(backend=None, **scales):
    layers = [
        bp.Linear(6, lr_scale=scales.get("first", 1.0)),
        bp.BatchNorm(),
        bp.Tanh(),
        bp.Linear(3, lr_scale=scales.get("last", 1.0)),
    ]
    return bp.Sequential(layers, backend=backend, dtype="float64").build((4,))


def fit(net, optimizer="adam", **arguments):
    plan = {"epochs": 2, "batch_size": 8, "verbose": 0}
    return net.fit(X, Y, loss="cross_entropy", optimizer=optimizer, **plan, **arguments)


@both
@pytest.mark.parametrize("layer", ["0", "1", "3"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
def test_frozen_layer_stays_as_it_is(backend, layer, optimizer):
    net = make_net(backend)
    assert net.trainable(layer) is True
    assert net.trainable(layer, False) is False
    before = {name: array.copy() for name, array in net.params.items()}
    running = net.buffers["1.running_mean"].copy()
    fit(net, optimizer, clip_norm=0.5, l2=0.1)
    for name, array in before.items():
        same = np.array_equal(net.params[name], array)
        assert same == name.startswith(f"{layer}."), name
        assert (not net.grads[name].any()) == same
    assert not np.array_equal(net.buffers["1.running_mean"], running)


@both
def test_steps_by_hand_leave_frozen_layers_alone(backend):
    net = make_net(backend)
    net.trainable("3", False)
    before = net.params["3.weight"].copy()
    net.backward(np.ones_like(net.forward(X, training=True)))
    assert not net.grads["3.weight"].any()
    assert net.grads["0.weight"].any()
    bp.Adam().step(net)
    np.testing.assert_array_equal(net.params["3.weight"], before)


def test_thawed_layer_is_trained_again_and_its_momentum_waits():
    net = make_net()
    trainer = bp.Trainer(net, "cross_entropy", bp.SGD(0.1, momentum=0.9))
    trainer.step(X, Y)
    velocity = net.state.moments["v"].copy()
    net.trainable("0", False)
    before = net.params["0.weight"].copy()
    trainer.step(X, Y)
    view = net.state.layout.view
    np.testing.assert_array_equal(
        view(net.state.moments["v"], "0.weight"), view(velocity, "0.weight")
    )
    np.testing.assert_array_equal(net.params["0.weight"], before)
    net.trainable("0", True)
    trainer.step(X, Y)
    assert not np.array_equal(net.params["0.weight"], before)


@both
def test_frozen_first_layers_get_the_gradients_of_a_net_without_them(backend):
    """The gradients of the others are those of the whole net, bit for bit."""
    net, whole = make_net(backend), make_net(backend)
    net.trainable("0", False)
    for one in (net, whole):
        one.dx = one.backward(np.ones_like(one.forward(X, training=True)))
    np.testing.assert_array_equal(net.dx, whole.dx)
    for name in ("1.weight", "3.weight", "3.bias"):
        np.testing.assert_array_equal(net.grads[name], whole.grads[name])


@pytest.mark.parametrize("layer", [
    bp.Conv2d(2, 2), bp.ConvTranspose2d(2, 2), bp.LayerNorm(), bp.BatchNorm(),
])  # fmt: skip
@both
def test_every_kind_of_layer_can_be_frozen(layer, backend):
    net = bp.Sequential([bp.Conv2d(2, 1), layer, bp.Flatten(), bp.Linear(1)], backend=backend)
    x = rng.normal(size=(5, 4, 4, 2))
    net.build((4, 4, 2))
    net.trainable("1", False)
    before = {name: array.copy() for name, array in net.params.items()}
    net.fit(x, x[:, 0, 0, :1], loss="mse", optimizer="sgd", epochs=2, verbose=0)
    for name, array in before.items():
        assert np.array_equal(net.params[name], array) == name.startswith("1.")


@pytest.mark.parametrize("frozen", ["0", "1", "2"])
@both
def test_recurrent_layers_and_embeddings_can_be_frozen(frozen, backend):
    net = bp.Sequential(
        [bp.Embedding(7, 3), bp.GRU(4, return_sequences=False), bp.Linear(1)], backend=backend
    )
    ids = rng.integers(0, 7, (6, 5))
    net.build((None,))
    net.trainable(frozen, False)
    before = {name: array.copy() for name, array in net.params.items()}
    net.fit(ids, np.ones((6, 1)), loss="mse", optimizer="adam", epochs=2, verbose=0)
    for name, array in before.items():
        assert np.array_equal(net.params[name], array) == name.startswith(f"{frozen}."), name


def test_copies_and_files_know_what_is_frozen(tmp_path):
    net = make_net()
    net.trainable("0", False)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert not twin.trainable("0")
        assert twin.trainable("3")
    pytest.importorskip("safetensors")
    net.save(tmp_path / "net.safetensors")
    assert not bp.load(tmp_path / "net.safetensors").trainable("0")


def test_nested_nets_are_frozen_as_a_whole():
    body = bp.Sequential([bp.Linear(5), bp.Tanh(), bp.Linear(4)])
    net = bp.Sequential([body, bp.Linear(1)]).build((4,))
    net.trainable("0", False)
    assert [net.trainable(name) for name in ("0.0", "0.2", "1")] == [False, False, True]
    net.trainable("0", True)
    assert net.trainable("0.2")
    net.trainable("0.2", False)
    assert net.trainable("0")
    before = net.params["0.2.weight"].copy()
    net.fit(X, X[:, :1], loss="mse", optimizer="sgd", epochs=1, verbose=0)
    np.testing.assert_array_equal(net.params["0.2.weight"], before)


def test_names_and_values_of_trainable():
    net = make_net()
    with pytest.raises(ValueError, match="the names are 0, 1, 2, 3"):
        net.trainable("7", False)
    with pytest.raises(TypeError, match="True or False"):
        net.trainable("0", 0)
    for name in ("0", "1", "3"):
        net.trainable(name, False)
    with pytest.raises(ValueError, match="no parameters to train"):
        fit(net)


# -------------------------------------------------------------------------------- lr_scale


@both
@pytest.mark.parametrize("rows", [1, 8])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_lr_scale_multiplies_the_rate_of_a_layer(backend, rows, momentum):
    """Of one step; with rows = 1 the update is fused into the gradient."""
    layers = [bp.Linear(6), bp.Tanh(), bp.Linear(3)]
    scaled = [bp.Linear(6, lr_scale=0.1), bp.Tanh(), bp.Linear(3, lr_scale=2.0)]
    nets = [
        bp.Sequential(one, backend=backend, dtype="float64").build((4,)) for one in (layers, scaled)
    ]
    start = {name: array.copy() for name, array in nets[0].params.items()}
    for net in nets:
        trainer = bp.Trainer(net, "cross_entropy", bp.SGD(0.5, momentum=momentum))
        trainer.step(X[:rows], Y[:rows])
    for name, array in start.items():
        plain, moved = (net.params[name] - array for net in nets)
        factor = 0.1 if name.startswith("0") else 2.0
        np.testing.assert_allclose(moved, factor * plain, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("layer", [
    bp.RNN(3, lr_scale=0.0), bp.Bidirectional(bp.LSTM(3, lr_scale=0.0)),
    bp.Embedding(5, 3, lr_scale=0.0), bp.Embedding(5, 3, lazy=True, lr_scale=0.0),
])  # fmt: skip
def test_scale_of_0_stands_still(layer):
    first = layer if layer.takes_ids else bp.LayerNorm()
    rest = [] if layer.takes_ids else [layer]
    net = bp.Sequential([first, *rest, bp.Linear(1)])
    x = rng.integers(0, 5, (4, 6)) if layer.takes_ids else rng.normal(size=(4, 6, 2))
    place = "0" if layer.takes_ids else "1"
    net.forward(x)
    before = {name: array.copy() for name, array in net.params.items()}
    net.fit(x, np.ones((4, 6, 1)), loss="mse", optimizer="adam", epochs=2, verbose=0)
    for name, array in before.items():
        assert np.array_equal(net.params[name], array) == name.startswith(f"{place}."), name


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_scales_are_finite_and_not_negative(value):
    with pytest.raises(ValueError, match="lr_scale"):
        bp.Linear(3, lr_scale=value)


# ----------------------------------------------------------------------------------- share=


def autoencoder(backend=None):
    x = bp.Input((4,))
    code = bp.Linear(2, name="encoder")(x)
    norm = bp.BatchNorm(name="norm")(code)
    out = bp.Linear(4, name="decoder")(bp.Tanh()(norm))
    return x, code, norm, bp.Model(x, out, backend=backend, dtype="float64")


@both
def test_part_of_a_net_shares_its_arrays(backend):
    x, code, norm, net = autoencoder(backend)
    part = bp.Model(x, norm, share=net, backend=backend)
    assert list(part.params) == ["encoder.weight", "encoder.bias", "norm.weight", "norm.bias"]
    assert part.params["encoder.weight"] is net.params["encoder.weight"]
    assert list(part.buffers) == ["norm.running_mean", "norm.running_var"]
    net.fit(X, X, loss="mse", optimizer="adam", epochs=2, verbose=0)
    twin = bp.Model(x, code, share=net, backend=backend)
    hidden = X @ net.params["encoder.weight"] + net.params["encoder.bias"]
    np.testing.assert_allclose(twin.predict(X), hidden, rtol=1e-12)


def test_training_a_part_leaves_the_rest_alone():
    x, _, norm, net = autoencoder()
    net.fit(X, X, loss="mse", optimizer=bp.SGD(0.1, momentum=0.9), epochs=1, verbose=0)
    part = bp.Model(x, bp.ReLU()(norm), share=net)
    before = net.params["decoder.weight"].copy()
    encoder = net.params["encoder.weight"].copy()
    part.fit(
        X, np.ones((24, 2)), loss="mse", optimizer=bp.SGD(0.1, momentum=0.9), epochs=1, verbose=0
    )
    np.testing.assert_array_equal(net.params["decoder.weight"], before)
    assert not np.array_equal(net.params["encoder.weight"], encoder)
    with pytest.raises(KeyError, match=r"the names are encoder\.weight"):
        part.params["decoder.weight"]


def test_copies_and_files_of_a_part_have_arrays_of_their_own(tmp_path):
    x, code, _, net = autoencoder()
    part = bp.Model(x, code, share=net)
    twin = pickle.loads(pickle.dumps(part))
    np.testing.assert_array_equal(twin.predict(X), part.predict(X))
    twin.params["encoder.weight"] = np.zeros((4, 2))
    assert net.params["encoder.weight"].all()
    pytest.importorskip("safetensors")
    part.save(tmp_path / "part.safetensors")
    np.testing.assert_array_equal(
        bp.load(tmp_path / "part.safetensors").predict(X), part.predict(X)
    )
    trainer = bp.Trainer(part, "mse", "sgd")
    with pytest.raises(ValueError, match="save a trainer of the other net"):
        trainer.save(tmp_path / "part.ckpt")


def test_layers_that_the_other_net_does_not_have_are_refused():
    x, code, _, net = autoencoder()
    with pytest.raises(ValueError, match="share= takes layers of the other net"):
        bp.Model(x, bp.Linear(3)(code), share=net)
    with pytest.raises(TypeError, match="share must be a pybp net"):
        bp.Model(x, code, share="net")
