"""Rates that follow half cosines and cycles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pybp.arrays import Array
from pybp.schedules.base import Schedule, between, is_whole


class CosineLR(Schedule):
    """Half a cosine from ``lr`` to ``eta_min`` in ``T_max`` updates, and on: it rises again.

    ``eta_min + (lr - eta_min) / 2 * (1 + cos(pi * t / T_max))`` (Loshchilov and Hutter 2017).
    """

    lr: float
    T_max: int
    eta_min: float = 0.0

    def _check(self) -> None:
        self._at_least_0("lr", "eta_min")
        self._positive("T_max")

    def _rates(self, t: Array) -> Array:
        place = t % (2 * self.T_max) / self.T_max  # small, so that the cosine is exact
        return between(self.eta_min, self.lr, place)


class CosineAnnealingWarmRestarts(Schedule):
    """Half cosines from ``lr`` to ``eta_min``, one after the other (Loshchilov and Hutter 2017).

    The first takes ``T_0`` updates, each next ``T_mult`` times as many as the one before.
    """

    lr: float
    T_0: int
    T_mult: int = 1
    eta_min: float = 0.0

    def _check(self) -> None:
        self._at_least_0("lr", "eta_min")
        self._positive("T_0", "T_mult")

    def _rates(self, t: Array) -> Array:
        if self.T_mult == 1:
            return between(self.eta_min, self.lr, t % self.T_0 / self.T_0)
        starts, lengths = [0], [self.T_0]
        while starts[-1] + lengths[-1] <= t.max(initial=0):
            starts.append(starts[-1] + lengths[-1])
            lengths.append(lengths[-1] * self.T_mult)
        cycle = np.searchsorted(starts, t, side="right") - 1
        place = (t - np.array(starts)[cycle]) / np.array(lengths)[cycle]
        return between(self.eta_min, self.lr, place)


class CyclicLR(Schedule):
    """Up from ``base_lr`` to ``max_lr`` and down again, over and over (Smith 2017).

    ``step_size_up`` updates up, ``step_size_down`` (the same, if None) down. The height of cycle
    c = 1, 2, ... is that of ``mode``: "triangular" the same for all, "triangular2" halved each
    time, "exp_range" times ``gamma^t``; or ``scale_fn(c)``, with ``scale_mode="iterations"``
    ``scale_fn(t)``.
    """

    base_lr: float
    max_lr: float
    step_size_up: int = 2000
    step_size_down: int | None = None
    mode: str = "triangular"
    gamma: float = 1.0
    scale_fn: Callable[[float], float] | None = None
    scale_mode: str = "cycle"

    def _check(self) -> None:
        self._at_least_0("base_lr", "max_lr", "gamma")
        self._positive("step_size_up")
        down = self.step_size_down
        self._require(down is None or is_whole(down), "step_size_down", "a whole number above 0")
        modes = ("triangular", "triangular2", "exp_range")
        self._require(self.mode in modes, "mode", f"one of {', '.join(modes)}")
        known = self.scale_mode in ("cycle", "iterations")
        self._require(known, "scale_mode", "cycle or iterations")

    def _rates(self, t: Array) -> Array:
        down = self.step_size_up if self.step_size_down is None else self.step_size_down
        cycle, place = t // (self.step_size_up + down), t % (self.step_size_up + down)
        rising = place <= self.step_size_up
        part = np.where(rising, place / self.step_size_up, 1 - (place - self.step_size_up) / down)
        height = (self.max_lr - self.base_lr) * self._scale(cycle + 1, t)
        return self.base_lr + part * height

    def _scale(self, cycle: Array, t: Array) -> Array | float:
        if self.scale_fn is not None:
            at = cycle if self.scale_mode == "cycle" else t
            return np.array([self.scale_fn(int(each)) for each in at], np.float64)
        if self.mode == "exp_range":
            return self.gamma**t
        return 0.5 ** (cycle - 1) if self.mode == "triangular2" else 1.0


class OneCycleLR(Schedule):
    """One rise to ``max_lr`` and a fall to next to nothing (Smith and Topin 2018).

    From ``max_lr / div_factor`` to ``max_lr`` in the first ``pct_start`` of the updates, then down
    to ``max_lr / div_factor / final_div_factor``; with ``three_phase`` down to where it began in as
    many updates as it rose, then on. There are ``total_steps`` updates, or
    ``epochs * steps_per_epoch``; another one is a ValueError.
    """

    max_lr: float
    total_steps: int | None = None
    epochs: int | None = None
    steps_per_epoch: int | None = None
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False

    def _check(self) -> None:
        self._at_least_0("max_lr")
        self._positive("div_factor", "final_div_factor")
        self._require(0 <= self.pct_start <= 1, "pct_start", "in [0, 1]")
        self._require(self.anneal_strategy in ("cos", "linear"), "anneal_strategy", "cos or linear")
        given = ("total_steps",) if self.total_steps is not None else ("epochs", "steps_per_epoch")
        if vars(self)[given[-1]] is None:
            raise ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
        for name in given:
            self._require(is_whole(vars(self)[name]), name, "a whole number above 0")

    def steps(self) -> int:
        """Return the number of updates there are rates for."""
        if self.total_steps is not None:
            return self.total_steps
        return (self.epochs or 0) * (self.steps_per_epoch or 0)

    def endless(self) -> bool:
        """Tell that the rates come to an end."""
        return False

    def rates(self, updates: range) -> Array:
        """Return the rates of some updates one after the other, float64.

        Raises
        ------
        ValueError
            For updates beyond the last one.
        """
        if len(updates) and updates[-1] >= self.steps():
            raise ValueError(
                f"OneCycleLR: there are rates for {self.steps()} updates (total_steps), but update "
                f"{max(updates.start, self.steps())} was asked for, counted from 0"
            )
        return super().rates(updates)

    def _rates(self, t: Array) -> Array:
        rates = np.empty(len(t))
        first = 0.0
        left = np.ones(len(t), bool)
        for last, start, end in self._phases():
            here = left & ((t <= last) | (last == self.steps() - 1))
            length = last - first
            part = (t[here] - first) / length if length else np.ones(np.count_nonzero(here))
            rates[here] = self._anneal(start, end, part)
            left &= ~here
            first = last
        return rates

    def _phases(self) -> list[tuple[float, float, float]]:
        """Return for each phase its last update, and the rates it goes from and to."""
        low, top = self.max_lr / self.div_factor, self.max_lr
        end, peak = self.steps() - 1, self.pct_start * self.steps() - 1
        lowest = low / self.final_div_factor
        if self.three_phase:
            return [(peak, low, top), (2 * peak, top, low), (end, low, lowest)]
        return [(peak, low, top), (end, top, lowest)]

    def _anneal(self, start: float, end: float, part: Array) -> Array:
        if self.anneal_strategy == "linear":
            return start + (end - start) * part
        return between(end, start, part)
