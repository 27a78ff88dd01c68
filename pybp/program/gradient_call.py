"""The gradient row of the op that calls a user's layer."""

from __future__ import annotations

from typing import Any

from pybp.program.ops import Call, CallGrad
from pybp.program.walk import Walk


def _call(walk: Walk, op: Call) -> None:
    dy = walk.of(op.y)
    dparams, accumulate = walk.give_parameters(*op.params)
    dx, *dothers = (_gradient(walk, name) for name in (op.x, *op.others))
    walk.append(
        CallGrad(
            x=op.x,
            y=op.y,
            dy=dy,
            others=op.others,
            params=op.params,
            dx=dx,
            dothers=tuple(dothers),
            dparams=tuple(dparams),
            function=op.function,
            accumulate=accumulate,
        )
    )


def _gradient(walk: Walk, name: str) -> str:
    """Return a declared buffer for a gradient of a value, "" where nobody wants it."""
    if name not in walk.wanted:
        return ""
    gradient = walk.give(name)
    if gradient not in walk.program.buffers:
        walk.program.add_buffer(gradient, walk.program.shape(name), "value")
    return gradient


CALL_GRADIENTS: dict[Any, Any] = {Call: _call}
