"""Calls from a running program into Python: what they may do, and what happens when they fail."""

from __future__ import annotations

import gc
import signal
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from conftest import require_native
from custom_parts import Dense, Squares, square

import pybp as bp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
Y = RNG.normal(size=(12, 2))


class MineError(Exception):
    pass


def _tanh(do: Callable[[], None], back: Callable[[], None] = lambda: None) -> bp.Lambda:
    """Return tanh, which first does something, forward and backward."""

    def forward(x: np.ndarray) -> np.ndarray:
        do()
        return np.tanh(x)

    def backward(dy: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        back()
        return dy * (1 - y * y)

    return bp.Lambda(forward, backward)


def _nothing() -> None:
    pass


class _At:
    """Raises an error at one of its calls."""

    def __init__(self, call: int, error: BaseException) -> None:
        self.calls, self.call, self.error = 0, call, error

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == self.call:
            raise self.error


# -------------------------------------------------------------------------------------- exceptions


@pytest.mark.parametrize("error", [MineError("wrong"), KeyboardInterrupt(), SystemExit(3)])
def test_exceptions_travel_unchanged(backend: str, error: BaseException) -> None:
    net = bp.Sequential([bp.Linear(4), _tanh(_At(1, error)), bp.Linear(2)])
    with pytest.raises(type(error)) as caught:
        net.predict(X)
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names[-2:] == ["forward", "__call__"]
    assert net.predict(X).shape == (12, 2)  # as good as before


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("error", [MineError("wrong"), KeyboardInterrupt()])
def test_a_step_that_fails_changes_nothing(
    backend: str, where: str, batch_size: int, error: BaseException
) -> None:
    """The steps before it count, its own has changed no parameter."""
    fails = _At(3, error)
    calls = (fails, _nothing) if where == "forward" else (_nothing, fails)
    net = bp.Sequential([bp.Linear(4), _tanh(*calls), bp.Linear(2)])
    twin = bp.Sequential([bp.Linear(4), _tanh(_nothing), bp.Linear(2)])
    trainer = bp.Trainer(net, "mse", bp.SGD(0.1))
    other = bp.Trainer(twin, "mse", bp.SGD(0.1))
    with pytest.raises(type(error)) as caught:
        trainer.fit(X, Y, epochs=1, batch_size=batch_size, shuffle=False, verbose=0)
    assert caught.value is error
    for k in range(2):
        rows = slice(k * batch_size, (k + 1) * batch_size)
        other.step(X[rows], Y[rows])
    assert net.state.steps == twin.state.steps == 2
    for name, array in twin.params.items():
        np.testing.assert_array_equal(net.params[name], array)
    trainer.step(X[:4], Y[:4])
    other.step(X[:4], Y[:4])
    np.testing.assert_array_equal(net.params["0.weight"], twin.params["0.weight"])


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_a_loss_that_fails_changes_nothing(
    backend: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = MineError("wrong")

    def fail(self: Any, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        raise error

    net = bp.Sequential([bp.Linear(2)]).build((3,))
    before = net.params["0.weight"].copy()
    monkeypatch.setattr(Squares, method, fail)
    with pytest.raises(MineError) as caught:
        net.fit(X, Y, loss=Squares(), optimizer=bp.Adam(0.1), epochs=1, verbose=0)
    assert caught.value is error
    np.testing.assert_array_equal(net.params["0.weight"], before)
    monkeypatch.undo()
    net.fit(X, Y, loss=Squares(), optimizer=bp.Adam(0.1), epochs=1, verbose=0)


def test_a_signal_in_a_function_ends_the_fit(backend: str) -> None:
    """Ctrl-C meets Python code here, not the check between steps."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    armed = iter([True])

    def do() -> None:
        if next(armed, False):
            signal.raise_signal(signal.SIGALRM)

    net = bp.Sequential([bp.Linear(4), _tanh(do), bp.Linear(2)])
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            net.fit(X, Y, loss="mse", optimizer=bp.SGD(0.1), epochs=1, verbose=0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert net.state.steps == 0
    net.fit(X, Y, loss="mse", optimizer=bp.SGD(0.1), epochs=1, verbose=0)


# ---------------------------------------------------------------------------- calls inside of calls


def test_a_function_may_use_another_net(backend: str) -> None:
    inner = bp.Sequential([square(), bp.Linear(3)], dtype="float64").build((3,))
    net = bp.Sequential([bp.Lambda(inner.predict)], dtype="float64")
    np.testing.assert_array_equal(net.predict(X), inner.predict(X))


def test_a_function_may_train_another_net(backend: str) -> None:
    inner = bp.Sequential([bp.Linear(2)])
    trainer = bp.Trainer(inner, "mse", bp.SGD(0.1))
    outer = bp.Sequential([bp.Linear(4), _tanh(lambda: trainer.step(X, Y)), bp.Linear(2)])
    outer.fit(X, Y, loss="mse", optimizer=bp.SGD(0.1), epochs=3, batch_size=4, verbose=0)
    assert inner.state.steps == 9


def test_a_function_that_calls_its_own_net_is_refused(backend: str) -> None:
    nets: list[Any] = []

    def again(x: np.ndarray) -> np.ndarray:
        return nets[0].predict(x)

    net = bp.Sequential([bp.Lambda(again), bp.Linear(2)])
    nets.append(net)
    with pytest.raises(RuntimeError, match="this executor is running"):
        net.predict(X)
    with pytest.raises(RuntimeError, match="this executor is running"):
        net.forward(X)
    with pytest.raises(RuntimeError):
        net.fit(X, Y, loss="mse", optimizer=bp.SGD(0.1), epochs=1, verbose=0)


def test_a_fit_inside_of_a_fit_is_refused(backend: str) -> None:
    nets: list[Any] = []
    again = _tanh(lambda: nets[0].step(X, Y))
    trainer = bp.Trainer(bp.Sequential([again, bp.Linear(2)]), "mse", bp.SGD(0.1))
    nets.append(trainer)
    with pytest.raises(RuntimeError, match="trained already"):
        trainer.step(X, Y)


# ------------------------------------------------------------------------------------------ threads


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = bp.num_threads()
    bp.set_num_threads(3)
    yield
    bp.set_num_threads(before)


def _wide() -> tuple[bp.Sequential, list[int]]:
    """Return a net whose layers keep three threads busy, and the threads its functions ran on."""
    seen: list[int] = []

    def note() -> None:
        seen.append(threading.get_ident())

    layers = [bp.Linear(256), _tanh(note, note), bp.Linear(256), Dense(64), bp.Linear(2)]
    return bp.Sequential(layers), seen


@pytest.mark.usefixtures("three_threads")
def test_functions_run_on_the_calling_thread(backend: str) -> None:
    net, seen = _wide()
    x, y = RNG.normal(size=(512, 64)), RNG.normal(size=(512, 2))
    net.fit(x, y, loss=Squares(), optimizer=bp.SGD(0.01), epochs=2, batch_size=256, verbose=0)
    assert set(seen) == {threading.get_ident()}
    assert len(seen) == 8
    found: list[Any] = []
    worker = threading.Thread(target=lambda: found.append((threading.get_ident(), net.predict(x))))
    seen.clear()
    worker.start()
    worker.join()
    assert set(seen) == {found[0][0]}
    np.testing.assert_array_equal(found[0][1], net.predict(x))


def test_threads_do_not_change_the_bits_of_a_net_with_calls() -> None:
    require_native()
    before, found = bp.num_threads(), []
    x, y = RNG.normal(size=(300, 64)), RNG.normal(size=(300, 2))
    for threads in (1, 2, 3):
        bp.set_num_threads(threads)
        net, _ = _wide()
        net.fit(x, y, loss=Squares(), optimizer=bp.Adam(0.01), epochs=2, batch_size=128, verbose=0)
        found.append(net.predict(x).tobytes())
    bp.set_num_threads(before)
    assert len(set(found)) == 1


def test_the_number_of_threads_may_change_in_a_call(backend: str) -> None:
    before, counts = bp.num_threads(), iter([4, 1, 3, 2] * 10)
    net = bp.Sequential(
        [bp.Linear(256), _tanh(lambda: bp.set_num_threads(next(counts))), bp.Linear(256)]
    )
    x = RNG.normal(size=(300, 64))
    found = {net.predict(x).tobytes() for _ in range(6)}
    bp.set_num_threads(before)
    assert len(found) == 1


@pytest.mark.usefixtures("three_threads")
def test_threads_with_nets_that_call_each_other_and_themselves(backend: str) -> None:
    """Two nets share a third one; all threads come to an end with the right numbers."""
    inner, _ = _wide()
    x = RNG.normal(size=(64, 64))
    inner.build((64,))
    nets = [
        bp.Sequential([bp.Lambda(lambda a, k=k: inner.predict(a) * (k + 1), output_shape=(2,))])
        for k in range(2)
    ]
    expected = [net.predict(x) for net in nets]
    wrong: list[Any] = []

    def work(k: int) -> None:
        for _ in range(20):
            same = np.array_equal(nets[k % 2].predict(x), expected[k % 2])
            wrong.extend([] if same else [k])

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()
    assert not wrong


def test_one_net_from_several_threads_takes_turns(backend: str) -> None:
    inside, together = [0], []

    def watch() -> None:
        inside[0] += 1
        together.append(inside[0])
        for _ in range(1000):
            pass
        inside[0] -= 1

    net = bp.Sequential([bp.Linear(4), _tanh(watch)])
    expected = net.predict(X)
    workers = [threading.Thread(target=lambda: net.predict(X)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert set(together) == {1}
    assert len(together) == 5
    np.testing.assert_array_equal(net.predict(X), expected)


# ------------------------------------------------------------------------------------------- memory


def test_arrays_that_are_kept_stay_as_they_were(backend: str, dtype: str) -> None:
    kept: list[tuple[np.ndarray, np.ndarray]] = []

    def keep(*arrays: np.ndarray) -> None:
        kept.extend((array, array.copy()) for array in arrays)

    def forward(x: np.ndarray) -> np.ndarray:
        keep(x, x[1:, ::2])
        return x * 3

    def backward(dy: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        keep(dy, y, x, y.ravel())
        return dy * 3

    layers = [bp.Linear(40), bp.Lambda(forward, backward), bp.ReLU(), bp.Linear(2)]
    net = bp.Sequential(layers, dtype=dtype)
    net.fit(X, Y, loss="mse", optimizer=bp.SGD(0.01), epochs=4, batch_size=5, verbose=0)
    net.predict(RNG.normal(size=(300, 3)))  # another workspace
    del net
    gc.collect()
    assert len(kept) == 4 * 3 * 6 + 2 * 2  # predict: 256 rows, then 44
    for array, copy in kept:
        np.testing.assert_array_equal(array, copy)
        assert not array.flags.writeable


def test_results_that_are_kept_stay_as_they_were(backend: str) -> None:
    kept: list[np.ndarray] = []

    def forward(x: np.ndarray) -> np.ndarray:
        kept.append(x * 2)
        return kept[-1]

    net = bp.Sequential([bp.Lambda(forward), bp.ReLU()])
    y = net.predict(X)
    kept[0][...] = -1
    np.testing.assert_array_equal(y, np.maximum(np.float32(X) * 2, 0))


def test_a_net_that_its_own_function_names_is_set_free(backend: str) -> None:
    """The garbage collector sees the way from a bound program back to its net."""

    def bound() -> weakref.ref[Any]:
        nets: list[Any] = []
        net = bp.Sequential([bp.Lambda(lambda x: x * len(nets)), bp.Linear(2)])
        nets.append(net)
        net.predict(X)
        return weakref.ref(net)

    gone = bound()
    gc.collect()
    assert gone() is None


def test_tiny_numbers_are_what_they_are_in_numpy(backend: str) -> None:
    """Native programs count denormal numbers as 0; users' functions don't."""
    seen: list[float] = []

    def forward(x: np.ndarray) -> np.ndarray:
        tiny = np.array([1e-310, 2e-310])
        seen.append(float(tiny.sum()))
        return x

    net = bp.Sequential([bp.Linear(64), bp.Lambda(forward), bp.Linear(2)])
    net.predict(X)
    assert seen == [3e-310]


def test_empty_nets_of_calls_run_many_steps(backend: str) -> None:
    """No parameters, and more rows than one step takes."""
    x = RNG.normal(size=(1000, 3))
    net = bp.Sequential([square()], dtype="float64")
    np.testing.assert_array_equal(net.predict(x), x * x)
