"""S72-S77: convolution by hand, the Laplacian, a layer with its gradients, pooling, a small CNN.

The figures are channels-first, (n, c, h, w) and kernels (out, in, kh, kw); here images are
(n, h, w, c) and kernels (kh, kw, in, out).
"""

from __future__ import annotations

import numpy as np
import pytest
from golden.helpers import Kind, golden

import pybp as bp

GEOMETRIES = {"stride1_pad0": (1, 0), "stride1_pad1": (1, 1), "stride2_pad1": (2, 1)}


def image(figure):
    """Return figures (n, c, h, w) as images (n, h, w, c)."""
    return np.asarray(figure).transpose(0, 2, 3, 1)


def kernel(figure):
    """Return a figure (out, in, kh, kw) as a kernel (kh, kw, in, out)."""
    return np.asarray(figure).transpose(2, 3, 1, 0)


def filtered(sequential, array, x, k, **options):
    """Return one plane (h, w) after a layer with a single kernel (kh, kw)."""
    layer = bp.Conv2d(1, k.shape, bias=False, **options)
    net = sequential([layer], (*x.shape, 1), {"0.weight": k[:, :, None, None]})
    return net.predict(array(x)[None, :, :, None])[0, :, :, 0]


# ------------------------------------------------------------------------- one dimension


@pytest.mark.parametrize("padding", [0, 2], ids=["valid", "full"])
@pytest.mark.parametrize("flip", [False, True], ids=["correlation", "convolution"])
def test_line_is_correlated_and_convolved(sequential, array, close, padding, flip):
    """S72: c[p] = sum x[i] k[i - p], and with the kernel flipped sum x[i] k[p - i]."""
    fig = golden("S72")
    layer = bp.Conv1d(1, 3, padding=padding, bias=False, flip=flip)
    net = sequential([layer], (5, 1), {"0.weight": fig["k"].reshape(3, 1, 1)})
    got = net.predict(array(fig["x"])[None, :, None])[0, :, 0]
    want = {
        (0, False): "correlation_valid",
        (0, True): "convolution_valid",
        (2, False): "correlation_full_p_from_minus2_to_4",
        (2, True): "convolution_full",
    }
    close(got, fig[want[padding, flip]])


# ------------------------------------------------------------------------ two dimensions


@pytest.mark.parametrize(
    ("want", "options"),
    [
        ("correlation_valid", {}),
        ("convolution_valid", {"flip": True}),
        ("correlation_same_zero_pad", {"padding": "same"}),
    ],
)
def test_plane_is_correlated_and_convolved(sequential, array, close, want, options):
    """S73: a 5 x 5 plane and a kernel without symmetry."""
    fig = golden("S73")
    close(filtered(sequential, array, fig["x"], fig["k"], **options), fig[want], terms=9)


# ----------------------------------------------------------------------- Laplacian on RGB


@pytest.mark.parametrize(
    ("want", "padding"), [("valid", "valid"), ("same_zero_pad", "same")], ids=["valid", "same"]
)
def test_laplacian_filters_a_picture_channel_by_channel(
    backend, dtype, array, close, want, padding
):
    """S74: flat and linearly rising areas vanish, contours stay."""
    fig = golden("S74")
    picture = array(fig["image_rgb"]).transpose(1, 2, 0)
    got = bp.functional.filter_image(picture, fig["kernel"], padding=padding)
    assert got.dtype == picture.dtype
    close(got.transpose(2, 0, 1), fig[want], terms=5, scale=4.0)


def test_laplacian_is_a_depthwise_layer_and_its_own_mirror_image(sequential, array, close):
    """S74: groups = channels; the kernel's sum is 0 and it equals its flip."""
    fig = golden("S74")
    weight = np.repeat(fig["kernel"][:, :, None, None], 3, axis=3)
    picture = array(fig["image_rgb"]).transpose(1, 2, 0)[None]
    for flip in (False, True):
        layer = bp.Conv2d(3, 3, padding="same", groups=3, bias=False, flip=flip)
        net = sequential([layer], (6, 6, 3), {"0.weight": weight})
        got = net.predict(picture)[0].transpose(2, 0, 1)
        close(got, fig["same_zero_pad"], terms=5, scale=4.0)
    assert fig["kernel"].sum() == fig["kernel_sum"]


