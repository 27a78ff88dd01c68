"""A function of a few numbers in the place of a net, for optimisers that need the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class FakeProblem:
    """``pybp.optimizers.Problem`` for a function from x to its value and gradient."""

    def __init__(
        self,
        start: Any,
        function: Callable[[np.ndarray], tuple[float, np.ndarray]],
        seed: int = 0,
        dtype: str = "float64",
    ) -> None:
        self.params = np.array(start, dtype)
        self.state: dict[str, Any] = {}
        self.update, self.lr, self.evaluations = 0, 0.0, 0
        self._function, self._seed = function, seed
        self._gradient = np.empty_like(self.params)

    def loss_and_grad(self) -> tuple[float, np.ndarray]:
        """Return value and gradient at ``params``; the array is used again."""
        self.evaluations += 1
        value, self._gradient[...] = self._function(self.params.astype(np.float64))
        return value, self._gradient

    def rng(self, stream: int) -> np.random.Generator:
        """Return random numbers keyed by seed, update and stream."""
        return np.random.default_rng([self._seed, self.update, stream])

    def run(self, optimizer: Any, steps: int) -> np.ndarray:
        """Make updates; return ``params`` after each of them."""
        path = []
        for _ in range(steps):
            self.lr = float(optimizer.rates(self.update, 1)[0])
            optimizer.run_step(self)
            self.update += 1
            path.append(self.params.copy())
        return np.array(path)
