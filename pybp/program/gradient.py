"""The backward pass of a program: a walk through its forward ops from last to first."""

from __future__ import annotations

from collections.abc import Collection

from pybp.program.gradient_table import GRADIENTS
from pybp.program.program import Program
from pybp.program.walk import Walk, gradient_name

__all__ = ["GRADIENTS", "add_gradient", "gradient_name"]


def add_gradient(
    program: Program,
    seeds: dict[str, str],
    *,
    inputs: tuple[str, ...] = (),
    frozen: Collection[str] = (),
) -> dict[str, str]:
    """Append the backward pass to a forward program.

    Parameters
    ----------
    program : Program
        Holds the forward ops (and losses, which have no row here: they make the seeds).
    seeds : dict
        Value -> name of the buffer with its gradient.
    inputs : tuple of str
        Inputs whose gradient is wanted beside those of all parameters.
    frozen : collection of str
        Parameters whose gradient is not wanted.

    Returns
    -------
    dict
        Buffer -> name of its gradient, for all that were reached.
    """
    parameters = {buffer.name for buffer in program.of_role("param")}
    wanted = parameters.difference(frozen) | set(inputs)
    walk = Walk(program, wanted, GRADIENTS)
    for value, gradient in seeds.items():
        walk.share(value, gradient)
    walk.run()
    return walk.known
