"""The programs of a net, made from its layers: predict, gradient, evaluate, train, update."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pybp.arrays import Array
from pybp.backends import Executor
from pybp.nets.deferred import defer_statistics
from pybp.nets.objective import Goal, Objective
from pybp.nets.step_rules import StepRules
from pybp.nets.update_programs import Parts, add_update, row_buffers, scatter_last
from pybp.optimizers import Optimizer
from pybp.program.builder import Builder, Parameter, Port, new_forward
from pybp.program.gradient import add_gradient
from pybp.program.ops import Activate, ChannelMoments, Op
from pybp.program.program import Program

_MOST_BYTES = 2**62  # of one array: sizes beyond it overflow

# appends a net's forward ops: from its inputs to its outputs
Lower = Callable[[Builder, Sequence[str]], tuple[str, ...]]


class Bound(NamedTuple):
    """A program and the executor that holds it bound to its arrays."""

    program: Program
    executor: Executor
    least_rows: int  # that a step may have
    generation: int  # of the states that stateful layers carry
    data: tuple[str, ...]  # the buffers that stand for arrays of the caller, in order
    fixed: dict[str, Array]  # the arrays that it is bound to

    def holds(self, rows: int, packed: Sequence[int], generation: int) -> bool:
        """Tell whether a step of this size fits, with the states as they are now."""
        if self.executor.max_rows < rows or self.generation != generation:
            return False
        if not packed:
            return True
        room = self.executor.max_packed
        return all(most >= count for most, count in zip(room, packed, strict=False))

    def check_rows(self, rows: int) -> None:
        """Refuse fewer rows than the program needs, before anything is changed."""
        if rows < self.least_rows:
            raise ValueError(
                "BatchNorm takes mean and variance over a batch, and one row is one value a "
                "channel here: two rows at least are needed (the last batch of a fit may have "
                "fewer than batch_size)"
            )


class Wanted(NamedTuple):
    """What the layers of a net ask for."""

    parameters: dict[str, Parameter]
    buffers: dict[str, Parameter]
    outputs: tuple[Port, ...]
    whole_batch: bool  # whether a row's result depends on the other rows, in evaluation too
    needs_steps: bool  # whether sequences must have the length that was given
    carried: dict[str, int]  # states that go on from batch to batch: name -> units


def probe(lower: Lower, dtype: str, ports: Sequence[Port]) -> Wanted:
    """Return the arrays that layers ask for, and what the net gives."""
    builder, names = new_forward("probe", dtype, ports, training=False, role="input")
    outputs = lower(builder, names)
    for name, parameter in builder.parameters.items():
        if math.prod(parameter.shape) * 8 >= _MOST_BYTES:
            raise ValueError(f"{name} of shape {parameter.shape} is larger than any memory")
    whole_batch = any(isinstance(op, ChannelMoments) for op in builder.program.ops)
    return Wanted(
        builder.parameters,
        builder.running,
        tuple(_output_port(builder, y) for y in outputs),
        whole_batch,
        builder.needs_steps,
        {name: builder.shape(name)[0] for name in builder.carried},
    )


def _output_port(builder: Builder, y: str) -> Port:
    packing = builder.packing(y)
    shape: tuple[int | None, ...] = builder.shape(y)
    if packing is not None:
        shape = (builder.steps[packing], *shape)
    return Port(y, shape, builder.program.buffers[y].dtype, packing)


def least_rows(program: Program) -> int:
    """Return 2 if some channel has one value in a batch of one row, whose variance is nothing."""
    for op in program.ops:
        if isinstance(op, ChannelMoments) and math.prod(program.shape(op.x)[1:-1]) == 1:
            return 2
    return 1


class GradientProgram(NamedTuple):
    """A program forward and backward, and the buffers by which the caller talks to it.

    The caller writes the inputs before the forward part, and hands the gradients of the outputs in
    for the backward part. What no op reads is written to arrays of the caller.
    """

    program: Program
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]  # of the forward part
    seeds: tuple[str, ...]  # the gradients of the outputs
    gradients: tuple[str, ...]  # of the inputs; "" for ids
    tables: dict[str, list[str]]  # of embeddings: the buffers of the rows that have a gradient


class Recipe(NamedTuple):
    """What the programs of a net are made from."""

    lower: Lower
    dtype: str
    ports: tuple[Port, ...]  # the inputs
    parts: Parts  # of what an update changes
    frozen: frozenset[str] = frozenset()  # the parameters that get no gradient

    def input_names(self) -> list[str]:
        """Return the buffers that a batch fills, in the order of its arrays."""
        return [one.name for port in self.ports for one in port.each()]

    def predict(self) -> Program:
        """Return the program from the inputs to its output buffers."""
        program, outputs = self._forward("predict", training=False, role="input")
        program.outputs = _own_values(program, outputs)
        for y in program.outputs:
            program.buffers[y] = program.buffers[y]._replace(role="output")
        return program

    def gradient(self, *, training: bool) -> GradientProgram:
        """Return the program forward, then backward from the gradients of the outputs."""
        program, outputs = self._forward("gradient", training=training, role="value")
        outputs = _own_values(program, outputs)
        program.backward_start = len(program.ops)
        seeds = ("dy",) if len(outputs) == 1 else tuple(f"dy{i}" for i in range(len(outputs)))
        for y, seed in zip(outputs, seeds, strict=True):
            program.add_buffer(seed, program.shape(y), "input")
        names = tuple(self.input_names())
        ids = {port.name for port in self.ports if port.dtype == "int32"}
        wanted = tuple(name for name in names if name not in ids)
        given = dict(zip(outputs, seeds, strict=True))
        known = add_gradient(program, given, inputs=wanted, frozen=self.frozen)
        scatter_last(program)
        gradients = tuple(known.get(name, "") for name in names)
        for name in (*outputs, *gradients):
            if name:
                _hand_out(program, name)
        return GradientProgram(program, names, outputs, seeds, gradients, row_buffers(program))

    def evaluate(self, objective: Objective, goals: Sequence[Goal]) -> Program:
        """Return the program that measures the losses and the metrics."""
        program, outputs = self._forward("evaluate", training=False, role="input")
        objective.add(program, outputs, goals, gradients=False)
        return program

    def train(
        self,
        objective: Objective,
        goals: Sequence[Goal],
        optimizer: Optimizer | None,
        rules: StepRules,
        *,
        keep_grads: bool,
    ) -> Program:
        """Return the program of one step: forward, losses, metrics, backward, update.

        Where gradients need not be kept, the update is fused into them if that is possible.
        Without an optimiser the program ends in the gradients.
        """
        builder, outputs = self._lowered("train", training=True, role="input")
        program = builder.program
        kept = [*defer_statistics(program), *_carry(builder)]
        outputs = _own_values(program, outputs) if len(set(outputs)) < len(outputs) else outputs
        seeds = objective.add(program, outputs, goals, gradients=True)
        program.backward_start = len(program.ops)
        add_gradient(program, seeds, frozen=self.frozen)
        program.keep_start = len(program.ops)
        for op in kept:
            program.append(op)
        add_update(program, optimizer, self.parts, rules, keep_grads=keep_grads)
        return program

    def _forward(self, name: str, *, training: bool, role: str) -> tuple[Program, tuple[str, ...]]:
        builder, outputs = self._lowered(name, training=training, role=role)
        for op in _carry(builder):
            builder.append(op)
        return builder.program, outputs

    def _lowered(self, name: str, *, training: bool, role: str) -> tuple[Builder, tuple[str, ...]]:
        builder, names = new_forward(name, self.dtype, self.ports, training=training, role=role)
        return builder, self.lower(builder, names)


def _carry(builder: Builder) -> list[Op]:
    """Return the ops that keep states for the next batch."""
    return [Activate(value, kept, "identity") for kept, value in builder.carried.items()]


def _own_values(program: Program, outputs: Sequence[str]) -> tuple[str, ...]:
    """Copy outputs that are inputs, or given twice, to values of their own."""
    own: list[str] = []
    for y in outputs:
        made = any(y in op.outputs() for op in program.ops)
        if made and y not in own:
            own.append(y)
        else:
            name = "y" if len(outputs) == 1 else f"y{len(own)}"
            own.append(program.append_to(Activate(y, name, "identity")))
    return tuple(own)


def _hand_out(program: Program, name: str) -> None:
    """Let an op write a value to the caller's array, if it makes one that no op reads."""
    buffer = program.buffers[name]
    made = any(name in op.outputs() for op in program.ops)
    if made and buffer.role == "value" and not any(name in op.inputs() for op in program.ops):
        program.buffers[name] = buffer._replace(role="output")
