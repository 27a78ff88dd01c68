"""S58-S62: averages of nets, penalties, the over-fitting gap, bias and variance, loss surfaces."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import require_native
from golden.digits import digit_net, rounds_of_training
from golden.helpers import Kind, float64_only, golden
from golden.masks import seed_with_mask
from golden.stand_in import stand_in_digits

import pybp as bp

# --------------------------------------------------------------------- averages of nets


def masked_outputs(array, dtype, *last):
    """Return the outputs (16, 1) of a linear reader behind dropout, one for each mask."""
    fig = golden("S58")

    def net_of(seed):
        layers = [bp.Dropout(0.5), bp.Linear(1, bias=False), *last]
        net = bp.Sequential(layers, dtype=dtype, seed=seed).build((4,))
        net.params["1.weight"] = array(fig["v"][:, None])
        return net

    def mask_of(seed):
        layer = bp.Sequential([bp.Dropout(0.5)], dtype=dtype, seed=seed)
        return layer.forward(array([np.ones(4)]), training=True)[0] > 0

    h = array([fig["h"]])
    outputs = []
    for number in range(16):
        mask = np.array([number >> place & 1 for place in range(4)], bool)
        net = net_of(seed_with_mask(("S58", dtype, number), mask_of, mask))
        outputs.append(net.forward(h, training=True)[0, 0])
    return np.array(outputs), net.predict(h)[0, 0]


def test_dropout_is_an_average_of_many_nets_exactly_before_a_linear_reader(
    backend, array, close, dtype
):
    """S58: the mean over all 16 masks is the output of the full net, 1.55."""
    fig = golden("S58")
    outputs, full = masked_outputs(array, dtype)
    close(outputs, fig["all_16_mask_outputs"], scale=1.0)
    close(outputs.astype(np.float64).mean(), fig["mean_linear"], terms=16)
    close(full, fig["full_net_linear"])


def test_behind_a_sigmoid_the_average_is_another(backend, array, close, dtype):
    """S58: 0.7778 against 0.8249."""
    fig = golden("S58")
    outputs, full = masked_outputs(array, dtype, bp.Sigmoid())
    close(outputs.astype(np.float64).mean(), fig["mean_of_sigmoids"], Kind.SMOOTH, terms=16)
    close(full, fig["sigmoid_of_full_net"], Kind.SMOOTH)


def test_the_average_of_independent_nets(sequential, array, close):
    """S58: three nets that say 0.2, 0.5 and 0.8 say 0.5 together."""
    fig = golden("S58")
    x = array(np.ones((2, 1)))
    members = [
        sequential([bp.Linear(1)], (1,), {"0.weight": [[0.0]], "0.bias": [output]})
        for output in fig["three_members"]
    ]
    close(np.mean([net.predict(x) for net in members], axis=0), [[fig["member_average"]]] * 2)
    nets = bp.Model(
        one := bp.Input((1,), dtype=members[0].dtype),
        bp.Linear(1, bias=False)(bp.Concat()([bp.Linear(1, name=f"m{i}")(one) for i in range(3)])),
        dtype=members[0].dtype,
    )
    for i, net in enumerate(members):
        nets.params[f"m{i}.weight"], nets.params[f"m{i}.bias"] = net.params.values()
    last = next(name for name, value in nets.params.items() if value.shape == (3, 1))
    nets.params[last] = array(np.full((3, 1), 1 / 3))
    close(nets.predict(x), [[fig["member_average"]]] * 2)


# ---------------------------------------------------------------------------- penalties


@pytest.mark.parametrize(
    ("penalty", "key"), [("l2", "l2_grad"), ("l1", "l1_subgrad")], ids=["l2", "l1"]
)
def test_a_penalty_pulls_weights_towards_zero(sequential, array, close, penalty, key):
    """S59: where the data say nothing, one step of rate 1 takes the penalty's gradient away."""
    fig = golden("S59")
    start = {"0.weight": fig["w"][:, None], "0.bias": [0.25]}
    net = sequential([bp.Linear(1)], (3,), start)
    trainer = bp.Trainer(net, loss="mse", optimizer=bp.SGD(1.0), **{penalty: fig["lam"]})
    assert trainer.step(array(np.zeros((2, 3))), array([[0.25], [0.25]])) == 0.0
    close(net.params["0.weight"][:, 0], fig["w"] - fig[key], scale=1.0)
    close(net.params["0.bias"], [0.25])  # biases are not penalised


