"""Cells of any layers: the graph of one time step, and the layer that runs it through time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pybp.activations import Sigmoid, Tanh
from pybp.graphs.graph import Graph
from pybp.graphs.graph_making import trace
from pybp.initializers import Orthogonal
from pybp.layers import Add, BatchNorm, Columns, Input, Layer, LayerNorm, Linear, Multiply, Value
from pybp.program.builder import Builder
from pybp.program.ops import Activate, ByRank, LastStep, N, ReverseSteps, Zeros, packed
from pybp.program.program import View


class Cell:
    """One time step as a graph of layers: from its inputs and the states to the next states.

    Parameters
    ----------
    inputs : Input, or list of them
        A time step of each sequence that enters.
    states : Input, or list of them
        What is handed on from step to step; zeros at first, unless a start is given.
    outputs : value
        What the cell gives at each step.
    next_states : value, or list of them
        What each state becomes, of the same shape.

    Raises
    ------
    ValueError
        Where the numbers of states differ; for a layer that looks at other time steps or other
        samples (recurrent layers, embeddings, BatchNorm), and as ``Model`` does.
    TypeError
        For anything but symbolic values.

    Notes
    -----
    Parameters are the same at all steps. Dropout inside a cell draws the same units at every step.

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> x, h = bp.Input((3,)), bp.Input((4,))
    >>> y = bp.Tanh()(bp.Add()([bp.Linear(4)(x), bp.Linear(4, bias=False)(h)]))
    >>> net = bp.Sequential([bp.Recurrent(bp.Cell(x, h, y, y))])
    >>> net.predict(np.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    def __init__(self, inputs: Any, states: Any, outputs: Any, next_states: Any) -> None:
        sources, held, following = _listed(inputs), _listed(states), _listed(next_states)
        if not sources or not held:
            raise ValueError("a cell has at least one input and one state")
        if len(held) != len(following):
            raise ValueError(f"a cell of {len(held)} states has as many next, got {len(following)}")
        for one in (*sources, *held):
            if not isinstance(one, Input):
                raise TypeError(f"inputs and states must be a bp.Input(...) each, got {one!r}")
        for value in (outputs, *following):
            if not isinstance(value, Value | Input):
                raise TypeError(
                    f"outputs and next_states must be what layers have returned, got {value!r}"
                )
        self._set(trace([*sources, *held], [outputs, *following]), len(sources))

    @classmethod
    def of_graph(cls, graph: Graph, input_count: int) -> Cell:
        """Return the cell of a graph whose first inputs are the inputs, and the others states."""
        cell = cls.__new__(cls)
        cell._set(graph, input_count)
        return cell

    def _set(self, graph: Graph, input_count: int) -> None:
        states = graph.input_count - input_count
        if not 0 < input_count < graph.input_count or len(graph.outputs) != 1 + states:
            raise ValueError("a cell gives its output, and what each of its states becomes")
        for layer in graph.distinct():
            if layer.sequence or layer.takes_ids or isinstance(layer, BatchNorm):
                raise ValueError(
                    f"{layer!r} can't stand in a cell, which sees one time step of each sample"
                )
            if isinstance(layer, Input) and (None in layer.shape or not layer.shape):
                raise ValueError(f"the inputs of a cell have sizes alone, got {layer!r}")
        self.graph = graph
        self.input_count = input_count

    @property
    def state_shapes(self) -> list[tuple[int, ...]]:
        """The shape of each state of one sample."""
        sources = self.graph.sources()[self.input_count :]
        return [source.shape for source in sources if source is not None]

    def __repr__(self) -> str:
        layers = [layer for layer in self.graph.distinct() if not layer.is_source()]
        return f"<Cell of {len(layers)} layers, states {self.state_shapes}>"


class Recurrent(Layer):
    """A cell of any layers, run through time: ``Recurrent(bp.Cell(x, [h], y, [h2]))``.

    Parameters
    ----------
    cell : Cell
        What happens at each time step.
    reverse : bool
        Run each sequence from its own last step to its first; the outputs stay where they belong.
    return_sequences : bool
        Give the output at every step, or that after the last step of each sequence alone.
    return_state : bool
        Give the final states too.
    lr_scale : float
        Multiplies the rate of this layer's updates; 0 leaves its parameters as they are.
    name : str, optional
        First part of the parameters' names in place of the position.

    Notes
    -----
    Input (n, steps, ...), a list of them for a cell with several inputs, of equal lengths; output
    (n, steps, ...), or (n, ...) without ``return_sequences``. Parameters are named by the layers of
    the cell: ``0.1.weight`` for layer 1 of the cell of layer 0; a layer that also stands outside of
    the cell shares nothing with it. For the gradient the states of all
    steps are kept, and what else happens in a step is computed again on the way back.
    """

    cell: Cell
    reverse: bool = False
    return_sequences: bool = True
    return_state: bool = False
    lr_scale: float = 1.0
    name: str | None = None
    sequence = True

    def _check(self) -> None:
        if not isinstance(self.cell, Cell):
            raise TypeError(f"Recurrent takes a bp.Cell, got {self.cell!r}")

    def __call__(self, value: Any, initial_state: Any = None) -> Any:
        """Return what the layer makes of symbolic values.

        Parameters
        ----------
        value : symbolic value, or list of them
            Sequences (n, steps, ...), one for each input of the cell.
        initial_state : symbolic value, or list of them; optional
            The states before the first step, (n, ...); zeros by default.

        Returns
        -------
        value or tuple of values
            y; with ``return_state`` (y, state, ...).

        Raises
        ------
        TypeError, ValueError
            For anything but symbolic values, and for another number of them.
        """
        sequences = _listed(value)
        states = [] if initial_state is None else _listed(initial_state)
        count, held = self.cell.input_count, len(self.cell.state_shapes)
        if len(sequences) != count:
            raise ValueError(f"Recurrent: the cell has {count} inputs, got {len(sequences)}")
        if states and len(states) != held:
            raise ValueError(f"Recurrent: the cell has {held} states, got {len(states)}")
        given = (*sequences, *states)
        self.check_symbolic(given)
        return self._values(given)

    def sequence_count(self) -> int:
        """Return how many of the values that it reads are sequences: the first ones."""
        return self.cell.input_count

    def keeps_steps(self) -> bool:
        """Tell whether the layer writes a row for each time step."""
        return self.return_sequences

    def output_count(self) -> int:
        """Return how many values the layer writes: y, and the states if they are wanted."""
        return 1 + len(self.cell.state_shapes) * self.return_state

    def lower_many(
        self, builder: Builder, values: Sequence[str], path: str
    ) -> str | tuple[str, ...]:
        """Lower to a loop over time, and to the ops around it."""
        count = self.cell.input_count
        sequences, given = list(values[:count]), values[count:]
        packings = {builder.packing(x) for x in sequences}
        packing = packings.pop()
        if len(sequences) < count or packing is None or packings:
            raise ValueError(
                f"layer {path} (Recurrent): the cell reads {count} sequences of equal lengths"
            )
        if self.reverse:
            sequences = [
                builder.append(ReverseSteps(x, builder.fresh(path), packing)) for x in sequences
            ]
        starts = self._starts(builder, given, packing, path)
        y, *states = self._loop(builder, sequences, starts, packing, path)
        return self._outputs(builder, y, states, packing, path)

    def _starts(self, builder: Builder, given: Sequence[str], packing: int, path: str) -> list[str]:
        """Return the states before the first step, in the order of the packing."""
        shapes = self.cell.state_shapes
        if not given:
            return [builder.append(Zeros(builder.fresh(path), (N, *shape))) for shape in shapes]
        for value, shape in zip(given, shapes, strict=True):
            if builder.packing(value) is not None or builder.shape(value) != shape:
                raise ValueError(
                    f"layer {path} (Recurrent): a state of the cell is {shape} for each sample, "
                    f"got {builder.shape(value)}"
                )
        return [builder.append(ByRank(x, builder.fresh(path), packing)) for x in given]

    def _loop(
        self,
        builder: Builder,
        sequences: Sequence[str],
        starts: Sequence[str],
        packing: int,
        path: str,
    ) -> list[str]:
        """Append the loop; return the packed outputs and states."""
        program, inner = builder.program, builder.inside()
        read = [program.add_view(f"{x} now", View(x)) for x in sequences]
        states = [self._whole(builder, start, packing, path) for start in starts]
        for whole, start in zip(states, starts, strict=True):
            read.append(program.add_view(f"{whole} before", View(whole, start)))
        nodes = self.cell.graph.nodes
        paths = [node._replace(path=f"{path}.{node.path}") for node in nodes]
        y, *following = Graph(paths, self.cell.graph.outputs).lower(inner, read)
        for value, shape in zip(following, self.cell.state_shapes, strict=True):
            if builder.shape(value) != shape:
                raise ValueError(
                    f"layer {path} (Recurrent): a state of {shape} can't become "
                    f"{builder.shape(value)}"
                )
        written = dict(zip(states, following, strict=True))
        place = following.index(y) if y in following else None
        whole = self._whole(builder, y, packing, path) if place is None else states[place]
        for buffer, value in {**written, whole: y}.items():
            view = program.add_view(f"{buffer} now", View(buffer))
            inner.append(Activate(value, view, "identity"))
        program.append_loop(packing, inner.program.ops)
        return [whole, *states]

    def _whole(self, builder: Builder, like: str, packing: int, path: str) -> str:
        """Declare the buffer that holds a value of the loop at all steps."""
        shape = (packed(packing), *builder.shape(like))
        return builder.program.add_buffer(builder.fresh(path), shape, "value")

    def _outputs(
        self, builder: Builder, y: str, states: Sequence[str], packing: int, path: str
    ) -> str | tuple[str, ...]:
        def last(x: str) -> str:
            return builder.append(LastStep(x, builder.fresh(path), packing))

        final = tuple(last(state) for state in states) if self.return_state else ()
        if not self.return_sequences:
            y = last(y)
        elif self.reverse:
            y = builder.append(ReverseSteps(y, builder.fresh(path), packing))
        return (y, *final) if final else y


def layer_norm_lstm(features: int, units: int, *, eps: float = 1e-5) -> Cell:
    """Return the cell of an LSTM with layer normalisation (Ba, Kiros and Hinton 2016, eq. 20-22).

    With LN the normalisation over the units, of x and h by themselves, and the parts i, f, g, o of
    ``LN(x @ weight_ih) + LN(h @ weight_hh) + b``: ``c = sigmoid(f) * c + sigmoid(i) * tanh(g)``,
    ``h = sigmoid(o) * tanh(LN(c))``.

    Parameters
    ----------
    features : int
        Size of a time step.
    units : int
        Size of the states h and c.
    eps : float
        Added to the variances.

    Notes
    -----
    Of the three biases that the equation adds up there is one, that of ``norm_ih``. Parameters
    ``ih.weight`` (features, 4 * units), ``hh.weight`` (units, 4 * units), ``norm_ih.weight``,
    ``norm_ih.bias``, ``norm_hh.weight`` (4 * units,), ``norm_c.weight``, ``norm_c.bias`` (units,).

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> net = bp.Sequential([bp.Recurrent(bp.layer_norm_lstm(3, 4), return_sequences=False)])
    >>> net.predict(np.ones((2, 5, 3))).shape
    (2, 4)
    """
    x, h, c = Input((features,)), Input((units,)), Input((units,))
    wide = 4 * units
    from_x = LayerNorm(eps, name="norm_ih")(Linear(wide, bias=False, name="ih")(x))
    from_h = Linear(wide, bias=False, weight_init=Orthogonal(), name="hh")(h)
    from_h = LayerNorm(eps, bias=False, name="norm_hh")(from_h)
    z = Add()([from_x, from_h])
    i, f, g, o = (Columns(k * units, units)(z) for k in range(4))
    kept = Multiply()([Sigmoid()(f), c])
    new = Multiply()([Sigmoid()(i), Tanh()(g)])
    next_c = Add()([kept, new])
    next_h = Multiply()([Sigmoid()(o), Tanh()(LayerNorm(eps, name="norm_c")(next_c))])
    return Cell(x, [h, c], next_h, [next_h, next_c])


def _listed(given: Any) -> list[Any]:
    """Return one value, or several, as a list."""
    return list(given) if isinstance(given, list | tuple) else [given]
