"""Steps of a training that runs touch no new memory and ask for none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import require_native

import pybp as bp

resource = pytest.importorskip("resource")  # not on Windows

RNG = np.random.default_rng(0)


class Case(NamedTuple):
    layers: Callable[[], list[Any]]
    x: np.ndarray  # (rows, *shape of a sample)
    y: np.ndarray
    batch: int


def _cnn() -> list[Any]:
    return [
        *(bp.Conv2d(6, 3, padding=1), bp.ReLU(), bp.MaxPool2d(2), bp.BatchNorm()),
        *(bp.Conv2d(8, 3), bp.ReLU(), bp.Flatten(), bp.Linear(10)),
    ]


CASES = {
    "mlp": Case(
        lambda: [bp.Linear(300), bp.ReLU(), bp.Dropout(0.1), bp.Linear(10)],
        RNG.normal(size=(640, 200)).astype("f4"),
        np.arange(640) % 10,
        64,
    ),
    "cnn": Case(_cnn, RNG.normal(size=(160, 8, 8, 3)).astype("f4"), np.arange(160) % 10, 16),
    "lstm": Case(
        lambda: [bp.LSTM(64), bp.Linear(10)],
        RNG.normal(size=(80, 12, 40)).astype("f4"),
        np.arange(960).reshape(80, 12) % 10,
        8,
    ),
}
WARM, COUNTED = 20, 60  # rounds


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


class AtEpochs(bp.Callback):
    """Notes a number when each epoch ends."""

    def __init__(self, number: Callable[[], int]) -> None:
        self.number, self.found = number, [0] * (WARM + COUNTED)

    def on_epoch_end(self, trainer: bp.Trainer, epoch: int, logs: dict[str, float]) -> None:
        self.found[epoch] = self.number()


def fit_rounds(case: Case, number: Callable[[], int]) -> list[int]:
    note = AtEpochs(number)
    net = bp.Sequential(case.layers(), seed=0, backend="native")
    net.fit(
        case.x,
        case.y,
        loss="cross_entropy",
        optimizer="adam",
        epochs=WARM + COUNTED,
        batch_size=case.batch,
        callbacks=[note],
        verbose=0,
    )
    return note.found


def step_rounds(case: Case, number: Callable[[], int]) -> list[int]:
    net = bp.Sequential(case.layers(), seed=0, backend="native")
    trainer = bp.Trainer(net, "cross_entropy", "adam")
    x, y = case.x[: case.batch], case.y[: case.batch]
    found = [0] * (WARM + COUNTED)
    for i in range(WARM + COUNTED):
        for _ in range(5):
            trainer.step(x, y)
        found[i] = number()
    return found


WAYS = {"fit": fit_rounds, "step": step_rounds}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CASES)
def test_steady_steps_meet_no_page_fault(name: str, way: str) -> None:
    """A round is 5 steps or 10; Python's own allocator may take a page now and then."""
    require_native()
    found = np.diff(WAYS[way](CASES[name], faults)[WARM:])
    assert np.count_nonzero(found) <= 3
    assert found.sum() <= 8


COUNTER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
static long count;
long asked_for(void) { return count; }
void* malloc(size_t size) {
    static void* (*next)(size_t);
    if (!next) next = (void* (*)(size_t))dlsym(RTLD_NEXT, "malloc");
    __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
    return next(size);
}
"""
COUNTED_RUNS = """
import ctypes, sys
sys.path.insert(0, {tests!r})
import numpy as np
from test_steady_steps import CASES
import pybp as bp
asked_for = ctypes.CDLL(None).asked_for
asked_for.restype = ctypes.c_long
case = CASES[{name!r}]
net = bp.Sequential(case.layers(), seed=0, backend="native")
def requests(steps):
    rows = np.arange(steps * case.batch) % case.batch
    x, y = case.x[rows], case.y[rows]
    before = asked_for()
    how = dict(loss="cross_entropy", optimizer="adam", batch_size=case.batch, epochs=1)
    net.fit(x, y, verbose=0, **how)
    return asked_for() - before
requests(136)
print(requests(8), requests(136))
"""


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that counts what all others ask of ``malloc``; C++ asks it too."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("counter")
    (folder / "counter.c").write_text(COUNTER)
    library = folder / "counter.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", library, folder / "counter.c", "-ldl"]
    subprocess.run(command, check=True)
    return library


@pytest.mark.parametrize("name", CASES)
def test_more_steps_ask_for_no_more_memory(name: str, counter: Path) -> None:
    """A step that asked once would add 128; what lies around the steps may ask a few times more."""
    require_native()
    from pybp import _core

    if _core.build_info()["sanitize"]:
        pytest.skip("a sanitizer has its own malloc")
    code = COUNTED_RUNS.format(tests=str(Path(__file__).parent), name=name)
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "LD_PRELOAD": str(counter), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    few, many = map(int, done.stdout.split())
    assert 0 < many < few + 128
