"""Clipping, penalties, max-norm and accumulation, each against the same by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import TRAINING, check_close

import pybp as bp
from pybp.optimizers import LossOptimizer

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(24, 4)), rng.integers(0, 3, 24)
both = pytest.mark.parametrize("backend", ["native", "numpy"])
types = pytest.mark.parametrize("dtype", ["float32", "float64"])


def make_net(backend=None, dtype="float64"):
    layers = [bp.Linear(6), bp.Tanh(), bp.Linear(3)]
    return bp.Sequential(layers, backend=backend, dtype=dtype).build((4,))


def gradients(net, x=X, y=Y, w=None):
    """Return the gradients of the mean cross entropy, as float64 by name."""
    _, dy = bp.CrossEntropy().value_and_grad(net.forward(x, training=True), y, w)
    net.backward(dy)
    return {name: np.array(net.grads[name], np.float64) for name in net.params}


def stepped(net, g, lr=0.5):
    return {name: net.params[name] - lr * g[name] for name in net.params}


def check_params(net, wanted, dtype):
    for name, array in wanted.items():
        check_close(net.params[name], array, dtype, 24, TRAINING, name)


def norm_of(g):
    return np.sqrt(sum(float((a**2).sum()) for a in g.values()))


@both
@types
@pytest.mark.parametrize("limit", [0.05, 100.0])
def test_clip_norm_scales_all_gradients_together(backend, dtype, limit):
    net, twin = make_net(backend, dtype), make_net(backend, dtype)
    g = gradients(twin)
    factor = min(1.0, limit / (norm_of(g) + 1e-6))
    wanted = stepped(twin, {name: factor * a for name, a in g.items()})
    bp.Trainer(net, "cross_entropy", bp.SGD(0.5), clip_norm=limit).step(X, Y)
    check_params(net, wanted, dtype)
    assert (factor < 1) == (limit < 1)


@both
@types
def test_clip_value_limits_each_number(backend, dtype):
    net, twin = make_net(backend, dtype), make_net(backend, dtype)
    g = gradients(twin)
    wanted = stepped(twin, {name: np.clip(a, -0.01, 0.01) for name, a in g.items()})
    bp.Trainer(net, "cross_entropy", bp.SGD(0.5), clip_value=0.01).step(X, Y)
    check_params(net, wanted, dtype)


@both
@types
def test_penalties_are_on_weights_and_not_on_biases(backend, dtype):
    net, twin = make_net(backend, dtype), make_net(backend, dtype)
    for one in (net, twin):
        one.params["0.bias"] = np.arange(6) / 10
    g = gradients(twin)
    for name in ("0.weight", "2.weight"):
        g[name] = g[name] + 0.1 * twin.params[name] + 0.02 * np.sign(twin.params[name])
    trainer = bp.Trainer(net, "cross_entropy", bp.SGD(0.5), l1=0.02, l2=0.1)
    value = trainer.step(X, Y)
    check_params(net, stepped(twin, g), dtype)
    plain = bp.CrossEntropy().value_and_grad(twin.forward(X), Y)[0]
    check_close(value, plain, dtype, 24, TRAINING)  # without the penalties


@both
@types
def test_max_norm_shortens_the_incoming_weights_of_a_unit(backend, dtype):
    net, twin = make_net(backend, dtype), make_net(backend, dtype)
    wanted = stepped(twin, gradients(twin))
    for name in ("0.weight", "2.weight"):
        lengths = np.linalg.norm(wanted[name], axis=0)
        wanted[name] = wanted[name] * np.minimum(1, 0.7 / lengths)
    bp.Trainer(net, "cross_entropy", bp.SGD(0.5), max_norm=0.7).step(X, Y)
    check_params(net, wanted, dtype)


def test_kernels_of_convolutions_have_columns_too():
    net = bp.Sequential([bp.Conv2d(3, 2), bp.Flatten(), bp.Linear(3)])
    x = rng.normal(size=(6, 4, 4, 2))
    net.fit(
        x, Y[:6], loss="cross_entropy", optimizer=bp.SGD(1.0), epochs=3, max_norm=0.5, verbose=0
    )
    lengths = np.linalg.norm(net.params["0.weight"].reshape(-1, 3), axis=0)
    assert (lengths <= 0.5 * (1 + 1e-5)).all()
    assert lengths.max() > 0.49


@both
@pytest.mark.parametrize("optimizer", [bp.SGD(0.1, momentum=0.9), bp.Adam(0.01)])
def test_all_rules_with_states_train_as_by_hand(backend, optimizer):
    """Penalties first, then values, then the norm: three steps."""
    net, twin = make_net(backend), make_net(backend)
    trainer = bp.Trainer(net, "cross_entropy", optimizer, l2=0.1, clip_value=0.05, clip_norm=0.1)
    for _ in range(3):
        trainer.step(X, Y)
        g = gradients(twin)
        for name in ("0.weight", "2.weight"):
            g[name] = g[name] + 0.1 * twin.params[name]
        for name, a in g.items():
            twin.grads[name] = np.clip(a, -0.05, 0.05)
        bp.clip_grad_norm(twin, 0.1)
        optimizer.step(twin)
    check_params(net, dict(twin.params), "float64")


# ------------------------------------------------------------------------------ accumulation


@both
@types
@pytest.mark.parametrize("weighted", [False, True])
def test_accumulated_batches_are_one_batch(backend, dtype, weighted):
    """Of different sizes and weights too: the mean is over all samples."""
    w = rng.uniform(size=24) if weighted else None
    net, twin = make_net(backend, dtype), make_net(backend, dtype)
    trainer = bp.Trainer(net, "cross_entropy", bp.SGD(0.5), accumulate=3)
    before = net.state
    for part in (slice(0, 10), slice(10, 11), slice(11, 24)):
        trainer.step(X[part], Y[part], None if w is None else w[part])
    assert (before.updates, before.steps) == (1, 3)
    check_params(net, stepped(twin, gradients(twin, w=w)), dtype)


@both
@pytest.mark.parametrize("reduction", ["mean", "batch", "sum"])
def test_accumulation_keeps_the_reduction(backend, reduction):
    y = rng.normal(size=(24, 3))
    nets = [make_net(backend) for _ in range(2)]
    loss = bp.SquaredError(reduction)
    bp.Trainer(nets[0], loss, bp.SGD(0.01)).step(X, y)
    trainer = bp.Trainer(nets[1], loss, bp.SGD(0.01), accumulate=4)
    for start in range(0, 24, 6):
        trainer.step(X[start : start + 6], y[start : start + 6])
    check_params(nets[1], dict(nets[0].params), "float64")


@both
def test_rest_of_an_epoch_makes_an_update(backend):
    net, twin = make_net(backend), make_net(backend)
    net.fit(
        X, Y, loss="cross_entropy", optimizer=bp.SGD(0.5), accumulate=2, batch_size=8,
        shuffle=False, epochs=1, verbose=0,
    )  # fmt: skip
    assert net.state.updates == 2
    for part in (slice(0, 16), slice(16, 24)):
        wanted = stepped(twin, gradients(twin, X[part], Y[part]))
        for name, array in wanted.items():
            twin.params[name] = array
    check_params(net, dict(twin.params), "float64")


def test_flush_ends_a_loop_of_steps():
    net, fitted = make_net(), make_net()
    trainer = bp.Trainer(net, "cross_entropy", bp.Adam(), accumulate=5, clip_norm=0.1)
    for start in range(0, 24, 8):
        trainer.step(X[start : start + 8], Y[start : start + 8])
    assert net.state.updates == 0
    trainer.flush()
    trainer.flush()  # nothing waits any more
    assert net.state.updates == 1
    fitted.fit(
        X, Y, loss="cross_entropy", optimizer="adam", accumulate=5, clip_norm=0.1, batch_size=8,
        shuffle=False, epochs=1, verbose=0,
    )  # fmt: skip
    np.testing.assert_array_equal(net.params.flat, fitted.params.flat)


def test_masks_of_accumulated_batches_differ():
    net = bp.Sequential([bp.Dropout(0.5), bp.Linear(1, bias=False)])
    trainer = bp.Trainer(net, "mse", bp.SGD(0.0), accumulate=4)
    x = np.ones((1, 50))
    losses = {trainer.step(x, np.zeros((1, 1))) for _ in range(4)}
    assert len(losses) == 4


# ------------------------------------------------------------------------- embeddings, errors


@pytest.mark.parametrize("rules", [
    {"clip_norm": 0.01}, {"clip_value": 1e-3}, {"l2": 0.1, "l1": 0.01}, {"accumulate": 2},
    {"max_norm": 0.5},
], ids="-".join)  # fmt: skip
@both
def test_rules_hold_for_tables_that_are_updated_by_rows(rules, backend):
    """By rows (plain SGD) and as a whole (momentum that has no effect) are the same."""
    ids = rng.integers(0, 9, (8, 3))
    ends = []
    for optimizer in (bp.SGD(0.5), bp.SGD(0.5, momentum=1e-300)):
        layers = [bp.Embedding(9, 4), bp.Flatten(), bp.Linear(3)]
        net = bp.Sequential(layers, backend=backend, dtype="float64")
        net.fit(
            ids, Y[:8], loss="cross_entropy", optimizer=optimizer, epochs=2, batch_size=4,
            verbose=0, **rules,
        )  # fmt: skip
        ends.append(net)
    check_params(ends[0], dict(ends[1].params), "float64")


@both
def test_rules_of_lazy_tables_touch_their_rows_alone(backend):
    net = bp.Sequential(
        [bp.Embedding(9, 4, lazy=True), bp.Flatten(), bp.Linear(3)], backend=backend
    )
    net.build((2,))
    before = net.params["0.weight"].copy()
    trainer = bp.Trainer(net, "cross_entropy", "adam", l2=0.1, clip_norm=0.5, clip_value=0.1)
    trainer.step(np.array([[1, 3], [3, 5]]), np.array([0, 2]))
    changed = (net.params["0.weight"] != before).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(changed), [1, 3, 5])
    with pytest.raises(ValueError, match="lazy"):
        bp.Trainer(net, "cross_entropy", "sgd", accumulate=2).step(
            np.array([[1, 3]]), np.array([0])
        )


@pytest.mark.parametrize("name", ["clip_norm", "clip_value", "max_norm"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_limits_are_above_0(name, value):
    with pytest.raises(ValueError, match=name):
        bp.Trainer(make_net(), "mse", "sgd", **{name: value})


@pytest.mark.parametrize("name", ["l1", "l2"])
@pytest.mark.parametrize("value", [-1e-3, float("nan"), float("inf")])
def test_penalties_are_not_negative(name, value):
    with pytest.raises(ValueError, match=name):
        bp.Trainer(make_net(), "mse", "sgd", **{name: value})


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (2.5, TypeError), (True, TypeError)])
def test_accumulate_is_a_number_of_batches(value, error):
    with pytest.raises(error, match="accumulate"):
        bp.Trainer(make_net(), "mse", "sgd", accumulate=value)


@pytest.mark.parametrize("rules", [{"accumulate": 2}, {"clip_norm": 1.0}, {"max_norm": 1.0}])
def test_optimisers_that_ask_for_the_loss_take_no_such_rules(rules):
    with pytest.raises(ValueError, match="LBFGS"):
        bp.Trainer(make_net(), "mse", "lbfgs", **rules)
    trainer = bp.Trainer(make_net(), "mse", "sgd", **rules)
    with pytest.raises(ValueError, match="LBFGS"):
        trainer.optimizer = bp.LBFGS()


def test_penalties_count_in_the_loss_that_lbfgs_sees():
    """Ridge regression has a closed form; the bias is not penalised."""
    y = rng.normal(size=(24, 1))
    net = bp.Sequential([bp.Linear(1)], dtype="float64")
    precise = {"tolerance_grad": 1e-12, "tolerance_change": 0.0}
    optimizer = bp.LBFGS(max_iter=50, line_search_fn="strong_wolfe", **precise)
    net.fit(
        X, y, loss=bp.SquaredError(half=True), optimizer=optimizer, l2=0.3, batch_size=None,
        epochs=5, verbose=0,
    )  # fmt: skip
    centred, target = X - X.mean(0), y - y.mean()
    w = np.linalg.solve(centred.T @ centred / 24 + 0.3 * np.eye(4), centred.T @ target / 24)
    np.testing.assert_allclose(net.params["0.weight"], w, rtol=1e-7, atol=1e-9)


class Probe(LossOptimizer):
    """Compares the gradient that an optimiser sees with differences of the losses it sees."""

    lr: float = 0.0

    def run_step(self, problem):
        _, gradient = problem.loss_and_grad()
        gradient, start = gradient.copy(), problem.params.copy()
        direction = np.random.default_rng(1).normal(size=start.shape)
        values = []
        for h in (1e-5, -1e-5):
            problem.params[...] = start + h * direction
            values.append(problem.loss_and_grad()[0])
        problem.params[...] = start
        slope = (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(slope, gradient @ direction, rtol=1e-7)


@both
@pytest.mark.parametrize("reduction", ["mean", "batch", "sum"])
def test_loss_and_gradient_belong_together(backend, reduction):
    """With their penalties; the loss of a sum is the sum."""
    y = rng.normal(size=(24, 3))
    trainer = bp.Trainer(make_net(backend), bp.SquaredError(reduction), Probe(), l2=0.1)
    trainer.step(X, y)


@both
def test_callbacks_see_the_loss_that_a_step_returns(backend):
    """A sum stays a sum; in histories it is divided by the rows."""
    seen = []

    class Seeing(bp.Callback):
        def on_step_end(self, trainer, step, loss):
            seen.append(loss)

    y, loss = rng.normal(size=(24, 3)), bp.SquaredError("sum")
    history = make_net(backend).fit(
        X, y, loss=loss, optimizer=bp.SGD(0.001), epochs=1, batch_size=8, shuffle=False,
        callbacks=[Seeing()], verbose=0,
    )  # fmt: skip
    trainer = bp.Trainer(make_net(backend), loss, bp.SGD(0.001))
    assert seen == [trainer.step(X[k : k + 8], y[k : k + 8]) for k in (0, 8, 16)]
    np.testing.assert_allclose(history.history["loss"][0], sum(seen) / 24, rtol=1e-12)
