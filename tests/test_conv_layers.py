"""Layers of convolutional nets: shapes, parameters, and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import LINEAR, check_close

import pybp as bp
from pybp.layers.window import resolve_padding

RNG = np.random.default_rng(0)
Shape = tuple[int, ...]


def _net(*layers: bp.layers.Layer, **arguments: object) -> bp.Sequential:
    return bp.Sequential(layers, dtype="float64", **arguments)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (bp.Conv2d(5, 3), (7, 9, 2), (5, 7, 5)),
        (bp.Conv2d(5, (3, 1), stride=(2, 3)), (7, 9, 2), (3, 3, 5)),
        (bp.Conv2d(5, 3, padding=1), (7, 9, 2), (7, 9, 5)),
        (bp.Conv2d(5, 3, padding=(0, 2)), (7, 9, 2), (5, 11, 5)),
        (bp.Conv2d(5, 3, padding=((0, 1), (2, 0))), (7, 9, 2), (6, 9, 5)),
        (bp.Conv2d(5, 3, padding=[[0, 1], 2]), (7, 9, 2), (6, 11, 5)),
        (bp.Conv2d(5, 3, padding="valid"), (7, 9, 2), (5, 7, 5)),
        (bp.Conv2d(5, 4, stride=2, padding="same"), (7, 9, 2), (4, 5, 5)),
        (bp.Conv2d(5, 3, dilation=(3, 1)), (7, 9, 2), (1, 7, 5)),
        (bp.Conv2d(6, 3, groups=3), (7, 9, 3), (5, 7, 6)),
        (bp.Conv1d(5, 3, padding=(1, 2)), (7, 2), (8, 5)),
        (bp.Conv1d(5, 3, padding=((1, 2),)), (7, 2), (8, 5)),
        (bp.Conv1d(5, 3, padding=1), (7, 2), (7, 5)),
        (bp.Conv1d(5, 2, stride=3, padding="same"), (7, 2), (3, 5)),
        (bp.ConvTranspose2d(5, 3), (4, 6, 2), (6, 8, 5)),
        (bp.ConvTranspose2d(5, 3, stride=2, padding=1), (4, 6, 2), (7, 11, 5)),
        (bp.ConvTranspose2d(5, 3, 2, 1, output_padding=(1, 0)), (4, 6, 2), (8, 11, 5)),
        (bp.ConvTranspose2d(4, 2, 3, padding=((0, 1), 1), groups=2), (4, 6, 2), (10, 15, 4)),
        (bp.ConvTranspose2d(5, 3, padding="valid", dilation=2), (4, 6, 2), (8, 10, 5)),
        (bp.Upsample2d((2, 3)), (4, 6, 2), (8, 18, 2)),
        (bp.MaxPool2d(2), (7, 9, 2), (3, 4, 2)),
        (bp.MaxPool2d(2, ceil_mode=True), (7, 9, 2), (4, 5, 2)),
        (bp.MaxPool2d(3, stride=1, padding="same"), (7, 9, 2), (7, 9, 2)),
        (bp.MaxPool2d((3, 2), 2, padding=(1, 0), dilation=(1, 2)), (7, 9, 2), (4, 4, 2)),
        (bp.MaxPool1d(2), (7, 2), (3, 2)),
        (bp.AvgPool2d(3, 2, 1), (7, 9, 2), (4, 5, 2)),
        (bp.AvgPool1d(3, stride=1, dilation=2), (7, 2), (3, 2)),
        (bp.GlobalAvgPool2d(), (7, 9, 2), (2,)),
        (bp.GlobalMaxPool2d(), (7, 9, 2), (2,)),
        (bp.GlobalAvgPool1d(), (7, 2), (2,)),
        (bp.GlobalMaxPool1d(), (7, 2), (2,)),
        (bp.BatchNorm(), (3,), (3,)),
        (bp.BatchNorm(), (7, 9, 2), (7, 9, 2)),
        (bp.LayerNorm(axes=(1, 2)), (7, 2), (7, 2)),
        (bp.LayerNorm(axes=-1), (7, 2), (7, 2)),
        (bp.SpatialDropout(0.5), (7, 9, 2), (7, 9, 2)),
        (bp.Input((2, 7, 9), layout="channels_first"), (2, 7, 9), (7, 9, 2)),
        (bp.Input((2, 7), layout="channels_first"), (2, 7), (7, 2)),
    ],
)
def test_output_shapes(
    layer: bp.layers.Layer, shape: Shape, expected: Shape, backend: str, dtype: str
) -> None:
    net = bp.Sequential([layer], dtype=dtype).build(shape)
    assert net.output_shape == expected
    assert net.predict(np.ones((2, *shape))).shape == (2, *expected)


@pytest.mark.parametrize(
    ("layer", "shape", "params"),
    [
        (bp.Conv2d(6, (3, 2), groups=2), (8, 8, 4), {"weight": (3, 2, 2, 6), "bias": (6,)}),
        (bp.Conv2d(4, 3, groups=4, bias=False), (8, 8, 4), {"weight": (3, 3, 1, 4)}),
        (bp.Conv1d(6, 3), (8, 4), {"weight": (3, 4, 6), "bias": (6,)}),
        (
            bp.ConvTranspose2d(6, 3, groups=2),
            (8, 8, 4),
            {"weight": (3, 3, 3, 4), "bias": (6,)},
        ),
        (bp.BatchNorm(), (8, 8, 4), {"weight": (4,), "bias": (4,)}),
        (bp.BatchNorm(affine=False), (8, 8, 4), {}),
        (bp.LayerNorm(axes=(-2, -1)), (8, 4), {"weight": (8, 4), "bias": (8, 4)}),
        (bp.LayerNorm(bias=False), (8, 4), {"weight": (4,)}),
        (bp.LayerNorm(elementwise_affine=False), (8, 4), {}),
        (bp.MaxPool2d(2), (8, 8, 4), {}),
    ],
)
def test_parameters(layer: bp.layers.Layer, shape: Shape, params: dict[str, Shape]) -> None:
    net = bp.Sequential([layer]).build(shape)
    assert {name: array.shape for name, array in net.params.items()} == {
        f"0.{name}": shape for name, shape in params.items()
    }


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "expected"),
    [
        (5, 3, 1, 1, (1, 1)),
        (5, 4, 1, 1, (1, 2)),
        (5, 2, 2, 1, (0, 1)),
        (6, 2, 2, 1, (0, 0)),
        (5, 3, 1, 2, (2, 2)),
        (7, 1, 3, 1, (0, 0)),
    ],
)
def test_same_padding_puts_the_smaller_half_first(
    size: int, kernel: int, stride: int, dilation: int, expected: tuple[int, int]
) -> None:
    found = resolve_padding("Conv1d", "same", (size,), (kernel,), (stride,), (dilation,))
    assert found == expected


def _correlate(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the cross-correlation of (n, h, w, c) with (kh, kw, c, out), by its definition."""
    kh, kw = w.shape[:2]
    height, width = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    y = np.zeros((len(x), height, width, w.shape[3]))
    for i in range(height):
        for j in range(width):
            y[:, i, j] = np.tensordot(x[:, i : i + kh, j : j + kw], w, 3)
    return y


