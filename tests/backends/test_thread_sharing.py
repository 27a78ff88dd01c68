"""Native calls of several threads, of forked children, and one inside another share the threads."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from conftest import require_native

import pybp as bp

SECONDS = 30  # a hang, on the slowest machine
X = np.random.default_rng(0).normal(size=(512, 200)).astype(np.float32)
Y = np.arange(512) % 10


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    require_native()
    before = bp.num_threads()
    yield
    bp.set_num_threads(before)


def trained(seed: int, epochs: int = 4) -> bytes:
    """Return the weights of a net after a fit whose products are shared among the threads."""
    net = bp.Sequential([bp.Linear(200), bp.Tanh(), bp.Linear(10)], seed=seed, backend="native")
    net.fit(X, Y, loss="cross_entropy", optimizer="adam", epochs=epochs, batch_size=128, verbose=0)
    return net.params.flat.tobytes()


def at_once(work: Callable[[int], Any], count: int) -> list[Any]:
    """Return what ``work(0) ... work(count - 1)`` return, each in a thread of its own."""
    found: list[Any] = [None] * count
    start = threading.Barrier(count)

    def run(i: int) -> None:
        start.wait(SECONDS)
        found[i] = work(i)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive(), "a fit hangs"
    return found


@pytest.mark.parametrize(("fits", "threads"), [(2, 2), (3, 2), (2, 5)])
def test_fits_at_the_same_time_end_with_the_bits_of_fits_in_turn(fits: int, threads: int) -> None:
    bp.set_num_threads(threads)
    assert at_once(trained, fits) == [trained(i) for i in range(fits)]


def test_the_number_of_threads_may_change_during_fits() -> None:
    def work(i: int) -> bytes:
        for count in (3, 1, 2) * 10 if i == 2 else ():
            bp.set_num_threads(count)
        return trained(i)

    assert at_once(work, 3) == [trained(i) for i in range(3)]


INNER = bp.Sequential([bp.Linear(200)], seed=3).build((200,))


class Inner(bp.CustomLayer):
    """Multiplies by what another net, run natively while this one runs, makes of ones."""

    def forward(self, x: Any, params: dict[str, np.ndarray]) -> np.ndarray:
        return x * INNER.predict(np.ones((512, 200))).mean()

    def backward(self, x: Any, y: Any, dy: Any, params: dict[str, np.ndarray]) -> Any:
        return dy, {}


def test_a_call_inside_a_call_uses_the_threads_too() -> None:
    outputs = set()
    for threads in (1, 2, 4):
        bp.set_num_threads(threads)
        net = bp.Sequential([bp.Linear(200), Inner(), bp.Linear(9)], seed=0, backend="native")
        outputs.add(net.predict(X).tobytes())
    assert len(outputs) == 1


def _train_and_send(send: Any) -> None:
    send.send(at_once(trained, 2))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_during_a_fit_trains_by_itself() -> None:
    """The locks and counts that the parent's threads hold at that moment don't matter."""
    bp.set_num_threads(3)
    expected = [trained(0), trained(1)]
    ready = threading.Event()
    busy = threading.Thread(target=lambda: (ready.set(), trained(2, epochs=200)))
    busy.start()
    ready.wait(SECONDS)
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_train_and_send, args=[send], daemon=True)
    child.start()
    assert receive.poll(SECONDS), "the child hangs"
    assert receive.recv() == expected
    child.join(SECONDS)
    busy.join(SECONDS)
