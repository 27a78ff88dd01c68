"""The convolutional workloads, each as pybp and as PyTorch do it from the same start weights.

A side has ``call``, the work that is timed, and ``results``, what the sides must agree on: the
losses of the first steps, or the outputs and gradients of one call, in pybp's layout.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import pybp as bp
from pybp.interop.torch import state_dict

CLASSES, STEPS = 10, 5
LAYOUTS = ("NCHW", "channels_last")
Layers = list[bp.layers.Layer]


class Workload(NamedTuple):
    """What is done, and on which shapes."""

    letter: str
    title: str
    kind: str  # "train": steps with cross entropy; "gradients": of a layer; "predict"
    layers: Callable[[], Layers]
    shape: tuple[int, ...]  # of a sample
    rows: int
    optimizer: bp.optimizers.Optimizer | None = None
    updates: tuple[str, ...] = ("",)  # PyTorch's ways of updating that are tried

    def net(self) -> bp.Sequential:
        """Return the net with its start weights."""
        return bp.Sequential(self.layers(), seed=0, backend="native").build(self.shape)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs, and labels or the gradient of the output."""
        rng = np.random.default_rng(1)
        x = rng.normal(size=(self.rows, *self.shape)).astype(np.float32)
        if self.kind != "gradients":
            return x, rng.integers(0, CLASSES, self.rows)
        dy = rng.normal(size=(self.rows, *self.net().output_shape))
        return x, dy.astype(np.float32)


def _lenet() -> Layers:
    return [
        bp.Conv2d(6, 5, padding=2), bp.ReLU(), bp.MaxPool2d(2),
        bp.Conv2d(16, 5), bp.ReLU(), bp.MaxPool2d(2), bp.Flatten(),
        bp.Linear(120), bp.ReLU(), bp.Linear(84), bp.ReLU(), bp.Linear(CLASSES),
    ]  # fmt: skip


def _cifar_net() -> Layers:
    layers: Layers = []
    for channels in (32, 64):
        for _ in range(2):
            layers += [bp.Conv2d(channels, 3, padding=1), bp.ReLU()]
        layers.append(bp.MaxPool2d(2))
    return [*layers, bp.Flatten(), bp.Linear(512), bp.ReLU(), bp.Linear(CLASSES)]


def _one_conv(letter: str, channels: int, size: int, rows: int) -> Workload:
    def layers() -> Layers:
        return [bp.Conv2d(channels, 3, padding=1)]

    title = f"conv 3x3 {channels}-{channels}, {size}x{size}, batch {rows}, gradients"
    return Workload(letter, title, "gradients", layers, (size, size, channels), rows)


WORKLOADS = (
    Workload(
        "f", "LeNet-5 step, batch 64, SGD", "train", _lenet, (28, 28, 1), 64, bp.SGD(0.01),
        ("fused", "foreach", ""),
    ),
    Workload(
        # at a larger rate the first steps of Adam overshoot, and rounding grows with them
        "g", "CIFAR net step, batch 64, Adam", "train", _cifar_net, (32, 32, 3), 64,
        bp.Adam(1e-4), ("fused",),
    ),
    _one_conv("h1", 64, 56, 16),
    _one_conv("h2", 256, 14, 16),
    _one_conv("s", 8, 32, 32),
    Workload("o", "LeNet-5 predict, one image", "predict", _lenet, (28, 28, 1), 1),
)  # fmt: skip


def small(workload: Workload) -> Workload:
    """Return a workload with the same kinds of layers that is done at once: it wakes a library."""
    if workload.kind == "gradients":
        return _one_conv("small", 4, 8, 1)

    def layers() -> Layers:
        return [bp.Conv2d(4, 3), bp.ReLU(), bp.MaxPool2d(2), bp.Flatten(), bp.Linear(CLASSES)]

    return workload._replace(layers=layers, shape=(8, 8, 1), rows=1)


