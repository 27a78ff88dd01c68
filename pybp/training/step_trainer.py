"""The trainer of single steps: one step is one native call."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.by_name import resolve
from pybp.callbacks import Callback
from pybp.losses import Loss
from pybp.metrics import Metric
from pybp.nets.network import Network
from pybp.nets.objective import Objective
from pybp.nets.step_rules import StepRules
from pybp.optimizers import OPTIMIZERS, Optimizer
from pybp.program.program import Program
from pybp.training.evaluation import Evaluator, Examples
from pybp.training.fitting import History
from pybp.training.repeated import RepeatedStep
from pybp.training.steps import Steps


class StepTrainer:
    """Base of ``Trainer``, which see: what describes a step, and the programs bound for it."""

    def __init__(
        self,
        net: Network,
        loss: Any,
        optimizer: Optimizer | str,
        metrics: Any = (),
        *,
        loss_weights: Any = None,
        accumulate: int = 1,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        max_norm: float | None = None,
        keep_grads: bool = False,
    ) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"net must be a pybp net, got {net!r}")
        self.net = net
        self.objective = Objective(net.graph, loss, metrics, loss_weights)
        self.rules = StepRules.of(
            accumulate=accumulate,
            clip_norm=clip_norm,
            clip_value=clip_value,
            l1=l1,
            l2=l2,
            max_norm=max_norm,
        )
        self.keep_grads = keep_grads
        self.stop = False
        self.history = History()
        self.callbacks: tuple[Callback, ...] = ()
        self.log_names: tuple[str, ...] = ()
        self.evaluator = Evaluator(net, self.objective)
        found = resolve("optimizer", optimizer, OPTIMIZERS, Optimizer)
        self.rules.check_for(found)
        self.steps = Steps(net, self.objective, found, self.rules)
        self._last: tuple[Examples, int] | None = None  # of the steps that flush() may end

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and pickles take along: all but programs and the present fit."""
        left = {"evaluator", "steps", "_last", "_running"}
        kept = {name: value for name, value in vars(self).items() if name not in left}
        return {**kept, "optimizer": self.optimizer}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        optimizer = kept.pop("optimizer")
        vars(self).update(kept)
        self._last = None
        self.evaluator = Evaluator(self.net, self.objective)
        self.steps = Steps(self.net, self.objective, optimizer, self.rules)

    @property
    def loss(self) -> Loss:
        """The loss of the first output that has one."""
        return self.objective.judged()[0][2]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of the first output that has a loss."""
        return self.objective.judged()[0][1].metrics

    @property
    def optimizer(self) -> Optimizer:
        """The optimiser; another one may be set between steps."""
        return self.steps.optimizer

    @optimizer.setter
    def optimizer(self, optimizer: Optimizer | str) -> None:
        found = resolve("optimizer", optimizer, OPTIMIZERS, Optimizer)
        self.rules.check_for(found)
        self.steps.use(found)

    def step(self, x: Any, y: Any, sample_weight: Any = None, lengths: Any = None) -> float:
        """Train on one batch: forward, loss, backward, update in one native call.

        Parameters
        ----------
        x : array (n, *input_shape), list of arrays, Ragged; or a tuple or dict of them
            Inputs, as for ``net.predict``.
        y : array, or list of arrays; for several outputs a tuple or a dict of them
            Targets, as the loss takes them.
        sample_weight : array (n,), optional
            Weights of the samples; (n, steps), or a list of arrays, of time steps.
        lengths : int array (n,), optional
            The steps that count in padded sequences.

        Returns
        -------
        float
            The loss before the update, without penalties.

        Raises
        ------
        FloatingPointError
            When the loss is NaN; the parameters stay as they are.
        """
        given = (x, y, sample_weight, lengths)
        with self.net.training_alone():
            known = self.steps.known
            if known is not None and known.fits(*given):
                results = known.run(x, y)
            else:
                results = self._first_step(given)
        return self.objective.loss_of(results[0])

    def _first_step(self, given: tuple[Any, Any, Any, Any]) -> Array:
        """Train on a batch about which nothing is known yet; return the results of the step."""
        examples = Examples(self.net, self.objective, *given)
        starts = np.array([0, examples.rows])
        results = self.steps.run(examples, None, starts, examples.rows, keep_grads=self.keep_grads)
        if self.rules.accumulate > 1:
            self._last = (examples, examples.rows)
        elif not self.keep_grads:
            self.steps.known = RepeatedStep.of(self.steps, examples, *given)
        return results

    def flush(self) -> None:
        """Update from the gradients of earlier steps that wait for others (``accumulate=``)."""
        if self._last is not None:
            with self.net.training_alone():
                self.steps.flush(*self._last)
            self._last = None

    def program(self, x: Any, y: Any) -> Program:
        """Return the program of a step on such a batch; ``print`` shows it."""
        examples = Examples(self.net, self.objective, x, y)
        return self.steps.bind(examples, examples.rows, keep_grads=self.keep_grads).program
