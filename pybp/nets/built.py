"""What a net has: its graph, its state once it is built, and what its programs are made from."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pybp import backends
from pybp.arrays import FLOAT_TYPES, check_dtype
from pybp.data import inputs
from pybp.data.batches import Batch, Intake, SampleShape, sample_shapes, take_batch
from pybp.data.sequences import Layout, padded_layout
from pybp.graphs.graph import Graph
from pybp.graphs.ports import input_names, intake, ports
from pybp.graphs.summary import summary
from pybp.nets.by_hand import HandPass
from pybp.nets.carried import Carried
from pybp.nets.parameters import GradientArrays, NamedArrays, Some
from pybp.nets.programs import Bound, GradientProgram, Recipe, Wanted, probe
from pybp.nets.state import State
from pybp.nets.training_lock import TrainingLock
from pybp.nets.update_programs import Parts
from pybp.program.builder import Port
from pybp.program.program import Program

if TYPE_CHECKING:
    from pybp.nets.repeated import RepeatedPredict

_TRANSIENT = (
    *("_made", "_pending", "_bound", "_gradient_names", "_predicted", "_lock", "_training"),
    "_owner",
)


class Made(NamedTuple):
    """What a net has once it is built."""

    recipe: Recipe
    wanted: Wanted
    intake: Intake
    state: State
    carried: Carried


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
        self._frozen: frozenset[str] = frozenset()  # names of layers, and of nets among them
        self._start_unbuilt()

    def _start_unbuilt(self) -> None:
        """Have no parameters, no programs, and free locks: what copies and files don't carry."""
        self._made: Made | None = None
        self._pending: HandPass | None = None
        self._bound: dict[tuple[str, str], Bound] = {}
        self._gradient_names: dict[bool, GradientProgram] = {}
        self._predicted: RepeatedPredict | None = None  # what the last predict has found out
        self._lock = threading.RLock()  # one call at a time uses the workspaces
        self._training = TrainingLock()
        self._owner: Built | None = None  # the net whose arrays this one uses

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name not in _TRANSIENT}
        made = self._made
        built = None
        if made is not None:
            wanted, state = made.wanted, made.state
            if self._owner is not None:
                state = state.of_some(wanted.parameters, wanted.buffers)
            built = (self._shapes(), state.export(), made.carried.export())
        return {**kept, "built": built}

    @property
    def shares_arrays(self) -> bool:
        """Whether the arrays are those of another net."""
        return self._owner is not None

    def use_arrays_of(self, net: Built) -> None:
        """Have no arrays of its own but those of another net, before this one is built."""
        self._owner = net
        self._lock, self._training = net._lock, net._training

    def __setstate__(self, kept: dict[str, Any]) -> None:
        built = kept.pop("built")
        vars(self).update(kept)
        self._start_unbuilt()
        if built is not None:
            shapes, state, carried = built
            self.build_empty(shapes)
            self.state.restore(state)
            self.carried.restore(carried)

    def build(self, input_shape: Sequence[Any]) -> Self:
        """Make the parameters, for samples of this shape (without the batch axis).

        Parameters
        ----------
        input_shape : tuple of int
            Shape of a sample. None as the first size of a sequence stands for any number of time
            steps: ``(None, features)``. A net of several inputs takes a tuple of shapes.

        Raises
        ------
        ValueError
            When a layer can't take what it would get, or when the net is already built for
            another shape.
        MemoryError
            When the machine can't hold the parameters.
        """
        several = self.graph.input_count > 1
        given = tuple(input_shape) if several else (input_shape,)
        if len(given) != self.graph.input_count:
            raise ValueError(f"the net takes {self.graph.input_count} inputs, got {given}")
        return self._build(tuple(inputs.check_shape(shape) for shape in given))

    def build_empty(self, shapes: tuple[SampleShape, ...]) -> Self:
        """Make parameters of zeros, for somebody who has their values; one shape for each input."""
        return self._build(shapes, empty=True)

    def _build(self, shapes: tuple[SampleShape, ...], *, empty: bool = False) -> Self:
        if self._made is not None:
            for port, shape in zip(self._made.recipe.ports, shapes, strict=True):
                if not _fits(port.shape, shape):
                    raise ValueError(
                        f"this net is built for samples of shape {port.shape}, got {shape}"
                    )
            return self
        with self._lock:
            if self._made is None:  # no other thread was faster
                found, wanted = self._probe(shapes)
                dtype = FLOAT_TYPES[self.dtype]
                if self._owner is None:
                    seed = None if empty else self.seed
                    state = State(wanted.parameters, dtype, seed, wanted.buffers)
                else:
                    state = self._owner.state
                    _check_shared(wanted, state)
                recipe = self._recipe(found, wanted, state)
                carried = Carried(wanted.carried, dtype)
                self._made = Made(recipe, wanted, intake(self.graph, found), state, carried)
        return self

    def _recipe(self, found: tuple[Port, ...], wanted: Wanted, state: State) -> Recipe:
        parameters = wanted.parameters
        frozen = frozenset(
            name for name in parameters if any(name.startswith(f"{f}.") for f in self._frozen)
        )
        parts = Parts.of(state.layout, parameters, frozen)
        return Recipe(self.graph.lower, self.dtype, found, parts, frozen)

    def trainable(self, layer: str, value: bool | None = None) -> bool:
        """Tell whether a layer is trained, after changing that if ``value`` is given.

        The parameters of a layer that is not trained (frozen) keep their values: they get no
        gradient (``net.grads`` holds zeros) and no update by any optimiser, and the states of the
        optimiser stay as they are. Running statistics of ``BatchNorm`` go on in training.

        Parameters
        ----------
        layer : str
            The name of a layer, or of a nested net for all layers in it.
        value : bool, optional
            False freezes, True lets it be trained again.

        Raises
        ------
        ValueError
            For a name that no layer has.
        """
        paths = [node.path for node in self.graph.nodes]
        known = {".".join(p.split(".")[: k + 1]) for p in paths for k in range(p.count(".") + 1)}
        if layer not in known:
            raise ValueError(f"there is no layer {layer!r}; the names are {', '.join(paths)}")
        if value is not None:
            if not isinstance(value, bool):
                raise TypeError(f"trainable takes True or False, got {value!r}")
            with self._lock:
                inside = {name for name in known if f"{name}.".startswith(f"{layer}.")}
                self._frozen = self._frozen - inside if value else self._frozen | {layer}
                self._renew()
        return not any(f"{layer}.".startswith(f"{name}.") for name in self._frozen)

    def _renew(self) -> None:
        """Make the recipe anew, and let go of the programs from the old one."""
        made = self._made
        if made is None:
            return
        recipe = self._recipe(made.recipe.ports, made.wanted, made.state)
        self._made = made._replace(recipe=recipe)
        self._pending = None
        self._bound.clear()
        self._gradient_names.clear()
        for name in recipe.frozen:
            made.state.grads.clear(name)

    def _probe(self, shapes: Sequence[SampleShape]) -> tuple[tuple[Port, ...], Wanted]:
        """Return the inputs and what the layers ask for, for samples of these shapes."""
        if len(shapes) != self.graph.input_count:
            raise ValueError(f"the net takes {self.graph.input_count} inputs, got {len(shapes)}")
        found = ports(self.graph, shapes)
        wanted = probe(self.graph.lower, self.dtype, found)
        if not wanted.needs_steps:  # then sequences of any length will do
            free = tuple(_any_length(port, self.graph) for port in found)
            if free != found:
                found, wanted = free, probe(self.graph.lower, self.dtype, free)
        return found, wanted

    def _shapes(self) -> tuple[SampleShape, ...]:
        return tuple(port.shape for port in self.recipe.ports)

    @property
    def is_built(self) -> bool:
        """Whether the parameters exist."""
        return self._made is not None

    @property
    def made(self) -> Made:
        """What the net has; built here where its inputs tell their shapes, else it raises."""
        if self._made is None:
            sources = self.graph.sources()
            if all(source is not None for source in sources):
                self._build(tuple(source.shape for source in sources if source is not None))
        if self._made is None:
            raise RuntimeError(
                "the net is not built yet: call net.build(shape of one sample), or predict, "
                "forward or fit, which build it from their input"
            )
        return self._made

    @property
    def recipe(self) -> Recipe:
        """What the programs of this net are made from; raises before the net is built."""
        return self.made.recipe

    @property
    def state(self) -> State:
        """Parameters, gradients, optimiser state and counters; raises before the net is built."""
        return self.made.state

    @property
    def wanted(self) -> Wanted:
        """What the layers have asked for, and what they give; raises before the net is built."""
        return self.made.wanted

    @property
    def carried(self) -> Carried:
        """The states that stateful layers carry; raises before the net is built."""
        return self.made.carried

    @property
    def input_shape(self) -> Any:
        """The shape of one input sample; a tuple of shapes where there are several inputs."""
        shapes = self._shapes()
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        """The shape of one output sample; a tuple of shapes where there are several outputs."""
        shapes = tuple(port.shape for port in self.wanted.outputs)
        return shapes[0] if len(shapes) == 1 else shapes

    def output_shape_for(self, shape: Sequence[int]) -> SampleShape:
        """Return what samples of a shape become, without building the net; it has one input."""
        found = (inputs.check_shape(shape),)
        return self._probe(found)[1].outputs[0].shape

    def look_at(self, x: Any, lengths: Any) -> tuple[Batch, tuple[Port, ...]]:
        """Check the samples of a call, and return what the net gives for them; don't build it."""
        if self._made is None and None in self.graph.sources():
            found, wanted = self._probe(sample_shapes(self.graph.input_count, x))
            return take_batch(intake(self.graph, found), x, lengths, self.dtype), wanted.outputs
        made = self.made
        return take_batch(made.intake, x, lengths, self.dtype), made.wanted.outputs

    def build_for(self, x: Any) -> None:
        """Build the net for such samples, if it is not built yet."""
        if self._made is None:
            self._build(sample_shapes(self.graph.input_count, x))

    def layout_of(self, port: Port, batch: Batch) -> Layout | None:
        """Return where the time steps of an output lie, None for one of whole samples."""
        if port.packing is None:
            return None
        if port.packing < len(batch.layouts):
            return batch.layouts[port.packing]
        assert port.shape[0] is not None
        return padded_layout(batch.rows, port.shape[0])

    def take_batch(self, x: Any, lengths: Any = None) -> Batch:
        """Check the samples of a call; build the net from them if it is not built yet.

        Raises
        ------
        TypeError, ValueError, IndexError
            For what the net can't take, before anything is changed.
        """
        batch, _ = self.look_at(x, lengths)
        self.build_for(x)
        return batch

    def rows_at_once(self, rows: int, most: int) -> int:
        """Return the rows of a step of evaluation: all where layers look at the whole batch."""
        whole = self.wanted.whole_batch or self.wanted.carried
        return rows if whole else min(rows, most)

    @property
    def params(self) -> NamedArrays | Some:
        """The live parameters: a mapping from names such as ``"0.weight"`` to views."""
        return self._own(self.state.params, self.wanted.parameters)

    def _own(self, arrays: Any, names: dict[str, Any]) -> Any:
        """Return the arrays of this net, of those that it may share with another one."""
        return arrays if self._owner is None else Some(arrays, tuple(names))

    @property
    def grads(self) -> GradientArrays | Some:
        """The gradients of the last backward pass, under the names of the parameters.

        Reading is legal after ``backward``, after ``fit``, or with
        ``Trainer(..., keep_grads=True)``; assigning is legal at any time, so that gradients made
        elsewhere can be stepped.
        """
        return self._own(self.state.grads, self.wanted.parameters)

    @property
    def buffers(self) -> NamedArrays | Some:
        """The live running statistics: names such as ``"1.running_mean"`` to views.

        ``forward(training=True)`` and steps of training update them; assigning copies, with a
        check of the shape.
        """
        return self._own(self.state.buffers, self.wanted.buffers)

    @property
    def program(self) -> Program:
        """The lowered program: forward in training mode, then backward; ``print`` shows it."""
        return self.recipe.gradient(training=True).program

    def summary(self) -> str:
        """Return a table of the layers: name, description, shape of the output, parameters."""
        return summary(self.graph, self.recipe.ports, self.dtype)

    def reset_states(self) -> None:
        """Let stateful layers start from zero states again, with a batch of any size."""
        with self._lock:
            if self._made is not None:
                self._made.carried.reset()

    def reset_optimizer(self) -> None:
        """Forget the state of the optimiser: the next update is its first."""
        self.state.reset_optimizer()


def _check_shared(wanted: Wanted, state: State) -> None:
    """Refuse layers whose arrays the net to share with doesn't have."""
    both = {**state.layout.shapes, **state.buffers.layout.shapes}
    for name, parameter in {**wanted.parameters, **wanted.buffers}.items():
        if both.get(name) != parameter.shape:
            raise ValueError(
                f"share= takes layers of the other net alone: it has no {name} of shape "
                f"{parameter.shape}"
            )


def _fits(wanted: SampleShape, given: SampleShape) -> bool:
    """Tell whether samples have a shape, whose None stands for any size."""
    return len(wanted) == len(given) and all(
        a is None or a == b for a, b in zip(wanted, given, strict=True)
    )


def _any_length(port: Port, graph: Graph) -> Port:
    """Return a port for sequences of any length, unless an Input says which."""
    if port.packing is None:
        return port
    source = graph.sources()[input_names(graph.input_count).index(port.name)]
    if source is not None and source.shape[0] is not None:
        return port
    return port._replace(shape=(None, *port.shape[1:]))
