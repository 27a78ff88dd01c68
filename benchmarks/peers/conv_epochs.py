"""Seconds per epoch of the convolutional examples: pybp native against PyTorch.

    python benchmarks/peers/conv_epochs.py [--only lenet,fashion_cnn,cifar_resnet] [--threads 1,2]

The nets are those of examples/, with the same start weights, on random pictures of the right shape
(the time does not depend on what they show). First the losses of some steps must agree, without
dropout. Then the two sides take turns, A B B A, each time for a few dozen steps of the example's
batch size; an epoch is the median step times the steps of the data set. PyTorch is tried with
images as NCHW and as channels_last, and with fused updates; the faster layout counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from peer_pytorch import set_threads
from torch_nets import torch_module
from torch_sides import LAYOUTS

import pybp as bp

EXAMPLES = Path(__file__).parents[2] / "examples"
CLASSES, CHECKED, TOLERANCE, PAUSE = 10, 4, 1e-3, 0.02


class Example(NamedTuple):
    """An example's optimiser, the pictures of its data set, and the steps of a block."""

    optimizer: bp.optimizers.Optimizer
    pictures: int
    steps: int


SGD = bp.SGD(0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)
RUNS = {
    "lenet": Example(bp.Adam(1e-3), 60_000, 100),
    "fashion_cnn": Example(bp.Adam(1e-3), 60_000, 20),
    "cifar_resnet": Example(SGD, 50_000, 6),
}


def load(name: str) -> Any:
    """Return the module of an example."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def without_dropout(net: Any) -> Any:
    """Return a net of the same weights whose dropout drops nothing."""
    if not isinstance(net, bp.Sequential):
        return net
    layers = [one.replace(p=0.0) if isinstance(one, bp.Dropout) else one for one in net.layers]
    return bp.Sequential(layers, seed=0, backend="native").build(net.input_shape)


class PybpSide:
    """The training of a net by pybp."""

    def __init__(self, net: Any, optimizer: Any, x: np.ndarray, y: np.ndarray, batch: int) -> None:
        self.trainer = bp.Trainer(net, "cross_entropy", optimizer)
        self.x, self.y, self.batch = x, y, batch

    def losses(self) -> list[float]:
        rows = range(0, CHECKED * self.batch, self.batch)
        cuts = [slice(i, i + self.batch) for i in rows]
        return [self.trainer.step(self.x[cut], self.y[cut]) for cut in cuts]

    def call(self) -> None:
        self.trainer.fit(self.x, self.y, epochs=1, batch_size=self.batch, verbose=0)


class TorchSide:
    """The same by PyTorch, in one layout."""

    def __init__(
        self, module: Any, optimizer: Any, x: np.ndarray, y: np.ndarray, batch: int, layout: str
    ) -> None:
        import torch

        memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        pictures = torch.from_numpy(np.moveaxis(x, -1, 1).copy())
        self.x = pictures.to(memory_format=memory)
        self.y, self.batch, self.label = torch.from_numpy(y), batch, layout
        self.module = module.to(memory_format=memory).train()
        parameters = self.module.parameters()
        if isinstance(optimizer, bp.Adam):
            self.optimizer = torch.optim.Adam(parameters, optimizer.lr, fused=True)
        else:
            settings = {name: getattr(optimizer, name) for name in ("momentum", "weight_decay")}
            self.optimizer = torch.optim.SGD(
                parameters, optimizer.lr, nesterov=optimizer.nesterov, fused=True, **settings
            )
        self.criterion = torch.nn.CrossEntropyLoss()
        self.torch = torch

    def step(self, rows: Any) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        pictures = self.x[rows].float()
        loss = self.criterion(self.module(pictures), self.y[rows])
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def losses(self) -> list[float]:
        rows = self.torch.arange(CHECKED * self.batch)
        return [self.step(one) for one in rows.split(self.batch)]

    def call(self) -> None:
        for rows in self.torch.randperm(len(self.x)).split(self.batch):
            self.step(rows)


def seconds(call: Callable[[], None]) -> float:
    """Return the time of a call, after a pause in which the other side's threads go to sleep."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def check(name: str, example: Example, module: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Raise unless the first losses of the sides agree, without dropout."""
    net = without_dropout(module.make_net("native"))
    other = TorchSide(
        torch_module(net, dropout=False), example.optimizer, x, y, module.BATCH, LAYOUTS[0]
    )
    ours = PybpSide(net, example.optimizer, x, y, module.BATCH).losses()
    if not np.allclose(ours, other.losses(), rtol=TOLERANCE):
        raise RuntimeError(f"{name}: the losses differ")


def compare(name: str, example: Example, rounds: int) -> tuple[float, float, float, str]:
    """Return seconds of an epoch by pybp and by PyTorch, their ratio, and PyTorch's layout."""
    module = load(name)
    rng = np.random.default_rng(0)
    net = module.make_net("native")
    x = rng.integers(0, 256, (example.steps * module.BATCH, *net.input_shape)).astype(np.uint8)
    if name != "cifar_resnet":  # whose net takes bytes and scales them itself
        x = (x / 255).astype(np.float32)
    y = rng.integers(0, CLASSES, len(x))
    check(name, example, module, x, y)
    ours = PybpSide(net, example.optimizer, x, y, module.BATCH)
    others = [
        TorchSide(torch_module(net, dropout=True), example.optimizer, x, y, module.BATCH, layout)
        for layout in LAYOUTS
    ]
    ours.call()
    best = min(others, key=lambda side: (side.call(), seconds(side.call))[1])
    pairs = []
    for turn in range(rounds):
        sides = [ours.call, best.call] if turn % 2 == 0 else [best.call, ours.call]
        times = [seconds(call) for call in sides]
        pairs.append(tuple(times if turn % 2 == 0 else times[::-1]))
    steps = -(-example.pictures // module.BATCH) / example.steps
    mine, theirs = (statistics.median(times) * steps for times in zip(*pairs, strict=True))
    return mine, theirs, statistics.median(b / a for a, b in pairs), best.label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(RUNS))
    parser.add_argument("--threads", default="2,1")
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    print(f"{'example':<14}{'threads':>8}{'pybp s':>10}{'PyTorch s':>11}{'ratio':>8}  layout")
    for threads in map(int, options.threads.split(",")):
        bp.set_num_threads(threads)
        set_threads(threads)
        for name in options.only.split(","):
            mine, theirs, ratio, layout = compare(name, RUNS[name], options.rounds)
            print(f"{name:<14}{threads:>8}{mine:>10.2f}{theirs:>11.2f}{ratio:>8.2f}  {layout}")


if __name__ == "__main__":
    main()
