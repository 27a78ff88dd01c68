"""S01-S09, S12, S13, S17, S18: neurons, linear nets and what they can not do."""

from __future__ import annotations

import numpy as np
import pytest
from golden.helpers import Kind, float64_only, golden
from golden.stand_in import stand_in_digits

import pybp as bp

STREETLIGHTS = [[1, 0, 1], [0, 1, 1], [0, 0, 1], [1, 1, 1]]
STOP_OR_WALK = [1, 1, 0, 0]


def column(values: object) -> np.ndarray:
    return np.asarray(values)[:, None]


def test_weighted_sum_predicts_every_game(sequential, array, close):
    """S01: the weighted-sum neuron, without bias or activation, predicts 0.86 for game 0."""
    fig = golden("S01")
    net = sequential([bp.Linear(1, bias=False)], (3,), {"0.weight": column(fig["weights"])})
    close(net.predict(array([fig["inputs"]])), [[fig["prediction"]]])
    close(net.predict(array(fig["all_games"])), column(fig["all_predictions"]))


@float64_only
def test_weighted_sum_refuses_inputs_of_another_length(sequential):
    """S01: a neuron with three weights takes three inputs; two raise an error naming both."""
    net = sequential([bp.Linear(1, bias=False)], (3,), {"0.weight": np.ones((3, 1))})
    with pytest.raises(ValueError, match=r"(?s)3.*2|2.*3"):
        net.predict(np.ones((1, 2)))


def test_one_gradient_step_moves_each_weight_by_its_input_times_delta(sequential, array, close):
    """S02: weight deltas (-1.19, -0.091, -0.168); delta then shrinks by 0.258875 a step."""
    fig = golden("S02")
    net = sequential([bp.Linear(1, bias=False)], (3,), {"0.weight": column(fig["weights"])})
    x, y = array([fig["inputs"]]), array([[fig["target"]]])
    loss, optimizer = bp.SquaredError("sum", half=True), bp.SGD(fig["alpha"])
    for row in fig["trajectory"]:
        close(net.params["0.weight"], column(row["weights"]), Kind.TRAINED)
        y_hat = net.forward(x, training=True)
        close(y_hat, [[row["pred"]]], Kind.TRAINED)
        value, delta = loss.value_and_grad(y_hat, y)
        # delta is the small difference of two numbers near 1
        close(value, row["error"] / 2, Kind.TRAINED, scale=abs(row["delta"]))
        close(delta, [[row["delta"]]], Kind.TRAINED, scale=1.0)
        net.backward(delta)
        close(net.grads["0.weight"], column(row["weight_deltas"]), Kind.TRAINED, scale=8.5)
        optimizer.step(net)
    assert fig["trajectory"][0]["pred"] == pytest.approx(fig["pred"], rel=1e-15)
    assert fig["trajectory"][1]["weights"] == pytest.approx(fig["new_weights"], rel=1e-15)


@float64_only
def test_descent_on_one_neuron_is_stable_below_two_over_the_squared_input(sequential):
    """S02: delta shrinks for a rate just below 0.026986 and grows for one just above it."""
    fig = golden("S02")
    x, y = fig["inputs"][None], np.array([[fig["target"]]])
    limit = fig["alpha_stability_limit"]
    errors = {}
    for rate in (0.99 * limit, 1.01 * limit):
        net = sequential([bp.Linear(1, bias=False)], (3,), {"0.weight": column(fig["weights"])})
        history = net.fit(
            x, y, loss=bp.SquaredError("sum", half=True), optimizer=bp.SGD(rate), epochs=50,
            verbose=0,
        )  # fmt: skip
        errors[rate] = history.history["loss"]
    assert errors[0.99 * limit][-1] < errors[0.99 * limit][0]
    assert errors[1.01 * limit][-1] > errors[1.01 * limit][0]


def test_three_outputs_share_one_gradient_step(sequential, array, close):
    """S03: hurt, win and sad from one input; the weight deltas are the outer product."""
    fig = golden("S03")
    M = fig["weights_rows_are_outputs"]
    net = sequential([bp.Linear(3, bias=False)], (3,), {"0.weight": M.T})
    x, y = array([fig["inputs"]]), array([fig["targets"]])
    y_hat = net.forward(x, training=True)
    close(y_hat[0], fig["pred"])
    errors, _ = bp.SquaredError("none").value_and_grad(y_hat, y)
    close(errors[0], fig["error"])
    _, delta = bp.SquaredError("sum", half=True).value_and_grad(y_hat, y)
    close(delta[0], fig["delta"])
    net.backward(delta)
    close(net.grads["0.weight"], fig["weight_deltas"].T, Kind.GRADIENT)
    wrong = fig["wrong_layout_weight_deltas"].T
    assert np.max(np.abs(net.grads["0.weight"] - wrong)) > 1.0
    bp.SGD(fig["alpha"]).step(net)
    close(net.params["0.weight"], fig["new_weights"].T, Kind.GRADIENT)
    new_pred = net.predict(x)[0]
    close(new_pred, fig["new_pred"], Kind.GRADIENT)
    assert np.all(np.square(new_pred - fig["targets"]) < fig["error"])


