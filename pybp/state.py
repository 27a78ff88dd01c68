"""The state of a net: parameters, gradients, optimiser state and counters, in flat arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp.arrays import Array, aligned_zeros
from pybp.optimizers import Optimizer
from pybp.parameters import GradientArrays, Layout, NamedArrays
from pybp.program.builder import Parameter
from pybp.program.gradient import gradient_name
from pybp.update_programs import Parts

_AHEAD = 64  # updates whose scalars are made at once
_COUNTERS = ("steps", "epochs", "updates", "optimizer")


class State:
    """All that changes in a net while it learns.

    Parameters
    ----------
    wanted : dict
        Name -> parameter, as the layers asked for them.
    dtype : NumPy float type
        Of all arrays.
    seed : int
        Start of the initial weights.
    running : dict
        The same for the running statistics.
    """

    def __init__(
        self, wanted: dict[str, Parameter], dtype: Any, seed: int, running: dict[str, Parameter]
    ) -> None:
        tables = {name: parameter for name, parameter in wanted.items() if parameter.is_table}
        layout = Layout({name: parameter.shape for name, parameter in wanted.items()}, tables)
        self.layout = layout
        self.size = layout.size
        self.parts = Parts(layout.dense, tables)
        self.params = NamedArrays(layout, dtype)
        self.grads = GradientArrays(layout, dtype)
        self.buffers = NamedArrays(
            Layout({name: buffer.shape for name, buffer in running.items()}), dtype
        )
        self.steps = 0  # updates by any optimiser: the key of dropout masks
        self.epochs = 0  # the key of shuffles
        self._ahead: tuple[Optimizer | None, int, Array] = (None, 0, np.zeros((0, 0)))
        self.updates = 0  # by the present optimiser: the argument of schedules
        self.optimizer = ""  # its class name
        self.moments: dict[str, Array] = {}  # the optimiser's arrays of all parameters, by name
        for index, (name, parameter) in enumerate(wanted.items()):
            rng = np.random.default_rng([seed, 0, index])
            self.params[name] = parameter.initializer(parameter.shape, rng)
        for index, (name, buffer) in enumerate(running.items()):
            rng = np.random.default_rng([seed, 2, index])
            self.buffers[name] = buffer.initializer(buffer.shape, rng)

    def export(self) -> dict[str, Any]:
        """Return copies of all arrays and counters, for ``restore``."""
        return {
            "params": self.params.flat.copy(),
            "buffers": self.buffers.flat.copy(),
            "grads": self.grads.copy() if self.grads.known else None,
            "moments": {name: array.copy() for name, array in self.moments.items()},
            **{name: getattr(self, name) for name in _COUNTERS},
        }

    def restore(self, exported: dict[str, Any]) -> None:
        """Take over what ``export`` of a state of the same layers has returned."""
        self.params.flat[...] = exported["params"]
        self.buffers.flat[...] = exported["buffers"]
        self.grads.forget()
        if exported["grads"] is not None:
            self.grads.restore(exported["grads"])
        for name, array in exported["moments"].items():
            self._moment(name)[...] = array
        for name in _COUNTERS:
            setattr(self, name, exported[name])

    def order(self, rows: int, seed: int) -> Array:
        """Return the shuffled rows of the epoch that comes next."""
        return np.random.default_rng([seed, 1, self.epochs]).permutation(rows)

    def array(self, name: str) -> Array:
        """Return the array behind a parameter, gradient or state buffer of a program.

        ``params``, ``grads`` and the states of an optimiser, such as ``m``, are flat arrays of all
        parameters but the tables; ``0.weight:m`` is the state of one table.
        """
        if name == "params":
            return self.params.flat[: self.layout.dense]
        if name == "grads":
            return self.grads.flat[: self.layout.dense]
        if name in self.params:
            return self.params[name]
        if name in self.buffers:
            return self.buffers[name]
        for parameter, view in self.grads.views.items():
            if gradient_name(parameter) == name:
                return view
        table, _, state = name.rpartition(":")
        if table in self.parts.tables:
            return self.layout.view(self._moment(state), table)
        return self._moment(name)[: self.layout.dense]

    def _moment(self, name: str) -> Array:
        """Return an array of the optimiser for all parameters, zeros when it is new."""
        if name not in self.moments:
            self.moments[name] = aligned_zeros(self.size, self.params.flat.dtype)
        return self.moments[name]

    def use_optimizer(self, optimizer: Optimizer, steps: int) -> Array:
        """Make this optimiser the present one; return the scalars of its next steps.

        The state goes on while the class stays the same; another class starts at zero.
        """
        name = type(optimizer).__name__
        goes_on = self.optimizer == name
        hyper = self._scalars(optimizer, self.updates if goes_on else 0, steps)
        if not goes_on:
            self.reset_optimizer()
            self.optimizer = name
        return hyper

    def _scalars(self, optimizer: Optimizer, first: int, steps: int) -> Array:
        """Return the scalars of some updates; of single steps ahead, as one comes after the other.

        A schedule is asked for no update before its time: it may raise, or count its calls.
        """
        if steps > 1 or optimizer.has_schedule():
            return optimizer.hyper(first, steps)
        known, start, table = self._ahead
        if known is not optimizer or not start <= first < start + len(table):
            start, table = first, optimizer.hyper(first, _AHEAD)
            self._ahead = (optimizer, start, table)
        return table[first - start : first - start + 1]

    def reset_optimizer(self) -> None:
        """Forget the optimiser. Arrays are zeroed in place: bound programs point at them."""
        self.optimizer, self.updates = "", 0
        for array in self.moments.values():
            array.fill(0)

    def count_updates(self, updates: int) -> None:
        """Record updates by the present optimiser."""
        self.updates += updates
        self.steps += updates
