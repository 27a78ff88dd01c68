"""The arithmetic of a piece of work, and the bytes that it can't avoid to move.

Only products count as arithmetic (2 operations for each multiply-add): dense layers, convolutions,
recurrent cells. A training step does each of them three times, forward and for the gradients of the
weights and of the input, but twice where nobody asks for the gradient of the net's input.

The least bytes are: every weight and every number of the optimiser's state read and written once,
the batch read once, and what each layer with weights gives written forward and read back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from pybp.nets.network import Network
from pybp.program.ops import Conv, Dense, EmbeddingBag, Recurrent, Reshape
from pybp.program.program import Program, run_time_sizes

PASSES = {"step": 3, "fit": 3, "gradients": 3, "predict": 1}
WEIGHT_PASSES = {"gradients": 2, "predict": 1}  # bytes of the weights: read, and written as well


class Cost(NamedTuple):
    """What a piece of work takes."""

    flops: float
    moved: float  # bytes, at least
    footprint: int  # bytes that are touched


class Product(NamedTuple):
    """A matrix product of the forward pass."""

    flops: int
    of_input: bool  # whether it reads the net's input


def products(program: Program, sizes: dict[int, int]) -> Iterator[Product]:
    """Yield the products of a forward program; ``sizes`` are its extents known at run time only."""
    inputs = {buffer.name for buffer in program.of_role("input")}

    def size(name: str) -> int:
        return math.prod(program.buffers[name].full_shape(sizes))

    for op in program.ops:
        if isinstance(op, Reshape) and op.x in inputs:
            inputs.add(op.y)
        if isinstance(op, Dense | Conv):
            units = program.shape(op.w)[-1]
            yield Product(2 * size(op.w) * size(op.y) // units, op.x in inputs)
        elif isinstance(op, Recurrent):
            steps = size(op.y) // program.shape(op.w_hh)[0]
            yield Product(2 * steps * size(op.w_ih), op.x in inputs)
            yield Product(2 * steps * size(op.w_hh), False)


def of_net(net: Network, way: str, rows: int, steps: int, optimizer: Any = None) -> Cost:
    """Return the cost of one step of a net, or of one prediction.

    Parameters
    ----------
    net : Network
        Built.
    way : str
        "step", "fit", "predict", or "gradients": forward, and back to weights and input.
    rows : int
        Of a batch.
    steps : int
        All time steps of the batch, for a net that reads sequences.
    optimizer : Optimizer, optional
        Its state counts as bytes.
    """
    program = net.recipe.predict()
    sizes = run_time_sizes(rows, (steps,) if steps else ())
    passes = PASSES[way]
    flops = 0
    for product in products(program, sizes):
        spared = way in ("step", "fit") and product.of_input
        flops += (passes - spared) * product.flops
    states = len(optimizer.state_names()) if optimizer is not None else 0
    weights = _weight_bytes(net, program, sizes)
    data = _bytes(program, [buffer.name for buffer in program.of_role("input")], sizes)
    values = [op.y for op in program.ops if isinstance(op, Dense | Conv | Recurrent)]
    between = _bytes(program, values, sizes)
    repeat = WEIGHT_PASSES.get(way, 2 + 2 * states)
    moved = repeat * weights + data * (2 if way == "gradients" else 1) + min(passes, 2) * between
    return Cost(flops, moved, (1 + states) * weights + data + between)


def _bytes(program: Program, names: list[str], sizes: dict[int, int]) -> int:
    item = 4 if program.dtype == "float32" else 8
    return sum(item * math.prod(program.buffers[name].full_shape(sizes)) for name in names)


def _weight_bytes(net: Network, program: Program, sizes: dict[int, int]) -> int:
    """Return the bytes of the weights that a batch touches: of a table, the rows of its ids."""
    total = sum(array.nbytes for array in net.params.values())
    for op in program.ops:
        if isinstance(op, EmbeddingBag):
            ids = math.prod(program.buffers[op.ids].full_shape(sizes))
            table = net.params[op.w]
            total -= table.nbytes - min(ids, len(table)) * table[0].nbytes
    return total