class PybpSide:
    """A workload done by pybp."""

    def __init__(self, workload: Workload) -> None:
        self.net = workload.net()
        self.x, self.y = workload.data()
        self.kind = workload.kind
        self.optimizer = workload.optimizer
        if workload.optimizer is not None:
            self.trainer = bp.Trainer(self.net, "cross_entropy", workload.optimizer)
        self.call = {"train": self._step, "gradients": self._gradients, "predict": self._predict}[
            workload.kind
        ]

    def _step(self) -> float:
        return self.trainer.step(self.x, self.y)

    def _gradients(self) -> tuple[np.ndarray, np.ndarray]:
        y = self.net.forward(self.x, training=True)
        return y, self.net.backward(self.y)

    def _predict(self) -> np.ndarray:
        return self.net.predict(self.x)

    def results(self) -> list[np.ndarray]:
        """Return what the sides must agree on."""
        if self.kind == "train":
            return [np.array([self.call() for _ in range(STEPS)])]
        if self.kind == "predict":
            return [self._predict()]
        return [*self._gradients(), self.net.grads["0.weight"], self.net.grads["0.bias"]]

    def executors(self) -> list[Any]:
        """Return the native executors that are bound."""
        bound = [*self.net._bound.values()]
        bound += self.trainer._steps._bound.values() if self.kind == "train" else []
        return [one.executor for one in bound]

    def flops(self) -> int:
        """Return the floating point operations of a call's convolutions and dense layers."""
        (executor,) = self.executors()
        program = executor.program
        total = 0
        for op in program.ops:
            names = op.to_dict()
            weight = names.get("w") or names.get("dw")
            output = names.get("dy") or names.get("y")
            if weight and output:  # each weight meets each cell of the output once
                cells = len(self.x) * math.prod(program.shape(output)[1:-1])
                total += 2 * cells * math.prod(program.shape(weight))
        return total


class TorchSide:
    """The same workload done by PyTorch, with its data and weights in one of its layouts."""

    def __init__(self, workload: Workload, layout: str, update: str = "") -> None:
        import torch

        self.torch = torch
        self.kind = workload.kind
        self.label = f"{layout}, {update}" if update else layout
        memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        x, y = workload.data()
        self.x = _channels_second(torch, x).to(memory_format=memory)
        if self.kind == "gradients":
            self.x.requires_grad_()
            self.y = _channels_second(torch, y).to(memory_format=memory)
        else:
            self.y = torch.from_numpy(y)
        self.module = _module(torch, workload).to(memory_format=memory)
        if workload.optimizer is not None:
            kind = getattr(torch.optim, type(workload.optimizer).__name__)
            faster = {update: True} if update else {}
            self.optimizer = kind(self.module.parameters(), workload.optimizer.lr, **faster)
            self.criterion = torch.nn.CrossEntropyLoss()
        self.call = {"train": self._step, "gradients": self._gradients, "predict": self._predict}[
            workload.kind
        ]

    def _step(self) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.criterion(self.module(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def _gradients(self) -> Any:
        self.x.grad = None
        self.module.zero_grad(set_to_none=True)
        y = self.module(self.x)
        y.backward(self.y)
        return y

    def _predict(self) -> Any:
        with self.torch.inference_mode():
            return self.module(self.x)

    def results(self) -> list[np.ndarray]:
        """Return what the sides must agree on."""
        if self.kind == "train":
            return [np.array([self.call() for _ in range(STEPS)])]
        if self.kind == "predict":
            return [self._predict().numpy()]
        y = self._gradients().detach().numpy()
        conv = self.module[0]
        images = [y, self.x.grad.numpy()]
        weight = conv.weight.grad.numpy().transpose(2, 3, 1, 0)
        return [*(np.moveaxis(a, 1, -1) for a in images), weight, conv.bias.grad.numpy()]


def _channels_second(torch: Any, images: np.ndarray) -> Any:
    return torch.from_numpy(np.moveaxis(images, -1, 1).copy())


def _module(torch: Any, workload: Workload) -> Any:
    """Return PyTorch's module of a workload's layers, with the same weights."""
    nn = torch.nn
    net = workload.net()
    state = state_dict(net, tensors=True)
    modules = []
    for index, layer in enumerate(workload.layers()):
        weight = state.get(f"{index}.weight")
        if isinstance(layer, bp.Conv2d):
            out, channels, *kernel = weight.shape
            modules.append(nn.Conv2d(channels, out, kernel, padding=layer.padding))
        elif isinstance(layer, bp.Linear):
            out, size = weight.shape
            modules.append(nn.Linear(size, out))
        elif isinstance(layer, bp.MaxPool2d):
            modules.append(nn.MaxPool2d(layer.kernel_size))
        else:
            modules.append(
                {"ReLU": nn.ReLU(inplace=True), "Flatten": nn.Flatten()}[type(layer).__name__]
            )
    module = nn.Sequential(*modules)
    module.load_state_dict(state)
    return module.train(workload.kind == "train")


def torch_sides(workload: Workload) -> list[TorchSide]:
    """Return PyTorch in each setting that may be its best."""
    return [
        TorchSide(workload, layout, update) for layout in LAYOUTS for update in workload.updates
    ]
