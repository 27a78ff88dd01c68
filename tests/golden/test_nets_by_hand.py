"""S10, S11, S14-S16, S55: small nets whose gradients the sources write out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from finite_difference import central_differences
from golden.helpers import Kind, float64_only, golden

import pybp as bp

NORM = bp.NormError(reduction="sum")
HALF_SQUARED = bp.SquaredError("sum", half=True)


def loss_and_backward(net, loss, x, y):
    """Run forward and backward once and return the loss, the output and the loss's gradient."""
    y_hat = net.forward(x, training=True)
    value, dy = loss.value_and_grad(y_hat, y)
    net.backward(dy)
    return value, y_hat, dy


def assert_gradients_equal_differences(net, loss, x, y):
    """Judge ``net.grads`` by central differences of the loss."""
    for name in net.params:
        numeric = central_differences(
            lambda: loss.value_and_grad(net.forward(x, training=True), y)[0], net.params[name]
        )
        np.testing.assert_allclose(net.grads[name], numeric, rtol=0, atol=2e-8)


def perceptron_3_4_2(sequential):
    fig = golden("S10")
    layers = [bp.Linear(4, bias=False), bp.Sigmoid(), bp.Linear(2, bias=False), bp.Sigmoid()]
    return fig, sequential(layers, (3,), {"0.weight": fig["W"], "2.weight": fig["V"]})


@pytest.mark.parametrize(
    ("name", "loss"),
    [("norm_loss", NORM), ("half_squared_loss", HALF_SQUARED)],
    ids=["norm", "half_squared"],
)
def test_perceptron_3_4_2_sums_its_gradient_over_both_outputs(sequential, array, close, name, loss):
    """S10: all 20 gradients, for the norm of the error and for one half of its square."""
    fig, net = perceptron_3_4_2(sequential)
    want = fig[name]
    value, y_hat, dy = loss_and_backward(net, loss, array([fig["x"]]), array([fig["y"]]))
    close(y_hat[0], fig["y_hat"], Kind.SMOOTH)
    close(value, want["E"], Kind.SMOOTH)
    close(dy[0], want["dE_dy"], Kind.GRADIENT)
    close(net.grads["2.weight"], want["dE_dV"], Kind.GRADIENT)
    close(net.grads["0.weight"], want["dE_dW"], Kind.GRADIENT)
    first = net.grads["0.weight"][0, 0]
    assert first == pytest.approx(want["dE_dW11_all_paths"], rel=1e-4)
    assert first != pytest.approx(want["dE_dW11_single_path_as_printed"], rel=1e-2)


@float64_only
def test_perceptron_3_4_2_has_20_weights_and_the_gradients_of_finite_differences(sequential, array):
    """S10: 3*4 + 4*2 weights; each gradient equals its central difference."""
    fig, net = perceptron_3_4_2(sequential)
    assert sum(value.size for value in net.params.values()) == fig["n_weights"]
    x, y = array([fig["x"]]), array([fig["y"]])
    for loss in (NORM, HALF_SQUARED):
        loss_and_backward(net, loss, x, y)
        assert_gradients_equal_differences(net, loss, x, y)


def test_perceptron_3_4_2_shows_its_intermediate_sums(sequential, array, close):
    """S10: a = x W, h = sigmoid(a), z = h V, one after the other."""
    fig, _ = perceptron_3_4_2(sequential)
    x = array([fig["x"]])
    W, V = {"0.weight": fig["W"]}, {"2.weight": fig["V"]}
    layers = [bp.Linear(4, bias=False), bp.Sigmoid(), bp.Linear(2, bias=False)]
    close(sequential(layers[:1], (3,), W).predict(x)[0], fig["a"])
    close(sequential(layers[:2], (3,), W).predict(x)[0], fig["h"], Kind.SMOOTH)
    close(sequential(layers, (3,), W | V).predict(x)[0], fig["z"], Kind.SMOOTH)


