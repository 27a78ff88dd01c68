"""The workloads done by PyTorch, one class for nets of layers and one for sequences."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch_nets import sequence_modules, torch_module

from pybp.bench.own import FIT_BATCHES, STEPS
from pybp.bench.workloads import FEATURES, Workload

LAYOUTS = ("NCHW", "channels_last")
UPDATES: dict[str, dict[str, bool]] = {
    "": {},
    "fused": {"fused": True},
    "foreach": {"foreach": True},
}


class Setting(NamedTuple):
    """A way in which PyTorch does the work."""

    update: str = ""  # of UPDATES
    layout: str = ""  # of LAYOUTS, for images
    compiled: bool = False
    time_first: bool = False  # arrays (T, n, ...), for sequences

    def label(self) -> str:
        """Return what the table shows."""
        words = [self.layout, self.update, "compile" if self.compiled else ""]
        return ", ".join(word for word in words if word) or "eager"


class TorchSide:
    """What both kinds of nets share: steps, fits, and the first losses."""

    forward: Any  # the output from ``self.x``, or from what it is given
    steps = 1

    def __init__(self, workload: Workload, parameters: list[Any], setting: Setting) -> None:
        self.workload, self.label = workload, setting.label()
        if workload.optimizer is not None:
            kind = getattr(torch.optim, type(workload.optimizer).__name__)
            faster = UPDATES[setting.update]
            self.optimizer = kind(parameters, workload.optimizer.lr, **faster)
            self.criterion = torch.nn.CrossEntropyLoss()

    def loss(self, x: Any, y: Any) -> Any:
        """Return the loss of a batch."""
        return self.criterion(self.forward(x), y)

    def step(self, x: Any, y: Any) -> float:
        """Do one step; return its loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(x, y)
        loss.backward()
        self.optimizer.step()
        return float(loss.item())


class NetSide(TorchSide):
    """A chain of dense layers or of layers on images."""

    def __init__(self, workload: Workload, setting: Setting) -> None:
        data = workload.data()
        self.x = torch.from_numpy(data.x)
        self.y = torch.from_numpy(data.y)
        self.forward = self.module = torch_module(workload.net())
        if setting.layout:
            self._lay_out(workload, setting.layout)
        super().__init__(workload, list(self.module.parameters()), setting)
        if setting.compiled and workload.way == "predict":
            self.forward = torch.compile(self.module)
        elif setting.compiled:
            self.loss = torch.compile(self.loss)
        self.module.train(workload.way != "predict")
        self.steps = workload.batches if workload.way == "fit" else 1
        self.call: Any = getattr(self, f"_{workload.way}")

    def _lay_out(self, workload: Workload, layout: str) -> None:
        """Bring images and weights into a layout; the channels are the second axis in any."""
        memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        self.x = self.x.movedim(-1, 1).contiguous(memory_format=memory)
        self.module.to(memory_format=memory)
        if workload.way == "gradients":
            self.x.requires_grad_()
            self.y = self.y.movedim(-1, 1).contiguous(memory_format=memory)

    def _step(self) -> float:
        return self.step(self.x, self.y)

    def _fit(self) -> float:
        return self._epoch(self.x, self.y)

    def _epoch(self, x: Any, y: Any) -> float:
        rows, total = self.workload.rows, 0.0
        for i in range(0, len(x), rows):
            total += self.step(x[i : i + rows], y[i : i + rows])
        return total / (len(x) // rows)

    def _predict(self) -> Any:
        with torch.inference_mode():
            return self.forward(self.x)

    def _gradients(self) -> Any:
        self.x.grad = None
        self.module.zero_grad(set_to_none=True)
        y = self.module(self.x)
        y.backward(self.y)
        return y

    def results(self) -> list[np.ndarray]:
        """Return what pybp's side returns, in its layout."""
        way = self.workload.way
        if way == "step":
            return [np.array([self._step() for _ in range(STEPS)])]
        if way == "fit":
            rows = FIT_BATCHES * self.workload.rows
            return [np.array([self._epoch(self.x[:rows], self.y[:rows])])]
        if way == "predict":
            return [self._predict().numpy()]
        y = self._gradients().detach()
        conv = self.module[0]
        images = [y.movedim(1, -1).numpy(), self.x.grad.movedim(1, -1).numpy()]
        weight = conv.weight.grad.numpy().transpose(2, 3, 1, 0)
        return [*images, weight, conv.bias.grad.numpy()]


class SequenceSide(TorchSide):
    """A recurrent layer, or an embedding bag, with a linear head.

    The batch stands first or second in the arrays. A ragged batch is packed in each step, from
    sequences that are sorted already.
    """

    def __init__(self, workload: Workload, setting: Setting) -> None:
        data = workload.data()
        self.batch_first = not setting.time_first
        self.x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
        if setting.time_first:
            self.x, y = self.x.transpose(0, 1).contiguous(), y.T.contiguous()
        self.lengths = None if data.lengths is None else torch.from_numpy(data.lengths)
        self.y = y.flatten() if self.lengths is None else self._pack(y).data
        self.body, self.head = sequence_modules(
            workload.net(), FEATURES, batch_first=self.batch_first
        )
        super().__init__(workload, [*self.body.parameters(), *self.head.parameters()], setting)
        if not workload.is_bag:
            self.label = f"{'time' if setting.time_first else 'batch'} first, {self.label}"
        self.forward = self._forward_bag if workload.is_bag else self._forward_steps

    def _pack(self, padded: Any) -> Any:
        pack = torch.nn.utils.rnn.pack_padded_sequence
        return pack(padded, self.lengths, batch_first=self.batch_first)

    def _forward_bag(self, x: Any) -> Any:
        return self.head(self.body(x))

    def _forward_steps(self, x: Any) -> Any:
        """Return the outputs of all time steps as rows."""
        if self.lengths is not None:
            packed, *_ = self.body(self._pack(x))
            return self.head(packed.data)
        states, *_ = self.body(x)
        return self.head(states).flatten(0, 1)

    def call(self) -> float:
        """Do one step."""
        return self.step(self.x, self.y)

    def results(self) -> list[np.ndarray]:
        """Return the first losses."""
        return [np.array([self.call() for _ in range(STEPS)])]
