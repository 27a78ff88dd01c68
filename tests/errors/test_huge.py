"""Sizes that overflow, and arrays that are legal but larger than any memory."""

from __future__ import annotations

import sys

import pytest
from conftest import require_native
from errors.limited import run_limited

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs /proc and a limit on the address space"
)

OVERFLOW = [
    "bp.Sequential([bp.Conv2d(2, 3, padding=2**62)]).build((8, 8, 3))",
    "bp.Sequential([bp.Conv2d(2, 3, padding=2**63 - 1)]).build((8, 8, 3))",
    "bp.Sequential([bp.Conv2d(2, 3, padding=2**31)]).build((8, 8, 3))",
    "bp.Sequential([bp.Conv2d(2, 3, dilation=2**62)]).build((8, 8, 3))",
    "bp.Sequential([bp.Conv2d(2, 2**62)]).build((8, 8, 3))",
    "bp.Sequential([bp.Conv2d(2, 2**62, padding='same')]).build((8, 8, 3))",
    "bp.Sequential([bp.Conv2d(2, 3, padding='same', dilation=2**62)]).build((8, 8, 3))",
    "bp.Sequential([bp.Conv2d(2**62, 1)]).build((8, 8, 3))",
    "bp.Sequential([bp.Conv2d(2**31, 2**16)]).build((2**16, 2**16, 3))",
    "bp.Sequential([bp.Conv1d(2, 3, padding=2**200)]).build((8, 3))",
    "bp.Sequential([bp.ConvTranspose2d(2, 3, 2**62)]).build((8, 8, 3))",
    "bp.Sequential([bp.MaxPool2d(2**62)]).build((8, 8, 3))",
    "bp.Sequential([bp.MaxPool2d(2**62, padding=2**61)]).predict(np.ones((1, 8, 8, 3)))",
    "bp.Sequential([bp.AvgPool2d(2, dilation=2**62)]).build((8, 8, 3))",
    "bp.Sequential([bp.Upsample2d(2**62)]).build((8, 8, 3))",
    "bp.Sequential([bp.Upsample2d(2**31)]).build((8, 8, 3))",
    "bp.Sequential([bp.Linear(2**62)]).build((4,))",
    "bp.Sequential([bp.Linear(2**31)]).build((2**31,))",
    "bp.Sequential([bp.Linear(2**32 + 1)]).build((2**32 + 1,))",
    "bp.Sequential([bp.Flatten()]).build((2**31, 2**31))",
    "bp.Sequential([bp.Flatten()]).build((2**32, 2**32))",
    "bp.Sequential([bp.LSTM(2**31)]).build((None, 4))",
    "bp.Sequential([bp.GRU(2**61)]).build((None, 4))",
    "bp.Sequential([bp.RNN(8)]).build((None, 2**62))",
    "bp.Sequential([bp.Embedding(2**62, 4)]).build((3,))",
    "bp.Sequential([bp.Embedding(2**31, 2**31)]).build((3,))",
    "bp.Sequential([bp.EmbeddingBag(2**40, 2**20)]).build((None,))",
    "bp.Sequential([bp.Linear(2**28)]).build((4,)).predict(np.ones((2, 4)))",
    "bp.Sequential([bp.Reshape((2**31, 2**33))]).build((4,))",
    "bp.Input((2**62, 4)); bp.Model(i := bp.Input((2**62, 4)), bp.ReLU()(i))",
    "bp.functional.im2col(np.ones((1, 8, 8, 1)), 3, padding=2**62)",
    "bp.functional.filter_image(np.ones((8, 8)), np.ones((3, 3)), padding=2**62)",
    "bp.Ragged(np.arange(3), np.array([0, 2**62]))",
]

HUGE = [
    "net.predict(BIG)",
    "net.forward(BIG)",
    "net.forward(BIG, training=True)",
    "net.evaluate(BIG, LABELS, loss='cross_entropy')",
    "net.fit(BIG, LABELS, loss='cross_entropy', optimizer='sgd', epochs=1, verbose=0)",
    "net.fit(BIG, LABELS, loss='cross_entropy', optimizer='sgd', epochs=1, batch_size=None)",
    "bp.Trainer(net, 'cross_entropy', 'adam').step(BIG, LABELS)",
    "net.fit(x, y, loss='cross_entropy', optimizer='sgd', epochs=1, sample_weight=LABELS)",
    "bp.CrossEntropy().value_and_grad(BIG, LABELS)",
    "bp.MSE().value_and_grad(BIG, BIG)",
    "bp.update_statistics(net, BIG)",
    "bp.Sequential([bp.Embedding(6, 2), bp.Flatten()]).predict(IDS)",
    "bp.Sequential([bp.EmbeddingBag(6, 2)]).predict(IDS)",
    "bp.Sequential([bp.LSTM(3)]).predict(BIG[:, None])",
    "bp.Sequential([bp.LSTM(3)]).predict(np.broadcast_to(np.float32(1), (2, 2**36, 4)))",
    "net.params['0.weight'] = BIG",
    "bp.Sequential([bp.Conv2d(2, 3)]).predict(np.broadcast_to(np.float32(1), (2, rows, 9, 3)))",
    "bp.Ragged.of([BIG])",
    "bp.functional.im2col(np.broadcast_to(1.0, (1, 2**18, 2**18, 1)), 3)",
]

# These fail where memory is first taken, which is after an epoch.
LATE = [
    "net.fit(x, y, loss='cross_entropy', optimizer='sgd', epochs=1, validation_data=(BIG, LABELS))",
]


def check_refused(line: str, lines: list[str], backend: str, errors: tuple[str, ...]) -> None:
    """Check that a line is refused at once, and that the net and the process are as before."""
    if backend == "native":
        require_native()
    outcome = run_limited(tuple(lines), backend).get(line)
    assert outcome is not None, "hangs, or kills the process"
    assert outcome.error in errors, outcome
    assert len(outcome.message) > 20, outcome
    assert outcome.seconds < 5
    assert outcome.same or line in LATE


@pytest.mark.parametrize("line", OVERFLOW)
def test_sizes_that_overflow(line: str) -> None:
    check_refused(line, OVERFLOW, "native", ("ValueError", "OverflowError", "MemoryError"))


@pytest.mark.parametrize("name", ["numpy", "native"])
@pytest.mark.parametrize("line", HUGE + LATE)
def test_huge_arrays(line: str, name: str) -> None:
    check_refused(line, HUGE + LATE, name, ("ValueError", "MemoryError"))
