"""Single ops that no product bounds: activations, a loss, an optimiser's pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import pybp as bp
from pybp import backends
from pybp.arrays import Array
from pybp.bench.costs import Cost
from pybp.program.ops import Activate, LabelLoss, N, Op
from pybp.program.program import Program

ADAM = bp.Adam(1e-3)


class Kernel(NamedTuple):
    """An op on float32 rows of random numbers."""

    name: str
    title: str
    kind: str  # "activate", "label_loss" or "adam"
    rows: int
    columns: int
    function: str = ""
    way: str = "kernel"
    dtype: str = "float32"

    def numbers(self) -> Array:
        """Return the same random numbers every time, (rows, columns)."""
        rng = np.random.default_rng(1)
        return rng.normal(size=(self.rows, self.columns)).astype(np.float32)

    def labels(self) -> Array:
        """Return a label for each row."""
        return np.random.default_rng(2).integers(0, self.columns, self.rows)

    def cost(self) -> Cost:
        """Return the bytes: what is read and written, each once. The arithmetic is not counted."""
        size = 4 * self.rows * self.columns
        passes, arrays = (7, 4) if self.kind == "adam" else (2, 2)  # w, m, v both ways, g one way
        return Cost(0.0, passes * size, arrays * size)


class KernelSide:
    """An op done by pybp."""

    label, steps = "", 1

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.program = Program(kernel.name, "float32")
        op = getattr(self, f"_{kernel.kind}")()
        self.program.append(op)
        self.program.verify()
        self.fixed = {
            buffer.name: np.zeros(buffer.shape, np.float32)
            for buffer in self.program.of_role("state", "constant")
        }
        self.executor = backends.make_executor(
            "native", self.program, self.fixed, kernel.rows, keep_forward=True
        )
        self.columns = np.zeros((1, 2 * len(self.program.results)))
        self._starts = np.array([0, kernel.rows])
        self._hyper = ADAM.hyper(0, 1) if kernel.kind == "adam" else np.zeros((1, 0))
        self._fill()

    def _activate(self) -> Op:
        shape = (N, self.kernel.columns)
        x = self.program.add_buffer("x", shape, "value")
        y = self.program.add_buffer("y", shape, "value")
        return Activate(x, y, self.kernel.function, alpha=1.0)

    def _label_loss(self) -> Op:
        shape = (N, self.kernel.columns)
        x = self.program.add_buffer("x", shape, "value")
        target = self.program.add_buffer("target", (N,), "value", "int32")
        dy = self.program.add_buffer("y", shape, "value")
        return LabelLoss(x, target, dy=dy, result=self.program.add_result("loss"))

    def _adam(self) -> Op:
        size = (self.kernel.rows * self.kernel.columns,)
        g = self.program.add_buffer("g", size, "constant")
        op = ADAM.op(self.program.add_buffer("w", size, "state"), g)
        for name in op.outputs()[1:]:
            self.program.add_buffer(name, size, "state")
        return op

    def _fill(self) -> None:
        numbers = self.kernel.numbers()
        if self.kernel.kind == "adam":
            self.fixed["g"][:] = numbers.reshape(-1)
            return
        self.executor.write("x", numbers)
        if self.kernel.kind == "label_loss":
            self.executor.write("target", self.kernel.labels())

    def call(self) -> None:
        """Do it once."""
        self.executor.run([], None, self._starts, self._hyper, self.columns, 0, 0, 0, 1, ())

    def results(self) -> list[Array]:
        """Return what was written."""
        self.call()
        if self.kernel.kind == "adam":
            return [self.fixed["w"].copy()]
        return [self.executor.read("y", self.kernel.rows)]


KERNELS = (
    Kernel("op:tanh", "tanh, 256 x 512", "activate", 256, 512, "tanh"),
    Kernel("op:sigmoid", "sigmoid, 256 x 512", "activate", 256, 512, "sigmoid"),
    Kernel("op:gelu", "gelu, 256 x 512", "activate", 256, 512, "gelu"),
    Kernel("op:loss", "softmax cross entropy and gradient, 1024 x 1000", "label_loss", 1024, 1000),
    Kernel("op:adam", "Adam, 669 706 weights", "adam", 2, 334_853),
    Kernel("op:adam:large", "Adam, 16.8 M weights", "adam", 4096, 4096),
)
