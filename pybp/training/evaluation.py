"""Losses and metrics of a net on data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.data import inputs
from pybp.data.batches import cut, spans
from pybp.data.class_weight import by_class
from pybp.data.feeding import calls, feed
from pybp.data.sequences import Layout, flat_like, is_ragged
from pybp.data.sources import Rows, Source
from pybp.losses import Loss, Target
from pybp.nets.network import Network
from pybp.nets.objective import Goal, Objective
from pybp.nets.programs import Bound
from pybp.program.builder import Port
from pybp.program.ops import Shape
from pybp.program.program import Program

_BATCH = 1024  # rows of a step; the sums of the steps are added


class Answer:
    """The targets of one output, checked and ready, and their weights.

    Attributes
    ----------
    target : Target
        What they are.
    data : list of arrays
        The targets, then the weights if there are any.
    weight_shape : shape or None
        Of the weights of one sample.
    """

    def __init__(
        self,
        loss: Loss,
        port: Port,
        layout: Layout | None,
        rows: int,
        dtype: str,
        y: Any,
        sample_weight: Any,
    ) -> None:
        self.loss, self.port, self.dtype = loss, port, dtype
        sizes = port.sizes
        found: Rows
        if layout is None:
            found = inputs.rows_of(y, "y")
            inputs.same_rows(rows, found)
        else:
            found = flat_like(y, "y", layout)
        self.target = _target(loss, found, sizes)
        ready = inputs.ready if layout is None else inputs.whole
        self.data: list[Rows] = [ready(found, dtype)]
        self.weight_shape: Shape | None = None
        if sample_weight is not None:
            w = _weights(loss, sample_weight, layout, rows, sizes)
            self.weight_shape = w.shape[1:]
            self.data.append(inputs.whole(w, dtype))

    def goal(self) -> Goal:
        """Return what a program must know of the targets."""
        return Goal(self.target, self.weight_shape)

    def weigh_classes(self, class_weight: Any) -> None:
        """Multiply the weights by those of the targets' classes."""
        y, *weight = (inputs.whole(array, self.dtype) for array in self.data)
        w = by_class(class_weight, self.loss, self.port.sizes, y, *weight)
        w = inputs.weights(w, len(w), self.port.sizes)
        self.weight_shape = w.shape[1:]
        self.data[1:] = [inputs.whole(w, self.dtype)]


class Examples:
    """Inputs and targets, checked and ready: what evaluation and training work on.

    Parameters
    ----------
    net : Network
        Built from x if it is not yet.
    objective : Objective
        Says what targets there must be.
    x, y : array, list of arrays, or a tuple or dict of them
        Inputs and targets.
    sample_weight : array, or a tuple or dict of them, optional
        Weights of the samples, or of their positions; an array counts for all outputs.
    lengths : int array, optional
        The steps that count in padded sequences.
    """

    def __init__(
        self,
        net: Network,
        objective: Objective,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        lengths: Any = None,
    ) -> None:
        was_built = net.is_built
        self.batch, self.outputs = net.look_at(x, lengths)
        self.rows = self.batch.rows
        targets = objective.each_of(y, "y")
        shared = not isinstance(sample_weight, tuple | dict)
        each = (
            [sample_weight] * len(targets)
            if shared
            else objective.each_of(sample_weight, "sample_weight")
        )
        self.answers: list[Answer] = []
        for k, _, loss in objective.judged():
            port = self.outputs[k]
            layout = net.layout_of(port, self.batch)
            given = (targets[k], each[k])
            self.answers.append(Answer(loss, port, layout, self.rows, net.dtype, *given))
        self.data: list[Rows] = []
        self.take_answers()
        if not was_built:
            net.build_for(x)  # now that all is found to fit

    def take_answers(self) -> None:
        """Put the data together: inputs, then targets and weights of each output."""
        answers = [array for answer in self.answers for array in answer.data]
        self.data = [*self.batch.data, *answers]

    def weigh_classes(self, class_weight: Any) -> None:
        """Multiply the weights by those of the targets' classes, where there is one output."""
        if len(self.answers) != 1:
            raise ValueError("class_weight needs a net with one loss: weigh the samples instead")
        self.answers[0].weigh_classes(class_weight)
        self.take_answers()

    def goals(self) -> tuple[Goal, ...]:
        """Return what programs must know of the targets."""
        return tuple(answer.goal() for answer in self.answers)

    def sizes(self) -> list[Any]:
        """Return the shapes of the outputs, of one sample or one time step."""
        return [port.sizes for port in self.outputs]

    def layouts(self, program: Program) -> tuple[Layout, ...]:
        """Return the layouts of all packings of a program."""
        return self.batch.packings_of(program)


