"""S30-S37, S47: the value and the gradient of every loss of the sources."""

from __future__ import annotations

import numpy as np
import pytest
from golden.helpers import Kind, golden

import pybp as bp

pytestmark = pytest.mark.usefixtures("backend")

LOSSES_OF_ONE_TABLE = [
    ("S30", bp.SquaredError("sum", half=True), "value", "grad"),
    ("S31", bp.SquaredError("sum"), "value", "grad"),
    ("S32", bp.SquaredError("batch"), "value_mean_over_samples", "grad_mean_over_samples"),
    ("S32", bp.SquaredError("mean"), "value_mean_over_elements", "grad_mean_over_elements"),
    ("S32", bp.MSE(), "value_mean_over_elements", "grad_mean_over_elements"),
    ("S33", bp.SquaredError("batch", half=True), "value", "grad"),
    ("S34", bp.MAE(), "value_mean_over_elements", "grad"),
    ("S35", bp.NormError(reduction="sum"), "value_sum", "grad_sum"),
]


@pytest.mark.parametrize(
    ("example", "loss", "value_key", "grad_key"),
    LOSSES_OF_ONE_TABLE,
    ids=["S30", "S31", "S32-samples", "S32-elements", "S32-MSE", "S33", "S34", "S35"],
)
def test_loss_has_the_value_and_the_gradient_of_the_table(
    array, close, dtype, example, loss, value_key, grad_key
):
    """S30, S31, S32, S33, S34, S35: seven losses of one 3x2 table, with their own factors."""
    fig = golden(example)
    value, grad = loss.value_and_grad(array(fig["y_hat"]), array(fig["y"]))
    assert isinstance(value, float)
    assert grad.dtype == dtype
    close(value, fig[value_key], Kind.SMOOTH)
    close(grad, fig[grad_key], Kind.SMOOTH)


def test_absolute_error_has_no_slope_at_a_tie(array):
    """S34: sign(y_hat - y) / m is 0 where both agree."""
    fig = golden("S34")
    _, grad = bp.MAE().value_and_grad(array(fig["y_hat"]), array(fig["y"]))
    assert fig["y_hat"][1, 0] == fig["y"][1, 0]
    assert grad[1, 0] == 0
    assert np.count_nonzero(grad) == grad.size - 1


def test_norm_error_gives_one_length_per_row(array, close):
    """S35: without reduction, the 2-norm of each row."""
    fig = golden("S35")
    loss = bp.NormError(reduction="none")
    per_row, grad = loss.value_and_grad(array(fig["y_hat"]), array(fig["y"]))
    close(per_row, fig["per_sample"], Kind.SMOOTH)
    close(grad, fig["grad_sum"], Kind.SMOOTH)


def test_norm_error_has_no_slope_where_the_prediction_is_right(array):
    """S35: the norm has no derivative at 0; the gradient there is 0, not NaN."""
    y = array(golden("S35")["y"])
    value, grad = bp.NormError(reduction="sum").value_and_grad(y.copy(), y)
    assert value == 0
    np.testing.assert_array_equal(grad, np.zeros_like(y))


def test_cross_entropy_takes_distributions_and_labels_alike(array, close):
    """S36: softmax form: the mean is 1.506352173, the gradient by the logits (p - y) / B."""
    fig = golden("S36")
    logits, targets = array(fig["logits"]), array(fig["targets"])
    labels = fig["targets"].argmax(axis=1)
    for y in (targets, labels):
        value, grad = bp.CrossEntropy().value_and_grad(logits, y)
        close(value, fig["mean"], Kind.SMOOTH)
        close(grad, fig["grad_logits_mean"], Kind.SMOOTH)
    per_sample, _ = bp.CrossEntropy(reduction="none").value_and_grad(logits, labels)
    close(per_sample, fig["per_sample"], Kind.SMOOTH)


def test_cross_entropy_equals_log_softmax_and_negative_log_likelihood(sequential, array, close):
    """S36: the same figures in two steps, with the gradient passed back through the layer."""
    fig = golden("S36")
    logits, labels = array(fig["logits"]), fig["targets"].argmax(axis=1)
    softmax = sequential([bp.Softmax()], (3,), {})
    close(softmax.predict(logits), fig["softmax"], Kind.SMOOTH)
    net = sequential([bp.LogSoftmax()], (3,), {})
    log_p = net.forward(logits, training=True)
    close(log_p, np.log(fig["softmax"]), Kind.SMOOTH)
    value, dy = bp.NLL().value_and_grad(log_p, labels)
    close(value, fig["mean"], Kind.SMOOTH)
    close(net.backward(dy), fig["grad_logits_mean"], Kind.GRADIENT)


