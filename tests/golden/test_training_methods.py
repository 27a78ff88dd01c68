"""S48-S51, S54, S56, S57, S63: ways to train, to stop, and to keep a net from over-fitting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from golden.helpers import Kind, float64_only, golden
from golden.masks import seed_with_mask

import pybp as bp

HALF_MEAN = bp.SquaredError("mean", half=True)


def linear_neuron(sequential, **options):
    """Build the neuron of S48-S50; return its figures, the net and the data as columns."""
    fig = golden("S48")
    net = sequential([bp.Linear(1, bias=False)], (2,), {"0.weight": fig["w0"][:, None]}, **options)
    return fig, net


# ---------------------------------------------------------- full batch, online, mini-batch


def test_full_batch_step_uses_the_mean_of_all_sample_gradients(sequential, array, close):
    """S48: mean gradient (-0.69375, -1.20625), one update to (0.269375, 0.020625)."""
    fig, net = linear_neuron(sequential)
    X, y = array(fig["X"]), array(fig["y"][:, None])
    for i in range(4):
        _, dy = HALF_MEAN.value_and_grad(net.forward(X[i : i + 1], training=True), y[i : i + 1])
        net.backward(dy)
        close(net.grads["0.weight"][:, 0], fig["per_sample_gradients"][i], Kind.GRADIENT)
    _, dy = HALF_MEAN.value_and_grad(net.forward(X, training=True), y)
    net.backward(dy)
    close(net.grads["0.weight"][:, 0], fig["mean_gradient"], Kind.GRADIENT)
    net.fit(
        X, y, loss=HALF_MEAN, optimizer=bp.SGD(fig["eta"]), epochs=1, batch_size=None, verbose=0
    )
    close(net.params["0.weight"][:, 0], fig["new_w"], Kind.GRADIENT)


@pytest.mark.parametrize(("example", "size"), [("S49", 1), ("S50", 2)], ids=["online", "pairs"])
def test_descent_by_parts_follows_its_path(sequential, array, close, example, size):
    """S49, S50: the weights after each sample, and after each batch of two."""
    fig, net = linear_neuron(sequential)
    path = golden(example)[
        {1: "weights_after_each_sample", 2: "weights_after_each_batch"}[size]
    ]  # fmt: skip
    X, y = array(fig["X"]), array(fig["y"][:, None])
    trainer = bp.Trainer(net, loss=HALF_MEAN, optimizer=bp.SGD(fig["eta"]))
    for start, want in zip(range(0, 4, size), path, strict=True):
        trainer.step(X[start : start + size], y[start : start + size])
        close(net.params["0.weight"][:, 0], want, Kind.TRAINED)


@pytest.mark.parametrize(("example", "size"), [("S49", 1), ("S50", 2)], ids=["online", "pairs"])
def test_fit_without_shuffle_equals_the_steps_one_by_one(sequential, array, close, example, size):
    """S49, S50: a whole epoch of fit ends at the same weights, bit for bit."""
    fig, stepped = linear_neuron(sequential)
    _, fitted = linear_neuron(sequential)
    X, y = array(fig["X"]), array(fig["y"][:, None])
    trainer = bp.Trainer(stepped, loss=HALF_MEAN, optimizer=bp.SGD(fig["eta"]))
    for start in range(0, 4, size):
        trainer.step(X[start : start + size], y[start : start + size])
    fitted.fit(
        X, y, loss=HALF_MEAN, optimizer=bp.SGD(fig["eta"]), epochs=1, batch_size=size,
        shuffle=False, verbose=0,
    )  # fmt: skip
    np.testing.assert_array_equal(fitted.params["0.weight"], stepped.params["0.weight"])
    last = golden(example)[
        {1: "weights_after_each_sample", 2: "weights_after_each_batch"}[size]
    ][-1]  # fmt: skip
    close(fitted.params["0.weight"][:, 0], last, Kind.TRAINED)


def test_mini_batch_of_all_samples_is_the_full_batch(sequential, array, close):
    """S50: size s equals S48."""
    fig, net = linear_neuron(sequential)
    trainer = bp.Trainer(net, loss=HALF_MEAN, optimizer=bp.SGD(fig["eta"]))
    trainer.step(array(fig["X"]), array(fig["y"][:, None]))
    close(net.params["0.weight"][:, 0], fig["new_w"], Kind.GRADIENT)


def test_shuffled_order_is_a_matter_of_the_seed(sequential, array):
    """S49: the same seed draws the same orders, and some seed another one."""
    ends = []
    for seed in (3, 3, 4, 5, 6):
        fig, net = linear_neuron(sequential, seed=seed)
        net.fit(
            array(fig["X"]), array(fig["y"][:, None]), loss=HALF_MEAN,
            optimizer=bp.SGD(fig["eta"]), epochs=3, batch_size=1, verbose=0,
        )  # fmt: skip
        ends.append(net.params["0.weight"].tobytes())
    assert ends[0] == ends[1]
    assert len(set(ends)) > 1


@float64_only
def test_gradient_variance_falls_as_one_over_the_batch_size(sequential, array):
    """S50: over all batches of m samples drawn with replacement, exactly 1 / m of that of one."""
    fig, net = linear_neuron(sequential)

    def gradient(rows):
        X, y = array(fig["X"][list(rows)]), array(fig["y"][list(rows), None])
        _, dy = HALF_MEAN.value_and_grad(net.forward(X, training=True), y)
        net.backward(dy)
        return net.grads["0.weight"][:, 0].copy()

    variance = {
        m: np.var([gradient(rows) for rows in itertools.product(range(4), repeat=m)], axis=0)
        for m in (1, 2, 3)
    }
    np.testing.assert_allclose(variance[2], variance[1] / 2, rtol=1e-9)
    np.testing.assert_allclose(variance[3], variance[1] / 3, rtol=1e-9)


# ------------------------------------------------------------------------------ momentum


def descend_on_half_square(sequential, array, optimizer, steps):
    """Return w before each of `steps` updates on f = w^2 / 2."""
    net = sequential([bp.Linear(1, bias=False)], (1,), {"0.weight": [[golden("S51")["w0"]]]})
    loss = bp.SquaredError("sum", half=True)
    trainer = bp.Trainer(net, loss=loss, optimizer=optimizer)
    path = []
    for _ in range(steps):
        path.append(net.params["0.weight"].item())
        trainer.step(array([[1.0]]), array([[0.0]]))
    return path


@pytest.mark.parametrize(("momentum", "key"), [(0.9, "heavy_ball"), (0.0, "plain")])
def test_momentum_keeps_part_of_the_last_update(sequential, array, close, momentum, key):
    """S51: v = mu v - eta g overshoots the minimum; mu = 0 is plain descent, 0.9^n."""
    fig = golden("S51")
    path = descend_on_half_square(sequential, array, bp.SGD(fig["eta"], momentum=momentum), 11)
    close(path, fig[key], Kind.TRAINED)
    assert (min(path) < 0) == (momentum > 0)


def test_nesterov_takes_the_slope_at_the_point_looked_ahead_to(sequential, array, close):
    """S51: the net holds that point, p = w + mu v, of the sequence w of the figures."""
    fig = golden("S51")
    w = fig["nesterov"]
    v = np.diff(w, prepend=w[0])  # v = 0 at the start
    optimizer = bp.SGD(fig["eta"], momentum=fig["mu"], nesterov=True)
    path = descend_on_half_square(sequential, array, optimizer, 11)
    close(path, w + fig["mu"] * v, Kind.TRAINED)


# ------------------------------------------------------------------------------ stopping


@pytest.mark.parametrize("index", [0, 1, 2])
def test_fit_stops_at_the_first_epoch_at_or_under_the_given_loss(sequential, array, index):
    """S54: on S24, E <= 1e-2, 1e-4, 1e-8 after 3, 5, 10 updates.

    The loss of an epoch is that before its update, so the epoch that sees E <= eps comes after
    that many updates.
    """
    start, fig = golden("S24"), golden("S54")
    eps, updates = float(fig["eps"][index]), int(fig["updates_needed"][index])
    params = {"0.weight": [[start["w0"]]], "0.bias": [start["b0"]]}
    net = sequential([bp.Linear(1)], (1,), params)
    history = net.fit(
        array([[start["x"]]]), array([[start["y"]]]), loss=bp.SquaredError("sum"),
        optimizer=bp.SGD(start["tau"]), epochs=100, stop_loss=eps, verbose=0,
    )  # fmt: skip
    losses = history.history["loss"]
    assert len(losses) == updates + 1
    assert losses[updates] <= eps < losses[updates - 1]
    assert losses[0] == pytest.approx(fig["E0"], rel=1e-6)


class GivenValidation(bp.Callback):
    """Replace the measured validation error by a given sequence, and keep every epoch's weights."""

    def __init__(self, net, errors):
        self.net = net
        self.errors = errors
        self.weights = []

    def on_epoch_end(self, trainer, epoch, logs):
        logs["val_loss"] = float(self.errors[len(self.weights)])
        self.weights.append(self.net.params["0.weight"].copy())


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_gives_up_after_three_epochs_without_a_better_one(
    sequential, array, restore
):
    """S56: patience 3 on 0.90 ... 0.60: the best is index 5, training stops after index 8."""
    fig = golden("S56")
    data, net = linear_neuron(sequential)
    X, y = array(data["X"]), array(data["y"][:, None])
    given = GivenValidation(net, fig["validation"])
    history = net.fit(
        X, y, loss=HALF_MEAN, optimizer=bp.SGD(0.01), epochs=len(fig["validation"]),
        validation_data=(X, y), verbose=0,
        callbacks=[given, bp.EarlyStopping(patience=int(fig["patience"]), restore_best=restore)],
    )  # fmt: skip
    last, best = int(fig["stops_after_index"]), int(fig["best_index"])
    assert len(given.weights) == last + 1
    assert len(history.history["loss"]) == last + 1
    assert history.history["val_loss"] == fig["validation"][: last + 1].tolist()
    assert len({weights.tobytes() for weights in given.weights}) == last + 1
    kept = best if restore else last
    np.testing.assert_array_equal(net.params["0.weight"], given.weights[kept])


