"""A loss that becomes NaN stops a training before it spoils the weights, and says where."""

from __future__ import annotations

import numpy as np
import pytest

import pybp as bp

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(40, 4)), rng.integers(0, 3, 40)
both = pytest.mark.parametrize("backend", ["native", "numpy"])


def make_net(backend=None, middle=()):
    return bp.Sequential([bp.Linear(6), *middle, bp.Linear(3)], backend=backend)


@both
@pytest.mark.parametrize("batch", [1, 8])
def test_nan_in_the_data_names_input_and_row(backend, batch):
    x = X.copy()
    x[17, 2] = np.nan
    net, clean = make_net(backend), make_net(backend)
    plan = {"loss": "cross_entropy", "optimizer": "adam", "epochs": 2, "verbose": 0}
    with pytest.raises(FloatingPointError, match="x holds NaN in row 17") as caught:
        net.fit(x, Y, batch_size=batch, shuffle=False, **plan)
    done = 17 // batch
    assert f"training step {done} " in str(caught.value)
    assert net.state.steps == done
    trainer = bp.Trainer(clean, "cross_entropy", "adam")
    for start in range(0, done * batch, batch):
        trainer.step(X[start : start + batch], Y[start : start + batch])
    if done:
        np.testing.assert_array_equal(net.params.flat, clean.params.flat)


@both
def test_first_layer_that_makes_nan_is_named(backend):
    log = bp.Lambda(np.log, lambda dy, y, x: dy / x)
    net = make_net(backend, [bp.Tanh(), log, bp.ReLU()])
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(FloatingPointError, match=r"layer 2 \(Lambda\)"),
    ):
        net.fit(X, Y, loss="cross_entropy", optimizer="sgd", epochs=1, verbose=0)
    assert net.state.steps == 0


@both
def test_weights_that_hold_nan_are_named(backend):
    net = make_net(backend).build((4,))
    net.params["1.bias"] = [0, np.nan, 0]
    before = net.params.flat.tobytes()
    with pytest.raises(FloatingPointError, match=r"1\.bias holds NaN, from an earlier step"):
        bp.Trainer(net, "cross_entropy", "sgd").step(X, Y)
    assert net.params.flat.tobytes() == before


@both
def test_targets_that_hold_nan_are_named(backend):
    net = make_net(backend)
    y = np.zeros((40, 3))
    y[5, 1] = np.nan
    with pytest.raises(FloatingPointError, match="target holds NaN in row 5"):
        bp.Trainer(net, "mse", "sgd").step(X, y)


@both
def test_overflow_is_found_where_it_turns_into_nan(backend):
    """The rate is far too large: inf - inf in a later step."""
    net = make_net(backend)
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="training step"):
        net.fit(X * 1e18, Y, loss="cross_entropy", optimizer=bp.SGD(1e20), epochs=50, verbose=0)


@both
def test_steps_of_sequences_are_named_too(backend):
    x = rng.normal(size=(6, 5, 2))
    x[3, 1, 0] = np.nan
    net = bp.Sequential([bp.LSTM(3), bp.Linear(1)], backend=backend)
    with pytest.raises(FloatingPointError, match="x holds NaN in row 3"):
        net.fit(x, x[..., :1], loss="mse", optimizer="sgd", epochs=1, verbose=0)
    padded = np.where(np.isnan(x), 0.0, x)
    padded[3, 4] = np.nan  # behind the end of its sequence: never read
    lengths = np.array([5, 5, 5, 4, 5, 5])
    y = np.zeros((6, 5, 1))
    net.fit(padded, y, loss="mse", optimizer="sgd", epochs=1, lengths=lengths, verbose=0)


@both
@pytest.mark.parametrize("rules", [{"accumulate": 2}, {"clip_norm": 1.0}])
def test_other_ways_to_train_stop_too(backend, rules):
    x = X.copy()
    x[9, 0] = np.nan
    net = make_net(backend)
    with pytest.raises(FloatingPointError, match="row 9"):
        net.fit(
            x, Y, loss="cross_entropy", optimizer="sgd", epochs=1, batch_size=4, shuffle=False,
            verbose=0, **rules,
        )  # fmt: skip
    assert np.isfinite(net.params.flat).all()
    net = make_net(backend)
    with pytest.raises(FloatingPointError, match="row 9"):
        net.fit(x, Y, loss="cross_entropy", optimizer="lbfgs", epochs=1, verbose=0)


def test_a_fit_that_met_nan_is_over():
    """It is not an interrupted one: another fit may begin."""
    x = X.copy()
    x[0, 0] = np.nan
    trainer = bp.Trainer(make_net(), "cross_entropy", "sgd")
    with pytest.raises(FloatingPointError):
        trainer.fit(x, Y, epochs=1, verbose=0)
    trainer.fit(X, Y, epochs=1, verbose=0)


def test_layers_pass_nan_on():
    x = X.copy()
    x[3] = np.nan
    y = make_net(middle=[bp.ReLU(), bp.LayerNorm(), bp.Softmax()]).predict(x)
    assert np.isnan(y[3]).all()
    assert np.isfinite(np.delete(y, 3, axis=0)).all()


@both
def test_a_step_that_ends_early_leaves_statistics_and_states_alone(backend):
    """Those of the batch with NaN in it are not mixed into what the next step reads."""
    x = X.copy()
    x[9, 0] = np.nan
    net, clean = (make_net(backend, [bp.BatchNorm()]) for _ in range(2))
    trainer = bp.Trainer(clean, "cross_entropy", "sgd")
    for start in (0, 4):
        trainer.step(X[start : start + 4], Y[start : start + 4])
    with pytest.raises(FloatingPointError):
        net.fit(
            x, Y, loss="cross_entropy", optimizer="sgd", epochs=1, batch_size=4, shuffle=False,
            verbose=0,
        )  # fmt: skip
    np.testing.assert_array_equal(net.buffers.flat, clean.buffers.flat)
    np.testing.assert_array_equal(net.params.flat, clean.params.flat)

    steps = rng.normal(size=(2, 3, 4))
    net = bp.Sequential([bp.GRU(3, stateful=True), bp.Linear(1)], backend=backend)
    trainer = bp.Trainer(net, "mse", "sgd")
    trainer.step(steps, steps[..., :1])
    before = {name: state.copy() for name, state in net.carried.arrays.items()}
    steps[1, 1, 0] = np.nan
    with pytest.raises(FloatingPointError):
        trainer.step(steps, np.zeros((2, 3, 1)))
    for name, state in before.items():
        np.testing.assert_array_equal(net.carried.arrays[name], state)


def test_statistics_move_once_a_step_of_lbfgs():
    net, clean = (make_net(middle=[bp.BatchNorm()]) for _ in range(2))
    bp.Trainer(net, "cross_entropy", bp.LBFGS(max_iter=5)).step(X, Y)
    clean.forward(X, training=True)
    np.testing.assert_array_equal(net.buffers.flat, clean.buffers.flat)