def test_dot_product_measures_likeness_to_the_weights(sequential, array, close):
    """S04: an input scores high for the weights that look like it, low for their opposite."""
    fig = golden("S04")
    image, templates = fig["image"], fig["weight_vectors"]
    net = sequential([bp.Linear(5, bias=False)], (5,), {"0.weight": templates.T})
    close(net.predict(array([image]))[0], fig["dots"])
    unit = templates / np.linalg.norm(templates, axis=1, keepdims=True)
    net.params["0.weight"] = array(unit.T)
    cosines = net.predict(array([image / np.linalg.norm(image)]))[0]
    close(cosines, fig["cosines"])
    aligned, unrelated, _, opposite, _ = cosines
    assert aligned > unrelated > opposite


@float64_only
def test_weight_columns_of_a_linear_digit_net_are_templates(sequential):
    """S04: each weight column, shown as a 28x28 picture, is the template of its own digit."""
    images, labels = stand_in_digits(100, seed=7)
    net = sequential([bp.Linear(10, bias=False)], (784,), {"0.weight": np.zeros((784, 10))})
    net.fit(
        images, np.eye(10)[labels], loss=bp.SquaredError("batch", half=True),
        optimizer=bp.SGD(0.003), epochs=200, batch_size=None, verbose=0,
    )  # fmt: skip
    pictures = net.params["0.weight"].T.reshape(10, 28, 28)
    means = np.array([images[labels == digit].mean(axis=0) for digit in range(10)])
    likeness = np.tensordot(pictures, means.reshape(10, 28, 28), axes=([1, 2], [1, 2]))
    assert np.array_equal(likeness.argmax(axis=1), np.arange(10))


def test_perceptron_at_its_threshold_stays_off(sequential, array):
    """S05: the output is 1 only when the sum is strictly above the threshold: H(0) = 0."""
    fig = golden("S05")
    params = {"0.weight": [[2.0], [3.0], [4.0]], "0.bias": [fig["bias"]]}
    net = sequential([bp.Linear(1), bp.Heaviside()], (3,), params)
    below, at, above = [1, 0, 0], [1, 1, 0], [1, 0, 1]
    assert net.predict(array([below, at, above]))[:, 0].tolist() == [0, fig["heaviside_at_zero"], 1]


def test_festival_decision_follows_the_weather_alone(sequential, array, close):
    """S06: 6 x1 + 2 x2 + 2 x3 > 5 has the truth table of x1."""
    fig = golden("S06")
    weights = column(fig["weights"])
    sums = sequential([bp.Linear(1, bias=False)], (3,), {"0.weight": weights})
    close(sums.predict(array(fig["inputs"])), column(fig["sums"]))
    params = {"0.weight": weights, "0.bias": [-fig["threshold"]]}
    net = sequential([bp.Linear(1), bp.Heaviside()], (3,), params)
    decision = net.predict(array(fig["inputs"]))[:, 0]
    np.testing.assert_array_equal(decision, fig["outputs"])
    np.testing.assert_array_equal(decision, fig["inputs"][:, 0])
    assert net.predict(array([[0, 1, 1], [1, 0, 0]]))[:, 0].tolist() == [0, 1]


def test_perceptron_rule_finds_the_festival_rule_in_three_epochs(sequential, array):
    """S07: w += (y - y_hat) x, stepped from gradients made by hand; 1, 1, then 0 mistakes."""
    fig = golden("S07")["perceptron_rule"]
    grid, targets = golden("S06")["inputs"], golden("S06")["outputs"]
    params = {"0.weight": np.zeros((3, 1)), "0.bias": [0.0]}
    net = sequential([bp.Linear(1), bp.Heaviside()], (3,), params)
    optimizer = bp.SGD(fig["eta"])
    mistakes = []
    for _ in fig["mistakes_per_epoch"]:
        count = 0
        for x, y in zip(array(grid), targets, strict=True):
            error = y - float(net.forward(x[None], training=True)[0, 0])
            if error:
                net.grads["0.weight"] = -error * x[:, None]
                net.grads["0.bias"] = array([-error])
                optimizer.step(net)
                count += 1
        mistakes.append(count)
    assert mistakes == fig["mistakes_per_epoch"].tolist()
    np.testing.assert_array_equal(net.params["0.weight"][:, 0], fig["weights"])
    np.testing.assert_array_equal(net.params["0.bias"], [fig["bias"]])
    np.testing.assert_array_equal(net.predict(array(grid))[:, 0], fig["outputs"])