def test_a_convolution_is_a_cross_correlation_and_flip_turns_it(backend: str) -> None:
    x = RNG.normal(size=(2, 5, 6, 3))
    for flip in (False, True):
        net = _net(bp.Conv2d(4, (3, 2), flip=flip, bias_init=bp.Normal())).build(x.shape[1:])
        w = net.params["0.weight"]
        expected = _correlate(x, w[::-1, ::-1] if flip else w) + net.params["0.bias"]
        check_close(net.predict(x), expected, "float64", 19, LINEAR)


def test_one_axis_is_a_picture_of_height_one(backend: str) -> None:
    x = RNG.normal(size=(2, 9, 4))
    geometry = {"stride": 2, "dilation": 2, "groups": 2, "flip": True}
    line = _net(bp.Conv1d(6, 3, padding=(0, 2), **geometry)).build(x.shape[1:])
    plane = _net(bp.Conv2d(6, (1, 3), padding=((0, 0), (0, 2)), **geometry))
    plane.build((1, *x.shape[1:]))
    plane.params["0.weight"] = line.params["0.weight"][None]
    check_close(plane.predict(x[:, None])[:, 0], line.predict(x), "float64", 6, LINEAR)


def test_groups_are_convolutions_side_by_side(backend: str) -> None:
    x = RNG.normal(size=(2, 5, 5, 4))
    net = _net(bp.Conv2d(6, 3, groups=2, bias=False)).build(x.shape[1:])
    w = net.params["0.weight"]
    halves = [_correlate(x[..., 2 * g : 2 * g + 2], w[..., 3 * g : 3 * g + 3]) for g in (0, 1)]
    check_close(net.predict(x), np.concatenate(halves, -1), "float64", 18, LINEAR)


