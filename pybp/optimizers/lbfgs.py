"""L-BFGS: a quasi-Newton method with a short memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.optimizers.base import LossOptimizer, Problem, Rate
from pybp.optimizers.line_search import Point, strong_wolfe

_CURVED = 1e-10  # the least curvature along a step that is remembered
_SHORTEST = 1e-9  # the least change of a parameter for which a line search goes on


class LBFGS(LossOptimizer):
    """Limited-memory BFGS (Liu and Nocedal 1989), with the rules of PyTorch's LBFGS.

    An update makes up to ``max_iter`` steps on the present batch, each along ``d = -H g``, where H
    approximates the inverse of the Hessian from the last ``history_size`` steps. It works in
    ``fit`` and ``Trainer``; full batches (``batch_size=None``) suit it best, since the memory mixes
    gradients of different batches else.

    Parameters
    ----------
    lr : float or schedule
        The length of a step, without a line search; the first one tried, with it.
    max_iter : int
        The most steps of an update.
    max_eval : int or None
        No further step is made after so many evaluations of the loss; None: 1.25 ``max_iter``.
    tolerance_grad : float
        An update ends when no element of the gradient is larger.
    tolerance_change : float
        And when neither a parameter nor the loss changes by more.
    history_size : int
        How many steps are remembered; each takes twice the size of the parameters.
    line_search_fn : None or "strong_wolfe"
        The line search (Nocedal and Wright 2006, algorithm 3.5).
    """

    lr: Rate = 1.0
    max_iter: int = 20
    max_eval: int | None = None
    tolerance_grad: float = 1e-7
    tolerance_change: float = 1e-9
    history_size: int = 100
    line_search_fn: str | None = None

    def _check(self) -> None:
        self._check_rate(self.lr)
        self._at_least_0(tolerance_grad=self.tolerance_grad, tolerance_change=self.tolerance_change)
        for name in ("max_iter", "history_size"):
            self._require(vars(self)[name] >= 1, name, "at least 1")
        whole = isinstance(self.max_eval, int | np.integer) and not isinstance(self.max_eval, bool)
        good = self.max_eval is None or (whole and self.max_eval >= 1)
        self._require(good, "max_eval", "None or a whole number of at least 1")
        searches = (None, "strong_wolfe")
        self._require(self.line_search_fn in searches, "line_search_fn", "None or 'strong_wolfe'")

    def run_step(self, problem: Problem) -> None:
        """Make one update: up to ``max_iter`` steps on the present batch."""
        if len(problem.state.get("d", problem.params)) != len(problem.params):
            problem.state.clear()  # of other parameters: some have been frozen since
        most = self.max_iter * 5 // 4 if self.max_eval is None else self.max_eval
        loss, gradient = _evaluated(problem)
        evaluations = 1
        done = _largest(gradient) <= self.tolerance_grad
        for iteration in range(self.max_iter):
            if done:
                return
            d, t = self._direction(problem, gradient)
            slope = np.float64(gradient @ d)
            if slope > -self.tolerance_change:
                return
            start = Point(0.0, loss, gradient, slope)
            last = iteration + 1 == self.max_iter
            end, count = self._moved(problem, start, t, most - evaluations, evaluate=not last)
            evaluations += count
            small = _largest(d) * end.t <= self.tolerance_change
            done = (
                evaluations >= most
                or _largest(end.gradient) <= self.tolerance_grad
                or small
                or abs(end.loss - loss) < self.tolerance_change
            )
            loss, gradient = end.loss, end.gradient

    def _direction(self, problem: Problem, gradient: Array) -> tuple[Array, float]:
        """Return the direction of the next step and the length to try; remember both."""
        state = problem.state
        if "d" in state:
            _remember(state, gradient - state["gradient"], state["d"] * state["t"])
            _forget(state, self.history_size)
            d, t = _newton(state, gradient), problem.lr
        else:
            state.update(oldest=0, newest=0, scale=1.0)
            d, t = -gradient, min(1.0, 1.0 / float(np.abs(gradient).sum())) * problem.lr
        state.update(d=d, t=t, gradient=gradient.copy())
        return d, t

    def _moved(
        self, problem: Problem, start: Point, t: float, most: int, *, evaluate: bool
    ) -> tuple[Point, int]:
        """Move along the direction; return where to, and the number of evaluations."""
        origin, d = problem.params.copy(), problem.state["d"]

        def at(length: float) -> Point:
            problem.params[...] = origin + d.dtype.type(length) * d
            loss, gradient = _evaluated(problem)
            return Point(length, loss, gradient, np.float64(gradient @ d))

        if self.line_search_fn is not None:
            shortest = _SHORTEST / max(_largest(d), np.finfo(np.float64).tiny)
            end, count = strong_wolfe(at, start, t, most=most, shortest=shortest)
            problem.params[...] = origin + d.dtype.type(end.t) * d
            problem.state["t"] = end.t
            return end, count
        if evaluate:
            return at(t), 1
        problem.params[...] = origin + d.dtype.type(t) * d
        return start._replace(t=t), 0


def _evaluated(problem: Problem) -> tuple[float, Array]:
    loss, gradient = problem.loss_and_grad()
    return float(loss), gradient.copy()


def _largest(x: Array) -> float:
    return float(np.abs(x).max(initial=0))


def _remember(state: dict[str, Any], y: Array, s: Array) -> None:
    """Take a step s that has changed the gradient by y, if the loss is curved along it."""
    curvature = float(y @ s)
    if curvature > _CURVED:
        k = state["newest"]
        state.update({f"y{k}": y, f"s{k}": s, f"rho{k}": 1 / curvature, "newest": k + 1})
        state["scale"] = curvature / float(y @ y)


def _forget(state: dict[str, Any], most: int) -> None:
    """Leave so many steps in the memory."""
    while state["newest"] - state["oldest"] > most:
        for name in ("y", "s", "rho"):
            del state[f"{name}{state['oldest']}"]
        state["oldest"] += 1


def _newton(state: dict[str, Any], gradient: Array) -> Array:
    """Return -H g by the two loops over the remembered steps."""
    steps = [(state[f"y{k}"], state[f"s{k}"], state[f"rho{k}"]) for k in _kept(state)]
    real = gradient.dtype.type
    d = -gradient
    alphas = []
    for y, s, rho in reversed(steps):
        alphas.append(real(float(s @ d) * rho))
        d -= alphas[-1] * y
    d *= real(state["scale"])
    for (y, s, rho), alpha in zip(steps, reversed(alphas), strict=True):
        d += (alpha - real(float(y @ d) * rho)) * s
    return d


def _kept(state: dict[str, Any]) -> range:
    return range(state["oldest"], state["newest"])
