"""Seconds per epoch of MNIST, 784-512-512-10 with dropout and Adam: native, NumPy, PyTorch.

    PYBP_DATA=folder python benchmarks/peers/mnist_epoch.py [rounds]

The three take turns within one run, with the same start weights and batches, and the same number
of threads. Without dropout their losses must agree, which is checked before any clock starts.
PyTorch is used in its best setting for this net (fused Adam, set_to_none) and left out when it is
not installed; the data are indexed batch by batch in all three.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

import pybp as bp
from pybp import datasets

BATCH, SIZES, DROPOUT = 128, (784, 512, 512, 10), 0.2
Epoch = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def pybp_epoch(backend: str, dropout: float) -> Epoch:
    """Return a function that trains for one epoch and returns the mean loss."""
    layers: list[bp.layers.Layer] = []
    for size in SIZES[1:-1]:
        layers += [bp.Linear(size), bp.ReLU(), bp.Dropout(dropout)]
    net = bp.Sequential([*layers, bp.Linear(SIZES[-1])], seed=0, backend=backend)
    net.build(SIZES[:1])
    trainer = bp.Trainer(net, "cross_entropy", bp.Adam(1e-3))

    def epoch(x: np.ndarray, y: np.ndarray, order: np.ndarray) -> float:
        history = trainer.fit(
            x[order], y[order], epochs=1, batch_size=BATCH, shuffle=False, verbose=0
        )
        return history.history["loss"][0]

    return epoch


def torch_epoch(dropout: float) -> Epoch:
    """Return the same for PyTorch, from the same start weights."""
    import torch

    torch.set_num_threads(bp.num_threads())
    torch.set_flush_denormal(True)
    start = bp.Sequential(
        [layer for size in SIZES[1:-1] for layer in (bp.Linear(size), bp.ReLU(), bp.Dropout(0.0))]
        + [bp.Linear(SIZES[-1])],
        seed=0,
    ).build(SIZES[:1])
    modules: list[torch.nn.Module] = []
    for before, size in itertools.pairwise(SIZES):
        linear = torch.nn.Linear(before, size)
        name = str(3 * sum(isinstance(m, torch.nn.Linear) for m in modules))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(start.params[f"{name}.weight"].T.copy()))
            linear.bias.zero_()
        modules += [linear, torch.nn.ReLU(), torch.nn.Dropout(dropout)]
    net = torch.nn.Sequential(*modules[:-2])
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
    criterion = torch.nn.CrossEntropyLoss()

    def epoch(x: np.ndarray, y: np.ndarray, order: np.ndarray) -> float:
        images, labels = torch.from_numpy(x), torch.from_numpy(y)
        rows, total = torch.from_numpy(order), 0.0
        for i in range(0, len(rows), BATCH):
            batch = rows[i : i + BATCH]
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(net(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        return total / len(rows)

    return epoch


def competitors(dropout: float) -> dict[str, Epoch]:
    """Return the epochs by name."""
    found = {"native": pybp_epoch("native", dropout), "numpy": pybp_epoch("numpy", dropout)}
    try:
        found["torch"] = torch_epoch(dropout)
    except ImportError:
        print("PyTorch is not installed: left out")
    return found


def check(x: np.ndarray, y: np.ndarray) -> None:
    """Fail unless all give the same loss on the first batches, without dropout."""
    order = np.arange(10 * BATCH)
    losses = {name: epoch(x, y, order) for name, epoch in competitors(0.0).items()}
    print("loss of 10 steps:", {name: round(loss, 6) for name, loss in losses.items()})
    assert max(losses.values()) - min(losses.values()) < 1e-3 * min(losses.values()), losses


def main(rounds: int = 3) -> None:
    """Take turns, print each time and the medians."""
    (images, labels), _ = datasets.mnist()
    x = images.reshape(len(images), -1).astype(np.float32) / 255
    y = labels.astype(np.int64)
    check(x, y)
    order = np.random.default_rng(0).permutation(len(x))
    epochs = competitors(DROPOUT)
    times: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(rounds):
        for name, epoch in epochs.items():
            time.sleep(0.05)  # let the other libraries' threads stop spinning
            start = time.perf_counter()
            epoch(x, y, order)
            times[name].append(time.perf_counter() - start)
    native = statistics.median(times["native"])
    print(f"{bp.num_threads()} threads, seconds per epoch (median of {rounds}):")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"  {name:<7} {median:7.3f}   {median / native:5.2f} times native")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
