"""S82, S83, S85-S88: the recurrent layer, its gradients through time, and how they vanish.

E_N is one half of the squared error at the last step, or the sum over all steps.
"""

from __future__ import annotations

import numpy as np
import pytest
from golden.helpers import Kind, golden

import pybp as bp

HALF_SQUARED = bp.SquaredError("sum", half=True)
CASES = [
    f"{start}_start_loss_{end}_step" for start in ("zero", "nonzero") for end in ("last", "every")
]
every_case = pytest.mark.parametrize("case", CASES)


def elman(**options):
    """Return the layer of S82: s_t = tanh(x_t W_x + s_{t-1} W_s)."""
    return bp.RNN(3, bias=False, name="hidden", **options)


def weights():
    fig = golden("S82")
    return {
        "hidden.weight_ih_l0": fig["Wx"],
        "hidden.weight_hh_l0": fig["Ws"],
        "out.weight": fig["Wy"],
    }


def whole_net(model):
    """Return the net (x, s_0) -> (all s_t, all y_t)."""
    x, s0 = bp.Input((None, 2)), bp.Input((3,))
    s = elman()(x, initial_state=s0)
    return model([x, s0], [s, bp.Linear(2, bias=False, name="out")(s)], weights())


def batch(array, *cases):
    """Return x (n, 3, 2), s_0 (n, 3), d (n, 3, 2) and the weights of the steps (n, 3)."""
    fig = golden("S82")
    x, d = (array([fig[key]] * len(cases)) for key in ("x", "d"))
    counted = array([[1, 1, 1] if case.endswith("every_step") else [0, 0, 1] for case in cases])
    return x, array([fig[case]["s"][0] for case in cases]), d, counted


def wanted_gradients(case):
    return {
        "hidden.weight_ih_l0": golden("S87")[case]["dE_dWx"],
        "hidden.weight_hh_l0": golden("S86")[case]["dE_dWs"],
        "out.weight": golden("S85")[case]["dE_dWy"],
    }


def wanted_deltas(case, last=3):
    """Return delta_i for i = 1 ... last, from the terms x_i^T delta_i of dE/dW_x."""
    x, terms = golden("S82")["x"], golden("S87")[case]["terms_by_i"]
    return np.array([x[i - 1] @ terms[str(i)] / (x[i - 1] @ x[i - 1]) for i in range(1, last + 1)])


# ------------------------------------------------------------------------------------ forward pass


@every_case
def test_recurrent_layer_gives_the_states_and_outputs(model, array, close, case):
    """S82: s_1 ... s_3 and y_1 ... y_3 of a sequence."""
    want = golden("S82")[case]
    x, s0, _, _ = batch(array, case)
    s, y = whole_net(model).predict((x, s0))
    close(s[0], want["s"][1:], Kind.SMOOTH)
    close(y[0], want["y"], Kind.SMOOTH)


def test_each_sequence_of_a_batch_has_its_own_start_and_end(model, array, close):
    """S82: sequences of 3, 1 and 2 steps from different states, in one list."""
    cases, lengths = [CASES[0], CASES[2], CASES[2]], [3, 1, 2]
    x, s0, _, _ = batch(array, *cases)
    net = whole_net(model)
    states, outputs = net.predict(([row[:n] for row, n in zip(x, lengths, strict=True)], s0))
    for s, y, case, n in zip(states, outputs, cases, lengths, strict=True):
        want = golden("S82")[case]
        close(s, want["s"][1 : n + 1], Kind.SMOOTH)
        close(y, want["y"][:n], Kind.SMOOTH)


@every_case
def test_layer_without_a_given_state_starts_at_zero(sequential, array, close, case):
    """S82: the plain list of layers equals the fixture that starts at zero, and no other."""
    params = {name.replace("hidden", "0").replace("out", "1"): w for name, w in weights().items()}
    layers = [bp.RNN(3, bias=False), bp.Linear(2, bias=False)]
    net = sequential(layers, (None, 2), params)
    y = net.predict(batch(array, case)[0])[0]
    if case.startswith("zero"):
        close(y, golden("S82")[case]["y"], Kind.SMOOTH)
    else:
        assert np.abs(y - golden("S82")[case]["y"]).max() > 0.01


