"""Averages of weights over a training, and the running statistics that belong to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from callback_nets import Kept, X, Y, fit, small_net

import pybp as bp


def test_ema_follows_its_equation(backend, dtype):
    kept, average = Kept(), bp.EMA(0.9, start=2)
    net = small_net(dtype)
    fit(net, [kept, average])
    expected = kept.steps[2].astype(np.float64)
    for weights in kept.steps[3:]:
        expected = 0.9 * expected + 0.1 * weights
    assert average.count == len(kept.steps) - 2 == 10
    last = net.params.flat.copy()
    np.testing.assert_array_equal(last, kept.steps[-1])
    average.apply(net)
    np.testing.assert_allclose(
        net.params.flat, expected, rtol=1e-6 if dtype == "float32" else 1e-14
    )
    assert net.params.flat.tobytes() != last.tobytes()


def test_swa_is_the_mean_of_the_epochs(backend, dtype):
    kept, average = Kept(), bp.SWA(start=1, every=2, apply=True)
    net = small_net(dtype)
    fit(net, [kept, average], epochs=6)
    assert average.count == 3
    expected = np.mean(np.array(kept.epochs[1::2], np.float64), axis=0)
    np.testing.assert_allclose(
        net.params.flat, expected, rtol=1e-6 if dtype == "float32" else 1e-14
    )


@pytest.mark.parametrize("average", [bp.EMA(0.9), bp.SWA(0)], ids=["ema", "swa"])
def test_averages_are_those_of_torch(average):
    torch = pytest.importorskip("torch")
    from torch.optim import swa_utils

    kept, net = Kept(), small_net("float32")
    fit(net, [kept, average])
    model = torch.nn.ParameterList([torch.tensor(kept.steps[0])])
    ema = swa_utils.get_ema_multi_avg_fn(0.9) if isinstance(average, bp.EMA) else None
    judge = swa_utils.AveragedModel(model, multi_avg_fn=ema)
    for weights in kept.steps if ema else kept.epochs:
        with torch.no_grad():
            model[0].copy_(torch.tensor(weights))
        judge.update_parameters(model)
    average.apply(net)
    np.testing.assert_allclose(net.params.flat, judge.module[0].detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("make", [lambda: bp.EMA(0.9, 3), lambda: bp.SWA(1)], ids=["ema", "swa"])
def test_averages_go_on_from_their_state(make):
    """Half of the steps by one average, the rest by another: the same bits as by one alone."""
    whole, first, second = make(), make(), make()

    class Handover(bp.Callback):
        def on_epoch_begin(self, trainer, epoch):
            if epoch == 2:
                second.restore(first.state())

    net = small_net()
    fit(net, [whole, first, second, Handover()])
    whole.apply(net)
    expected = net.params.flat.copy()
    second.apply(net)
    assert net.params.flat.tobytes() == expected.tobytes()
    assert second.count == whole.count
    state = second.state()
    state["weights"][:] = 0  # a copy
    second.apply(net)
    assert net.params.flat.tobytes() == expected.tobytes()


def test_averages_refuse_other_nets_and_nothing():
    average = bp.SWA(5)
    net = small_net()
    with pytest.raises(RuntimeError, match="SWA has averaged nothing yet"):
        average.apply(net)
    fit(net, [average])
    with pytest.raises(RuntimeError, match="nothing"):
        average.apply(net)
    average = bp.EMA()
    fit(net, [average])
    with pytest.raises(ValueError, match=r"EMA holds averages of .*the net has"):
        average.apply(bp.Sequential([bp.Linear(2)]).build((4,)))
    unused = bp.SWA(100, apply=True)
    before = net.params.flat.copy()
    fit(net, [unused], optimizer=bp.SGD(0.0))
    assert net.params.flat.tobytes() == before.tobytes()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: bp.EMA(1.0), ValueError, r"decay must lie in \[0, 1\), got 1.0"),
        (lambda: bp.EMA(math.nan), ValueError, "decay"),
        (lambda: bp.EMA(start=-1), ValueError, "start must be >= 0"),
        (lambda: bp.EMA(apply=1), TypeError, "apply must be True or False"),
        (lambda: bp.SWA(-1), ValueError, "start must be >= 0"),
        (lambda: bp.SWA(0, 0), ValueError, "every must be >= 1"),
        (lambda: bp.SWA(0.5), TypeError, "start must be a whole number"),
    ],
)
def test_bad_averages(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_dropout_and_running_statistics_of_averages(backend, dtype):
    """The statistics of one batch are those of the batch; of several, their mean by rows."""
    x = (3 + 2 * np.random.default_rng(3).normal(size=(30, 4))).astype(dtype)
    layers = [bp.BatchNorm(momentum=0.3), bp.Linear(3), bp.BatchNorm(name="second"), bp.Linear(1)]
    net = bp.Sequential(layers, dtype=dtype, seed=1).build((4,))
    before = net.params.flat.copy()
    bp.update_statistics(net, x)
    np.testing.assert_allclose(net.buffers["0.running_mean"], x.mean(0), rtol=2e-6)
    np.testing.assert_allclose(net.buffers["0.running_var"], x.var(0, ddof=1), rtol=2e-6)
    bp.update_statistics(net, x, batch_size=10)
    parts = [part.var(0, ddof=1) for part in np.split(x, 3)]
    np.testing.assert_allclose(net.buffers["0.running_mean"], x.mean(0), rtol=2e-6)
    np.testing.assert_allclose(net.buffers["0.running_var"], np.mean(parts, 0), rtol=2e-6)
    assert net.params.flat.tobytes() == before.tobytes()


def test_statistics_are_those_of_torch():
    torch = pytest.importorskip("torch")
    from torch.optim import swa_utils

    x = np.random.default_rng(3).normal(2, 3, size=(40, 4)).astype("f4")
    net = bp.Sequential([bp.BatchNorm(), bp.Linear(5), bp.ReLU(), bp.BatchNorm()]).build((4,))
    judge = torch.nn.Sequential(
        torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.BatchNorm1d(5)
    )
    with torch.no_grad():
        judge[1].weight.copy_(torch.tensor(net.params["1.weight"].T.copy()))
        judge[1].bias.copy_(torch.tensor(net.params["1.bias"].copy()))
    swa_utils.update_bn(torch.split(torch.tensor(x), 10), judge)
    bp.update_statistics(net, x, batch_size=10)
    for ours, theirs in (("0", judge[0]), ("3", judge[3])):
        for name in ("running_mean", "running_var"):
            expected = getattr(theirs, name).numpy()
            np.testing.assert_allclose(net.buffers[f"{ours}.{name}"], expected, rtol=1e-5)


def test_statistics_stay_where_samples_do_not_fit():
    net = bp.Sequential([bp.BatchNorm(), bp.Linear(1)], dtype="float64").build((4,))
    net.buffers["0.running_mean"] = np.arange(4.0)
    before = net.buffers.flat.copy()
    for x, message in ((X[:, :3], "x must have shape"), (X[:1], "two rows at least")):
        with pytest.raises(ValueError, match=message):
            bp.update_statistics(net, x)
        assert net.buffers.flat.tobytes() == before.tobytes()
    with pytest.raises(ValueError, match="batch_size must be >= 1"):
        bp.update_statistics(net, X, 0)


def test_statistics_of_sequences_and_of_several_inputs():
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(length, 2)) for length in (2, 5, 3, 4)]
    net = bp.Sequential([bp.BatchNorm(), bp.RNN(3)], dtype="float64").build((None, 2))
    bp.update_statistics(net, sequences)
    steps = np.concatenate(sequences)
    np.testing.assert_allclose(net.buffers["0.running_mean"], steps.mean(0), rtol=1e-12)
    padded = np.zeros((4, 5, 2))
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    expected = net.buffers.flat.copy()
    bp.update_statistics(net, padded, lengths=np.array([2, 5, 3, 4]))
    np.testing.assert_allclose(net.buffers.flat, expected, rtol=1e-12)
    a, b = bp.Input((2,), name="a"), bp.Input((2,), name="b")
    both = bp.Model([a, b], bp.BatchNorm(name="n")(bp.Add()([a, b])), dtype="float64")
    for x in ((X[:, :2], X[:, 2:]), {"a": X[:, :2], "b": X[:, 2:]}):
        bp.update_statistics(both, x, 12)
        expected = (X[:, :2] + X[:, 2:]).mean(0)
        np.testing.assert_allclose(both.buffers["n.running_mean"], expected, rtol=1e-12)


def test_statistics_without_momentum_stay():
    net = bp.Sequential([bp.BatchNorm(momentum=0.0)], dtype="float64").build((4,))
    before = net.buffers.flat.copy()
    bp.update_statistics(net, X)
    assert net.buffers.flat.tobytes() == before.tobytes()


def test_ema_counts_updates_and_not_accumulated_batches(backend):
    kept, average = Kept(), bp.EMA(0.5)
    net = small_net()
    net.fit(
        X, Y, loss="mse", optimizer=bp.SGD(0.1), epochs=2, batch_size=6, accumulate=2,
        callbacks=[kept, average], verbose=0,
    )  # fmt: skip
    assert average.count == 4
    expected = kept.steps[1]
    for weights in kept.steps[3::2]:
        expected = expected + 0.5 * (weights - expected)
    average.apply(net)
    assert net.params.flat.tobytes() == expected.tobytes()