def test_the_penalties_are_the_slopes_of_their_values(sequential, array, close):
    """S59: half l2 times the sum of squares, l1 times the sum of sizes, by finite differences."""
    fig = golden("S59")
    w, lam, step = fig["w"], fig["lam"], 1e-5
    value = {
        "l2_grad": lambda v: lam / 2 * np.sum(v * v),
        "l1_subgrad": lambda v: lam * np.sum(np.abs(v)),
    }
    assert value["l2_grad"](w) == pytest.approx(fig["l2_half_penalty"], rel=1e-12)
    assert value["l1_subgrad"](w) == pytest.approx(fig["l1_penalty"], rel=1e-12)
    for key, penalty in value.items():
        for i, slope in enumerate(fig[key]):
            side = step * np.eye(3)[i]
            assert (penalty(w + side) - penalty(w - side)) / (2 * step) == pytest.approx(slope)


def test_weights_pushed_up_and_down_equally_go_to_zero(sequential, array):
    """S59: with l1 a weight that the data don't need ends within a step of zero, others stay."""
    fig = golden("S59")
    net = sequential([bp.Linear(1, bias=False)], (3,), {"0.weight": fig["w"][:, None]})
    x = array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0]])  # the second input pushes up, then down
    rate, l1 = 0.01, 0.1
    net.fit(
        x, array([[1.0], [1.0]]), loss=bp.SquaredError("mean", half=True), optimizer=bp.SGD(rate),
        l1=l1, epochs=2000, batch_size=None, verbose=0,
    )  # fmt: skip
    kept, pushed, unused = net.params["0.weight"][:, 0]
    assert kept == pytest.approx(1 - l1, abs=1e-3)  # what soft thresholding leaves
    assert abs(pushed) <= rate * l1 * 1.001
    assert abs(unused) <= rate * l1 * 1.001


# ---------------------------------------------------------------------- over-fitting gap


def test_the_gap_between_known_and_unseen_digits_opens(dtype):
    """S60: training accuracy goes to 1.0, test accuracy peaks early and then falls."""
    require_native()  # the record of S70 holds both backends
    fig = golden("S70")["stand_in"]
    train = stand_in_digits(fig["train_images"], fig["train_seed"])
    test = stand_in_digits(fig["test_images"], fig["test_seed"])
    reports = rounds_of_training(digit_net(dtype, True), train, test, [0, 20, 349])
    first, early, last = reports
    assert last["train_accuracy"] == 1.0
    assert first["train_error"] > early["train_error"] > 100 * last["train_error"]
    assert last["test_accuracy"] < early["test_accuracy"]
    gaps = [report["train_accuracy"] - report["test_accuracy"] for report in reports]
    assert gaps[0] < 0 < gaps[1] < gaps[2]


# -------------------------------------------------------------------- bias and variance


def basis(degree):
    """Return columns (100, degree + 1) that span the polynomials, with mean square 1 each.

    They are orthogonal, so that one step of rate 1 on half the mean square is least squares.
    """
    powers = np.vander(np.linspace(-1, 1, 100), degree + 1, increasing=True)
    return np.linalg.qr(powers)[0] * 10


def fitted(sequential, array, degree, y):
    """Return the least-squares polynomials through the columns of y (100, k), by a linear net."""
    columns = array(basis(degree))
    start = {"0.weight": np.zeros((degree + 1, y.shape[1]))}
    net = sequential([bp.Linear(y.shape[1], bias=False)], (degree + 1,), start)
    loss = bp.SquaredError("batch", half=True)
    trainer = bp.Trainer(net, loss=loss, optimizer=bp.SGD(1.0))
    trainer.step(columns, array(y))
    return net.predict(columns).astype(np.float64)