# --------------------------------------------------------------------- layer and gradients


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_layer_with_channels_and_all_its_gradients(sequential, array, close, geometry):
    """S75: 2 -> 3 channels, 3 x 3, for (stride, padding) = (1, 0), (1, 1), (2, 1)."""
    fig = golden("S75")
    want = fig[geometry]
    stride, padding = GEOMETRIES[geometry]
    net = sequential(
        [bp.Conv2d(3, 3, stride=stride, padding=padding)],
        (5, 5, 2),
        {"0.weight": kernel(fig["w"]), "0.bias": fig["b"]},
    )
    x = array(image(fig["x"]))
    out = net.forward(x, training=True)
    close(out, image(want["out"]), terms=18)
    close(net.predict(x), image(want["out"]), terms=18)
    dx = net.backward(array(image(want["upstream"])))
    close(dx, image(want["dx"]), Kind.GRADIENT, terms=27)
    close(net.grads["0.weight"], kernel(want["dw"]), Kind.GRADIENT, terms=25)
    close(net.grads["0.bias"], want["db"], Kind.GRADIENT, terms=25)


def test_layer_is_a_sparse_matrix_with_tied_entries(sequential, array, close):
    """S75: 5 x 5 -> 3 x 3 is a (9, 25) matrix with 81 used places and 9 distinct weights."""
    form, plane = golden("S75")["matrix_form"], golden("S73")
    matrix = form["matrix"]
    assert matrix.shape == tuple(form["shape"])
    assert matrix.size == form["dense_entries"]
    assert np.count_nonzero(matrix) == form["nonzeros"]
    flat = (matrix @ plane["x"].ravel()).reshape(3, 3)
    close(filtered(sequential, array, plane["x"], plane["k"]), flat, terms=9)
    used = filtered(sequential, array, np.ones((5, 5)), np.ones((3, 3)))
    assert used.sum() == form["positions_used"]
    assert plane["k"].size == form["distinct_weights"]


def test_matrix_of_the_layer_is_what_unit_pictures_give(sequential, array, close):
    """S75: column i of the matrix is the layer's output for a 1 in cell i."""
    form, plane = golden("S75")["matrix_form"], golden("S73")
    layer = bp.Conv2d(1, 3, bias=False)
    net = sequential([layer], (5, 5, 1), {"0.weight": plane["k"][:, :, None, None]})
    columns = net.predict(array(np.eye(25)).reshape(25, 5, 5, 1)).reshape(25, 9)
    close(columns.T, form["matrix"])
    net.forward(array(np.zeros((9, 5, 5, 1))), training=True)
    dx = net.backward(array(np.eye(9)).reshape(9, 3, 3, 1)).reshape(9, 25)
    close(dx, form["matrix"])  # backward is the transposed matrix


# ------------------------------------------------------------------------------- pooling


def test_max_pooling_keeps_the_winner_and_sends_it_the_gradient(sequential, array, close):
    """S76: [[20, 30], [112, 37]]; the upstream goes to (0, 1), (0, 2), (3, 0), (2, 2)."""
    fig = golden("S76")
    net = sequential([bp.MaxPool2d(2)], (4, 4, 1), {})
    x = array(fig["widely_circulated_figure"])[None, :, :, None]
    close(net.forward(x, training=True)[0, :, :, 0], fig["pooled"])
    dx = net.backward(array(fig["upstream"])[None, :, :, None])
    np.testing.assert_array_equal(dx[0, :, :, 0], fig["dx"])