@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": (2, 3), "padding": ((0, 1), 2), "output_padding": (0, 1)},
        {"groups": 2, "dilation": 2},
    ],
)
def test_a_transposed_convolution_is_the_transpose_of_a_convolution(
    geometry: dict[str, object], backend: str
) -> None:
    """<conv(u), x> = <u, transposed(x)> for every u and x: the definition of the transpose."""
    x = RNG.normal(size=(2, 4, 5, 4))
    net = _net(bp.ConvTranspose2d(6, 3, bias_init=bp.Normal(), **geometry)).build(x.shape[1:])
    y = net.predict(x)
    arguments = {name: value for name, value in geometry.items() if name != "output_padding"}
    back = _net(bp.Conv2d(4, 3, bias=False, **arguments)).build(y.shape[1:])
    back.params["0.weight"] = net.params["0.weight"]
    u = RNG.normal(size=y.shape)
    left = np.sum(back.predict(u) * x)
    right = np.sum(u * (y - net.params["0.bias"]))
    assert left == pytest.approx(right, rel=1e-12)


def test_upsampling_repeats_and_its_gradient_sums(backend: str) -> None:
    x = RNG.normal(size=(2, 3, 4, 2))
    net = _net(bp.Upsample2d((2, 3)))
    np.testing.assert_array_equal(net.forward(x), x.repeat(2, axis=1).repeat(3, axis=2))
    dy = RNG.normal(size=(2, 6, 12, 2))
    expected = dy.reshape(2, 3, 2, 4, 3, 2).sum(axis=(2, 4))
    check_close(net.backward(dy), expected, "float64", 6, LINEAR)


def test_pools_by_hand(backend: str) -> None:
    """The worked example of the field: the maxima of 2 x 2 windows that touch."""
    x = np.array([[12.0, 20, 30, 0], [8, 12, 2, 0], [34, 70, 37, 4], [112, 100, 25, 12]])
    x = x[None, :, :, None]
    largest = _net(bp.MaxPool2d(2))
    assert largest.forward(x)[0, :, :, 0].tolist() == [[20, 30], [112, 37]]
    dx = largest.backward(np.array([[1.0, 2], [3, 4]])[None, :, :, None])[0, :, :, 0]
    assert dx.tolist() == [[0, 1, 2, 0], [0, 0, 0, 0], [0, 0, 4, 0], [3, 0, 0, 0]]
    assert _net(bp.AvgPool2d(2)).predict(x)[0, :, :, 0].tolist() == [[13, 8], [79, 19.5]]
    assert _net(bp.GlobalMaxPool2d()).predict(x).tolist() == [[112]]
    check_close(_net(bp.GlobalAvgPool2d()).predict(x), [[x.mean()]], "float64", 16, LINEAR)


def test_what_an_average_is_divided_by(backend: str) -> None:
    x = np.array([[[1.0], [2], [3]]])
    for arguments, expected in (
        ({}, [1.0, 5 / 3]),
        ({"count_include_pad": False}, [1.5, 2.5]),
        ({"divisor_override": 5}, [3 / 5, 1.0]),
    ):
        net = _net(bp.AvgPool1d(3, stride=2, padding=1, **arguments))
        check_close(net.predict(x)[0, :, 0], expected, "float64", 3, LINEAR)
    # with ceil_mode the last window reaches past the end: that part is never counted
    net = _net(bp.AvgPool1d(2, ceil_mode=True))
    assert net.predict(x)[0, :, 0].tolist() == [1.5, 3.0]


def test_the_first_maximum_takes_the_gradient_and_nan_wins(backend: str) -> None:
    net = _net(bp.MaxPool1d(3))
    net.forward(np.array([[[5.0], [5], [1]]]))
    assert net.backward(np.ones((1, 1, 1)))[0, :, 0].tolist() == [1, 0, 0]
    assert np.isnan(net.predict(np.array([[[5.0], [np.nan], [9]]]))).all()