@every_case
def test_elman_net_reads_its_own_hidden_values_as_context(model, array, close, case):
    """S83: a net without a memory, into which its last hidden values are fed: the same numbers."""
    fig = golden("S82")
    x, context = bp.Input((2,)), bp.Input((3,))
    parts = [bp.Linear(3, bias=False, name="x")(x), bp.Linear(3, bias=False, name="s")(context)]
    hidden = bp.Tanh()(bp.Add()(parts))
    params = {"x.weight": fig["Wx"], "s.weight": fig["Ws"], "out.weight": fig["Wy"]}
    net = model([x, context], [hidden, bp.Linear(2, bias=False, name="out")(hidden)], params)
    s = array([fig[case]["s"][0]])
    for x_t, s_t, y_t in zip(array(fig["x"]), fig[case]["s"][1:], fig[case]["y"], strict=True):
        s, y = net.predict((x_t[None], s))
        close(s[0], s_t, Kind.SMOOTH)
        close(y[0], y_t, Kind.SMOOTH)


# ------------------------------------------------------------------- back-propagation through time


def backward(net, x, s0, d, counted):
    """Return the loss and the gradients by x and s_0; fill ``net.grads``."""
    _, y = net.forward((x, s0), training=True)
    value, dy = HALF_SQUARED.value_and_grad(y, d, counted)
    return value, net.backward((None, dy))


@every_case
def test_gradients_through_time(model, array, close, case):
    """S85-S87: E, dE/dW_y, dE/dW_s, dE/dW_x; by x and s_0 as the deltas give them."""
    net = whole_net(model)
    value, (dx, ds0) = backward(net, *batch(array, case))
    close(value, golden("S85")[case]["E"], Kind.SMOOTH)
    for name, want in wanted_gradients(case).items():
        close(net.grads[name], want, Kind.GRADIENT)
    deltas = wanted_deltas(case)
    close(dx[0], deltas @ golden("S82")["Wx"].T, Kind.GRADIENT)
    close(ds0[0], golden("S82")["Ws"] @ deltas[0], Kind.GRADIENT)


def test_gradients_of_a_batch_are_the_sum_over_its_sequences(model, array, close):
    """S85-S87: all four fixtures at once, with their own starts and weights of the steps."""
    net = whole_net(model)
    value, (_, ds0) = backward(net, *batch(array, *CASES))
    close(value, sum(golden("S85")[case]["E"] for case in CASES), Kind.SMOOTH)
    for name in net.grads:
        close(net.grads[name], sum(wanted_gradients(c)[name] for c in CASES), Kind.GRADIENT)
    starts = [golden("S82")["Ws"] @ wanted_deltas(case)[0] for case in CASES]
    close(ds0, starts, Kind.GRADIENT)


@every_case
def test_every_term_of_the_sum(model, array, close, case):
    """S86, S87: unfolded into copies of the layer, copy i has the gradient of term i alone."""
    inputs, s0 = [bp.Input((1, 2)) for _ in range(3)], bp.Input((3,))
    shared, outputs, s = bp.Linear(2, bias=False, name="out"), [], s0
    copies = [elman(return_state=True).replace(name=f"copy{i}") for i in (1, 2, 3)]
    for copy, x in zip(copies, inputs, strict=True):
        y, s = copy(x, initial_state=s)
        outputs.append(shared(y))
    params = {"out.weight": weights()["out.weight"]}
    for copy in copies:
        for part in ("weight_ih_l0", "weight_hh_l0"):
            params[f"{copy.name}.{part}"] = weights()[f"hidden.{part}"]
    net = model([*inputs, s0], outputs, params)
    x, start, d, counted = batch(array, case)
    y = net.forward((*(x[:, i : i + 1] for i in range(3)), start), training=True)
    net.backward(
        tuple(
            HALF_SQUARED.value_and_grad(y[i], d[:, i : i + 1], counted[:, i : i + 1])[1]
            for i in range(3)
        )
    )
    close(net.grads["out.weight"], golden("S85")[case]["dE_dWy"], Kind.GRADIENT)
    for i in (1, 2, 3):
        for part, example in (("weight_ih_l0", "S87"), ("weight_hh_l0", "S86")):
            want = golden(example)[case]["terms_by_i"][str(i)]
            close(net.grads[f"copy{i}.{part}"], want, Kind.GRADIENT)
    if case.startswith("zero"):
        assert not net.grads["copy1.weight_hh_l0"].any()  # s_0 = 0