def test_chain_of_three_matrices_sums_its_gradient_over_all_eight_paths(sequential, array, close):
    """S11: dE/dU11 is the sum over every path, not the product along one of them."""
    fig = golden("S11")
    layers = [
        bp.Linear(3, bias=False), bp.Sigmoid(), bp.Linear(4, bias=False), bp.Sigmoid(),
        bp.Linear(2, bias=False), bp.Sigmoid(),
    ]  # fmt: skip
    weights = {"0.weight": fig["U"], "2.weight": fig["W"], "4.weight": fig["V"]}
    net = sequential(layers, (3,), weights)
    x, y = array([fig["x"]]), array([fig["y"]])
    close(sequential(layers[:2], (3,), {"0.weight": fig["U"]}).predict(x)[0], fig["g"], Kind.SMOOTH)
    value, y_hat, _ = loss_and_backward(net, HALF_SQUARED, x, y)
    close(y_hat[0], fig["y_hat"], Kind.SMOOTH)
    close(value, fig["E_half_squared"], Kind.SMOOTH)
    close(net.grads["4.weight"], fig["dE_dV"], Kind.GRADIENT)
    close(net.grads["2.weight"], fig["dE_dW"], Kind.GRADIENT)
    close(net.grads["0.weight"], fig["dE_dU"], Kind.GRADIENT)
    first = net.grads["0.weight"][0, 0]
    assert first == pytest.approx(fig["dE_dU11_all_8_paths"], rel=1e-4)
    assert first != pytest.approx(fig["dE_dU11_single_path_as_printed"], rel=1e-2)


@float64_only
def test_chain_of_three_matrices_has_the_gradients_of_finite_differences(sequential, array):
    """S11: each of the three matrices against central differences."""
    fig = golden("S11")
    layers = [
        bp.Linear(3, bias=False), bp.Sigmoid(), bp.Linear(4, bias=False), bp.Sigmoid(),
        bp.Linear(2, bias=False), bp.Sigmoid(),
    ]  # fmt: skip
    weights = {"0.weight": fig["U"], "2.weight": fig["W"], "4.weight": fig["V"]}
    net = sequential(layers, (3,), weights)
    x, y = array([fig["x"]]), array([fig["y"]])
    loss_and_backward(net, HALF_SQUARED, x, y)
    assert_gradients_equal_differences(net, HALF_SQUARED, x, y)


def test_update_rules_of_the_one_output_net_are_plain_descent(sequential, array, close):
    """S14: y = f(v h) with rows of w as hidden nodes; one step at eta = 0.5."""
    fig = golden("S14")
    layers = [bp.Linear(2, bias=False), bp.Sigmoid(), bp.Linear(1, bias=False), bp.Sigmoid()]
    weights = {"0.weight": fig["w_hidden_by_feature"].T, "2.weight": fig["v"][:, None]}
    net = sequential(layers, (3,), weights)
    x, y = array([fig["x"]]), array([[fig["y"]]])
    hidden = sequential(layers[:2], (3,), {"0.weight": fig["w_hidden_by_feature"].T})
    close(hidden.predict(x)[0], fig["h"], Kind.SMOOTH)
    value, y_hat, _ = loss_and_backward(net, HALF_SQUARED, x, y)
    close(y_hat, [[fig["y_hat"]]], Kind.SMOOTH)
    close(value, fig["loss"], Kind.SMOOTH)
    close(net.grads["2.weight"][:, 0], fig["dloss_dv"], Kind.GRADIENT)
    close(net.grads["0.weight"].T, fig["dloss_dw"], Kind.GRADIENT)
    bp.SGD(fig["eta"]).step(net)
    close(net.params["2.weight"][:, 0], fig["new_v"], Kind.GRADIENT)
    close(net.params["0.weight"].T, fig["new_w"], Kind.GRADIENT)


@float64_only
def test_one_output_net_has_the_gradients_of_finite_differences(sequential, array):
    """S14: the printed update rules are the negative gradient of one half of the squared error."""
    fig = golden("S14")
    layers = [bp.Linear(2, bias=False), bp.Sigmoid(), bp.Linear(1, bias=False), bp.Sigmoid()]
    weights = {"0.weight": fig["w_hidden_by_feature"].T, "2.weight": fig["v"][:, None]}
    net = sequential(layers, (3,), weights)
    x, y = array([fig["x"]]), array([[fig["y"]]])
    loss_and_backward(net, HALF_SQUARED, x, y)
    assert_gradients_equal_differences(net, HALF_SQUARED, x, y)


def net_2_3_1(sequential):
    fig = golden("S15")
    layers = [bp.Linear(3, bias=False), bp.Tanh(), bp.Linear(1, bias=False)]
    weights = {"0.weight": fig["W1"], "2.weight": fig["W2"][:, None]}
    return fig, sequential(layers, (2,), weights)


