"""The gradient rows of loops over time and of the ops around them.

The gradient of a loop is a loop from the last step to the first. At each step it runs the forward
ops again, so that of a whole sequence only the states and what entered are kept, then the ops of
their gradients. The gradient of a state is that of its readers outside the loop, to which each step
adds what comes from the next one (backpropagation through time: Werbos 1990).
"""

from __future__ import annotations

from typing import Any

from pybp.program.ops import (
    Activate,
    Add,
    ByRank,
    LastStep,
    LastStepGrad,
    Loop,
    Op,
    ReverseSteps,
    Zeros,
)
from pybp.program.program import View
from pybp.program.walk import Walk, gradient_name


class _LoopGradient:
    """The backward loop of one forward loop, while it is made."""

    def __init__(self, walk: Walk, op: Loop) -> None:
        self.walk, self.op, self.program = walk, op, walk.program
        self.views = self.program.views
        body = self.program.body(op)
        self.copies = [each for each in body if each.outputs()[0] in self.views]
        self.read = list(dict.fromkeys(x for each in body for x in each.inputs()))
        self.inner = self.program.inside()
        self.inner.ops = [each for each in body if each not in self.copies]
        self.forward = len(self.inner.ops)
        self.gradients: dict[str, str] = {}  # packed value -> its gradient

    def append(self) -> None:
        """Append the loop, and what must be there before it begins."""
        states = [(x, self.views[x]) for x in self.read if x in self.views and self.views[x].start]
        starts = {x: self._begin_state(view) for x, view in states}
        parameters = self._begin_parameters()
        for copy in self.copies:
            made = self.views[copy.outputs()[0]].of
            self.gradients.setdefault(made, self.walk.of(made))
        within = self._walk_body(parameters)
        for x in self.read:
            gradient = within.of(x) if x in self.views else ""
            if gradient and x in starts:
                self._add_to_state(self.views[x], starts[x], gradient)
            elif gradient and self.views[x].of in self.walk.wanted:
                self._write_input(self.views[x], gradient)
        backward = self.inner.ops[self.forward :]
        ops = [*_needed(self.inner.ops[: self.forward], backward), *backward]
        self.walk.append_loop(self.op.packing, ops, backward=True)

    def _begin_state(self, view: View) -> str:
        """Fill the gradients of a state with what is known; return that of its start."""
        shape, known = self.program.shape(view.of), self.walk.of(view.of)
        whole = self.walk.fresh(f"{gradient_name(view.of)} through time")
        fill: Op = Activate(known, whole, "identity") if known else Zeros(whole, shape)
        self.program.append(fill)
        self.gradients[view.of] = whole
        start = self.walk.fresh(f"{gradient_name(view.start)} through time")
        if view.start in self.walk.wanted:
            start = self.walk.give(view.start)
        self.program.append(Zeros(start, self.program.shape(view.start)))
        return start

    def _begin_parameters(self) -> list[str]:
        """Set the gradients to 0 that no other op has begun; return the parameters."""
        read = [x for x in self.op.taken if x in self.walk.wanted]
        found = [x for x in read if self.program.buffers[x].role == "param"]
        for name in found:
            gradient, accumulate = self.walk.give_parameter(name)
            if not accumulate:
                self.program.append(Zeros(gradient, self.program.shape(name)))
        return found

    def _walk_body(self, parameters: list[str]) -> Walk:
        """Append the ops of the gradients of one step to the inner program."""
        wanted = set(parameters)
        for x in self.read:
            view = self.views.get(x)
            if view is not None and (view.start or view.of in self.walk.wanted):
                wanted.add(x)
        within = Walk(self.inner, wanted, self.walk.rows)
        for name in parameters:
            within.share(name, gradient_name(name))
        for copy in self.copies:
            gradient = self.gradients[self.views[copy.outputs()[0]].of]
            if gradient:
                within.share(copy.inputs()[0], self._present(gradient))
        within.run()
        return within

    def _present(self, name: str) -> str:
        return self.program.add_view(f"{name} now", View(name))

    def _add_to_state(self, view: View, start: str, gradient: str) -> None:
        whole = self.gradients[view.of]
        before = self.program.add_view(f"{whole} before", View(whole, start))
        self.inner.append(Add(before, gradient, before))

    def _write_input(self, view: View, gradient: str) -> None:
        whole = self.walk.give(view.of)
        self.program.add_buffer(whole, self.program.shape(view.of), "value")
        self.inner.append(Activate(gradient, self._present(whole), "identity"))


def _needed(forward: list[Op], backward: list[Op]) -> list[Op]:
    """Return the forward ops whose values the backward ops read, directly or by others."""
    read = {name for op in backward for name in op.inputs()}
    needed: list[Op] = []
    for op in reversed(forward):
        if read.intersection(op.outputs()):
            read.update(op.inputs())
            needed.insert(0, op)
    return needed


def _loop(walk: Walk, op: Loop) -> None:
    _LoopGradient(walk, op).append()


def _by_rank(walk: Walk, op: ByRank) -> None:
    if op.x in walk.wanted:
        walk.append(ByRank(walk.of(op.y), walk.give(op.x), op.packing, not op.inverse))


def _last_step(walk: Walk, op: LastStep) -> None:
    if op.x in walk.wanted:
        walk.append(LastStepGrad(walk.of(op.y), walk.give(op.x), op.packing))


def _last_step_grad(walk: Walk, op: LastStepGrad) -> None:
    if op.dy in walk.wanted:
        walk.append(LastStep(walk.of(op.dx), walk.give(op.dy), op.packing))


def _reverse_steps(walk: Walk, op: ReverseSteps) -> None:
    if op.x in walk.wanted:
        walk.append(ReverseSteps(walk.of(op.y), walk.give(op.x), op.packing))


LOOP_GRADIENTS: dict[Any, Any] = {
    Loop: _loop,
    ByRank: _by_rank,
    LastStep: _last_step,
    LastStepGrad: _last_step_grad,
    ReverseSteps: _reverse_steps,
}