# ------------------------------------------------------------------------------- dropout


def test_dropout_scales_what_it_keeps_and_backward_uses_the_same_mask(backend, array, close, dtype):
    """S57: h m / q forward and g m / q backward, for mask 1010 and q = 0.5."""
    fig = golden("S57")

    def net_of(seed):
        return bp.Sequential([bp.Dropout(1 - fig["keep_probability"])], dtype=dtype, seed=seed)

    def mask_of(seed):
        kept = net_of(seed).forward(array([np.ones(4)]), training=True)[0]
        assert set(kept.tolist()) <= {0.0, 1 / fig["keep_probability"]}
        return kept > 0

    net = net_of(seed_with_mask(("S57", dtype), mask_of, fig["mask"] > 0))
    close(net.forward(array([fig["h"]]), training=True)[0], fig["train_output"])
    close(net.backward(array([fig["upstream"]]))[0], fig["backward"])


def test_dropout_is_off_in_evaluation(backend, array, dtype):
    """S57: all nodes, unscaled, and the gradient passes unchanged."""
    fig = golden("S57")
    net = bp.Sequential([bp.Dropout(0.5)], dtype=dtype)
    h = array([fig["h"]])
    np.testing.assert_array_equal(net.predict(h), h)
    np.testing.assert_array_equal(net.forward(h), h)
    np.testing.assert_array_equal(net.backward(array([fig["upstream"]])), array([fig["upstream"]]))


# ------------------------------------------------------------------ counting parameters


@pytest.mark.parametrize(
    ("sizes", "bias", "key"),
    [
        ((3, 4, 2), False, "weights_3_4_2"),
        ((3, 4, 2), True, "weights_3_4_2_with_bias"),
        ((784, 40, 10), False, "weights_784_40_10"),
        ((784, 40, 10), True, "weights_784_40_10_with_bias"),
        ((3600, 4, 2), False, "weights_3600_4_2"),
    ],
)
def test_summary_counts_the_unknowns(backend, sizes, bias, key):
    """S63: 20, 26, 31 760, 31 810 and 14 408 parameters."""
    fig = golden("S63")
    inputs, hidden, outputs = sizes
    layers = [bp.Linear(hidden, bias=bias), bp.Sigmoid(), bp.Linear(outputs, bias=bias)]
    net = bp.Sequential(layers)
    net.build((inputs,))
    assert sum(value.size for value in net.params.values()) == fig[key]
    assert str(fig[key]) in "".join(c for c in net.summary() if c not in ",_ ")