@every_case
@pytest.mark.parametrize("first", [2, 3])
def test_truncated_sequences_lack_the_first_terms(model, array, close, case, first):
    """S86, S87: from the known state s_{i-1} on, only the terms i ... N are left."""
    net = whole_net(model)
    x, _, d, counted = batch(array, case)
    start = array([golden("S82")[case]["s"][first - 1]])
    since = slice(first - 1, None)
    _, (_, ds) = backward(net, x[:, since], start, d[:, since], counted[:, since])
    for part, example in (("weight_ih_l0", "S87"), ("weight_hh_l0", "S86")):
        terms = golden(example)[case]["terms_by_i"]
        want = sum(terms[str(i)] for i in range(first, 4))
        close(net.grads[f"hidden.{part}"], want, Kind.GRADIENT)
    close(ds[0], golden("S82")["Ws"] @ wanted_deltas(case)[first - 1], Kind.GRADIENT)


def test_one_linear_unit_by_hand(model, array, close):
    """S85-S87: w_x = .5, w_s = .8, w_y = 2; all states are positive, so relu is the identity."""
    fig = golden("S86")["scalar_linear"]
    inputs, s = [bp.Input((1, 1)) for _ in range(3)], bp.Input((1,))
    start, states = s, []
    cells = [
        bp.RNN(1, bias=False, nonlinearity="relu", return_state=True, name=f"copy{i}")
        for i in (1, 2, 3)
    ]
    for cell, x in zip(cells, inputs, strict=True):
        _, s = cell(x, initial_state=s)
        states.append(s)
    y = bp.Linear(1, bias=False, name="out")(s)
    params = {"out.weight": [[fig["wy"]]]}
    for cell in cells:
        params[f"{cell.name}.weight_ih_l0"] = [[fig["wx"]]]
        params[f"{cell.name}.weight_hh_l0"] = [[fig["ws"]]]
    net = model([*inputs, start], [y, *states], params)
    x = [array([[[x_t]]]) for x_t in fig["x"]]
    y, *s = net.forward((*x, array([[0.0]])), training=True)
    close([float(s_t[0, 0]) for s_t in s], fig["s"][1:])
    close(y[0, 0], fig["y3"])
    value, dy = HALF_SQUARED.value_and_grad(y, array([[fig["d3"]]]))
    close(value, fig["E3"], Kind.SMOOTH)
    net.backward((dy, None, None, None))
    close(net.grads["out.weight"][0, 0], fig["dE_dwy"], Kind.GRADIENT)
    for part, key in (("weight_ih_l0", "dE_dwx"), ("weight_hh_l0", "dE_dws")):
        terms = [float(net.grads[f"{cell.name}.{part}"][0, 0]) for cell in reversed(cells)]
        close(terms, fig[f"{key}_terms"], Kind.GRADIENT)
        close(sum(terms), fig[key], Kind.GRADIENT)


# --------------------------------------------------------------------------- vanishing and growing


