"""Layers: arguments, shapes, starting values."""

from __future__ import annotations

import numpy as np
import pytest

import pybp as bp

RNG = np.random.default_rng(0)


def _output(layer: bp.layers.Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    return bp.Sequential([layer]).build(shape).output_shape


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (bp.Linear(5), (3,), (5,)),
        (bp.Linear(5), (7, 2, 3), (7, 2, 5)),
        (bp.Flatten(), (), (1,)),
        (bp.Flatten(), (2, 3, 4), (24,)),
        (bp.Reshape((4, -1)), (2, 6), (4, 3)),
        (bp.Reshape(()), (1,), ()),
        (bp.Softmax(axis=1), (2, 6), (2, 6)),
        (bp.Dropout(0.5), (2,), (2,)),
        (bp.ReLU(), (), ()),
    ],
)
def test_output_shapes(
    layer: bp.layers.Layer, shape: tuple[int, ...], expected: tuple[int, ...], backend: str
) -> None:
    assert _output(layer, shape) == expected
    assert bp.Sequential([layer]).predict(np.ones((2, *shape))).shape == (2, *expected)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (bp.Linear(5), (), r"layer 0 \(Linear\) needs samples of shape \(\.\.\., features\)"),
        (bp.Reshape((4, 2)), (6,), r"layer 0 \(Reshape\): \(6,\) can't become \(4, 2\)"),
        (bp.Reshape((4, -1)), (6,), "can't become"),
        (bp.Softmax(axis=0), (3,), "batch axis 0 is not allowed"),
        (bp.Softmax(axis=2), (3,), "axis 2 of an array with 2 axes"),
        (bp.Softmax(axis=-2), (3,), "batch axis"),
        (bp.LogSoftmax(), (), "axis -1"),
    ],
)
def test_shapes_that_do_not_fit_name_the_layer(
    layer: bp.layers.Layer, shape: tuple[int, ...], message: str
) -> None:
    net = bp.Sequential([layer])
    with pytest.raises(ValueError, match=message):
        net.build(shape)
    assert not net.is_built


def test_flatten_and_reshape_keep_the_order_of_the_numbers(backend: str) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    for layer, shape in ((bp.Flatten(), (2, 12)), (bp.Reshape((6, 2)), (2, 6, 2))):
        net = bp.Sequential([layer], dtype="float64")
        np.testing.assert_array_equal(net.forward(x), x.reshape(shape))
        np.testing.assert_array_equal(net.backward(x.reshape(shape) + 1), x + 1)


def test_a_net_without_layers_passes_on_its_input(backend: str) -> None:
    x = RNG.normal(size=(3, 2))
    net = bp.Sequential([], dtype="float64")
    np.testing.assert_array_equal(net.predict(x), x)
    np.testing.assert_array_equal(net.forward(x), x)
    np.testing.assert_array_equal(net.backward(2 * x), 2 * x)


def test_dropout_keeps_the_mean_and_drops_its_share(backend: str) -> None:
    net = bp.Sequential([bp.Dropout(0.3)], dtype="float64")
    y = net.forward(np.ones((200, 500)), training=True)
    dropped = np.mean(y == 0)
    assert dropped == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 / y.size))
    np.testing.assert_allclose(y[y != 0], 1 / 0.7, rtol=1e-15)
    np.testing.assert_array_equal(net.backward(np.ones_like(y)), y)


def test_dropout_of_all_gives_zero_even_for_infinity(backend: str) -> None:
    net = bp.Sequential([bp.Dropout(1.0)])
    assert not net.forward(np.array([[1.0, np.inf]]), training=True).any()


def test_two_dropout_layers_draw_different_masks(backend: str) -> None:
    one, two = bp.Dropout(0.5), bp.Dropout(0.5)
    for layers in ([one, two], [one, one]):
        net = bp.Sequential(layers)
        kept = np.mean(net.forward(np.ones((50, 400)), training=True) != 0)
        assert kept == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / 20_000))


INITIALIZERS = {
    bp.Uniform(-2, 4): (1.0, np.sqrt(3)),
    bp.Normal(3.0, 0.5): (3.0, 0.5),
    bp.GlorotUniform(): (0.0, np.sqrt(2 / 500)),
    bp.GlorotNormal(gain=2.0): (0.0, 2 * np.sqrt(2 / 500)),
    bp.HeUniform(): (0.0, np.sqrt(2 / 300)),
    bp.HeNormal(): (0.0, np.sqrt(2 / 300)),
    bp.LeCunNormal(): (0.0, np.sqrt(1 / 300)),
    bp.Orthogonal(): (0.0, np.sqrt(1 / 300)),
}


@pytest.mark.parametrize("init", INITIALIZERS, ids=repr)
def test_starting_values_have_their_mean_and_deviation(init: bp.initializers.Initializer) -> None:
    mean, std = INITIALIZERS[init]
    weight = bp.Sequential([bp.Linear(200, weight_init=init)]).build((300,)).params["0.weight"]
    assert weight.mean(dtype=float) == pytest.approx(mean, abs=5 * std / np.sqrt(weight.size))
    assert weight.std(dtype=float) == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_orthogonal_rows_or_columns_are_orthonormal(shape: tuple[int, int]) -> None:
    w = bp.Orthogonal(gain=2.0)(shape, RNG) / 2
    product = w.T @ w if shape[0] >= shape[1] else w @ w.T
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-14)


def test_bounded_starts_stay_within_their_bounds() -> None:
    for init, bound in ((bp.GlorotUniform(), np.sqrt(6 / 500)), (bp.HeUniform(), np.sqrt(6 / 300))):
        w = init((300, 200), np.random.default_rng(0))
        assert 0.99 * bound < np.abs(w).max() <= bound


def test_biases_start_at_zero_and_may_be_left_out() -> None:
    net = bp.Sequential(
        [bp.Linear(2), bp.Linear(2, bias=False), bp.Linear(2, bias_init=bp.Constant(3))]
    )
    net.build((2,))
    assert net.params["0.bias"].tolist() == [0, 0]
    assert "1.bias" not in net.params
    assert net.params["2.bias"].tolist() == [3, 3]


def test_names_are_texts_and_taken_once() -> None:
    """A name that only looks like another would share its parameters."""
    for name in (1, ""):
        with pytest.raises(TypeError, match="name must be a text"):
            bp.Sequential([bp.Linear(2, name=name), bp.Linear(2)])
    for layers in ([bp.Linear(2, name="1"), bp.Linear(2)], [bp.ReLU(name="a"), bp.Tanh(name="a")]):
        with pytest.raises(ValueError, match="two layers have the name"):
            bp.Sequential(layers)


def test_a_shared_layer_must_fit_both_uses() -> None:
    twice = bp.Linear(3)
    with pytest.raises(ValueError, match=r"0.weight has shape \(2, 3\), but .* needs \(3, 3\)"):
        bp.Sequential([twice, twice]).build((2,))
