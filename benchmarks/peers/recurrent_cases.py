"""The recurrent workloads, each as pybp and as PyTorch do it from the same start weights.

A side has ``call``, one training step, and ``losses``, those of its first steps: the sides must
agree on them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import pybp as bp
from pybp.interop.torch import state_dict

INPUTS = 65  # one-hot inputs
STEPS = 5  # whose losses are compared
ADAM = bp.Adam(1e-3)


class Data(NamedTuple):
    """A batch."""

    x: np.ndarray  # float32 (n, T, 65), or ids (n, T)
    y: np.ndarray  # labels (n, T), or (n,)
    lengths: np.ndarray | None  # (n,), the longest first, or None where all have T steps


class Workload(NamedTuple):
    """A layer with a linear head, its optimiser and the size of a batch."""

    letter: str
    title: str
    layer: bp.layers.Layer
    head: int
    steps: int  # T
    rows: int  # n
    optimizer: bp.optimizers.Optimizer = ADAM
    shortest: int | None = None  # of a ragged batch

    @property
    def is_bag(self) -> bool:
        """Whether the layer is an embedding bag."""
        return isinstance(self.layer, bp.EmbeddingBag)

    def net(self) -> bp.Sequential:
        """Return the net with its start weights."""
        shape = (self.steps,) if self.is_bag else (self.steps, INPUTS)
        layers = [self.layer, bp.Linear(self.head)]
        return bp.Sequential(layers, seed=0, backend="native").build(shape)

    def data(self) -> Data:
        """Return a batch."""
        rng = np.random.default_rng(1)
        size = (self.rows, self.steps)
        if isinstance(self.layer, bp.EmbeddingBag):
            ids = rng.integers(0, self.layer.count, size)
            return Data(ids, rng.integers(0, self.head, self.rows), None)
        x = np.eye(INPUTS, dtype=np.float32)[rng.integers(0, INPUTS, size)]
        lengths = None
        if self.shortest is not None:
            lengths = -np.sort(-rng.integers(self.shortest, self.steps + 1, self.rows))
        return Data(x, rng.integers(0, self.head, size), lengths)

    def real_steps(self) -> int:
        """Return the time steps of a batch without its padding."""
        lengths = self.data().lengths
        return self.rows * self.steps if lengths is None else int(lengths.sum())

    def flops(self) -> int:
        """Return the floating point operations of a step's matrix products; 0 for a bag."""
        if self.is_bag:
            return 0
        layer: Any = self.layer
        wide = {"RNN": 1, "GRU": 3, "LSTM": 4}[type(layer).__name__] * layer.units
        total = 6 * layer.units * self.head  # forward, and the gradients of weights and inputs
        for k in range(layer.num_layers):
            total += 6 * layer.units * wide  # h @ weight_hh
            total += 6 * layer.units * wide if k else 4 * INPUTS * wide  # x needs no gradient
        return total * self.real_steps()


def _lstm(letter: str, title: str, shortest: int | None = None) -> Workload:
    return Workload(letter, title, bp.LSTM(128), INPUTS, 200, 32, shortest=shortest)


FULL = _lstm("p", "LSTM 65-128, T 200, batch 32")
RAGGED = _lstm("r", "the same, lengths 20 to 200", shortest=20)
WORKLOADS = (
    Workload("i", "Elman tanh 65-128, T 100, batch 32", bp.RNN(128), INPUTS, 100, 32),
    Workload("j", "LSTM 2 x 512, T 50, batch 50", bp.LSTM(512, num_layers=2), INPUTS, 50, 50),
    Workload("k", "GRU 65-256, T 100, batch 64", bp.GRU(256), INPUTS, 100, 64),
    Workload("l", "LSTM 65-64, T 20, batch 1", bp.LSTM(64), INPUTS, 20, 1),
    Workload(
        "m", "embedding bag 74074 x 100, 200 ids, batch 32",
        bp.EmbeddingBag(74_074, 100), 2, 200, 32, bp.SGD(1.0),
    ),
    FULL,
    RAGGED,
)  # fmt: skip