def test_batch_norm_by_hand(backend: str) -> None:
    """Three values a channel: mean 2, biased variance 2/3, unbiased 1."""
    x = np.array([[1.0, 10], [2, 10], [3, 10]])
    net = _net(bp.BatchNorm(eps=1e-5, momentum=0.1)).build((2,))
    net.params["0.weight"], net.params["0.bias"] = [2.0, 3.0], [0.5, -1.0]
    y = net.forward(x, training=True)
    spread = 2 / np.sqrt(2 / 3 + 1e-5)
    check_close(y, [[0.5 - spread, -1], [0.5, -1], [0.5 + spread, -1]], "float64", 3, LINEAR)
    check_close(net.buffers["0.running_mean"], [0.2, 1.0], "float64", 3, LINEAR)
    check_close(net.buffers["0.running_var"], [0.9 + 0.1, 0.9], "float64", 3, LINEAR)
    net.forward(x, training=True)
    check_close(net.buffers["0.running_mean"], [0.38, 1.9], "float64", 3, LINEAR)
    mean, var = np.array([0.38, 1.9]), np.array([1.0, 0.81])
    expected = (x - mean) / np.sqrt(var + 1e-5) * [2.0, 3.0] + [0.5, -1.0]
    before = net.buffers.flat.copy()
    for evaluated in (net.predict(x), net.forward(x), net.predict(x[:1])):
        check_close(evaluated, expected[: len(evaluated)], "float64", 3, LINEAR)
    np.testing.assert_array_equal(net.buffers.flat, before)


def test_batch_norm_takes_all_places_of_a_channel(backend: str) -> None:
    x = RNG.normal(3.0, 2.0, size=(4, 3, 5, 2))
    net = _net(bp.BatchNorm(momentum=1.0))
    y = net.forward(x, training=True)
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-14)
    np.testing.assert_allclose(y.var((0, 1, 2)), 1, rtol=1e-4)
    check_close(net.buffers["0.running_mean"], x.mean((0, 1, 2)), "float64", 60, LINEAR)
    check_close(net.buffers["0.running_var"], x.var((0, 1, 2), ddof=1), "float64", 60, LINEAR)


def test_batch_norm_without_running_statistics_takes_the_rows_of_a_call(backend: str) -> None:
    """All of them, however many: the rows are not cut into steps."""
    x = RNG.normal(size=(1500, 3))
    net = _net(bp.BatchNorm(track_running_stats=False))
    expected = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    check_close(net.predict(x), expected, "float64", 1500, LINEAR)
    assert len(net.buffers) == 0
    value = net.evaluate(x, expected, loss="mse")["loss"]
    assert value == pytest.approx(0, abs=1e-25)
    with pytest.raises(ValueError, match="two rows at least"):
        net.predict(x[:1])


def test_layer_norm_by_hand(backend: str) -> None:
    x = RNG.normal(2.0, 3.0, size=(2, 3, 4))
    for axes, over in ((None, (2,)), ((1, 2), (1, 2)), ([-1, -2], (1, 2)), (2, (2,))):
        net = _net(bp.LayerNorm(axes=axes)).build((3, 4))
        weight, bias = RNG.normal(size=(2, *net.params["0.weight"].shape))
        net.params["0.weight"], net.params["0.bias"] = weight, bias
        centred = x - x.mean(over, keepdims=True)
        expected = centred / np.sqrt(x.var(over, keepdims=True) + 1e-5) * weight + bias
        check_close(net.predict(x), expected, "float64", 12, LINEAR)


def test_spatial_dropout_drops_whole_channels(backend: str) -> None:
    net = _net(bp.SpatialDropout(0.3))
    y = net.forward(np.ones((60, 3, 4, 50)), training=True)
    assert (y == y[:, :1, :1]).all()
    dropped = np.mean(y[:, 0, 0] == 0)
    assert dropped == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 / 3000))
    np.testing.assert_array_equal(net.backward(np.ones_like(y)), y)
    np.testing.assert_array_equal(net.predict(y), y)


def test_channels_first_equals_the_moved_input(backend: str) -> None:
    layers = [bp.Conv2d(4, 3, padding="same"), bp.ReLU(), bp.Flatten(), bp.Linear(2)]
    last = _net(*layers).build((5, 6, 3))
    first = _net(bp.Input((3, 5, 6), layout="channels_first"), *layers)
    assert (first.input_shape, first.output_shape) == ((3, 5, 6), (2,))
    first.params.flat[...] = last.params.flat
    x = RNG.normal(size=(4, 5, 6, 3))
    moved = np.moveaxis(x, -1, 1)
    np.testing.assert_array_equal(first.predict(moved), last.predict(x))
    dy = RNG.normal(size=(4, 2))
    last.forward(x), first.forward(moved)
    np.testing.assert_array_equal(first.backward(dy), np.moveaxis(last.backward(dy), -1, 1))


