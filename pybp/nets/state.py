"""The state of a net: parameters, gradients, optimiser state and counters, in flat arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp.arrays import Array, aligned_zeros
from pybp.nets.parameters import GradientArrays, Layout, NamedArrays
from pybp.nets.pending import Pending
from pybp.nets.update_programs import split_part
from pybp.optimizers import Optimizer
from pybp.program.builder import Parameter
from pybp.program.gradient import gradient_name

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
    seed : int or None
        Start of the initial weights; None leaves zeros, for somebody who has the values.
    running : dict
        The same for the running statistics.
    """

    def __init__(
        self,
        wanted: dict[str, Parameter],
        dtype: Any,
        seed: int | None,
        running: dict[str, Parameter],
    ) -> None:
        tables = {name: parameter for name, parameter in wanted.items() if parameter.is_table}
        layout = Layout({name: parameter.shape for name, parameter in wanted.items()}, tables)
        self.layout = layout
        self.size = layout.size
        self.tables = frozenset(tables)
        self.params = NamedArrays(layout, dtype)
        self.grads = GradientArrays(layout, dtype)
        self.buffers = NamedArrays(
            Layout({name: buffer.shape for name, buffer in running.items()}), dtype
        )
        self.pending = Pending(layout.size, dtype)
        self.steps = 0  # batches that were trained on: the key of dropout masks
        self.epochs = 0  # the key of shuffles
        self._ahead: tuple[Optimizer | None, int, Array] = (None, 0, np.zeros((0, 0)))
        self.updates = 0  # by the present optimiser: the argument of schedules
        self.optimizer = ""  # its class name
        self.moments: dict[str, Array] = {}  # the optimiser's arrays of all parameters, by name
        self.memory: dict[str, Any] = {}  # what else an optimiser that needs the loss remembers
        if seed is not None:
            _initialize(self.params, wanted, [seed, 0])
            _initialize(self.buffers, running, [seed, 2])

    def export(self) -> dict[str, Any]:
        """Return copies of all arrays and counters, for ``restore``."""
        return {
            "params": self.params.flat.copy(),
            "buffers": self.buffers.flat.copy(),
            "grads": self.grads.copy() if self.grads.known else None,
            "moments": {name: array.copy() for name, array in self.moments.items()},
            "memory": _copies(self.memory),
            "pending": self.pending.export(),
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
        self.memory = _copies(exported["memory"])
        self.pending.restore(exported["pending"])
        for name in _COUNTERS:
            setattr(self, name, exported[name])

    def of_some(self, wanted: dict[str, Parameter], running: dict[str, Parameter]) -> State:
        """Return a new state with copies of some of the arrays, and without an optimiser."""
        some = State(wanted, self.params.flat.dtype, None, running)
        for own, all_of_it in ((some.params, self.params), (some.buffers, self.buffers)):
            for name in own:
                own[name] = all_of_it[name]
        some.steps, some.epochs = self.steps, self.epochs
        return some

    def order(self, rows: int, seed: int) -> Array:
        """Return the shuffled rows of the epoch that comes next."""
        return np.random.default_rng([seed, 1, self.epochs]).permutation(rows)

    def array(self, name: str) -> Array:
        """Return the array behind a parameter, gradient or state buffer of a program.

        ``params``, ``grads`` and the states of an optimiser, such as ``m``, are flat arrays of all
        parameters but the tables, ``params[64:128]`` a part; ``0.weight:m`` is the state of one
        table.
        """
        if name in self.params:
            return self.params[name]
        if name in self.buffers:
            return self.buffers[name]
        for parameter, view in self.grads.views.items():
            if gradient_name(parameter) == name:
                return view
        table, _, state = name.rpartition(":")
        if table in self.tables:
            return self.layout.view(self._moment(state), table)
        array, part = split_part(name)
        return self._flat(array)[: self.layout.dense] if part is None else self._flat(array)[part]

    def _flat(self, name: str) -> Array:
        """Return the flat array of all parameters, of all gradients, or of an optimiser."""
        known = {"params": self.params, "grads": self.grads}
        return known[name].flat if name in known else self._moment(name)

    def _moment(self, name: str) -> Array:
        """Return an array of the optimiser for all parameters, zeros when it is new."""
        if name not in self.moments:
            self.moments[name] = aligned_zeros(self.size, self.params.flat.dtype)
        return self.moments[name]

    def use_optimizer(self, optimizer: Optimizer, steps: int) -> Array:
        """Make this optimiser the present one; return the scalars of its next steps.

        The state goes on while the class stays the same; another class starts at zero.
        """
        name = optimizer.__class__.__name__
        goes_on = self.optimizer == name
        hyper = self._scalars(optimizer, self.updates if goes_on else 0, steps)
        if not goes_on:
            self.reset_optimizer()
            self.optimizer = name
            for state in optimizer.state_names():
                self._moment(state).fill(optimizer.initial_state(state))
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
        self.memory.clear()

    def count_updates(self, updates: int) -> None:
        """Record updates by the present optimiser, each from a batch of its own."""
        self.updates += updates
        self.steps += updates


def _copies(values: dict[str, Any]) -> dict[str, Any]:
    """Return arrays copied, and all else as it is."""
    return {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }


def _initialize(arrays: NamedArrays, wanted: dict[str, Parameter], stream: list[int]) -> None:
    """Give arrays their starting values, each from a stream of its own."""
    for index, (name, parameter) in enumerate(wanted.items()):
        rng = np.random.default_rng([*stream, index])
        arrays[name] = parameter.initializer(parameter.shape, rng)