def slope_through_time(model, array, cell, params, steps, state):
    """Return the slope of the last state by the first: of c for an LSTM; all inputs are 0."""
    x, starts = bp.Input((None, 1)), [bp.Input((1,)) for _ in state]
    named = cell.replace(name="cell", return_state=True)
    _, *final = named(x, initial_state=tuple(starts))
    net = model([x, *starts], final, {f"cell.{name}": value for name, value in params.items()})
    net.forward((array(np.zeros((1, steps, 1))), *(array([[s]]) for s in state)), training=True)
    one = array([[1.0]])
    *_, slope = net.backward((None, one) if len(final) == 2 else one)
    return float(slope[0, 0])


@pytest.mark.parametrize(
    ("column", "nonlinearity", "w_s", "s_0"),
    [
        ("linear_ws_0_5", "relu", 0.5, 1.0),
        ("linear_ws_1_5", "relu", 1.5, 1.0),
        ("tanh_ws_0_9_from_s0_0_5", "tanh", 0.9, 0.5),
    ],
)
def test_slope_shrinks_or_grows_geometrically(model, array, close, column, nonlinearity, w_s, s_0):
    """S88: the product of phi' w_s over 1 to 50 steps; relu is the identity on its way."""
    fig = golden("S88")
    params = {"weight_ih_l0": [[0.7]], "weight_hh_l0": [[w_s]]}
    cell = bp.RNN(1, bias=False, nonlinearity=nonlinearity)
    for steps, want in zip(fig["steps"].astype(int), fig[column], strict=True):
        got = slope_through_time(model, array, cell, params, steps, [s_0])
        close(got, want, Kind.GRADIENT, terms=steps)


def test_slope_of_a_chain_of_sigmoids(sequential, array, close):
    """S88: at its steepest, 1/4, in every step: sigmoid(s - 1/2) stays at s = 1/2."""
    fig = golden("S88")
    step = [bp.Linear(1), bp.Sigmoid()]
    params = {"0.weight": [[1.0]], "0.bias": [-0.5]}
    for steps, want in zip(
        fig["steps"].astype(int), fig["sigmoid_slope_bound_quarter"], strict=True
    ):
        net = sequential(step * steps, (1,), params)
        net.forward(array([[0.5]]), training=True)
        close(net.backward(array([[1.0]]))[0, 0], want, Kind.GRADIENT, terms=steps)


def test_cell_path_of_an_lstm_keeps_the_slope(model, array, close):
    """S88: with the forget gate at 0.99 and all else closed, 0.605 is left after 50 steps."""
    fig = golden("S88")
    forget = np.log(0.99 / 0.01)
    params = {
        "weight_ih_l0": np.ones((1, 4)),
        "weight_hh_l0": np.zeros((1, 4)),
        "bias_ih_l0": [0.3, forget, -0.2, 0.5],
        "bias_hh_l0": np.zeros(4),
    }
    for steps, want in zip(
        fig["steps"].astype(int), fig["lstm_cell_path_forget_0_99"], strict=True
    ):
        got = slope_through_time(model, array, bp.LSTM(1), params, steps, [0.2, 0.7])
        close(got, want, Kind.GRADIENT, terms=steps)


@pytest.mark.parametrize("start", ["zero_start", "nonzero_start"])
def test_slope_of_the_last_state_is_a_product_of_matrices(model, array, close, start):
    """S88: ds_3/ds_1 = diag(phi'_2) W_s^T diag(phi'_3) W_s^T, one backward pass for each unit."""
    s = golden("S82")[f"{start}_loss_last_step"]["s"]
    net = whole_net(model)
    x = array([golden("S82")["x"][1:]] * 3)
    net.forward((x, array([s[1]] * 3)), training=True)
    ds = array(np.zeros((3, 2, 3)))
    ds[:, -1] = np.eye(3)
    _, slopes = net.backward((ds, None))  # (unit of s_3, unit of s_1)
    step_2, step_3 = (golden("S82")["Ws"] * (1 - s[t] ** 2) for t in (2, 3))  # ds_t by s_{t-1}
    close(slopes, (step_2 @ step_3).T, Kind.GRADIENT)
    assert np.linalg.norm(slopes) < np.linalg.norm(step_3)
