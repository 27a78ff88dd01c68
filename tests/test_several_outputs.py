"""Fits of nets with several outputs: a loss for each, weights, figures by name."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import TRAINING, check_close

import pybp as bp

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 4))
KIND, SIZE = rng.integers(0, 3, 40), rng.normal(size=(40, 1))
WEIGHT = rng.uniform(size=40)


def make_net(backend=None, dtype="float64"):
    x = bp.Input((4,))
    h = bp.Tanh()(bp.Linear(5)(x))
    kind, size = bp.Linear(3, name="kind")(h), bp.Linear(1, name="size")(h)
    return bp.Model(x, [kind, size], backend=backend, dtype=dtype)


LOSSES = {"kind": "cross_entropy", "size": bp.SquaredError(half=True)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("weighted", [False, True])
def test_step_is_that_of_the_weighted_sum_of_the_losses(backend, dtype, weighted):
    trained, by_hand = make_net(backend, dtype), make_net(backend, dtype)
    w = WEIGHT if weighted else None
    trainer = bp.Trainer(trained, LOSSES, bp.SGD(0.1), loss_weights={"size": 0.3})
    value = trainer.step(X, {"kind": KIND, "size": SIZE}, sample_weight=w)
    kind, size = by_hand.forward(X, training=True)
    kind_loss, d_kind = bp.CrossEntropy().value_and_grad(kind, KIND, w)
    size_loss, d_size = bp.SquaredError(half=True).value_and_grad(size, SIZE, w)
    by_hand.backward((d_kind, 0.3 * d_size))
    bp.SGD(0.1).step(by_hand)
    check_close(value, kind_loss + 0.3 * size_loss, dtype, 40, TRAINING)
    for name, array in by_hand.params.items():
        check_close(trained.params[name], array, dtype, 40, TRAINING, name)


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_figures_of_each_output_have_its_name(backend):
    net = make_net(backend)
    metrics = {"kind": ["accuracy"], "size": [bp.MAE()]}
    history = net.fit(
        X, (KIND, SIZE), loss=("cross_entropy", "mse"), optimizer="adam", metrics=metrics,
        loss_weights=(1.0, 0.5), epochs=2, batch_size=16, verbose=0,
        validation_data=(X[:10], (KIND[:10], SIZE[:10])),
    ).history  # fmt: skip
    one = ["loss", "kind_loss", "kind_accuracy", "size_loss", "size_mae"]
    assert list(history) == [*one, *(f"val_{name}" for name in one)]
    measured = net.evaluate(
        X[:10], (KIND[:10], SIZE[:10]), loss=("cross_entropy", "mse"), metrics=metrics,
        loss_weights=(1.0, 0.5),
    )  # fmt: skip
    assert measured == {name: history[f"val_{name}"][-1] for name in one}
    np.testing.assert_allclose(
        measured["loss"], measured["kind_loss"] + 0.5 * measured["size_loss"], rtol=1e-12
    )
    kind, size = net.predict(X[:10])
    assert measured["kind_accuracy"] == np.mean(kind.argmax(1) == KIND[:10])
    np.testing.assert_allclose(measured["size_mae"], np.abs(size - SIZE[:10]).mean(), rtol=1e-12)


def test_metrics_of_a_list_are_those_of_each_output():
    net = make_net()
    found = net.evaluate(X, (KIND, SIZE), loss=("nll", "mse"), metrics=["accuracy"])
    assert list(found) == ["loss", "kind_loss", "kind_accuracy", "size_loss", "size_accuracy"]


@pytest.mark.parametrize("without", [("cross_entropy", None), {"kind": "cross_entropy"}])
def test_output_without_a_loss_is_not_trained(without):
    net = make_net()
    before = net.params["size.weight"].copy()
    history = net.fit(X, (KIND, None), loss=without, optimizer="sgd", epochs=1, verbose=0)
    np.testing.assert_array_equal(net.params["size.weight"], before)
    assert list(history.history) == ["loss", "kind_loss"]


def test_loss_of_weight_0_is_measured_and_not_trained():
    net = make_net()
    before = net.params["size.weight"].copy()
    history = net.fit(
        X, (KIND, SIZE), loss=("cross_entropy", "mse"), loss_weights=(1, 0), optimizer="sgd",
        epochs=1, verbose=0,
    ).history  # fmt: skip
    np.testing.assert_array_equal(net.params["size.weight"], before)
    assert history["size_loss"][0] > 0
    assert history["loss"] == history["kind_loss"]


def test_sample_weights_may_differ_by_output():
    net = make_net()
    found = net.evaluate(
        X, (KIND, SIZE), loss=("cross_entropy", "mse"), sample_weight=(WEIGHT, None)
    )
    kind, size = net.predict(X)
    np.testing.assert_allclose(
        found["kind_loss"], bp.CrossEntropy().value_and_grad(kind, KIND, WEIGHT)[0], rtol=1e-12
    )
    np.testing.assert_allclose(
        found["size_loss"], bp.MSE().value_and_grad(size, SIZE)[0], rtol=1e-12
    )


def test_states_of_a_recurrent_layer_are_outputs_too():
    x = bp.Input((None, 2))
    y, h, _ = bp.LSTM(3, return_state=True)(x)
    net = bp.Model(x, [bp.Linear(1)(y), h])
    assert net.graph.output_names() == ("1", "0_1")
    lengths, steps = np.array([3, 5, 1]), rng.normal(size=(3, 5, 2))
    history = net.fit(
        steps, (steps[..., :1], np.ones((3, 3))), loss=("mse", "mse"), optimizer="adam",
        lengths=lengths, epochs=2, verbose=0,
    ).history  # fmt: skip
    assert history["loss"][1] < history["loss"][0]


def test_one_value_given_twice_has_two_losses():
    x = bp.Input((4,))
    y = bp.Linear(1)(x)
    twice, once = bp.Model(x, [y, y]), bp.Model(x, y)
    bp.Trainer(twice, ("mse", "mse"), bp.SGD(0.1)).step(X, (SIZE, SIZE))
    bp.Trainer(once, "mse", bp.SGD(0.2)).step(X, SIZE)
    check_close(twice.params["0.weight"], once.params["0.weight"], "float32", 40, TRAINING)


def test_loss_of_a_net_of_one_output_may_be_a_metric_elsewhere():
    net = bp.Sequential([bp.Linear(1)])
    history = net.fit(
        X, SIZE, loss="mse", metrics=["mae", bp.Huber(delta=0.5)], optimizer="sgd", epochs=1,
        verbose=0,
    )  # fmt: skip
    assert list(history.history) == ["loss", "mae", "huber"]


@pytest.mark.parametrize(("arguments", "text"), [
    ({"loss": "mse"}, "tuple of 2, one for each output, or a dict by name"),
    ({"loss": ("mse",)}, "tuple of 2"),
    ({"loss": {"kind": "mse", "other": "mse"}}, "'other'"),
    ({"loss": (None, None)}, "no output has a loss"),
    ({"loss": LOSSES, "loss_weights": (1, -1)}, "loss weight of size"),
    ({"loss": LOSSES, "loss_weights": {"kind": float("nan")}}, "loss weight of kind"),
    ({"loss": LOSSES, "metrics": ["accuracy", "accuracy"]}, "two metrics"),
])  # fmt: skip
def test_losses_that_do_not_fit_the_outputs(arguments, text):
    with pytest.raises(ValueError, match=text):
        bp.Trainer(make_net(), optimizer="sgd", **arguments)


@pytest.mark.parametrize("y", [KIND, (KIND,), {"kind": KIND, "sizes": SIZE}])
def test_targets_that_do_not_fit_the_outputs(y):
    net = make_net()
    before = net.params.flat.copy()
    with pytest.raises(ValueError, match="output"):
        bp.Trainer(net, LOSSES, "sgd").step(X, y)
    np.testing.assert_array_equal(net.params.flat, before)