def test_two_step_update_of_the_2_3_1_net(sequential, array, close):
    """S15: output weights by (d - y) h, hidden ones by (d - y) w phi' x; E falls to 0.004458."""
    fig, net = net_2_3_1(sequential)
    x, d = array([fig["x"]]), array([[fig["d"]]])
    value, y_hat, _ = loss_and_backward(net, HALF_SQUARED, x, d)
    close(y_hat, [[fig["y"]]], Kind.SMOOTH)
    close(value, fig["E"], Kind.SMOOTH)
    close(-net.grads["2.weight"][:, 0], fig["minus_dE_dW2"], Kind.GRADIENT)
    close(-net.grads["0.weight"], fig["minus_dE_dW1"], Kind.GRADIENT)
    bp.SGD(fig["alpha"]).step(net)
    close(net.params["2.weight"][:, 0], fig["new_W2"], Kind.GRADIENT)
    close(net.params["0.weight"], fig["new_W1"], Kind.GRADIENT)
    new_y = net.predict(x)
    close(new_y, [[fig["new_y"]]], Kind.GRADIENT)
    new_value, _ = HALF_SQUARED.value_and_grad(new_y, d)
    close(new_value, fig["new_E"], Kind.GRADIENT)


def test_all_layers_change_together_from_the_old_weights(sequential, array, close):
    """S55: W1 moves by the OLD output weights; updating one layer after the other differs."""
    sizes = golden("S55")
    fig, net = net_2_3_1(sequential)
    trainer = bp.Trainer(net, loss=HALF_SQUARED, optimizer=bp.SGD(fig["alpha"]))
    trainer.step(array([fig["x"]]), array([[fig["d"]]]))
    got = net.params["0.weight"]
    close(got, sizes["simultaneous_new_W1"], Kind.GRADIENT)
    distance = np.max(np.abs(got - sizes["sequential_new_W1_wrong"]))
    assert distance == pytest.approx(sizes["max_abs_difference"], rel=1e-3)


def net_of_many_paths(sequential):
    """Build 1-2-2-1 from the single weights: h3 = h1 w2 + h2 w8, h4 = h1 w7 + h2 w5."""
    fig = golden("S16")
    w = fig["weights"]
    layers = [bp.Linear(2, bias=False), bp.Linear(2, bias=False), bp.Linear(1, bias=False)]
    weights = {
        "0.weight": [[w["w1"], w["w4"]]],
        "1.weight": [[w["w2"], w["w7"]], [w["w8"], w["w5"]]],
        "2.weight": [[w["w3"]], [w["w6"]]],
    }
    return fig, layers, weights, sequential(layers, (1,), weights)


def by_name(matrices):
    """Read the single weights w1 ... w8 out of the three matrices."""
    (w1, w4), ((w2, w7), (w8, w5)), (w3, w6) = (
        matrices["0.weight"][0], matrices["1.weight"], matrices["2.weight"][:, 0],
    )  # fmt: skip
    return {"w1": w1, "w4": w4, "w2": w2, "w8": w8, "w7": w7, "w5": w5, "w3": w3, "w6": w6}


def test_weight_on_several_paths_sums_their_products(sequential, array, close):
    """S16: d y / d w1 = X (w2 w3 + w7 w6) = 0.92; one step brings y from -0.182 to 0.883925."""
    fig, layers, weights, net = net_of_many_paths(sequential)
    x, d = array([[fig["X"]]]), array([[fig["d"]]])
    first = sequential(layers[:1], (1,), {"0.weight": weights["0.weight"]})
    close(first.predict(x)[0], [fig["h1"], fig["h2"]])
    both = {name: weights[name] for name in ("0.weight", "1.weight")}
    close(sequential(layers[:2], (1,), both).predict(x)[0], [fig["h3"], fig["h4"]])
    y_hat = net.forward(x, training=True)
    close(y_hat, [[fig["y"]]])
    net.backward(array([[1.0]]))
    slopes = by_name(net.grads)
    close([slopes[k] for k in fig["dy_dw"]], list(fig["dy_dw"].values()), Kind.GRADIENT)
    loss_and_backward(net, HALF_SQUARED, x, d)
    bp.SGD(fig["alpha"]).step(net)
    moved = by_name(net.params)
    close([moved[k] for k in fig["new_weights"]], list(fig["new_weights"].values()), Kind.GRADIENT)
    close(net.predict(x), [[fig["new_y"]]], Kind.GRADIENT)


@float64_only
def test_sum_over_paths_equals_the_finite_difference(sequential, array):
    """S16: the slope of the output by each of the eight weights, against central differences."""
    fig, _, _, net = net_of_many_paths(sequential)
    x = array([[fig["X"]]])
    net.forward(x, training=True)
    net.backward(array([[1.0]]))
    for name in net.params:
        numeric = central_differences(lambda: float(net.predict(x)[0, 0]), net.params[name])
        np.testing.assert_allclose(net.grads[name], numeric, rtol=0, atol=1e-8)
