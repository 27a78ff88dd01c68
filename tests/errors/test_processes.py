"""Interrupts, threads and forks: what happens to a net in use."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import require_native

import pybp as bp

LONG = """
import os, signal, sys, threading, time
import numpy as np
import pybp as bp
rng = np.random.default_rng(0)
{prepare}
ready = {ready}
def interrupt():
    time.sleep({wait})
    times.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
times = []
threading.Thread(target=interrupt).start()
try:
    {call}
except KeyboardInterrupt:
    late = time.perf_counter() - times[0]
else:
    late = -1.0
{check}
print(late)
"""

ONLINE = {
    "prepare": """
x, y = rng.normal(size=(50_000, 20)), rng.integers(0, 3, 50_000)
def make():
    return bp.Sequential([bp.Linear(30), bp.Tanh(), bp.Linear(3)], backend="native")
net = make()
fit = dict(loss="cross_entropy", optimizer=bp.SGD(0.01), verbose=0, shuffle=False)
""",
    "ready": "net.build((20,))",
    "wait": 0.4,
    "call": "net.fit(x, y, epochs=100_000, batch_size=1, **fit)",
    "check": """
same, steps = make(), net.state.steps
whole, rest = divmod(steps, len(x))
if whole:
    same.fit(x, y, epochs=whole, batch_size=1, **fit)
if rest:
    same.fit(x[:rest], y[:rest], epochs=1, batch_size=1, **fit)
assert steps > 0
assert net.params.flat.tobytes() == same.params.flat.tobytes()
""",
}
BATCHES = ONLINE | {
    "prepare": """
x, y = rng.normal(size=(4096, 100)), rng.integers(0, 3, 4096)
def make():
    return bp.Sequential([bp.Linear(200), bp.Dropout(0.5), bp.Linear(3)], backend="native")
net = make()
fit = dict(loss="cross_entropy", optimizer="adam", verbose=0)
""",
    "ready": "net.build((100,))",
    "call": "net.fit(x, y, epochs=100_000, batch_size=256, **fit)",
    "check": "assert np.isfinite(net.predict(x)).all(); net.fit(x, y, epochs=1, **fit)",
}
PREDICT = {
    "prepare": """
x = rng.random((100_000, 256), np.float32)
wide = [bp.Linear(512), bp.Tanh(), bp.Linear(512), bp.Tanh(), bp.Linear(512), bp.Tanh()]
net = bp.Sequential([*wide, bp.Linear(512), bp.Tanh(), bp.Linear(1)])
""",
    "ready": "net.build((256,))",
    "wait": 0.4,
    "call": "net.predict(x)",
    "check": "assert np.isfinite(net.predict(x[:10])).all()",
}


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("case", [ONLINE, BATCHES, PREDICT], ids=["online", "batches", "predict"])
def test_an_interrupt_comes_within_half_a_second(case: dict[str, Any]) -> None:
    """And the weights are those after the last finished step."""
    require_native()
    result = subprocess.run(
        [sys.executable, "-c", LONG.format(**case)],
        cwd=Path(sys.executable).anchor,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    late = float(result.stdout)
    assert late >= 0, "the call ended before the interrupt came"
    assert late < 0.5


class Wait(bp.Callback):
    """Holds a fit at the end of its first epoch."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()

    def on_epoch_end(self, trainer: bp.Trainer, epoch: int, logs: dict[str, float]) -> None:
        self.reached.set()
        self.go_on.wait(10)


X = np.random.default_rng(0).normal(size=(40, 4)).astype("f4")
Y = np.arange(40) % 3


def fit(net: bp.Sequential, **more: Any) -> Any:
    return net.fit(X, Y, loss="cross_entropy", optimizer="adam", epochs=2, verbose=0, **more)


TRAININGS: list[Callable[[bp.Sequential], Any]] = [
    fit,
    lambda net: bp.Trainer(net, "cross_entropy", "adam").step(X, Y),
    lambda net: bp.SGD(0.1).step(net),
]


@pytest.mark.parametrize("training", TRAININGS, ids=["fit", "step", "by hand"])
def test_a_net_is_trained_by_one_thread_at_a_time(
    training: Callable[[bp.Sequential], Any], backend: str
) -> None:
    """The second gets RuntimeError and changes nothing; the first ends as if it were alone."""
    layers = [bp.Linear(5), bp.Tanh(), bp.Linear(3)]
    net, alone = (bp.Sequential(layers, backend=backend).build((4,)) for _ in range(2))
    for one in (net, alone):
        one.forward(X)
        one.backward(np.ones((40, 3)))
    fit(alone)
    wait = Wait()
    first = threading.Thread(target=fit, args=[net], kwargs={"callbacks": [wait]})
    first.start()
    try:
        assert wait.reached.wait(10)
        before = net.params.flat.tobytes()
        with pytest.raises(RuntimeError, match="trained already, by another thread"):
            training(net)
        assert net.params.flat.tobytes() == before
    finally:
        wait.go_on.set()
        first.join()
    assert net.params.flat.tobytes() == alone.params.flat.tobytes()
    fit(net)


def test_many_threads_predict_the_same(backend: str) -> None:
    net = bp.Sequential([bp.Linear(50), bp.Tanh(), bp.Linear(3)], backend=backend).build((4,))
    parts = [X[:size] for size in (1, 7, 40, 13)]
    expected = [net.predict(part).tobytes() for part in parts]
    different: list[int] = []

    def work() -> None:
        for _ in range(10):
            for i, part in enumerate(parts):
                if net.predict(part).tobytes() != expected[i]:
                    different.append(i)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert different == []


def _child(send: Any) -> None:
    net = bp.Sequential([bp.Linear(300), bp.Tanh(), bp.Linear(3)]).build((4,))
    fit(net)
    send.send_bytes(net.params.flat.tobytes())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_trains_to_the_same_bits(backend: str) -> None:
    """The threads of the parent have worked before, and go on afterwards."""
    with bp.use_backend(backend):
        net = bp.Sequential([bp.Linear(300), bp.Tanh(), bp.Linear(3)]).build((4,))
        fit(net)
        context = multiprocessing.get_context("fork")
        receive, send = context.Pipe(duplex=False)
        child = context.Process(target=_child, args=[send])
        began = time.perf_counter()
        child.start()
        assert receive.poll(15)
        got = receive.recv_bytes()
        child.join(15)
        assert child.exitcode == 0
        assert time.perf_counter() - began < 15
        assert got == net.params.flat.tobytes()
        fit(net)


def test_the_import_leaves_the_handler_of_interrupts_alone() -> None:
    code = (
        "import signal; before = signal.getsignal(signal.SIGINT); import pybp; "
        "assert signal.getsignal(signal.SIGINT) is before"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(sys.executable).anchor, check=True)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