def _target(loss: Loss, y: Rows, sizes: tuple[int | None, ...]) -> Target:
    """Check targets, bit by bit where they are read so; return what they are."""
    if not isinstance(y, Source):
        return loss.target(y, sizes)
    found = {loss.target(block, sizes) for block in y.blocks()}  # all blocks are alike
    return found.pop()


def _weights(
    loss: Loss, value: Any, layout: Layout | None, rows: int, sizes: tuple[int | None, ...]
) -> Array:
    """Return the weights of the samples, or of their time steps in a flat array."""
    if layout is None:
        return inputs.weights(value, rows, sizes)
    if not is_ragged(value) and inputs.numbers(value, "sample_weight").ndim == 1:
        if loss.reduction == "batch":
            raise ValueError(
                'reduction="batch" takes weights of time steps where the net gives sequences, '
                f"shape ({rows}, steps), got weights of samples"
            )
        each = inputs.weights(value, rows, ())
        packing = layout.packing()
        flat = np.zeros(layout.rows, each.dtype)
        flat[packing.places(layout.first)] = each[packing.samples()]
        return flat
    return inputs.weights(flat_like(value, "sample_weight", layout), layout.rows, sizes)


class Evaluator:
    """The bound evaluate programs of one net and objective."""

    def __init__(self, net: Network, objective: Objective) -> None:
        objective.check_one_number()
        self.net, self.objective = net, objective
        self._bound: dict[tuple[object, ...], Bound] = {}

    def __call__(self, examples: Examples) -> dict[str, float]:
        """Return the losses and the metrics in evaluation mode."""
        bound, starts = self.bind(examples)
        return self.objective.means(self._totals(bound, examples, starts), examples.rows)

    def bind(self, examples: Examples) -> tuple[Bound, Array]:
        """Return the program for such examples with room for them, and where its steps begin."""
        net = self.net
        net.use_states(examples.rows)
        goals = examples.goals()
        key = (goals, net.current_backend)
        rows = net.rows_at_once(examples.rows, _BATCH)
        starts = cut(examples.rows, rows, examples.batch.layouts)
        bound = self._bound[key] = net.with_room(
            self._bound.get(key),
            lambda: net.recipe.evaluate(self.objective, goals),
            int(np.diff(starts).max()),
            examples.batch.layouts,
            lambda: self.objective.constants(examples.sizes()),
        )
        bound.check_rows(examples.rows)
        return bound, starts

    def _totals(self, bound: Bound, examples: Examples, starts: Array) -> Array:
        """Return the sums of the results of all steps."""
        results = np.zeros((len(starts) - 1, 2 * len(bound.program.results)))
        all_spans = spans(examples.layouts(bound.program))
        for part in calls(examples.data, starts):
            fed = feed(bound.program, examples.data, None, starts[part], all_spans)
            steps = slice(part.start, part.stop - 1)
            nothing = np.zeros((len(fed.starts) - 1, 0))
            bound.executor.run(
                *(fed.data, None, fed.starts, nothing, results[steps], self.net.seed, 0, 0),
                *(len(bound.program.ops), fed.spans),
            )
        totals: Array = results.sum(axis=0)
        return totals


def running_sum(total: Array, results: Sequence[Array] | Array) -> Array:
    """Return a sum (m,) plus the rows of results (steps, m), added one by one in their order.

    So the sum over an epoch does not depend on how its steps are cut into calls.
    """
    table = np.concatenate([total[None], np.asarray(results)])
    last: Array = np.add.accumulate(table, axis=0)[-1]
    return last