def test_errors_by_degree(sequential, array, dtype):
    """S61: the training error never rises with the degree, the error to the truth is least at 2."""
    fig = golden("S61")
    truth = np.linspace(0, 1, 100) ** 2
    noise = fig["y"] - truth
    np.testing.assert_allclose(noise[:5], fig["first_noise"], rtol=1e-12)
    assert np.mean(noise**2) == pytest.approx(fig["noise_mean_square"], rel=1e-12)
    known, unknown = [], []
    for row in fig["table"]:
        fit = fitted(sequential, array, row["degree"], fig["y"][:, None])[:, 0]
        known.append(np.mean((fit - fig["y"]) ** 2))
        unknown.append(np.mean((fit - truth) ** 2))
        bound = 1e-6 if dtype == "float64" else 1e-4
        assert known[-1] == pytest.approx(row["train_mse"], rel=bound)
        assert unknown[-1] == pytest.approx(row["mse_to_truth"], rel=bound)
        if row["coefficients"] is not None:
            found = np.polyfit(np.linspace(0, 1, 100), fit, row["degree"])
            np.testing.assert_allclose(found, row["coefficients"], rtol=bound, atol=bound)
    if dtype == "float64":
        assert np.all(np.diff(known) <= 0)
    assert np.argmin(unknown) == 2


@float64_only
def test_bias_falls_and_variance_grows_with_the_degree(sequential, array):
    """S61: over 400 draws of the noise the variance is about 0.01 (d + 1) / 100."""
    fig = golden("S61")
    truth = np.linspace(0, 1, 100) ** 2
    noise = np.random.RandomState(1).normal(0, 0.1, (400, 100))
    for row in fig["decomposition_400_draws_seed_1"]:
        fits = fitted(sequential, array, row["degree"], (truth + noise).T)
        bias = np.mean((fits.mean(1) - truth) ** 2)
        variance = np.mean(fits.var(1))
        assert bias == pytest.approx(row["bias_squared"], rel=1e-6)
        assert variance == pytest.approx(row["variance"], rel=1e-6)
        assert variance == pytest.approx(row["theory_variance"], rel=0.05)


# -------------------------------------------------------------------------- loss surface


def test_the_loss_is_not_convex_in_the_weights(sequential, array, close):
    """S62: (w2 w1 - 1)^2 is 0 at (1, 1) and (-1, -1) and 1 between; a saddle lies at 0."""
    fig = golden("S62")
    net = sequential(
        [bp.Linear(1, bias=False), bp.Linear(1, bias=False)], (1,),
        {"0.weight": [[0.0]], "1.weight": [[0.0]]},
    )  # fmt: skip
    one = array([[1.0]])
    loss = bp.SquaredError("sum")

    def value_and_slope(w1, w2):
        net.params["0.weight"], net.params["1.weight"] = array([[w1]]), array([[w2]])
        value, dy = loss.value_and_grad(net.forward(one), one)
        net.backward(dy)
        return value, np.array([net.grads[f"{i}.weight"][0, 0] for i in (0, 1)], np.float64)

    values = [value_and_slope(w, w)[0] for w in (1.0, -1.0, 0.0)]
    close(values, [fig["at_1_1"], fig["at_minus1_minus1"], fig["at_midpoint_0_0"]])
    assert (values[2] <= (values[0] + values[1]) / 2) == fig["convex"]
    step = 2.0**-10
    hessian = [
        (value_and_slope(*side)[1] - value_and_slope(*-side)[1]) / (2 * step)
        for side in step * np.eye(2)
    ]
    close(hessian, fig["hessian_at_origin"])
    close(np.linalg.eigvalsh(hessian), fig["hessian_eigenvalues"])