def test_logistic_neuron_learns_the_festival_rule(sequential, array, close):
    """S07: 2000 full-batch steps bring the mean cross entropy from ln 2 to 0.0025285."""
    fig = golden("S07")["logistic_surrogate"]
    grid, targets = golden("S06")["inputs"], golden("S06")["outputs"]
    params = {"0.weight": np.zeros((3, 1)), "0.bias": [0.0]}
    net = sequential([bp.Linear(1)], (3,), params)
    history = net.fit(
        array(grid), array(column(targets)), loss=bp.BCEWithLogits(), optimizer=bp.SGD(fig["eta"]),
        epochs=fig["steps"], batch_size=None, shuffle=False, verbose=0,
    )  # fmt: skip
    losses = history.history["loss"]
    assert len(losses) == fig["steps"]
    close(losses[:5], fig["first_losses"], Kind.TRAINED, terms=8)
    # every term of the loss is the logarithm of a number near 1
    close(losses[-1], fig["last_loss"], Kind.TRAINED, terms=8, scale=1.0)
    close(net.params["0.weight"], column(fig["weights"]), Kind.TRAINED, terms=8)
    close(net.params["0.bias"], [fig["bias"]], Kind.TRAINED, terms=8)
    np.testing.assert_array_equal(net.predict(array(grid))[:, 0] > 0, fig["outputs"] > 0)


def test_dense_layer_in_row_form_equals_the_column_form(sequential, array, close):
    """S08: y = phi(x W + b) gives the figures of phi(W' x + b), for sigmoid and step."""
    fig = golden("S08")
    params = {"0.weight": fig["W"], "0.bias": fig["b"]}
    smooth = sequential([bp.Linear(4), bp.Sigmoid()], (3,), params)
    close(smooth.predict(array([fig["x"]]))[0], fig["sigmoid_output"], Kind.SMOOTH)
    step = sequential([bp.Linear(4), bp.Heaviside()], (3,), params)
    np.testing.assert_array_equal(step.predict(array([fig["x"]]))[0], fig["heaviside_output"])


def test_two_layer_net_composes_its_layers_and_treats_rows_apart(backend, sequential, array, close):
    """S09: the net is the composition of its layers; a batch equals a loop over its rows."""
    fig = golden("S09")
    params = {
        "0.weight": fig["W1"], "0.bias": fig["b1"], "2.weight": fig["W2"], "2.bias": fig["b2"],
    }  # fmt: skip
    net = sequential([bp.Linear(4), bp.Sigmoid(), bp.Linear(2), bp.Sigmoid()], (3,), params)
    first = {"0.weight": fig["W1"], "0.bias": fig["b1"]}
    hidden = sequential([bp.Linear(4), bp.Sigmoid()], (3,), first)
    x = array([fig["x"], -fig["x"]])
    close(hidden.predict(x)[0], fig["hidden"], Kind.SMOOTH)
    batch = net.predict(x)
    close(batch[0], fig["output"], Kind.SMOOTH)
    close(batch, fig["batch_of_two_outputs"], Kind.SMOOTH)
    rows = np.concatenate([net.predict(x[i : i + 1]) for i in range(2)])
    if backend == "native":  # a row alone has the same bits as in a batch; BLAS promises no such
        np.testing.assert_array_equal(rows, batch)
    close(rows, fig["batch_of_two_outputs"], Kind.SMOOTH)


