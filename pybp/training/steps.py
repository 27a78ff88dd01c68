"""Training steps: the train programs of a net, bound when first used, run many steps a call."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from pybp.arrays import Array
from pybp.data.batches import spans
from pybp.data.feeding import feed
from pybp.losses import CrossEntropy
from pybp.nets.network import Network
from pybp.nets.objective import Objective
from pybp.nets.programs import Bound
from pybp.nets.step_rules import StepRules
from pybp.nets.update_programs import row_updates
from pybp.optimizers import LossOptimizer, Optimizer
from pybp.program.ops import Loss as LossOp
from pybp.program.ops import Softmax
from pybp.program.program import Program
from pybp.training.evaluation import Examples
from pybp.training.interrupts import Interrupts
from pybp.training.nan_report import nan_error
from pybp.training.problem import BatchProblem

if TYPE_CHECKING:
    from pybp.training.repeated import RepeatedStep


class Steps:
    """Runs training steps of one net, objective, optimiser and set of rules.

    Parameters
    ----------
    net, objective, optimizer, rules
        What describes a step; the optimiser may be exchanged between steps.
    """

    def __init__(
        self, net: Network, objective: Objective, optimizer: Optimizer, rules: StepRules
    ) -> None:
        self.net, self.objective, self.rules = net, objective, rules
        self.interrupts = Interrupts()
        self.known: RepeatedStep | None = None  # what the last single step has found out
        self.use(optimizer)
        self._bound: dict[tuple[object, ...], Bound] = {}

    def use(self, optimizer: Optimizer) -> None:
        """Train by this optimiser from now on; one that differs in the rate binds nothing anew."""
        self.optimizer = optimizer
        self.known = None
        self._update = None if optimizer.needs_loss else optimizer
        self._kind = None if self._update is None else repr(optimizer.op("", ""))

    def bind(self, examples: Examples, rows: int, *, keep_grads: bool) -> Bound:
        """Return the program for such examples, bound for at most ``rows`` a step.

        Steps of one row may fuse the update into the gradients, unless these are to be kept.
        """
        net = self.net
        goals = examples.goals()
        keep = keep_grads or rows > 1 or not self.optimizer.is_plain()
        key = (goals, net.current_backend, keep, self._kind, net.recipe.frozen)
        net.use_states(rows)
        bound = self._bound[key] = net.with_room(
            self._bound.get(key),
            lambda: self._make(examples, keep_grads=keep),
            rows,
            examples.batch.layouts,
            lambda: self.objective.constants(examples.sizes()),
        )
        return bound

    def run(
        self,
        examples: Examples,
        order: Array | None,
        starts: Array,
        rows: int,
        *,
        keep_grads: bool,
    ) -> Array:
        """Run steps in one call, and count those that were finished.

        Parameters
        ----------
        examples : Examples
            The data.
        order, starts : array
            Step s uses the rows ``order[starts[s]:starts[s + 1]]``.
        rows : int
            The most rows that any step of the fit has.
        keep_grads : bool
            Whether ``net.grads`` is to hold the gradients of the last step.

        Returns
        -------
        array (steps, 2 * results)
            Sum and divisor of each loss and metric, for each step.

        Raises
        ------
        FloatingPointError
            Where the loss becomes NaN: the steps before it were taken, this one was not.
        """
        bound = self.bind(examples, rows, keep_grads=keep_grads)
        results = np.zeros((len(starts) - 1, 2 * len(bound.program.results)))
        self.run_into(results, bound, examples, order, starts, keep_grads=keep_grads)
        return results

    def run_into(
        self,
        results: Array,
        bound: Bound,
        examples: Examples,
        order: Array | None,
        starts: Array,
        *,
        keep_grads: bool,
    ) -> None:
        """Run steps as ``run`` does; after an exception the finished steps have their results."""
        if len(starts) == 2:
            bound.check_rows(int(starts[1] - starts[0]))
        if self.optimizer.needs_loss:
            for s in range(len(starts) - 1):
                self.interrupts.check()
                self._search(results[s : s + 1], bound, examples, order, starts[s : s + 2])
        elif self.rules.accumulate > 1:
            for s in range(len(starts) - 1):
                self.interrupts.check()
                self._collect(results[s : s + 1], bound, examples, order, starts[s : s + 2])
        else:
            self._train(results, bound, examples, order, starts, keep_grads=keep_grads)

    def _train(
        self,
        results: Array,
        bound: Bound,
        examples: Examples,
        order: Array | None,
        starts: Array,
        *,
        keep_grads: bool,
    ) -> None:
        """Run steps that each end in an update, all in one call."""
        state = self.net.state
        hyper = state.use_optimizer(self.optimizer, len(results))
        state.grads.forget()
        end = len(bound.program.ops)
        self.interrupts.check()
        self.interrupts.open = True  # whenever it stops, the executor knows how far it has come
        try:
            self.call(bound, examples, order, starts, hyper, results, (0, end))
            self.interrupts.open = False
            if keep_grads:
                self._take_grads(bound, examples, order, starts)
        finally:
            self.interrupts.open = False
            state.count_updates(bound.executor.steps_done)

    def call(
        self,
        bound: Bound,
        examples: Examples,
        order: Array | None,
        starts: Array,
        hyper: Array,
        results: Array,
        ops: tuple[int, int],
    ) -> None:
        """Run some ops of a train program for each step; refuse a loss that is NaN."""
        program, executor, net = bound.program, bound.executor, self.net
        all_spans = spans(examples.layouts(program))
        fed = feed(program, examples.data, order, starts, all_spans)
        check_at = program.backward_start if ops[0] == 0 else -1
        executor.run(
            *(fed.data, fed.order, fed.starts, hyper, results, net.seed, net.state.steps, *ops),
            *(fed.spans, check_at),
        )
        if executor.steps_done < len(results):
            raise nan_error(net, bound, fed, executor.steps_done)

    # ------------------------------------------------------------------ accumulated gradients

    def _collect(
        self, results: Array, bound: Bound, examples: Examples, order: Array | None, starts: Array
    ) -> None:
        """Train on one batch whose gradients wait for those of others."""
        state, program = self.net.state, bound.program
        hyper = state.use_optimizer(self.optimizer, 1)
        state.grads.forget()
        self.call(bound, examples, order, starts, hyper, results, (0, program.update_start))
        weight = (
            float(results[0, 1]) if len(self.objective.judged()) == 1 else starts[1] - starts[0]
        )
        state.pending.add(state.grads.flat, float(weight))
        state.steps += 1
        if state.pending.batches >= self.rules.accumulate:
            self._apply(bound)

    def _apply(self, bound: Bound) -> None:
        """Update from the gradients that wait."""
        state, program = self.net.state, bound.program
        hyper = state.use_optimizer(self.optimizer, 1)
        is_sum = all(loss.reduction == "sum" for _, _, loss in self.objective.judged())
        state.pending.move_to(state.grads.flat, 1.0 if is_sum else state.pending.weight)
        nothing = np.zeros((1, 2 * len(program.results)))
        no_data = [None] * len(bound.data)
        bound.executor.run(
            *(no_data, None, np.array([0, 1]), hyper, nothing, self.net.seed, state.steps),
            *(program.update_start, len(program.ops), _no_spans(program)),
        )
        state.updates += 1
        state.grads.take_dense({})

    def flush(self, examples: Examples, rows: int) -> None:
        """Update from gradients that wait for others, if there are any."""
        if self.net.state.pending.batches:
            self._apply(self.bind(examples, rows, keep_grads=True))

    # ----------------------------------------------------------------- optimisers with the loss

    def _search(
        self, results: Array, bound: Bound, examples: Examples, order: Array | None, starts: Array
    ) -> None:
        """Let an optimiser that needs the loss take one step."""
        state = self.net.state
        state.use_optimizer(self.optimizer, 1)
        lr = float(self.optimizer.rates(state.updates, 1)[0])
        problem = BatchProblem(self, bound, examples, order, starts, lr)
        problem.first(results)
        assert isinstance(self.optimizer, LossOptimizer)
        self.optimizer.run_step(problem)
        problem.finish()
        state.grads.take_dense({})
        state.count_updates(1)

    # ---------------------------------------------------------------------------------- details

    def _take_grads(
        self, bound: Bound, examples: Examples, order: Array | None, starts: Array
    ) -> None:
        """Let ``net.grads`` hold what the last step has left; of some tables just their rows."""
        grads = self.net.state.grads
        grads.take_dense({})
        tables = row_updates(bound.program)
        if not tables:
            return
        last = (
            np.arange(starts[-2], starts[-1]) if order is None else order[starts[-2] : starts[-1]]
        )
        steps = [int(layout.length[last].sum()) for layout in examples.layouts(bound.program)]
        for name, found in tables.items():
            rows = bound.executor.read(found.rows, len(last), steps)
            values = bound.executor.read(found.values, len(last), steps)
            grads.take_rows(name, rows[rows >= 0], values[rows >= 0])

    def _make(self, examples: Examples, *, keep_grads: bool) -> Program:
        net = self.net
        if not (net.recipe.parts.runs or net.recipe.parts.tables):
            raise ValueError("this net has no parameters to train")
        program = net.recipe.train(
            self.objective, examples.goals(), self._update, self.rules, keep_grads=keep_grads
        )
        self._warn_of_softmax(program)
        return program

    def _warn_of_softmax(self, program: Program) -> None:
        makers = {name: op for op in program.ops for name in op.outputs()}
        judged = [op for op in program.ops if isinstance(op, LossOp)]
        for op, (_, _, loss) in zip(judged, self.objective.judged(), strict=False):
            last = makers.get(op.prediction)
            if isinstance(loss, CrossEntropy) and isinstance(last, Softmax) and not last.log:
                warnings.warn(
                    "CrossEntropy takes logits, but the net ends in Softmax: leave the Softmax out",
                    UserWarning,
                    stacklevel=5,
                )


def _no_spans(program: Program) -> tuple[tuple[Array, Array], ...]:
    """Return spans for a run of ops that touch no sequences."""
    first = np.zeros(1, np.int64)
    return tuple((first, np.array([max(1, steps)])) for steps in program.packings)
