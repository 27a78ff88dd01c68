"""What a training step does to gradients and parameters beside the optimiser's update."""

from __future__ import annotations

from typing import Any, NamedTuple

from pybp.data import inputs
from pybp.optimizers import Optimizer


class StepRules(NamedTuple):
    """The arguments of ``Trainer`` that describe a step, checked.

    In this order: gradients of ``accumulate`` batches are joined, penalties are added to them, they
    are clipped by value, then by norm; after the update columns of weights are kept short.
    """

    accumulate: int = 1
    clip_norm: float | None = None
    clip_value: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    max_norm: float | None = None

    @classmethod
    def of(cls, **given: Any) -> StepRules:
        """Return the rules for the arguments of a trainer.

        Raises
        ------
        TypeError, ValueError
            For what is no number, or none that makes sense; the message names the argument.
        """
        return cls(
            inputs.whole_number(given["accumulate"], "accumulate", 1),
            _limit(given["clip_norm"], "clip_norm"),
            _limit(given["clip_value"], "clip_value"),
            _factor(given["l1"], "l1"),
            _factor(given["l2"], "l2"),
            _limit(given["max_norm"], "max_norm"),
        )

    def check_for(self, optimizer: Optimizer) -> None:
        """Refuse rules that an optimiser which needs the loss can't follow."""
        if optimizer.needs_loss and (self != StepRules(l1=self.l1, l2=self.l2)):
            raise ValueError(
                f"{type(optimizer).__name__} takes steps of its own making: no accumulate, "
                f"clip_norm, clip_value, max_norm with it, got {self}"
            )

    def has_penalty(self) -> bool:
        """Tell whether the gradients get a part that follows from the weights."""
        return bool(self.l1 or self.l2)

    def leaves_gradients(self) -> bool:
        """Tell whether the update sees the gradients as the backward pass makes them."""
        return self.accumulate == 1 and not (
            self.has_penalty() or self.clip_norm is not None or self.clip_value is not None
        )


def _limit(value: Any, name: str) -> float | None:
    if value is None:
        return None
    number = inputs.real_number(value, name)
    if not 0 < number < float("inf"):
        raise ValueError(f"{name} must be a finite number > 0, got {value!r}")
    return number


def _factor(value: Any, name: str) -> float:
    number = inputs.real_number(value, name)
    if not 0 <= number < float("inf"):
        raise ValueError(f"{name} must be a finite number >= 0, got {value!r}")
    return number