def test_binary_cross_entropy_has_the_gradient_p_minus_t(array, close):
    """S36: the binary form from logits, element by element."""
    fig = golden("S36")["binary"]
    logits, targets = array(fig["logits"]), array(fig["targets"])
    loss = bp.BCEWithLogits(reduction="none")
    per_element, grad = loss.value_and_grad(logits, targets)
    close(per_element, fig["per_element"], Kind.SMOOTH)
    close(grad, fig["grad_logits_sum"], Kind.SMOOTH)


def test_binary_cross_entropy_after_a_sigmoid_layer_gives_the_same_gradient(
    sequential, array, close
):
    """S36: BCE on p = sigmoid(z), passed back through the sigmoid, is p - t again."""
    fig = golden("S36")["binary"]
    net = sequential([bp.Sigmoid()], (3,), {})
    p = net.forward(array([fig["logits"]]), training=True)
    close(p[0], fig["p"], Kind.SMOOTH)
    value, dy = bp.BCE(reduction="sum").value_and_grad(p, array([fig["targets"]]))
    close(value, np.sum(fig["per_element"]), Kind.SMOOTH)
    close(net.backward(dy)[0], fig["grad_logits_sum"], Kind.GRADIENT)


def test_summed_error_is_the_number_of_samples_times_the_mean(array, close):
    """S37: empirical risk (1/s) sum, and the plain sum of the single errors."""
    fig, table = golden("S37"), golden("S30")
    y_hat, y = array(table["y_hat"]), array(table["y"])
    risk, risk_grad = bp.SquaredError("batch", half=True).value_and_grad(y_hat, y)
    total, total_grad = bp.SquaredError("sum", half=True).value_and_grad(y_hat, y)
    close(risk, fig["with_half_squared"])
    close(total, fig["total_error_sum_form"])
    close(risk_grad * len(y), total_grad.astype(np.float64))


def several_labels(sequential, last):
    """Build 2-3-3: one hidden layer shared by three outputs."""
    weights = {
        "0.weight": [[0.4, -0.2, 0.9], [-0.7, 0.5, 0.3]],
        "2.weight": [[0.8, -0.1, 0.2], [0.3, 0.6, -0.5], [-0.4, 0.7, 1.0]],
    }
    layers = [bp.Linear(3, bias=False), bp.Tanh(), bp.Linear(3, bias=False), *last]
    return sequential(layers, (2,), weights)


def test_several_yes_no_labels_add_one_binary_loss_each(sequential, array, close):
    """S47: p_k = sigmoid(z_k), summed loss 0.914266683, delta = p - t."""
    fig = golden("S47")
    logits, targets = array([fig["logits"]]), array([fig["targets"]])
    close(sequential([bp.Sigmoid()], (3,), {}).predict(logits)[0], fig["p"], Kind.SMOOTH)
    value, delta = bp.BCEWithLogits(reduction="sum").value_and_grad(logits, targets)
    close(value, fig["sum_loss"], Kind.SMOOTH)
    close(delta[0], fig["delta"], Kind.SMOOTH)


def test_the_hidden_layer_hears_the_sum_of_all_label_deltas(sequential, array, close):
    """S47: over a shared hidden layer, the deltas p - t come back through the output weights."""
    t = array([[1.0, 0.0, 1.0]])
    net = several_labels(sequential, [])
    hidden = np.tanh(np.array([[1.0, -0.5]]) @ np.asarray(net.params["0.weight"], np.float64))
    logits = net.forward(array([[1.0, -0.5]]), training=True)
    p = several_labels(sequential, [bp.Sigmoid()]).predict(array([[1.0, -0.5]]))
    _, dy = bp.BCEWithLogits(reduction="sum").value_and_grad(logits, t)
    close(dy, p.astype(np.float64) - t, Kind.SMOOTH)
    net.backward(dy)
    delta = p.astype(np.float64) - t
    back = delta @ np.asarray(net.params["2.weight"], np.float64).T * (1 - hidden**2)
    close(net.grads["0.weight"], np.outer([1.0, -0.5], back), Kind.GRADIENT)


@pytest.mark.parametrize("independent", [True, False], ids=["sigmoid", "softmax"])
def test_moving_one_logit_leaves_the_other_sigmoids_alone(sequential, array, independent):
    """S47: sigmoid outputs are independent; softmax outputs share one total."""
    z = array([golden("S47")["logits"]])
    moved = z + array([[1.5, 0.0, 0.0]])
    net = sequential([bp.Sigmoid() if independent else bp.Softmax()], (3,), {})
    before, after = net.predict(z)[0], net.predict(moved)[0]
    assert after[0] > before[0]
    if independent:
        np.testing.assert_array_equal(after[1:], before[1:])
    else:
        assert np.all(after[1:] < before[1:])
