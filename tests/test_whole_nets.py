"""Whole nets before all three judges, and what holds for every net."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from conftest import require_native
from finite_difference import directional_difference
from tolerance import TRAINING, check_close

import pybp as bp

Layers = list[bp.layers.Layer]


def _shared() -> Layers:
    twice = bp.Linear(6)
    return [bp.Linear(6), bp.Tanh(), twice, bp.Sigmoid(), twice, bp.Linear(3)]


SMOOTH = {
    name: [bp.Linear(7), activation, bp.Linear(3)]
    for name, activation in {
        "sigmoid": bp.Sigmoid(),
        "steep sigmoid": bp.Sigmoid(slope=2.0),
        "tanh": bp.Tanh(),
        "elu": bp.ELU(1.0),
        "gelu": bp.GELU(),
        "gelu tanh": bp.GELU("tanh"),
        "silu": bp.SiLU(),
        "mish": bp.Mish(),
        "softplus": bp.Softplus(2.0),
        "softsign": bp.Softsign(),
        "identity": bp.Identity(),
        "softmax": bp.Softmax(),
        "log_softmax": bp.LogSoftmax(),
        "relu": bp.ReLU(),
        "leaky relu": bp.LeakyReLU(0.2),
        "selu": bp.SELU(),
        "hard tanh": bp.HardTanh(-0.5, 0.8),
        "hard sigmoid": bp.HardSigmoid(),
        "dropout": bp.Dropout(0.4),
        "dropout 0": bp.Dropout(0.0),
    }.items()
}
# name -> (layers, shape of a sample)
NETS: dict[str, tuple[Callable[[], Layers], tuple[int, ...]]] = {
    **{name: ((lambda layers=layers: list(layers)), (5,)) for name, layers in SMOOTH.items()},
    "flatten": (lambda: [bp.Flatten(), bp.Linear(4), bp.Tanh(), bp.Linear(3)], (2, 3)),
    "reshape": (lambda: [bp.Reshape((3, -1)), bp.Linear(3), bp.Flatten(), bp.Linear(3)], (6,)),
    "time steps": (lambda: [bp.Linear(4), bp.Tanh(), bp.Flatten(), bp.Linear(3)], (4, 5)),
    "softmax axis 1": (lambda: [bp.Softmax(axis=1), bp.Flatten(), bp.Linear(3)], (4, 5)),
    "shared": (_shared, (5,)),
    "no bias": (lambda: [bp.Linear(4, bias=False), bp.Tanh(), bp.Linear(3, bias=False)], (5,)),
    "activation first": (lambda: [bp.Tanh(), bp.Linear(3)], (5,)),
    "ends in relu": (lambda: [bp.Linear(4), bp.Linear(3), bp.ReLU()], (5,)),
}
# a bias before a batch norm would have the gradient 0, all rounding
PICTURES = {
    "conv": [bp.Conv2d(4, 3), bp.Tanh()],
    "conv relu": [bp.Conv2d(4, 3), bp.ReLU()],
    "conv, stride, uneven padding": [bp.Conv2d(4, (3, 2), (2, 1), ((0, 1), (2, 1))), bp.Tanh()],
    "conv, dilation, groups, flip": [bp.Conv2d(4, 2, dilation=2, groups=2, flip=True), bp.Tanh()],
    "depthwise": [bp.Conv2d(4, 3, padding="same", groups=2, bias=False), bp.GELU()],
    "two convs": [bp.Conv2d(3, 3, padding=1), bp.Sigmoid(), bp.Conv2d(4, 3, stride=2), bp.Tanh()],
    "conv transpose": [bp.ConvTranspose2d(4, 3, 2, 1, 1), bp.Tanh()],
    "conv transpose, groups": [
        bp.ConvTranspose2d(4, (2, 3), padding=((1, 0), 0), groups=2, dilation=2, bias=False),
        bp.SiLU(),
    ],
    "upsample": [bp.Upsample2d((2, 1)), bp.Conv2d(2, 2), bp.Tanh()],
    "max pool": [bp.MaxPool2d(2)],
    "max pool that overlaps": [bp.Conv2d(3, 2), bp.Tanh(), bp.MaxPool2d(3, 2, 1, ceil_mode=True)],
    "max pool, dilation": [bp.MaxPool2d(2, 1, dilation=(2, 1))],
    "max pool after relu": [bp.Conv2d(3, 2), bp.ReLU(), bp.MaxPool2d(2)],
    "average pool": [bp.AvgPool2d(3, 2, 1, count_include_pad=False), bp.Tanh()],
    "average pool, ceil": [bp.AvgPool2d(2, 3, ceil_mode=True, dilation=2), bp.Tanh()],
    "global average": [bp.Conv2d(5, 3), bp.Tanh(), bp.GlobalAvgPool2d()],
    "global maximum": [bp.Conv2d(5, 3), bp.Tanh(), bp.GlobalMaxPool2d()],
    "batch norm": [bp.Conv2d(3, 3, bias=False), bp.BatchNorm(), bp.Tanh()],
    "batch norm, relu": [bp.Conv2d(3, 3, bias=False), bp.BatchNorm(momentum=0.3), bp.ReLU()],
    "batch norm, not affine": [bp.BatchNorm(affine=False), bp.Tanh()],
    "layer norm": [bp.LayerNorm(), bp.Tanh(), bp.LayerNorm(axes=(1, 2, 3))],
    "spatial dropout": [bp.Conv2d(4, 2), bp.SpatialDropout(0.4), bp.Tanh()],
    "channels first": [bp.Input((7, 6, 2), layout="channels_first"), bp.Conv2d(3, 2), bp.Tanh()],
}
LINES = {
    "conv, one axis": [bp.Conv1d(4, 3, 2, padding=(0, 2)), bp.Tanh(), bp.MaxPool1d(2)],
    "pools, one axis": [bp.AvgPool1d(3, 1, 1), bp.Conv1d(3, 2, dilation=3), bp.GlobalAvgPool1d()],
    "global, one axis": [
        bp.Conv1d(4, 3, bias=False),
        bp.BatchNorm(),
        bp.Softplus(),
        bp.GlobalMaxPool1d(),
    ],
}
for shape, nets in (((7, 6, 2), PICTURES), ((9, 2), LINES)):
    for title, layers in nets.items():
        whole = [*layers, bp.Flatten(), bp.Linear(3)]
        NETS[title] = ((lambda whole=whole: list(whole)), shape)


def _net(name: str, dtype: str, seed: int = 0) -> bp.Sequential:
    layers, shape = NETS[name]
    return bp.Sequential(layers(), dtype=dtype, seed=seed).build(shape)


def _data(name: str, dtype: str, rows: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, *NETS[name][1])).astype(dtype)
    return x, rng.integers(0, 3, rows)


@pytest.mark.parametrize("name", NETS)
def test_gradients_of_a_net_are_finite_differences(name: str, backend: str) -> None:
    """dLoss/dparameters and dLoss/dx in training mode, by hand, against five-point differences."""
    net = _net(name, "float64")
    x, y = _data(name, "float64")
    loss = bp.CrossEntropy()

    def value() -> float:
        return loss.value_and_grad(net.forward(x, training=True), y)[0]

    _, dy = loss.value_and_grad(net.forward(x, training=True), y)
    dx = net.backward(dy)
    analytic = {key: net.grads[key].copy() for key in net.params}
    rng = np.random.default_rng(4)
    for key, array in {**dict(net.params), "x": x}.items():
        gradient = dx if key == "x" else analytic[key]
        for _ in range(2):
            direction = rng.normal(size=array.shape)
            expected = directional_difference(value, array, direction)
            terms = gradient * direction
            assert abs(terms.sum() - expected) <= 1e-8 * max(np.abs(terms).sum(), 1e-2), key


@pytest.mark.parametrize("name", NETS)
def test_native_trains_as_numpy(name: str, dtype: str) -> None:
    require_native()
    weights = {}
    for backend in ("numpy", "native"):
        net = _net(name, dtype)
        net.backend = backend
        trainer = bp.Trainer(net, "cross_entropy", bp.SGD(0.1, momentum=0.9))
        x, y = _data(name, dtype, rows=20)
        losses = [trainer.step(x[i : i + 7], y[i : i + 7]) for i in (0, 7, 14) for _ in range(2)]
        weights[backend] = [np.array(losses), *(w.copy() for w in net.params.values())]
    for native, exact in zip(weights["native"], weights["numpy"], strict=True):
        check_close(native, exact, dtype, 100, TRAINING, name)


@pytest.mark.parametrize("name", NETS)
def test_a_row_alone_is_the_row_in_a_batch(name: str, dtype: str) -> None:
    require_native()
    net = _net(name, dtype)
    net.backend = "native"
    x, _ = _data(name, dtype, rows=33)
    batch = net.predict(x)
    for i in (0, 5, 32):
        assert net.predict(x[i : i + 1]).tobytes() == batch[i : i + 1].tobytes()


@pytest.fixture
def _restore_threads() -> Iterator[None]:
    before = bp.num_threads()
    yield
    bp.set_num_threads(before)


@pytest.mark.usefixtures("_restore_threads")
@pytest.mark.parametrize("optimizer", [bp.SGD(0.05), bp.SGD(0.05, momentum=0.9), bp.AdamW(1e-3)])
def test_threads_do_not_change_the_bits_of_a_training(optimizer: object, dtype: str) -> None:
    """A net large enough that every op is shared out."""
    require_native()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 200)), rng.integers(0, 10, 300)
    digests = set()
    for threads in (1, 2, 3, 4, 7):
        bp.set_num_threads(threads)
        layers = [bp.Linear(300), bp.ReLU(), bp.Dropout(0.2), bp.Linear(10)]
        net = bp.Sequential(layers, dtype=dtype, backend="native")
        net.fit(x, y, loss="cross_entropy", optimizer=optimizer, epochs=2, batch_size=64, verbose=0)
        digests.add(hashlib.sha256(net.params.flat.tobytes()).hexdigest())
    assert len(digests) == 1


def test_online_steps_keep_their_bits_when_gradients_are_kept(dtype: str) -> None:
    """The update fused into the gradient, against the gradient and the flat update after it."""
    require_native()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 30)) * (rng.uniform(size=(40, 30)) > 0.5)
    y = rng.integers(0, 4, 40)
    for weight_decay in (0.0, 0.01):
        results = []
        for keep_grads in (False, True):
            layers = [bp.Linear(33), bp.ReLU(), bp.Linear(4)]
            net = bp.Sequential(layers, dtype=dtype, backend="native")
            optimizer = bp.SGD(0.1, weight_decay=weight_decay)
            trainer = bp.Trainer(net, "cross_entropy", optimizer, keep_grads=keep_grads)
            for i in range(40):
                trainer.step(x[i : i + 1], y[i : i + 1])
            results.append(net.params.flat.tobytes())
        assert results[0] == results[1]
