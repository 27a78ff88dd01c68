"""Training steps: the train programs of a net, bound when first used, run many steps a call."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from pybp.arrays import Array
from pybp.batches import spans
from pybp.evaluation import Examples
from pybp.losses import CrossEntropy, Loss
from pybp.metrics import Metric
from pybp.network import Network
from pybp.optimizers import Optimizer
from pybp.program.ops import Loss as LossOp
from pybp.program.ops import Softmax
from pybp.program.program import Program
from pybp.programs import Bound
from pybp.update_programs import row_updates


class Steps:
    """Runs training steps of one net, loss, optimiser and list of metrics.

    Parameters
    ----------
    net, loss, optimizer, metrics
        What describes a step.
    """

    def __init__(
        self, net: Network, loss: Loss, optimizer: Optimizer, metrics: Sequence[Metric]
    ) -> None:
        self.net, self.loss, self.optimizer, self.metrics = net, loss, optimizer, metrics
        self._bound: dict[tuple[object, ...], Bound] = {}

    def bind(self, examples: Examples, rows: int, *, keep_grads: bool) -> Bound:
        """Return the program for such examples, bound for at most ``rows`` a step.

        Steps of one row may fuse the update into the gradients, unless these are to be kept.
        """
        net = self.net
        keep = keep_grads or rows > 1 or not self.optimizer.is_plain()
        key = (examples.target, examples.weight_shape, net.current_backend, keep)
        net.use_states(rows)
        bound = self._bound[key] = net.with_room(
            self._bound.get(key),
            lambda: self._make(examples, keep_grads=keep),
            rows,
            examples.batch.layouts,
            lambda: self.loss.constants(examples.output.shape),
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
            Sum and divisor of the loss and of each metric, for each step.
        """
        bound = self.bind(examples, rows, keep_grads=keep_grads)
        net, state = self.net, self.net.state
        steps = len(starts) - 1
        if steps == 1:
            bound.check_rows(int(starts[1] - starts[0]))
        hyper = state.use_optimizer(self.optimizer, steps)
        results = np.zeros((steps, 2 * len(bound.program.results)))
        ops = len(bound.program.ops)
        state.grads.forget()
        try:
            bound.executor.run(
                *(examples.data, order, starts, hyper, results, net.seed, state.steps, 0, ops),
                spans(examples.layouts(bound.program)),
            )
            if keep_grads:
                self._take_grads(bound, examples, order, starts)
        finally:
            state.count_updates(bound.executor.steps_done)
        return results

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
        if net.state.size == 0:
            raise ValueError("this net has no parameters to train")
        program = net.recipe.train(
            self.loss,
            examples.target,
            examples.weight_shape,
            self.metrics,
            self.optimizer,
            keep_grads=keep_grads,
        )
        loss_at = next(i for i, op in enumerate(program.ops) if isinstance(op, LossOp))
        last = program.ops[loss_at - 1] if loss_at else None
        if isinstance(self.loss, CrossEntropy) and isinstance(last, Softmax) and not last.log:
            warnings.warn(
                "CrossEntropy takes logits, but the net ends in Softmax: leave the Softmax out",
                UserWarning,
                stacklevel=5,
            )
        return program
