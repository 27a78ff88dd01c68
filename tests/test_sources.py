"""Data that are read bit by bit: array-likes, memory maps, and dtypes that need a conversion."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import pybp as bp
from pybp.data import feeding, inputs
from pybp.nets import network

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)


class Sliced:
    """What h5py and zarr have in common: a shape, and slices."""

    def __init__(self, array, most=10**9):
        self.array, self.shape, self.most = array, array.shape, most
        self.read = 0

    def __getitem__(self, part):
        assert isinstance(part, slice)
        rows = self.array[part]
        assert len(rows) <= self.most, "too much was read at once"
        self.read += len(rows)
        return rows


def make_net(backend=None):
    layers = [bp.Linear(6), bp.Tanh(), bp.Dropout(0.2), bp.Linear(3)]
    return bp.Sequential(layers, backend=backend)


def trained(x, y, backend=None, **arguments):
    net = make_net(backend)
    plan = {"loss": "cross_entropy", "optimizer": "adam", "epochs": 2, "verbose": 0}
    history = net.fit(x, y, batch_size=7, validation_data=(x, y), **plan, **arguments)
    return net, history.history


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_array_likes_train_as_arrays_do(backend, shuffle):
    wanted, figures = trained(X, Y, backend, shuffle=shuffle)
    net, found = trained(Sliced(X), Sliced(Y), backend, shuffle=shuffle)
    np.testing.assert_array_equal(net.params.flat, wanted.params.flat)
    assert found == figures
    np.testing.assert_array_equal(net.predict(Sliced(X)), wanted.predict(X))
    w = rng.uniform(size=60)
    arguments = {"loss": "cross_entropy", "sample_weight": w, "metrics": ["accuracy"]}
    assert net.evaluate(Sliced(X), Sliced(Y), **arguments) == wanted.evaluate(X, Y, **arguments)


def test_little_is_read_at_once(monkeypatch):
    """Calls are cut where their rows get too large; the results stay the same."""
    monkeypatch.setattr(feeding, "_MOST_BYTES", 10 * 4 * 8)
    monkeypatch.setattr(network, "_BATCH", 5)
    x, ends = Sliced(X, most=16), []
    for given in (X, x):
        net = make_net()
        net.fit(
            given, Y, loss="cross_entropy", optimizer="adam", epochs=2, batch_size=7,
            shuffle=False, verbose=0,
        )  # fmt: skip
        ends.append((net.params.flat.tobytes(), net.predict(given).tobytes()))
    assert ends[0] == ends[1]
    assert x.read >= 3 * 60


def test_steps_and_passes_by_hand_take_array_likes():
    net, twin = make_net(), make_net()
    for one, x, y in ((net, Sliced(X), Sliced(Y)), (twin, X, Y)):
        bp.Trainer(one, "cross_entropy", "sgd").step(x, y)
    np.testing.assert_array_equal(net.params.flat, twin.params.flat)
    np.testing.assert_array_equal(net.forward(Sliced(X)), twin.forward(X))


def test_ids_and_pictures_may_be_array_likes():
    ids = rng.integers(0, 9, (20, 3))
    net = bp.Sequential([bp.Embedding(9, 2), bp.Flatten(), bp.Linear(1)])
    np.testing.assert_array_equal(net.predict(Sliced(ids)), net.predict(ids))
    with pytest.raises(IndexError, match="got 9"):
        net.predict(Sliced(ids + 1))
    pictures = rng.normal(size=(6, 5, 5, 2)).astype(np.float32)
    net = bp.Sequential([bp.Conv2d(3, 2), bp.Flatten(), bp.Linear(1)])
    np.testing.assert_array_equal(net.predict(Sliced(pictures)), net.predict(pictures))


def test_sequences_may_be_array_likes():
    steps = rng.normal(size=(6, 5, 2))
    net = bp.Sequential([bp.GRU(3), bp.Linear(1)])
    np.testing.assert_array_equal(net.predict(Sliced(steps)), net.predict(steps))


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i4", "f2", "g", "i1", "u8", "?"])
def test_every_dtype_is_converted_by_the_batch(dtype, monkeypatch):
    x = (10 * X).astype(dtype)
    native = x.astype(np.float32)
    wanted, _ = trained(native, Y)
    for small in (1 << 20, 0):  # converted at once, or when its rows are needed
        monkeypatch.setattr(inputs, "_SMALL", small)
        net, _ = trained(x, Y)
        np.testing.assert_allclose(net.params.flat, wanted.params.flat, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(make_net().predict(x), make_net().predict(native))


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backward": lambda a: a[::-1].copy()[::-1],
    "misaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layout_has_the_bits_of_a_contiguous_copy(layout, dtype, monkeypatch):
    x = X.astype(dtype)
    other = LAYOUTS[layout](x)
    np.testing.assert_array_equal(other, x)
    before = other.tobytes()
    wanted, figures = trained(x, Y)
    for small in (1 << 20, 0):
        monkeypatch.setattr(inputs, "_SMALL", small)
        net, found = trained(other, Y)
        np.testing.assert_array_equal(net.params.flat, wanted.params.flat)
        assert found == figures
    assert other.tobytes() == before


@pytest.mark.parametrize(("value", "error", "text"), [
    (Sliced(np.array([["a"]])), TypeError, "real numbers, got the dtype <U1"),
    (Sliced(np.zeros((0, 4))), ValueError, "no rows"),
    (Sliced(np.zeros((3, 5))), ValueError, r"must have shape \(n, 4\), got \(3, 5\)"),
])  # fmt: skip
def test_array_likes_are_checked(value, error, text):
    net = make_net().build((4,))
    with pytest.raises(error, match=text):
        net.predict(value)


def test_slices_that_lie_about_their_shape_are_refused():
    class Lying(Sliced):
        def __getitem__(self, part):
            return super().__getitem__(part)[:5]

    with pytest.raises(ValueError, match=r"x\[0:60\] must have shape \(60, 4\), got \(5, 4\)"):
        make_net().predict(Lying(X))


SCRIPT = """
import resource, sys
import numpy as np, pybp as bp
path, rows = sys.argv[1], int(sys.argv[2])
x = np.memmap(path, np.float32, "r", shape=(rows, 256))
y = np.zeros(rows, np.int64)
net = bp.Sequential([bp.Linear(8), bp.ReLU(), bp.Linear(2)])
def own(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))
net.fit(x[:1000], y[:1000], loss="cross_entropy", optimizer="sgd", epochs=1, verbose=0)
before = own("RssAnon")
resource.setrlimit(resource.RLIMIT_DATA, (1024 * own("VmData") + (32 << 20),) * 2)
net.fit(x, y, loss="cross_entropy", optimizer="sgd", epochs=1, batch_size=500, verbose=0)
net.predict(x)
print(own("RssAnon") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_maps_are_not_loaded(tmp_path):
    """A fit and a prediction over 128 MiB take a few MiB of their own, and need no more than 32."""
    rows, path = 128 << 10, tmp_path / "x.bin"
    with path.open("wb") as file:
        file.truncate(rows * 256 * 4)
    command = [sys.executable, "-P", "-c", SCRIPT, str(path), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 << 10  # KiB
