"""A training step on arrays that look like those of the step before: what needs no second look."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.data.feeding import Fed
from pybp.nets.repeated import Known, Looks
from pybp.training.evaluation import Examples
from pybp.training.nan_report import nan_error
from pybp.training.steps import Steps


class RepeatedStep:
    """A step like the one before: one plain input, one output, no weights, no lengths.

    Shapes, dtypes and the program follow from the looks of the arrays. What depends on the numbers
    in them, such as the range of labels, is checked each time.
    """

    def __init__(self, steps: Steps, known: Known, examples: Examples, looks: Looks) -> None:
        self._steps, self._known, self._looks = steps, known, looks
        answer = examples.answers[0]
        self._loss, self._sizes, self._target = answer.loss, answer.port.sizes, answer.target
        self._shape: tuple[int, ...] = answer.data[0].shape
        program = known.bound.program
        self._starts = np.array([0, examples.rows])
        self._results = np.zeros((1, 2 * len(program.results)))
        self._rest = (0, len(program.ops), known.spans, program.backward_start)

    @classmethod
    def of(
        cls, steps: Steps, examples: Examples, x: Any, y: Any, sample_weight: Any, lengths: Any
    ) -> RepeatedStep | None:
        """Return what is known after a step; None where the next one has to look at everything."""
        if sample_weight is not None or len(examples.outputs) != 1 or steps.optimizer.needs_loss:
            return None
        looks = Looks.of(y, examples.answers[0].data[0])
        if looks is None or lengths is not None:
            return None
        bound = steps.bind(examples, examples.rows, keep_grads=False)
        known = Known.of(steps.net, x, lengths, examples.batch, bound)
        return None if known is None else cls(steps, known, examples, looks)

    def fits(self, x: Any, y: Any, sample_weight: Any, lengths: Any) -> bool:
        """Tell whether the next step can go the same way."""
        if sample_weight is not None or lengths is not None or not self._looks.fit(y):
            return False
        if not self._known.holds(self._steps.net, x):
            return False
        return self._loss.target(y.reshape(self._shape), self._sizes) == self._target

    def run(self, x: Array, y: Array) -> Array:
        """Take the step; return its sums and divisors, (1, 2 * results), until the next one."""
        state, bound = self._steps.net.state, self._known.bound
        hyper = state.use_optimizer(self._steps.optimizer, 1)
        state.grads.forget()
        data = [x.reshape(self._known.shape), y.reshape(self._shape)]
        executor, seed = bound.executor, self._steps.net.seed
        try:
            executor.run(
                data, None, self._starts, hyper, self._results, seed, state.steps, *self._rest
            )
        finally:
            state.count_updates(executor.steps_done)
        if not executor.steps_done:
            fed = Fed(data, None, self._starts, self._known.spans)
            raise nan_error(self._steps.net, bound, fed, 0)
        return self._results
