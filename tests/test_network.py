"""Nets by hand: building, parameters, forward and backward, copies."""

from __future__ import annotations

import copy
import pickle
import threading
import time

import numpy as np
import pytest

import pybp as bp

X = np.random.default_rng(0).normal(size=(6, 4))


def _net(dtype: str = "float64", **arguments: object) -> bp.Sequential:
    layers = [bp.Linear(5), bp.Tanh(), bp.Dropout(0.5), bp.Linear(2)]
    return bp.Sequential(layers, dtype=dtype, **arguments)


def test_parameters_have_the_names_of_their_layers() -> None:
    net = bp.Sequential([bp.Linear(5), bp.ReLU(), bp.Linear(2, bias=False, name="head")]).build(
        (4,)
    )
    shapes = {name: array.shape for name, array in net.params.items()}
    assert shapes == {"0.weight": (4, 5), "0.bias": (5,), "head.weight": (5, 2)}
    assert net.output_shape == (2,)


def test_one_layer_used_twice_has_one_set_of_parameters(backend: str) -> None:
    twice = bp.Linear(4, bias=False)
    net = bp.Sequential([twice, bp.Tanh(), twice], dtype="float64").build((4,))
    assert list(net.params) == ["0.weight"]
    w = net.params["0.weight"]
    y = net.forward(X)
    hidden = np.tanh(X @ w)
    np.testing.assert_allclose(y, hidden @ w, rtol=1e-12)
    net.backward(np.ones_like(y))
    upper = hidden.T @ np.ones_like(y)
    lower = X.T @ ((np.ones_like(y) @ w.T) * (1 - hidden**2))
    np.testing.assert_allclose(net.grads["0.weight"], upper + lower, rtol=1e-12)


def test_equal_layers_do_not_share() -> None:
    net = bp.Sequential([bp.Linear(4), bp.Linear(4)]).build((4,))
    assert len(net.params) == 4


def test_writing_through_a_view_is_seen_by_the_next_call(backend: str) -> None:
    net = _net()
    before = net.predict(X)
    net.params["3.bias"][...] += 1
    np.testing.assert_allclose(net.predict(X), before + 1, rtol=1e-12)
    net.params["3.bias"] = [0.0, 0.0]
    np.testing.assert_allclose(net.predict(X), before, rtol=1e-12, atol=1e-15)


def test_seeds_decide_the_weights() -> None:
    weights = [_net(seed=seed).build((4,)).params.flat.tobytes() for seed in (1, 1, 2)]
    assert weights[0] == weights[1] != weights[2]
    assert _net(seed=None).seed != _net(seed=None).seed


def test_dropout_acts_in_training_only_and_changes_with_each_update(backend: str) -> None:
    net = _net()
    evaluated = net.forward(X)
    np.testing.assert_array_equal(evaluated, net.predict(X))
    first, second = net.forward(X, training=True), net.forward(X, training=True)
    np.testing.assert_array_equal(first, second)
    assert (first != evaluated).any()
    net.backward(np.zeros_like(first))
    bp.SGD(0.1).step(net)
    assert (net.forward(X, training=True) != first).any()


def test_backward_accumulates_on_request(backend: str) -> None:
    net = _net()
    y = net.forward(X)
    net.backward(np.ones_like(y))
    once = net.grads["0.weight"].copy()
    net.backward(np.ones_like(y), accumulate=True)
    np.testing.assert_allclose(net.grads["0.weight"], 2 * once, rtol=1e-12)
    net.backward(np.ones_like(y))
    np.testing.assert_array_equal(net.grads["0.weight"], once)


def test_arrays_returned_stay_valid(backend: str) -> None:
    net = _net()
    y = net.forward(X)
    kept = y.copy()
    dx = net.backward(np.ones_like(y))
    kept_dx = dx.copy()
    net.backward(np.ones_like(net.forward(2 * X)))
    np.testing.assert_array_equal(y, kept)
    np.testing.assert_array_equal(dx, kept_dx)


def test_the_input_of_forward_may_change_before_backward(backend: str) -> None:
    net, x = _net(), X.copy()
    y = net.forward(x)
    net.backward(np.ones_like(y))
    expected = net.grads["0.weight"].copy()
    net.forward(x)
    x[...] = 0
    net.backward(np.ones_like(y))
    np.testing.assert_array_equal(net.grads["0.weight"], expected)


def test_gradients_made_elsewhere_can_be_stepped(backend: str) -> None:
    net = _net().build((4,))
    before = {name: array.copy() for name, array in net.params.items()}
    net.grads["0.weight"] = np.ones((4, 5))
    bp.SGD(0.5).step(net)
    np.testing.assert_allclose(net.params["0.weight"], before["0.weight"] - 0.5, rtol=1e-12)
    np.testing.assert_array_equal(net.params["3.weight"], before["3.weight"])


