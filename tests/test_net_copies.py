"""Copies of nets: pickle, copy and joblib give a net that goes on as the first would."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

import pybp as bp

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 5)), RNG.normal(size=(12, 2))
FIT = {"loss": "squared_error", "batch_size": 5, "epochs": 2, "verbose": 0}


def through_joblib(net: Any) -> Any:
    stream = io.BytesIO()
    joblib.dump(net, stream)
    stream.seek(0)
    return joblib.load(stream)


COPIES: dict[str, Callable[[Any], Any]] = {
    f"pickle {protocol}": lambda net, protocol=protocol: pickle.loads(pickle.dumps(net, protocol))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
}
COPIES |= {"deepcopy": copy.deepcopy, "copy": copy.copy, "joblib": through_joblib}


@pytest.fixture(params=COPIES.values(), ids=COPIES.keys())
def copied(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return request.param


def chain() -> bp.Sequential:
    shared = bp.Linear(4)
    layers = [shared, bp.BatchNorm(), bp.Dropout(0.3), bp.Linear(5), shared, bp.Linear(2)]
    return bp.Sequential(layers, seed=3, dtype="float64")


def graph() -> bp.Model:
    x = bp.Input((5,))
    h = bp.Tanh()(bp.Linear(5)(x))
    return bp.Model(x, bp.Linear(2)(bp.Add()([x, h])), seed=4)


NETS = pytest.mark.parametrize("make", [chain, graph])


@NETS
@pytest.mark.parametrize("optimizer", [bp.SGD(0.01, momentum=0.9), bp.AdamW(0.01), bp.SGD(0.1)])
def test_a_copy_goes_on_with_the_state_of_the_optimiser(
    make: Callable[[], Any], copied: Callable[[Any], Any], optimizer: Any, backend: str
) -> None:
    net = make()
    net.fit(X, Y, optimizer=optimizer, **FIT)
    twin = copied(net)
    before = net.params.flat.copy()
    assert type(twin) is type(net)
    assert (twin.seed, twin.dtype, twin.summary()) == (net.seed, net.dtype, net.summary())
    assert twin.predict(X).tobytes() == net.predict(X).tobytes()
    twin.fit(X, Y, optimizer=optimizer, **FIT)
    assert net.params.flat.tobytes() == before.tobytes()  # nothing is shared
    net.fit(X, Y, optimizer=optimizer, **FIT)
    assert twin.params.flat.tobytes() == net.params.flat.tobytes()
    assert twin.buffers.flat.tobytes() == net.buffers.flat.tobytes()


def test_a_net_that_is_not_built_yet(copied: Callable[[Any], Any], backend: str) -> None:
    net = chain()
    twin = copied(net)
    assert not twin.is_built
    assert twin.predict(X).tobytes() == net.predict(X).tobytes()
    assert twin.layers[4] is twin.layers[0]


@NETS
def test_gradients_and_counters_are_copied(
    make: Callable[[], Any], copied: Callable[[Any], Any], backend: str
) -> None:
    net = make()
    net.forward(X, training=True)
    net.backward(np.ones((12, 2)))
    twin = copied(net)
    for name, gradient in net.grads.items():
        assert twin.grads[name].tobytes() == gradient.tobytes()
    for one in (net, twin):
        bp.Adam(0.1).step(one)
    assert twin.params.flat.tobytes() == net.params.flat.tobytes()
    assert (twin.state.steps, twin.state.updates) == (1, 1)


def test_a_copy_of_a_copy_and_a_file(copied: Callable[[Any], Any], tmp_path: Path) -> None:
    net = graph()
    twin = copied(copied(net))
    twin.save(tmp_path / "twin.safetensors")
    net.save(tmp_path / "net.safetensors")
    ours, theirs = (tmp_path / f"{name}.safetensors" for name in ("net", "twin"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_joblib_writes_and_reads_files(tmp_path: Path) -> None:
    net = chain().build((5,))
    for compress in (0, 3):
        joblib.dump(net, tmp_path / "net.joblib", compress=compress)
        assert joblib.load(tmp_path / "net.joblib").predict(X).tobytes() == net.predict(X).tobytes()


@pytest.mark.parametrize(
    "record",
    [bp.Adam(0.1), bp.CrossEntropy(label_smoothing=0.1), bp.Linear(3), bp.HeNormal()],
    ids=repr,
)
def test_descriptions_are_copied(copied: Callable[[Any], Any], record: Any) -> None:
    assert repr(copied(record)) == repr(record)
