"""What the forward part of a training step keeps for later steps, written at the step's end.

Running statistics and the states that go on from batch to batch change when a step is as good as
done: one that ends before that, by NaN or by an exception, leaves them as they were.
"""

from __future__ import annotations

from pybp.program.ops import Activate, ChannelMoments, Op
from pybp.program.program import Program


def defer_statistics(program: Program) -> list[Op]:
    """Let a program work on copies of its running statistics; return the ops that write them back.

    A layer that is used twice has one copy, which both uses change.
    """
    copies: dict[str, str] = {}
    ops, program.ops = program.ops, []
    for op in ops:
        if not isinstance(op, ChannelMoments) or not op.running_mean:
            program.ops.append(op)
            continue
        for name in (op.running_mean, op.running_var):
            if name not in copies:
                copies[name] = program.append_to(Activate(name, f"{name} next", "identity"))
        mean, var = copies[op.running_mean], copies[op.running_var]
        program.ops.append(op.replace(running_mean=mean, running_var=var))
    return [Activate(copy, name, "identity") for name, copy in copies.items()]
