"""Train a net on handwritten digits, then time the native backend beside the NumPy backend.

    python examples/digits.py                        the digits that come with scikit-learn
    PYBP_DATA=folder python examples/digits.py       MNIST, from folder/mnist

Options: --epochs N, --backend native|numpy.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import pybp as bp


class Task(NamedTuple):
    name: str
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    hidden: tuple[int, ...]
    dropout: float
    rate: float
    batch: int
    epochs: int
    timed_steps: int


def small_digits() -> Task:
    """1797 pictures of 8 x 8 pixels, a fifth of them kept for the test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x / 16, y, test_size=0.2, stratify=y, random_state=0)
    return Task(
        "scikit-learn's digits", (x, y), (x_test, y_test),
        hidden=(256,), dropout=0.2, rate=2e-3, batch=32, epochs=20, timed_steps=450,
    )  # fmt: skip


def mnist() -> Task:
    """60 000 pictures of 28 x 28 pixels to train, 10 000 to test."""
    parts = [((x / 255).astype("f4").reshape(-1, 784), y) for x, y in bp.datasets.mnist()]
    return Task(
        "MNIST", *parts,
        hidden=(512, 512), dropout=0.2, rate=1e-3, batch=128, epochs=6, timed_steps=40,
    )  # fmt: skip


def make_net(task: Task, backend: str | None = None) -> bp.Sequential:
    layers: list[Any] = []
    for units in task.hidden:
        layers += [bp.Linear(units), bp.ReLU(), bp.Dropout(task.dropout)]
    net = bp.Sequential([*layers, bp.Linear(10)], seed=0, backend=backend)
    return net.build(task.train[0].shape[1:])


def compare_backends(task: Task, rounds: int = 3) -> dict[str, float]:
    """Train the same net by the same steps on both backends; return the seconds of a step."""
    rows = task.timed_steps * task.batch
    x, y = (part[:rows] for part in task.train)
    epochs = -(-rows // len(x))  # of small data a round takes several
    start = make_net(task).params.flat.copy()
    trainers = {
        name: bp.Trainer(make_net(task, name), "cross_entropy", bp.Adam(task.rate))
        for name in ("native", "numpy")
    }
    seconds = dict.fromkeys(trainers, np.inf)
    for _ in range(rounds):  # in turns: what else the machine does meets both
        for name, trainer in trainers.items():
            before = time.perf_counter()
            trainer.fit(x, y, epochs=epochs, batch_size=task.batch, verbose=0)
            seconds[name] = min(seconds[name], time.perf_counter() - before)
    native, numpy = (trainer.net.params.flat for trainer in trainers.values())
    apart = np.linalg.norm(native - numpy) / np.linalg.norm(numpy - start)
    steps = epochs * -(-len(x) // task.batch)
    print(f"\nthe same {steps} steps of batch {task.batch}, best of {rounds} runs:")
    for name, value in seconds.items():
        print(f"  {name:<8}{1e6 * value / steps:9.0f} us a step")
    ratio = seconds["numpy"] / seconds["native"]
    print(f"  native is {ratio:.1f} times as fast (if other programs are busy, NumPy suffers more)")
    print(f"  the two trained nets differ by {100 * apart:.2g} % of the way from the start")
    if not apart < 0.01:
        raise SystemExit("the backends disagree: the comparison above means nothing")
    return {name: value / steps for name, value in seconds.items()}


def main(arguments: Sequence[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--backend", choices=("native", "numpy"))
    options = parser.parse_args(arguments)
    task = mnist() if os.environ.get("PYBP_DATA") else small_digits()
    net = make_net(task, options.backend)
    print(f"{task.name}: {len(task.train[0])} to train, {len(task.test[0])} to test")
    print(net.summary(), end="\n\n")
    net.fit(
        *task.train, loss="cross_entropy", optimizer=bp.Adam(task.rate), metrics=["accuracy"],
        epochs=options.epochs or task.epochs, batch_size=task.batch, validation_data=task.test,
    )  # fmt: skip
    accuracy = net.evaluate(*task.test, loss="cross_entropy", metrics=["accuracy"])["accuracy"]
    print(f"\ntest accuracy {100 * accuracy:.2f} %")
    try:
        compare_backends(task)
    except RuntimeError as error:
        print(f"no comparison of the backends: {error}")
    return accuracy


if __name__ == "__main__":
    main()