def test_fused_activations_have_the_numbers_of_those_that_stand_alone(backend: str) -> None:
    """A reshape between the two keeps them apart."""
    x = RNG.normal(size=(3, 6, 6, 2))
    for layer in (bp.Conv2d(4, 3), bp.ConvTranspose2d(4, 3), bp.BatchNorm()):
        fused = _net(layer, bp.ReLU()).build((6, 6, 2))
        alone = _net(layer, bp.Reshape((-1,)), bp.ReLU()).build((6, 6, 2))
        assert len(fused.recipe.predict().ops) < len(alone.recipe.predict().ops)
        y = fused.predict(x)
        assert y.tobytes() == alone.predict(x).reshape(y.shape).tobytes()


@pytest.mark.parametrize("channels", [1, 6, 12, 13])
def test_an_image_has_the_same_bits_alone_as_among_others(channels: int, backend: str) -> None:
    """Few channels of many images are computed with an image in each lane of a vector."""
    x = RNG.normal(size=(37, 9, 7, 8)).astype(np.float32)
    net = _net(bp.Conv2d(channels, (4, 3), padding=((3, 2), (1, 2))), bp.ReLU()).build((9, 7, 8))
    y = net.forward(x, training=True)
    dy = RNG.normal(size=y.shape).astype(np.float32)
    dx = net.backward(dy)
    for i in (0, 7, 16, 36):
        assert net.forward(x[i : i + 1], training=True).tobytes() == y[i].tobytes()
        assert net.backward(dy[i : i + 1]).tobytes() == dx[i].tobytes()


@pytest.mark.parametrize("padding", ["same", "valid", 2, ((0, 1), (2, 0))])
def test_filters_act_on_each_channel(padding: object, backend: str) -> None:
    image, kernel = RNG.normal(size=(7, 6, 3)), RNG.normal(size=(3, 2))
    y = bp.functional.filter_image(image, kernel, padding)
    for c in range(3):
        net = _net(bp.Conv2d(1, (3, 2), padding=padding, bias=False)).build((7, 6, 1))
        net.params["0.weight"] = kernel[:, :, None, None]
        expected = net.predict(image[None, :, :, c : c + 1])[0, :, :, 0]
        check_close(y[..., c], expected, "float64", 6, LINEAR)
        grey = bp.functional.filter_image(image[..., c], kernel, padding)
        check_close(grey, y[..., c], "float64", 6, LINEAR)
    several = bp.functional.filter_image(np.stack([image, image]), kernel, padding)
    check_close(several[1], y, "float64", 6, LINEAR)
    turned = bp.functional.filter_image(image, kernel[::-1, ::-1], padding, flip=True)
    check_close(turned, y, "float64", 6, LINEAR)


def test_the_laplacian_vanishes_where_a_picture_rises_evenly(backend: str) -> None:
    laplacian = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    i, j, c = np.meshgrid(np.arange(9), np.arange(8), np.arange(3), indexing="ij")
    y = bp.functional.filter_image((3 * i + 2 * j + c).astype(np.uint8), laplacian, "valid")
    assert y.dtype == np.float64
    assert y.shape == (7, 6, 3)
    assert not y.any()
    step = np.repeat([[0.0] * 3 + [1] * 3], 6, axis=0)
    assert bp.functional.filter_image(step, laplacian, "valid").tolist() == [[0, -1, 1, 0]] * 4


@pytest.mark.parametrize("shape", [(2, 7, 6, 3), (2, 9, 3)])
def test_im2col_and_col2im(shape: Shape, backend: str, dtype: str) -> None:
    """A product with the windows is a convolution; col2im is the transpose of im2col."""
    x = RNG.normal(size=shape).astype(dtype)
    arguments = {"kernel_size": 3, "stride": 2, "padding": "same", "dilation": 2}
    columns = bp.functional.im2col(x, **arguments)
    assert columns.dtype == dtype
    kind = bp.Conv2d if len(shape) == 4 else bp.Conv1d
    net = bp.Sequential([kind(5, bias=False, **arguments)], dtype=dtype).build(shape[1:])
    product = columns @ net.params["0.weight"].reshape(-1, 5)
    check_close(net.predict(x), product, dtype, 27, LINEAR)
    z = RNG.normal(size=columns.shape).astype(dtype)
    back = bp.functional.col2im(z, shape[1:-1], **arguments)
    assert back.shape == shape
    left = np.sum(columns * z, dtype=float)
    assert left == pytest.approx(np.sum(x * back, dtype=float), rel=1e-5)
