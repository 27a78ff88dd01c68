"""The ops around loops over time in NumPy; the executor runs the loops themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pybp.backends.numpy_step import Arrays, Step
from pybp.program.ops import ByRank, LastStep, LastStepGrad, Op, ReverseSteps, Zeros
from pybp.program.program import run_time_sizes


def _by_rank(op: ByRank, a: Arrays, step: Step) -> Arrays:
    order, x = step.packings[op.packing].order, a["x"]
    if not op.inverse:
        return {"y": x[order]}
    y = np.empty_like(x)
    y[order] = x
    return {"y": y}


def _last_step(op: LastStep, a: Arrays, step: Step) -> Arrays:
    packing, x = step.packings[op.packing], a["x"]
    y = np.zeros((step.rows, *x.shape[1:]), x.dtype)
    some = packing.lengths > 0
    y[some] = x[packing.last()[some]]
    return {"y": y}


def _last_step_grad(op: LastStepGrad, a: Arrays, step: Step) -> Arrays:
    packing, dy = step.packings[op.packing], a["dy"]
    dx = np.zeros((packing.count, *dy.shape[1:]), dy.dtype)
    some = packing.lengths > 0
    dx[packing.last()[some]] = dy[some]
    return {"dx": dx}


def _reverse_steps(op: ReverseSteps, a: Arrays, step: Step) -> Arrays:
    packing = step.packings[op.packing]
    from_end = packing.lengths[packing.samples()] - 1 - packing.steps()
    ranks = np.arange(packing.count) - packing.offsets[packing.steps()]
    return {"y": a["x"][packing.offsets[from_end] + ranks]}


def _zeros(op: Zeros, a: Arrays, step: Step) -> Arrays:
    sizes = run_time_sizes(step.rows, [packing.count for packing in step.packings])
    return {"y": np.zeros([sizes.get(extent, extent) for extent in op.shape], step.real)}


LOOP_OPS: dict[type[Op], Callable[..., Arrays]] = {
    ByRank: _by_rank,
    LastStep: _last_step,
    LastStepGrad: _last_step_grad,
    ReverseSteps: _reverse_steps,
    Zeros: _zeros,
}