def test_left_half_of_the_matrix_pools_to_its_printed_column(sequential, array):
    """S76: all that is left of the first figure: (20, 112)."""
    fig = golden("S76")
    net = sequential([bp.MaxPool2d(2)], (4, 2, 1), {})
    got = net.predict(array(fig["surviving_left_half"])[None, :, :, None])
    np.testing.assert_array_equal(got[0, :, :, 0], fig["left_half_pooled"])


# ------------------------------------------------------------------------------ small CNN


def small_cnn(sequential, fig):
    """Build conv, relu, pool, flatten, dense; softmax is part of the loss."""
    weight = fig["dense_w"].reshape(2, 2, 2, 3).transpose(1, 2, 0, 3).reshape(8, 3)
    return sequential(
        [bp.Conv2d(2, 3), bp.ReLU(), bp.MaxPool2d(2), bp.Flatten(), bp.Linear(3)],
        (6, 6, 1),
        {
            "0.weight": kernel(fig["conv_w"]),
            "0.bias": fig["conv_b"],
            "4.weight": weight,
            "4.bias": fig["dense_b"],
        },
    )


def test_small_cnn_has_its_loss_and_all_its_gradients(sequential, array, close):
    """S77: loss 1.922970338; the figures flatten (channel, row, column)."""
    fig = golden("S77")
    net = small_cnn(sequential, fig)
    logits = net.forward(array(image(fig["x"])), training=True)
    softmax = bp.Sequential([bp.Softmax()], dtype=str(logits.dtype))
    close(softmax.predict(logits), fig["probabilities"], Kind.SMOOTH, terms=9)
    value, dy = bp.CrossEntropy().value_and_grad(logits, np.array([fig["target"]]))
    close(value, fig["loss"], Kind.SMOOTH, terms=9)
    net.backward(dy)
    dense = fig["d_dense_w"].reshape(2, 2, 2, 3).transpose(1, 2, 0, 3).reshape(8, 3)
    close(net.grads["4.weight"], dense, Kind.GRADIENT, terms=9)
    close(net.grads["4.bias"], fig["d_dense_b"], Kind.GRADIENT, terms=9)
    close(net.grads["0.weight"], kernel(fig["d_conv_w"]), Kind.GRADIENT, terms=16)
    close(net.grads["0.bias"], fig["d_conv_b"], Kind.GRADIENT, terms=16)


def test_small_cnn_shows_its_feature_maps(sequential, array, close):
    """S77: what the convolution and the pool put out."""
    fig = golden("S77")
    x = array(image(fig["x"]))
    params = {"0.weight": kernel(fig["conv_w"]), "0.bias": fig["conv_b"]}
    conv = sequential([bp.Conv2d(2, 3)], (6, 6, 1), params)
    close(conv.predict(x), image(fig["conv_out"]), terms=9)
    pooled = sequential([bp.Conv2d(2, 3), bp.ReLU(), bp.MaxPool2d(2)], (6, 6, 1), params)
    close(pooled.predict(x), image(fig["pooled"]), terms=9)


def test_step_of_training_moves_the_small_cnn_by_its_gradients(sequential, array, close):
    """S77: one native step of gradient descent at rate 0.1."""
    fig = golden("S77")
    net = small_cnn(sequential, fig)
    trainer = bp.Trainer(net, loss="cross_entropy", optimizer=bp.SGD(0.1))
    loss = trainer.step(array(image(fig["x"])), np.array([fig["target"]]))
    close(loss, fig["loss"], Kind.SMOOTH, terms=9)
    close(
        net.params["0.weight"], kernel(fig["conv_w"] - 0.1 * fig["d_conv_w"]), Kind.GRADIENT,
        terms=16,
    )  # fmt: skip
    close(net.params["0.bias"], fig["conv_b"] - 0.1 * fig["d_conv_b"], Kind.GRADIENT, terms=16)
    close(net.params["4.bias"], fig["dense_b"] - 0.1 * fig["d_dense_b"], Kind.GRADIENT, terms=9)