def test_sigmoid_neuron_stays_below_one(sequential, array, close):
    """S12: x w = 8 and sigmoid(8) = 0.99966465 (1.0003 is the denominator 1 + exp(-8))."""
    fig = golden("S12")
    weights = {"0.weight": column(fig["weights"])}
    linear = sequential([bp.Linear(1, bias=False)], (2,), weights)
    close(linear.predict(array([fig["inputs"]])), [[fig["z"]]])
    net = sequential([bp.Linear(1, bias=False), bp.Sigmoid()], (2,), weights)
    y = net.predict(array([fig["inputs"]]))
    close(y, [[fig["y"]]], Kind.SMOOTH)
    close(1 / y, [[fig["one_plus_exp_minus_z"]]], Kind.SMOOTH)
    assert y[0, 0] < 1


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_hidden_vector_step_maps_input_to_output(sequential, array, close, name):
    """S13: h = phi(x W), y = h v, for tanh and for the sigmoid."""
    fig = golden("S13")
    activation = {"tanh": bp.Tanh, "sigmoid": bp.Sigmoid}[name]
    first = {"0.weight": fig["W"]}
    x = array([fig["x"]])
    linear = sequential([bp.Linear(3, bias=False)], (3,), first)
    close(linear.predict(x)[0], fig["h_pre"])
    hidden = sequential([bp.Linear(3, bias=False), activation()], (3,), first)
    close(hidden.predict(x)[0], fig[f"h_{name}"], Kind.SMOOTH)
    layers = [bp.Linear(3, bias=False), activation(), bp.Linear(1, bias=False)]
    net = sequential(layers, (3,), first | {"2.weight": column(fig["v"])})
    close(net.predict(x), [[fig[f"y_{name}"]]], Kind.SMOOTH)


def test_evaluation_leaves_the_parameters_alone_and_training_moves_them(sequential, array):
    """S13: two phases; predict, evaluate and forward change nothing, one step of fit does."""
    fig = golden("S13")
    params = {"0.weight": fig["W"], "2.weight": column(fig["v"])}
    layers = [bp.Linear(3, bias=False), bp.Tanh(), bp.Linear(1, bias=False)]
    net = sequential(layers, (3,), params)
    x, y = array([fig["x"]]), array([[1.0]])
    before = {name: value.copy() for name, value in net.params.items()}
    net.predict(x)
    net.evaluate(x, y, loss="mse")
    net.forward(x)
    for name, value in before.items():
        np.testing.assert_array_equal(net.params[name], value)
    net.fit(x, y, loss="mse", optimizer=bp.SGD(0.1), epochs=1, verbose=0)
    for name, value in before.items():
        assert np.any(net.params[name] != value)


def test_stacked_linear_layers_collapse_to_one(sequential, array, close):
    """S17: (x A) B = x (A B): without a non-linearity depth adds nothing."""
    fig = golden("S17")
    layers = [bp.Linear(4, bias=False), bp.Linear(2, bias=False)]
    two = sequential(layers, (3,), {"0.weight": fig["A"], "1.weight": fig["B"]})
    one = sequential([bp.Linear(2, bias=False)], (3,), {"0.weight": fig["AB"]})
    x = array(fig["x"])
    close(two.predict(x), fig["two_layers"])
    close(one.predict(x), fig["one_layer"])
    close(two.predict(x), fig["one_layer"])


@float64_only
def test_best_linear_net_answers_one_half_at_every_streetlight(sequential, array, close):
    """S17: full-batch descent on a linear net ends at error 1.0: the data are exclusive-or."""
    fig = golden("S17")
    net = sequential([bp.Linear(1, bias=False)], (3,), {"0.weight": np.zeros((3, 1))})
    x, y = array(STREETLIGHTS), array(column(STOP_OR_WALK))
    net.fit(
        x, y, loss=bp.SquaredError("sum", half=True), optimizer=bp.SGD(0.2), epochs=2000,
        batch_size=None, verbose=0,
    )  # fmt: skip
    best = column(fig["streetlights_best_linear_weights"])
    np.testing.assert_allclose(net.params["0.weight"], best, rtol=1e-9, atol=1e-9)
    predictions = net.predict(x)
    close(predictions[:, 0], fig["streetlights_best_linear_predictions"], Kind.TRAINED)
    error, _ = bp.SquaredError("sum").value_and_grad(predictions, y)
    close(error, fig["streetlights_best_linear_error"], Kind.TRAINED)


def test_weight_passes_its_share_of_an_input_change(sequential, array, close):
    """S18: weight 1.0 passes the whole change of +0.3, weight 0.5 one half of it."""
    fig = golden("S18")
    net = sequential([bp.Linear(2, bias=False)], (1,), {"0.weight": [fig["weights"]]})
    start = 0.5
    moved = net.predict(array([[start + fig["input_change"]]])) - net.predict(array([[start]]))
    close(moved[0], fig["node_change"])


def test_switched_off_node_passes_no_change(sequential, array, close):
    """S18: relu cuts a node off while its sum is negative: no output, no gradient."""
    fig = golden("S18")["gated_example"]
    net = sequential([bp.Linear(2, bias=False), bp.ReLU()], (1,), {"0.weight": [fig["pre"]]})
    close(net.forward(array([[1.0]]), training=True)[0], fig["relu"])
    net.backward(array([[1.0, 1.0]]))
    np.testing.assert_array_equal(net.grads["0.weight"], [[0.0, 1.0]])
