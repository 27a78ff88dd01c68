"""The native executor among signals and threads: it can be stopped, and lets others work."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from native_programs import bind, dense, run, squared_error

from pybp.arrays import aligned_zeros

F4 = np.float32
# --------------------------------------------------------------------------- signals and threads

LONG = 1 << 16  # elements of a row, so that a step takes some microseconds
STEPS = 400_000  # so that a run takes some seconds; no test waits for its end


class LongRun:
    """A run of many steps on the same row; results of steps not yet run are NaN."""

    def __init__(self) -> None:
        self.executor = squared_error(LONG, max_rows=1)
        self.results = np.full((STEPS, 2), np.nan)
        self.data = [np.ones((1, LONG), F4), np.zeros((1, LONG), F4)]
        self.order = np.zeros(STEPS, np.int64)
        self.starts = np.arange(STEPS + 1)

    def run(self, steps: int = STEPS) -> None:
        self.executor.run(
            self.data,
            self.order,
            self.starts[: steps + 1],
            np.zeros((steps, 0)),
            self.results[:steps],
            *(0, 0, 0, 1),
        )

    def check_steps(self) -> None:
        """The steps counted are those that ran: not all, not none, and each to its end."""
        done = self.executor.steps_done
        assert 0 < done < STEPS
        assert np.all(self.results[:done] == LONG)
        assert np.all(np.isnan(self.results[done:]))


@pytest.fixture
def alarm() -> Iterator[Any]:
    """Give a function that makes a signal arrive soon and be handled by another function."""
    before = signal.getsignal(signal.SIGALRM)

    def arm(handler: Any, interval: float = 0.0) -> None:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05, interval)

    yield arm
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_an_interrupt_ends_the_run_after_a_whole_step(alarm: Any) -> None:
    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    long = LongRun()
    alarm(interrupt)
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        long.run()
    assert time.perf_counter() - began < 1
    long.check_steps()
    long.run(2)  # the executor is as good as before
    assert long.executor.steps_done == 2


def test_a_handler_that_raises_nothing_lets_the_run_go_on(alarm: Any) -> None:
    calls = []

    def handler(number: int, frame: Any) -> None:
        calls.append(number)
        if len(calls) == 3:
            raise KeyboardInterrupt

    long = LongRun()
    alarm(handler, 0.06)
    with pytest.raises(KeyboardInterrupt):
        long.run()
    assert len(calls) == 3
    long.check_steps()


def test_a_handler_cannot_use_the_executor_it_interrupts(alarm: Any) -> None:
    long = LongRun()
    alarm(lambda number, frame: long.run(1))
    with pytest.raises(RuntimeError, match="this executor is running"):
        long.run()
    long.check_steps()


def test_other_threads_work_on_while_a_run_goes_on(alarm: Any) -> None:
    long = LongRun()
    seen = []

    def watch() -> None:
        while not seen or seen[-1] < 200:
            seen.append(long.executor.steps_done)
        signal.pthread_kill(main, signal.SIGALRM)

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    main = threading.get_ident()
    signal.signal(signal.SIGALRM, interrupt)
    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(KeyboardInterrupt):
        long.run()
    watcher.join()
    long.check_steps()


def test_two_threads_take_turns_on_one_executor() -> None:
    executor = squared_error(LONG, max_rows=1)
    steps, rounds = 200, 4
    wrong: list[Any] = []
    barrier = threading.Barrier(2)

    def work(value: int) -> None:
        data = [np.full((1, LONG), value, np.float64), np.zeros((1, LONG), F4)]
        barrier.wait()
        for _ in range(rounds):
            results = run(executor, data, np.arange(steps + 1), np.zeros(steps, int), columns=2)
            if not np.all(results == [value * value * LONG, LONG]):
                wrong.append(results)

    threads = [threading.Thread(target=work, args=(value,)) for value in (1, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.fixture
def _threads_as_before() -> Iterator[None]:
    from pybp import _core

    before = _core.num_threads()
    yield
    _core.set_num_threads(before)


@pytest.mark.usefixtures("_threads_as_before")
def test_more_threads_than_at_bind_get_their_scratch() -> None:
    from pybp import _core

    _core.set_num_threads(1)
    sizes = {"x": (1, 0, "real", (-1, 300)), "w": (0, 0, "real", (300, 200))}
    sizes |= {"y": (2, 0, "real", (-1, 200)), "b": (0, 240_000, "real", (200,))}
    data = [(0, 0, 240_800, False), (2, 0, 0, True)]
    executor = dense(buffers=sizes, data=data, max_rows=100)
    [segment] = bind(executor, 240_800 + 120_000)
    rng = np.random.default_rng(3)
    parameters = segment[:240_800].view(F4)
    parameters[:] = rng.normal(size=parameters.shape)
    x = rng.normal(size=(100, 300)).astype(F4)
    outputs = []
    for threads in (1, 2, 5):
        _core.set_num_threads(threads)
        out = np.zeros((100, 200), F4)
        run(executor, [x, out], [0, 100])
        outputs.append(out.tobytes())
    assert outputs[0] == outputs[1] == outputs[2]
    expected = x.astype(float) @ parameters[:60_000].reshape(300, 200) + parameters[60_000:]
    np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.usefixtures("_threads_as_before")
def test_the_number_of_threads_may_rise_during_a_run() -> None:
    """The run goes on with the scratch it has; a later one gets more."""
    from pybp import _core

    _core.set_num_threads(1)
    rows, steps = 600, 200  # more rows than a product takes without packing
    sizes = {"x": (1, 0, "real", (-1, 300)), "w": (0, 0, "real", (300, 200))}
    sizes |= {"y": (2, 0, "real", (-1, 200)), "b": (0, 240_000, "real", (200,))}
    data = [(0, 0, 240_800, False), (2, 0, 0, True)]
    executor = dense(buffers=sizes, data=data, max_rows=rows)
    needed = executor.scratch_bytes
    memory = aligned_zeros(8 * needed, np.uint8)
    segment = aligned_zeros(240_800 + rows * 300 * 4, np.uint8)
    segment[:240_800].view(F4)[:] = 1
    executor.bind([segment], memory[:needed])
    x, out = np.ones((rows * steps, 300), F4), np.zeros((rows * steps, 200), F4)
    starts = np.arange(steps + 1) * rows
    worker = threading.Thread(target=run, args=(executor, [x, out], starts))
    worker.start()
    while executor.steps_done == 0:
        time.sleep(0)
    _core.set_num_threads(8)
    worker.join()
    assert np.all(out == 301)
    assert memory[:needed].any()
    assert not memory[needed:].any()
