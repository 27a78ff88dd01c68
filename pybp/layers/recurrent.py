"""What recurrent layers share: several layers, both directions, states in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from pybp.initializers import Initializer, Orthogonal, Zeros
from pybp.layers.base import (
    WEIGHT_INIT,
    Layer,
    check_count,
    check_initializers,
)
from pybp.program.builder import Builder
from pybp.program.ops import Columns, Concat, DropMask, Dropout, Recurrent
from pybp.program.ops import Reshape as ReshapeOp
from pybp.program.ops.recurrent import GATES

RECURRENT_INIT = Orthogonal()
BIAS_INIT = Zeros()


class _State(NamedTuple):
    """The state of one layer in one direction; "" where there is none."""

    h: str
    c: str


_NO_STATE = _State("", "")


class RecurrentLayer(Layer):
    """Base of the recurrent layers: what they share.

    Parameters
    ----------
    units : int
        Size of the state.
    num_layers : int
        Layers on top of each other, each reading the states of the one below.
    bidirectional : bool
        Run each layer forward and backward in time; both states stand side by side.
    dropout : float
        Probability of dropping what a layer passes on to the next one, at each step anew.
    recurrent_dropout : float
        Probability of dropping a unit of the state on its way to the next step: the same units at
        all steps of a sequence (Gal and Ghahramani 2016).
    return_sequences : bool
        Give the state at every step, or that after the last step of each sequence alone.
    return_state : bool
        Give the final states too.
    stateful : bool
        Begin each batch with the final states of the one before, row by row, until
        ``net.reset_states()``.
    bias : bool
        Whether there are biases.
    weight_init, recurrent_init, bias_init : initialiser
        GlorotUniform for ``weight_ih``, Orthogonal for ``weight_hh``, Zeros.
    lr_scale : float
        Multiplies the rate of this layer's updates; 0 leaves its parameters as they are.
    name : str, optional
        First part of the parameters' names in place of the position.

    Notes
    -----
    Input (n, steps, features); output (n, steps, directions * units), or (n, directions * units)
    without ``return_sequences``. With g gates the parameters of layer k are ``weight_ih_l<k>``
    (in, g * units), ``weight_hh_l<k>`` (units, g * units), ``bias_ih_l<k>`` and ``bias_hh_l<k>``
    (g * units,), with the suffix ``_reverse`` for the second direction. A state is (n, units), or
    (n, num_layers * directions, units) where there are several. Nothing is computed for the steps
    that a sequence does not have.
    """

    sequence = True
    _states: ClassVar[int] = 1  # arrays of a state: h, and c of an LSTM

    units: int
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    return_sequences: bool = True
    return_state: bool = False
    stateful: bool = False
    bias: bool = True
    weight_init: Initializer = WEIGHT_INIT
    recurrent_init: Initializer = RECURRENT_INIT
    bias_init: Initializer = BIAS_INIT

    def _check(self) -> None:
        check_count(self, "units", self.units)
        check_count(self, "num_layers", self.num_layers)
        check_initializers(self, self.weight_init, self.recurrent_init, self.bias_init)
        title = type(self).__name__
        for name in ("dropout", "recurrent_dropout"):
            p = getattr(self, name)
            if not 0 <= p <= 1:
                raise ValueError(f"{title}: {name} must lie in [0, 1], got {p!r}")
        if self.stateful and self.bidirectional:
            raise ValueError(f"{title}: stateful layers run forward alone, not bidirectional")

    def __call__(self, value: Any, initial_state: Any = None) -> Any:
        """Return what the layer makes of a symbolic value.

        Parameters
        ----------
        value : symbolic value
            Sequences (n, steps, features).
        initial_state : symbolic value, or pair of them for an LSTM; optional
            The state before the first step, (n, units), or (n, num_layers * directions, units)
            where there are several; zeros by default.

        Returns
        -------
        value or tuple of values
            y; with ``return_state`` (y, h), for an LSTM (y, h, c).

        Raises
        ------
        TypeError, ValueError
            For anything but symbolic values, and for an LSTM's h without c.
        """
        return self._values(self.read(value, initial_state))

    def read(self, value: Any, initial_state: Any) -> tuple[Any, ...]:
        """Return all that the layer reads, checked: the sequences, then the states."""
        states: tuple[Any, ...] = ()
        if initial_state is not None:
            pair = isinstance(initial_state, tuple | list)
            states = tuple(initial_state) if pair else (initial_state,)
            title = type(self).__name__
            if len(states) != self._states:
                wanted = "a pair (h, c)" if self._states == 2 else "h alone"
                raise ValueError(
                    f"{title}: initial_state must be {wanted}, got {len(states)} values"
                )
            if self.stateful:
                raise ValueError(f"{title}: a stateful layer has its own initial state")
        given = (value, *states)
        self.check_symbolic(given)
        return given

    def keeps_steps(self) -> bool:
        """Tell whether the layer writes a row for each time step."""
        return self.return_sequences

    def output_count(self) -> int:
        """Return how many values the layer writes: y, and its states if they are wanted."""
        return 1 + self._states if self.return_state else 1

    def cell(self) -> str:
        """Return the name of the op's cell."""
        raise NotImplementedError

    def lower_many(
        self, builder: Builder, values: Sequence[str], path: str
    ) -> str | tuple[str, ...]:
        """Lower to a recurrent op for each layer and direction."""
        x, *given = values
        if len(builder.shape(x)) != 1:
            raise ValueError(
                f"layer {path} ({type(self).__name__}) needs samples of shape (steps, features), "
                f"got steps of shape {builder.shape(x)}"
            )
        initial = self._initial(builder, given, path)
        final: list[_State] = []
        for k in range(self.num_layers):
            if k and self.dropout and builder.training:
                x = builder.append(Dropout(x, builder.fresh(path), self.dropout, builder.stream()))
            first = k * self._directions()
            written = [
                self._run(builder, x, path, k, d, initial[first + d])
                for d in range(self._directions())
            ]
            if self.return_sequences or k < self.num_layers - 1:
                x = self._joined(builder, [y for y, _ in written], path)
            final += [state for _, state in written]
        return self._outputs(builder, x, final, path)

    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _initial(self, builder: Builder, given: Sequence[str], path: str) -> list[_State]:
        """Return the state before the first step, for each layer and direction."""
        count = self.num_layers * self._directions()
        if self.stateful:
            names = [[f"{path}.{s}_l{k}" for s in "hc"[: self._states]] for k in range(count)]
            carried = [[builder.carry(name, self.units) for name in each] for each in names]
            return [_State(each[0], each[1] if len(each) > 1 else "") for each in carried]
        if not given:
            return [_NO_STATE] * count
        parts = [self._parts(builder, value, count, path) for value in given]
        return [
            _State(each[0], each[1] if len(each) > 1 else "") for each in zip(*parts, strict=True)
        ]

    def _parts(self, builder: Builder, value: str, count: int, path: str) -> list[str]:
        """Return the states of each layer and direction from one value that holds them all."""
        wanted = (self.units,) if count == 1 else (count, self.units)
        if builder.packing(value) is not None or builder.shape(value) != wanted:
            raise ValueError(
                f"layer {path} ({type(self).__name__}): a state must have the shape "
                f"(n{''.join(f', {size}' for size in wanted)}), got samples of "
                f"{builder.shape(value)}"
            )
        if count == 1:
            return [value]
        flat = builder.append(ReshapeOp(value, builder.fresh(path), (count * self.units,)))
        return [
            builder.append(Columns(flat, builder.fresh(path), k * self.units, self.units))
            for k in range(count)
        ]

    def _run(
        self, builder: Builder, x: str, path: str, k: int, direction: int, state: _State
    ) -> tuple[str, _State]:
        """Append one layer in one direction; return what it writes, and its final state."""
        suffix = f"_l{k}" + ("_reverse" if direction else "")
        wide = GATES[self.cell()] * self.units
        size = builder.shape(x)[0]
        names = {
            "w_ih": builder.parameter(f"{path}.weight_ih{suffix}", (size, wide), self.weight_init),
            "w_hh": builder.parameter(
                f"{path}.weight_hh{suffix}", (self.units, wide), self.recurrent_init
            ),
        }
        if self.bias:
            first = self._first_bias()
            names["b_ih"] = builder.parameter(f"{path}.bias_ih{suffix}", (wide,), first)
            names["b_hh"] = builder.parameter(f"{path}.bias_hh{suffix}", (wide,), self.bias_init)
        y = builder.fresh(path)
        if self.recurrent_dropout and builder.training:
            names["mask"] = builder.append(
                DropMask(f"{y} mask", self.units, self.recurrent_dropout, builder.stream())
            )
        final, packing = self._final_names(y), builder.packing(x)
        assert packing is not None
        builder.append(
            Recurrent(
                x=x,
                y=y,
                h0=state.h,
                c0=state.c,
                hn=final.h,
                cn=final.c,
                cell=self.cell(),
                packing=packing,
                reverse=direction == 1,
                **names,
            )
        )
        if self.stateful:
            builder.carried[f"{path}.h_l{k}"] = final.h
            if final.c:
                builder.carried[f"{path}.c_l{k}"] = final.c
        return y, final

    def _first_bias(self) -> Initializer:
        return self.bias_init

    def _final_names(self, y: str) -> _State:
        """Return names for the final state, as far as somebody wants it."""
        if self.return_state or self.stateful:
            return _State(f"{y} hn", f"{y} cn" if self._states == 2 else "")
        return _NO_STATE if self.return_sequences else _State(f"{y} hn", "")

    def _joined(self, builder: Builder, values: Sequence[str], path: str) -> str:
        """Return values side by side."""
        whole = values[0]
        for value in values[1:]:
            whole = builder.append(Concat(whole, value, builder.fresh(path)))
        return whole

    def _outputs(
        self, builder: Builder, x: str, final: Sequence[_State], path: str
    ) -> str | tuple[str, ...]:
        y = x
        if not self.return_sequences:
            last = final[-self._directions() :]
            y = self._joined(builder, [state.h for state in last], path)
        if not self.return_state:
            return y
        states = [[state.h for state in final]]
        if self._states == 2:
            states.append([state.c for state in final])
        return (y, *(self._stacked(builder, each, path) for each in states))

    def _stacked(self, builder: Builder, states: Sequence[str], path: str) -> str:
        """Return the states of several layers and directions as one value."""
        if len(states) == 1:
            return states[0]
        whole = self._joined(builder, states, path)
        shape = (len(states), self.units)
        return builder.append(ReshapeOp(whole, builder.fresh(path), shape))
