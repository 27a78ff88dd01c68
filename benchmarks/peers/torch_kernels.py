"""Single products and ops done by PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pybp.bench.own_ops import ADAM, Kernel
from pybp.bench.products import Gemm


class GemmSide:
    """A product into memory that is there already."""

    label, steps = "mm", 1

    def __init__(self, gemm: Gemm) -> None:
        a, b = (torch.from_numpy(factor) for factor in gemm.factors())
        transpose_a, transpose_b = gemm.transposed
        self.a = a.T if transpose_a else a
        self.b = b.T if transpose_b else b
        self.c = torch.from_numpy(gemm.output())

    def call(self) -> None:
        """Do it once."""
        torch.mm(self.a, self.b, out=self.c)

    def results(self) -> list[np.ndarray]:
        """Return the product."""
        self.call()
        return [self.c.numpy()]


class KernelSide:
    """An op that no product bounds."""

    label, steps = "", 1

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.x = torch.from_numpy(kernel.numbers())
        self.y = torch.empty_like(self.x)
        if kernel.kind == "label_loss":
            self.x.requires_grad_()
            self.labels = torch.from_numpy(kernel.labels())
        elif kernel.kind == "adam":
            self.label = "fused"
            w = torch.zeros(self.x.numel())
            w.grad = self.x.flatten()
            self.w = w
            self.optimizer = torch.optim.Adam([w], ADAM.lr, fused=True)
        self.call: Any = getattr(self, f"_{kernel.kind}")

    def _activate(self) -> Any:
        if self.kernel.function == "gelu":
            return torch.nn.functional.gelu(self.x)
        return getattr(torch, self.kernel.function)(self.x, out=self.y)

    def _label_loss(self) -> Any:
        self.x.grad = None
        torch.nn.functional.cross_entropy(self.x, self.labels).backward()
        return self.x.grad

    def _adam(self) -> Any:
        self.optimizer.step()
        return self.w

    def results(self) -> list[np.ndarray]:
        """Return what was written."""
        return [self.call().numpy()]
