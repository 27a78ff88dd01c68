"""S38-S46: every activation of the sources, its values and its slopes."""

from __future__ import annotations

import numpy as np
import pytest
from golden.helpers import Kind, float64_only, golden

import pybp as bp


def value_and_slope(net, x):
    """Return f(x) and f'(x), the slope as the gradient of the input for an upstream of ones."""
    y = net.forward(x, training=True)
    return y, net.backward(np.ones_like(y))


@pytest.mark.parametrize(
    ("example", "layer", "kind"),
    [
        ("S38", bp.Identity(), Kind.LINEAR),
        ("S39", bp.ReLU(), Kind.LINEAR),
        ("S40", bp.Sigmoid(), Kind.SMOOTH),
        ("S41", bp.Tanh(), Kind.SMOOTH),
        ("S43", bp.Heaviside(), Kind.LINEAR),
        ("S44", bp.LeakyReLU(0.1), Kind.LINEAR),
    ],
    ids=["identity", "relu", "sigmoid", "tanh", "heaviside", "leaky_relu"],
)
def test_activation_has_its_values_and_slopes(sequential, array, close, example, layer, kind):
    """S38, S39, S40, S41, S43, S44: seven points on both sides of 0, and 0 itself."""
    fig = golden(example)
    y, slope = value_and_slope(sequential([layer], (7,), {}), array([fig["x"]]))
    close(y[0], fig["f"], kind)
    close(slope[0], fig["df"], kind)


def test_relu_layer_cuts_at_zero_with_slope_zero(sequential, array):
    """S39: max(0, x W + b): the mask is output > 0, so that relu'(0) = 0."""
    params = {"0.weight": [[2.0, -1.0, 0.0]], "0.bias": [-1.0, 0.5, 0.0]}
    net = sequential([bp.Linear(3), bp.ReLU()], (1,), params)
    y, _ = value_and_slope(net, array([[1.0]]))
    np.testing.assert_array_equal(y, [[1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(net.grads["0.bias"], [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(net.grads["0.weight"], [[1.0, 0.0, 0.0]])


def test_relu_slope_is_the_mask_and_not_the_output(sequential, array):
    """S39: the printed slope, output times mask, is right only where the output is 1."""
    x = array([[0.5, 2.0, -1.0]])
    y, slope = value_and_slope(sequential([bp.ReLU()], (3,), {}), x)
    np.testing.assert_array_equal(slope, [[1.0, 1.0, 0.0]])
    assert np.any(slope != y * (x > 0))


def test_straight_through_relu_lets_every_gradient_pass(sequential, array):
    """S39: `x >= 0` applied to relu's output is always true: the mask never acts."""
    x = array([golden("S39")["x"]])
    y, slope = value_and_slope(sequential([bp.ReLU(straight_through=True)], (7,), {}), x)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    np.testing.assert_array_equal(slope, np.ones_like(x))


def test_softmax_has_its_values_and_its_whole_jacobian(sequential, array, close):
    """S42: diag(p) - p p': a higher winner lowers all others."""
    fig = golden("S42")
    net = sequential([bp.Softmax()], (3,), {})
    z = array([fig["z"]])
    p = net.forward(z, training=True)
    close(p[0], fig["f"], Kind.SMOOTH)
    assert float(p.sum()) == pytest.approx(1.0, abs=1e-6)
    rows = [net.backward(array([unit]))[0] for unit in np.eye(3)]
    close(rows, fig["jacobian"], Kind.GRADIENT)
    assert np.all(np.diag(rows) > 0)
    assert np.all(np.array(rows)[~np.eye(3, dtype=bool)] < 0)


def test_softmax_ignores_a_shift_of_all_logits(sequential, array, close):
    """S42: with 1000 added the plain exponentials would overflow; the result is the same."""
    fig = golden("S42")
    net = sequential([bp.Softmax()], (3,), {})
    close(net.predict(array([fig["z"] + 1000.0]))[0], fig["shift_invariant"], Kind.SMOOTH)


def test_softmax_with_mean_cross_entropy_has_the_gradient_p_minus_y_over_batch(
    sequential, array, close
):
    """S42: (out - true) / B, where B is the number of rows."""
    fig = golden("S42")["batch"]
    z, y = array(fig["z"]), array(fig["targets"])
    close(sequential([bp.Softmax()], (3,), {}).predict(z), fig["out"], Kind.SMOOTH)
    _, grad = bp.CrossEntropy().value_and_grad(z, y)
    close(grad, fig["delta_over_batch_size"], Kind.SMOOTH)


def test_heaviside_is_off_at_zero(sequential, array):
    """S43: H(0) = 0."""
    assert sequential([bp.Heaviside()], (1,), {}).predict(array([[0.0]])).item() == 0.0


@pytest.mark.parametrize("index", [0, 1, 2])
def test_sigmoid_with_a_slope_is_a_smooth_heaviside(sequential, array, close, index):
    """S45: sigmoid(k x) for k = 1, 5, 50, with the slope k s (1 - s)."""
    fig = golden("S45")
    net = sequential([bp.Sigmoid(slope=float(fig["k"][index]))], (7,), {})
    y, slope = value_and_slope(net, array([fig["x"]]))
    close(y[0], fig["f"][index], Kind.SMOOTH)
    close(slope[0], fig["df"][index], Kind.GRADIENT)


@float64_only
def test_steep_sigmoid_tends_to_the_step(sequential, array):
    """S45: away from 0 the distance to Heaviside falls as k grows."""
    fig = golden("S45")
    x = array([[v for v in fig["x"] if v != 0]])
    step = sequential([bp.Heaviside()], (6,), {}).predict(x)
    gaps = [
        np.max(np.abs(sequential([bp.Sigmoid(slope=float(k))], (6,), {}).predict(x) - step))
        for k in fig["k"]
    ]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-10


LAYERS = {
    "identity": bp.Identity(),
    "relu": bp.ReLU(),
    "leaky(0.1)": bp.LeakyReLU(0.1),
    "sigmoid": bp.Sigmoid(),
    "tanh": bp.Tanh(),
    "heaviside": bp.Heaviside(),
}


@float64_only
@pytest.mark.parametrize("name", LAYERS)
def test_activation_meets_the_wishes_the_table_grants_it(sequential, array, name):
    """S46: monotonic, one-to-one, continuous, differentiable, non-linear, read off 801 points."""
    want = golden("S46")["criteria"][name]
    step = 0.01
    x = np.linspace(-4, 4, 801)[:, None]
    f, slope = value_and_slope(sequential([LAYERS[name]], (1,), {}), array(x))
    rise = np.diff(f[:, 0])
    bend = np.abs(np.diff(slope[:, 0]))
    continuous = bool(np.max(np.abs(rise)) < 2 * step)  # no slope here is above 1
    found = {
        "non_decreasing": bool(np.all(rise >= -1e-12)),
        "one_to_one": bool(np.all(rise > 0)),
        "continuous": continuous,
        # a smooth slope moves by less than the step between two points, a kink by far more
        "differentiable_everywhere": continuous and bool(np.max(bend) < step),
        "non_linear": bool(np.max(np.abs(np.diff(f[:, 0], 2))) > 1e-9),
    }
    assert found == want
