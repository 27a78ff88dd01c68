"""What a net has: its graph, its state once it is built, and what its programs are made from."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Self

from pybp import backends, inputs
from pybp.arrays import FLOAT_TYPES, check_dtype
from pybp.by_hand import HandPass
from pybp.graph import Graph
from pybp.parameters import GradientArrays, NamedArrays
from pybp.program.ops import Shape
from pybp.program.program import Program
from pybp.programs import Bound, GradientProgram, Recipe, probe
from pybp.state import State
from pybp.summary import summary

_TRANSIENT = ("_recipe", "_state", "_pending", "_bound", "_gradient_names", "_lock", "_training")


class Built:
    """Base of ``Network``: the graph, the state, and copies of both.

    Parameters
    ----------
    graph : Graph
        The layers.
    dtype, seed, backend
        See ``Network``.
    """

    def __init__(self, graph: Graph, dtype: str, seed: int | None, backend: str | None) -> None:
        self.graph = graph
        self.dtype = check_dtype(dtype)
        self.seed = inputs.check_seed(seed)
        self.backend = None if backend is None else backends.check_backend(backend)
        self._output_shape: Shape = ()
        self._whole_batch = False
        self._start_unbuilt()

    def _start_unbuilt(self) -> None:
        """Have no parameters, no programs, and free locks: what copies and files don't carry."""
        self._recipe: Recipe | None = None
        self._state: State | None = None
        self._pending: HandPass | None = None
        self._bound: dict[tuple[str, str], Bound] = {}
        self._gradient_names: dict[bool, GradientProgram] = {}
        self._lock = threading.RLock()  # one call at a time uses the workspaces
        self._training = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        shape = None if self._recipe is None else self._recipe.input_shape
        state = None if self._state is None else self._state.export()
        carried = {name: value for name, value in vars(self).items() if name not in _TRANSIENT}
        return {**carried, "built": (shape, state)}

    def __setstate__(self, carried: dict[str, Any]) -> None:
        shape, state = carried.pop("built")
        vars(self).update(carried)
        self._start_unbuilt()
        if shape is not None:
            self.build(shape)
            self.state.restore(state)

    def build(self, input_shape: Sequence[int]) -> Self:
        """Make the parameters, for samples of this shape (without the batch axis).

        Raises
        ------
        ValueError
            When a layer can't take what it would get, or when the net is already built for
            another shape.
        MemoryError
            When the machine can't hold the parameters.
        """
        shape = inputs.check_shape(input_shape)
        if self._recipe is not None:
            if shape != self._recipe.input_shape:
                raise ValueError(
                    f"this net is built for samples of shape {self._recipe.input_shape}, "
                    f"got {shape}"
                )
            return self
        with self._lock:
            if self._recipe is None:  # no other thread was faster
                wanted = probe(self.graph.lower, self.dtype, shape)
                self._state = State(
                    wanted.parameters, FLOAT_TYPES[self.dtype], self.seed, wanted.buffers
                )
                self._output_shape, self._whole_batch = wanted.output, wanted.whole_batch
                self._recipe = Recipe(self.graph.lower, self.dtype, shape, self._state.size)
        return self

    @property
    def is_built(self) -> bool:
        """Whether the parameters exist."""
        return self._recipe is not None

    @property
    def recipe(self) -> Recipe:
        """What the programs of this net are made from; raises before the net is built."""
        shape = self.graph.input_shape()
        if self._recipe is None and shape is not None:
            self.build(shape)
        if self._recipe is None:
            raise RuntimeError(
                "the net is not built yet: call net.build(shape of one sample), or predict, "
                "forward or fit, which build it from their input"
            )
        return self._recipe

    @property
    def state(self) -> State:
        """Parameters, gradients, optimiser state and counters; raises before the net is built."""
        if self._state is None:
            self.recipe  # noqa: B018 - builds it where an Input tells the shape, raises else
        assert self._state is not None
        return self._state

    @property
    def input_shape(self) -> Shape:
        """The shape of one input sample."""
        return self.recipe.input_shape

    @property
    def output_shape(self) -> Shape:
        """The shape of one output sample."""
        self.recipe  # noqa: B018 - raises before the net is built
        return self._output_shape

    def output_shape_for(self, shape: Shape) -> Shape:
        """Return what samples of a shape become, without building the net."""
        if self._recipe is not None and shape == self._recipe.input_shape:
            return self._output_shape
        return probe(self.graph.lower, self.dtype, inputs.check_shape(shape)).output

    def rows_at_once(self, rows: int, most: int) -> int:
        """Return the rows of a step of evaluation: all where layers look at the whole batch."""
        return rows if self._whole_batch else min(rows, most)

    @property
    def params(self) -> NamedArrays:
        """The live parameters: a mapping from names such as ``"0.weight"`` to views."""
        return self.state.params

    @property
    def grads(self) -> GradientArrays:
        """The gradients of the last backward pass, under the names of the parameters.

        Reading is legal after ``backward``, after ``fit``, or with
        ``Trainer(..., keep_grads=True)``; assigning is legal at any time, so that gradients made
        elsewhere can be stepped.
        """
        return self.state.grads

    @property
    def buffers(self) -> NamedArrays:
        """The live running statistics: names such as ``"1.running_mean"`` to views.

        ``forward(training=True)`` and steps of training update them; assigning copies, with a
        check of the shape.
        """
        return self.state.buffers

    @property
    def program(self) -> Program:
        """The lowered program: forward in training mode, then backward; ``print`` shows it."""
        return self.recipe.gradient(training=True).program

    def summary(self) -> str:
        """Return a table of the layers: name, description, shape of the output, parameters."""
        return summary(self.graph, self.input_shape, self.dtype)

    def reset_optimizer(self) -> None:
        """Forget the state of the optimiser: the next update is its first."""
        self.state.reset_optimizer()
