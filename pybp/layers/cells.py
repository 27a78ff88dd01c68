"""Recurrent layers: Elman nets, LSTM, GRU, and any of them in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.initializers import Initializer
from pybp.layers.base import Layer
from pybp.layers.recurrent import BIAS_INIT, RecurrentLayer
from pybp.program.builder import Builder
from pybp.program.ops.recurrent import GATES


class ForgetBias(Initializer):
    """The bias of an LSTM: 1 in the forget part, so that cells keep what they hold at first.

    (Jozefowicz, Zaremba and Sutskever 2015.)
    """

    bias_init: Initializer = BIAS_INIT

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the starting values."""
        bias = self.bias_init(shape, rng)
        units = shape[0] // GATES["lstm"]
        bias[units : 2 * units] = 1
        return bias


class RNN(RecurrentLayer):
    """Elman net: ``h = tanh(x @ weight_ih + bias_ih + h @ weight_hh + bias_hh)`` (Elman 1990).

    Parameters
    ----------
    units, num_layers, bidirectional, dropout, recurrent_dropout, return_sequences, return_state, \
    stateful, bias, weight_init, recurrent_init, bias_init, name
        As ``pybp.layers.RecurrentLayer`` describes them.
    nonlinearity : {"tanh", "relu"}
        The function of the state.

    Notes
    -----
    One gate. ``initial_state=h``; with ``return_state`` the layer gives (y, h).
    """

    nonlinearity: str = "tanh"
    lr_scale: float = 1.0
    name: str | None = None

    def _check(self) -> None:
        super()._check()
        if self.nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: nonlinearity is tanh or relu, got {self.nonlinearity!r}")

    def cell(self) -> str:
        """Return the name of the op's cell."""
        return f"rnn_{self.nonlinearity}"


class LSTM(RecurrentLayer):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with a forget gate).

    With the gates i, f, g, o as parts of ``x @ weight_ih + bias_ih + h @ weight_hh + bias_hh``:
    ``c = sigmoid(f) * c + sigmoid(i) * tanh(g)``, ``h = sigmoid(o) * tanh(c)``.

    Parameters
    ----------
    units, num_layers, bidirectional, dropout, recurrent_dropout, return_sequences, return_state, \
    stateful, bias, weight_init, recurrent_init, bias_init, name
        As ``pybp.layers.RecurrentLayer`` describes them.

    Notes
    -----
    Four gates; the forget part of ``bias_ih`` starts at 1. ``initial_state=(h, c)``; with
    ``return_state`` the layer gives (y, h, c).
    """

    lr_scale: float = 1.0
    name: str | None = None
    _states = 2

    def cell(self) -> str:
        """Return the name of the op's cell."""
        return "lstm"

    def _first_bias(self) -> Initializer:
        return ForgetBias(self.bias_init)


class GRU(RecurrentLayer):
    """Gated recurrent unit (Cho et al. 2014), the reset after the product.

    With z = ``x @ weight_ih + bias_ih`` and q = ``h @ weight_hh + bias_hh``, both in the parts r,
    u, n: ``r = sigmoid(z_r + q_r)``, ``u = sigmoid(z_u + q_u)``, ``n = tanh(z_n + r * q_n)``,
    ``h = (1 - u) * n + u * h``.

    Parameters
    ----------
    units, num_layers, bidirectional, dropout, recurrent_dropout, return_sequences, return_state, \
    stateful, bias, weight_init, recurrent_init, bias_init, name
        As ``pybp.layers.RecurrentLayer`` describes them.

    Notes
    -----
    Three gates. ``initial_state=h``; with ``return_state`` the layer gives (y, h).
    """

    lr_scale: float = 1.0
    name: str | None = None

    def cell(self) -> str:
        """Return the name of the op's cell."""
        return "gru"


class Bidirectional(Layer):
    """A recurrent layer in both directions: ``Bidirectional(LSTM(8))``.

    The same as ``LSTM(8, bidirectional=True)``. Both states stand side by side, aligned in time;
    each sequence is reversed within its own length.

    Parameters
    ----------
    cell : RNN, LSTM or GRU
        The layer.
    name : str, optional
        First part of the parameters' names in place of the position.
    """

    cell: RecurrentLayer
    name: str | None = None
    sequence = True

    def _check(self) -> None:
        if not isinstance(self.cell, RecurrentLayer):
            raise TypeError(f"Bidirectional takes an RNN, LSTM or GRU, got {self.cell!r}")
        self._both()

    def __call__(self, value: Any, initial_state: Any = None) -> Any:
        """Return what the layer makes of a symbolic value: as ``RecurrentLayer`` does."""
        return self._values(self._both().read(value, initial_state))

    def rate_scale(self) -> float:
        """Return what multiplies the rate of the cell's updates."""
        return self.cell.rate_scale()

    def keeps_steps(self) -> bool:
        """Tell whether the layer writes a row for each time step."""
        return self.cell.keeps_steps()

    def output_count(self) -> int:
        """Return how many values the layer writes: y, and its states if they are wanted."""
        return self.cell.output_count()

    def lower_many(
        self, builder: Builder, values: Sequence[str], path: str
    ) -> str | tuple[str, ...]:
        """Lower as the layer does in both directions."""
        return self._both().lower_many(builder, values, path)

    def _both(self) -> RecurrentLayer:
        return self.cell.replace(bidirectional=True)