@pytest.mark.parametrize("kind", ["uint8", "int64", "float16", "float32", ">f8", "bool"])
def test_inputs_of_any_real_dtype_are_converted(kind: str, backend: str, dtype: str) -> None:
    x = (np.arange(24).reshape(6, 4) % 2 == 0).astype(kind)
    net = _net(dtype)
    np.testing.assert_array_equal(net.predict(x), net.predict(x.astype(dtype)))


@pytest.mark.parametrize("kind", ["uint8", "int8", ">i8", "<u2", ">u4"])
def test_labels_may_have_any_integer_dtype(kind: str, backend: str, dtype: str) -> None:
    nets = _net(dtype), _net(dtype)
    y = np.arange(6) % 2
    for net, labels in zip(nets, (y, y.astype(kind)), strict=True):
        net.fit(X, labels, loss="cross_entropy", optimizer="adam", epochs=2, verbose=0)
    assert nets[0].params.flat.tobytes() == nets[1].params.flat.tobytes()


def test_misaligned_arrays_are_read(backend: str, dtype: str) -> None:
    x = X.astype(dtype)
    shifted = np.frombuffer(b"\0" + x.tobytes(), dtype, offset=1).reshape(x.shape)
    assert not shifted.flags.aligned
    assert _net(dtype).predict(shifted).tobytes() == _net(dtype).predict(x).tobytes()


@pytest.mark.parametrize(
    "view",
    [
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1][::-1],
        lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    ],
)
def test_layouts_of_the_input_do_not_matter(view: object, backend: str, dtype: str) -> None:
    x = X.astype(dtype)
    given = view(x)
    net = _net(dtype)
    assert net.predict(given).tobytes() == net.predict(x).tobytes()
    np.testing.assert_array_equal(given, x)


def test_predict_from_several_threads(backend: str) -> None:
    net = _net()
    expected, found = net.predict(X), []

    def call() -> None:
        found.extend(net.predict(X) for _ in range(50))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 200
    assert all(np.array_equal(y, expected) for y in found)


class _SlowZeros(bp.Zeros):
    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        time.sleep(0.02)  # long enough for another thread to find the net unbuilt
        return super().__call__(shape, rng)


def test_the_first_calls_from_several_threads_build_one_net() -> None:
    """A second state would leave the first thread with parameters which nobody else sees."""
    net = bp.Sequential([bp.Linear(2, weight_init=_SlowZeros())])
    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: found.append(net.build((4,)).params.flat)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(flat is net.params.flat for flat in found)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_go_on_as_the_original(copied: object, backend: str) -> None:
    y = np.arange(6) % 2
    net = _net()
    arguments = {"loss": "cross_entropy", "optimizer": bp.Adam(0.1), "verbose": 0, "batch_size": 4}
    net.fit(X, y, epochs=2, **arguments)
    twin = copied(net)
    for one in (net, twin):
        one.fit(X, y, epochs=2, **arguments)
    assert net.params.flat.tobytes() == twin.params.flat.tobytes()
    twin.params["0.bias"] = np.zeros(5)
    assert net.params["0.bias"].any()


def test_summary_counts_parameters() -> None:
    text = bp.Sequential([bp.Linear(40), bp.ReLU(), bp.Linear(10)]).build((784,)).summary()
    assert "31,400" in text
    assert "31,810 parameters" in text


def test_the_printed_program_shows_each_op() -> None:
    text = str(_net().build((4,)).program)
    assert "0.y (n, 5) = dense(x, 0.weight, 0.bias, activation=tanh)" in text
    assert text.count("\n") < 30


@pytest.mark.parametrize("last", [bp.Linear(2), bp.ReLU(), bp.Flatten(), bp.Identity()])
def test_what_a_pass_by_hand_returns_belongs_to_the_caller(
    last: bp.layers.Layer, backend: str, dtype: str
) -> None:
    """Overwriting it, or the arrays that were given, changes nothing of the passes that follow."""
    net = bp.Sequential([bp.Tanh(), bp.Linear(3), last], dtype=dtype, seed=0)
    x = X.astype(dtype)
    dy = np.ones((len(x), *net.build((4,)).output_shape), dtype)
    net.forward(x)
    expected = net.backward(dy), net.grads["1.weight"].copy()
    again = x.copy()
    y = net.forward(again)
    y[...] = again[...] = np.nan
    for _ in range(2):
        given = dy.copy()
        dx = net.backward(given)
        np.testing.assert_array_equal(dx, expected[0])
        np.testing.assert_array_equal(net.grads["1.weight"], expected[1])
        dx[...] = given[...] = np.nan
