"""One time step at a time, in microseconds: for generation, control and streams of data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pybp.arrays import FLOAT_TYPES, Array
from pybp.data import inputs
from pybp.data.batches import spans
from pybp.data.sequences import padded_layout

if TYPE_CHECKING:
    from pybp.nets.network import Network

_IDS = np.int32


class Stepper:
    """A net bound for one time step of some sequences; calling it takes the step.

    Made by ``net.stepper(rows)``. The stateful layers carry their states from call to call, as
    ``net.predict`` does; all checks are made once, here.

    Parameters
    ----------
    net : Network
        With one input and one output. It is built.
    rows : int
        The number of sequences that run side by side.

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> net = bp.Sequential([bp.GRU(4, stateful=True), bp.Linear(1)]).build((None, 2))
    >>> step = net.stepper()
    >>> step(np.ones(2)).shape
    (1,)
    """

    def __init__(self, net: Network, rows: int = 1) -> None:
        rows = inputs.whole_number(rows, "rows", 1)
        ports, outputs = net.recipe.ports, net.wanted.outputs
        if len(ports) != 1 or len(outputs) != 1:
            raise ValueError("a stepper takes a net with one input and one output")
        if ports[0].packing is not None and not net.wanted.carried:
            raise ValueError(
                "one step at a time needs states that go on from step to step: recurrent layers "
                "with stateful=True"
            )
        if any(size is not None for size in ports[0].shape[:1]) and ports[0].packing is not None:
            raise ValueError(
                f"the net takes sequences of {ports[0].shape[0]} steps, not single ones"
            )
        self._net, self._rows = net, rows
        single = rows == 1
        self.input_shape = ports[0].sizes if single else (rows, *ports[0].sizes)
        real = FLOAT_TYPES[net.dtype]
        self._x = np.zeros((rows, *ports[0].sizes), _IDS if ports[0].dtype == "int32" else real)
        self._y = np.zeros((rows, *outputs[0].sizes), real)
        self._given = self._x.reshape(self.input_shape)  # what a caller's array is copied to
        self._result = self._y[0] if single else self._y
        self._count = net.made.intake.id_counts[0]
        self._generation = -1
        self._bind()

    def __call__(self, x: Any) -> Array:
        """Return the output of one time step.

        Parameters
        ----------
        x : array (rows, *features), or (*features) for one sequence
            The step; a whole number, or (rows,) of them, for a net that takes ids.

        Returns
        -------
        array (rows, *outputs), or (*outputs) for one sequence
            A fresh array.
        """
        if np.shape(x) != self.input_shape:
            raise ValueError(f"a step must have shape {self.input_shape}, got {np.shape(x)}")
        if self._count:
            self._check_ids(np.asarray(x))
        self._given[...] = x
        if self._generation != self._net.use_states(self._rows):
            self._bind()
        self._executor.run(*self._arguments)
        return self._result.copy()

    def _bind(self) -> None:
        net = self._net
        self._generation = net.use_states(self._rows)
        layouts = [] if net.recipe.ports[0].packing is None else [padded_layout(self._rows, 1)]
        bound = net.bind_predict(self._rows, layouts)
        program, self._executor = bound.program, bound.executor
        given = {net.recipe.ports[0].name: self._x, program.outputs[0]: self._y}
        nothing = np.zeros((1, 0))
        starts = np.array([0, self._rows])
        data = [given[name] for name in bound.data]
        self._arguments = (
            *(data, None, starts, nothing, nothing, net.seed, 0, 0, len(program.ops)),
            spans(layouts),
        )

    def _check_ids(self, ids: Array) -> None:
        if ids.dtype.kind not in "iu":
            raise TypeError(f"a step must hold ids, whole numbers, got the dtype {ids.dtype}")
        if ids.min() < 0 or ids.max() >= self._count:
            raise IndexError(f"ids must lie in 0 ... {self._count - 1}, got {ids}")