class Setting(NamedTuple):
    """A way in which PyTorch does the work."""

    label: str
    time_first: bool  # arrays (T, n, ...), or (n, T, ...)
    update: dict[str, bool]  # arguments of the optimiser


class PybpSide:
    """A workload done by pybp."""

    def __init__(self, workload: Workload) -> None:
        self.data = workload.data()
        self.trainer = bp.Trainer(workload.net(), "cross_entropy", workload.optimizer)

    def call(self) -> float:
        """Do one step."""
        return self.trainer.step(self.data.x, self.data.y, lengths=self.data.lengths)

    def losses(self) -> np.ndarray:
        """Return the losses of some steps."""
        return np.array([self.call() for _ in range(STEPS)])


class TorchSide:
    """The same workload done by PyTorch in one of its settings.

    The batch stands first or second in the arrays, and Adam is fused or not. A ragged batch is
    packed in each step, from sequences that are sorted already.
    """

    def __init__(self, workload: Workload, setting: Setting) -> None:
        import torch

        self.torch = torch
        self.label = setting.label
        x, y, lengths = workload.data()
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        if setting.time_first:
            self.x, self.y = self.x.transpose(0, 1).contiguous(), self.y.T.contiguous()
        self.batch_first = not setting.time_first
        self.lengths = None if lengths is None else torch.from_numpy(lengths)
        self.y = self.y.flatten() if lengths is None else self._pack(self.y).data
        state = state_dict(workload.net(), tensors=True)
        self.body = _body(torch.nn, workload.layer, self.batch_first)
        self.head = torch.nn.Linear(state["1.weight"].shape[1], workload.head)
        for module, lead in ((self.body, "0."), (self.head, "1.")):
            own = {name: value for name, value in state.items() if name.startswith(lead)}
            module.load_state_dict({name.removeprefix(lead): own[name] for name in own})
        parameters = [*self.body.parameters(), *self.head.parameters()]
        kind = getattr(torch.optim, type(workload.optimizer).__name__)
        self.optimizer = kind(parameters, workload.optimizer.lr, **setting.update)
        self.criterion = torch.nn.CrossEntropyLoss()
        self.forward = self._forward_bag if workload.is_bag else self._forward_steps

    def _pack(self, padded: Any) -> Any:
        pack = self.torch.nn.utils.rnn.pack_padded_sequence
        return pack(padded, self.lengths, batch_first=self.batch_first)

    def _forward_bag(self) -> Any:
        return self.head(self.body(self.x))

    def _forward_steps(self) -> Any:
        """Return the outputs of all time steps as rows."""
        if self.lengths is not None:
            packed, *_ = self.body(self._pack(self.x))
            return self.head(packed.data)
        states, *_ = self.body(self.x)
        return self.head(states).flatten(0, 1)

    def call(self) -> float:
        """Do one step."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.criterion(self.forward(), self.y)
        loss.backward()
        self.optimizer.step()
        return float(loss.item())

    def losses(self) -> np.ndarray:
        """Return the losses of some steps."""
        return np.array([self.call() for _ in range(STEPS)])


def _body(nn: Any, layer: Any, batch_first: bool) -> Any:
    """Return PyTorch's module of the layer, with weights of its own."""
    if isinstance(layer, bp.EmbeddingBag):
        return nn.EmbeddingBag(layer.count, layer.size, mode=layer.mode, sparse=True)
    kind = getattr(nn, type(layer).__name__)
    return kind(INPUTS, layer.units, layer.num_layers, batch_first=batch_first)


def torch_sides(workload: Workload) -> list[TorchSide]:
    """Return PyTorch in each setting that may be its best."""
    settings = [Setting("sparse", False, {})]
    if not workload.is_bag:
        updates = {", fused": {"fused": True}, "": {}}
        settings = [
            Setting(f"{'time' if time_first else 'batch'} first{label}", time_first, update)
            for time_first in (True, False)
            for label, update in updates.items()
        ]
    return [TorchSide(workload, setting) for setting in settings]
