"""A pass by hand: forward now, backward when the caller has the gradients of the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pybp.arrays import FLOAT_TYPES, Array
from pybp.data.batches import Batch, Delivery, spans
from pybp.data.inputs import whole
from pybp.nets.parameters import GradientArrays
from pybp.nets.programs import Bound, GradientProgram
from pybp.program.builder import Port

_NOTHING = np.zeros((1, 0))  # no hyper-parameters, no results


class HandPass(NamedTuple):
    """A bound gradient program, and the batch that is on its way through it."""

    bound: Bound
    names: GradientProgram
    batch: Batch
    seed: int
    step: int  # with the seed the key of the dropout masks, the same forward and backward

    def forward(self, outputs: Sequence[Port]) -> Any:
        """Return the outputs for a batch; what the backward part needs stays in the workspace."""
        for name, array in zip(self.names.inputs, self.batch.data, strict=True):
            packing = self.bound.program.buffers[name].packing
            if packing is not None:
                layout = self.batch.layouts[packing]
                rows = whole(array, self.bound.program.dtype)
                self.bound.executor.write(name, rows[layout.packing().places(layout.first)])
            else:
                self.bound.executor.write(name, whole(array, self.bound.program.dtype))
        return self._run(0, self.bound.program.backward_start, self.names.outputs, outputs, {})

    def backward(
        self,
        seeds: Sequence[Array],
        inputs: Sequence[Port],
        grads: GradientArrays,
        *,
        accumulate: bool,
    ) -> Any:
        """Fill the gradients, or add to them; return those of the inputs, None for ids."""
        before = grads.copy() if accumulate and grads.known else None
        begin, end = self.bound.program.backward_start, len(self.bound.program.ops)
        data = dict(zip(self.names.seeds, seeds, strict=True))
        ports = [one for port in inputs for one in port.each()]
        real = [k for k, name in enumerate(self.names.gradients) if name]
        names = [self.names.gradients[k] for k in real]
        found = self._run(begin, end, names, [ports[k] for k in real], data)
        grads.take_dense(self._touched_rows() if self.names.tables else {})
        if before is not None:
            grads.add(before)
        all_found = found if len(real) > 1 else (found,)
        each = dict(zip((ports[k].name for k in real), all_found, strict=False))
        weights = [name for port in inputs for name in port.weights if name in each]
        grads.take_weights({name: each[name] for name in weights})
        dx = tuple(each.get(port.name) for port in inputs)
        return dx[0] if len(inputs) == 1 else dx

    def _touched_rows(self) -> dict[str, Array]:
        """Return for each table the rows that have a gradient, in rising order."""
        steps = [int(layout.length.sum()) for layout in self.batch.packings_of(self.bound.program)]
        touched: dict[str, Array] = {}
        for name, buffers in self.names.tables.items():
            read = [self.bound.executor.read(rows, self.batch.rows, steps) for rows in buffers]
            found = np.unique(np.concatenate([rows.ravel() for rows in read]))
            touched[name] = found[found >= 0]
        return touched

    def _run(
        self,
        begin: int,
        end: int,
        wanted: Sequence[str],
        ports: Sequence[Port],
        data: dict[str, Array],
    ) -> Any:
        """Run some ops on arrays of the caller; return fresh arrays of what is wanted."""
        program, executor = self.bound.program, self.bound.executor
        delivery = Delivery(ports, self.batch, program, self.bound.program.dtype)
        given = data | {
            name: array
            for name, array in zip(wanted, delivery.arrays, strict=True)
            if program.buffers[name].role == "output"
        }
        arrays = [given.get(name) for name in self.bound.data]
        layouts = delivery.layouts
        starts = np.array([0, self.batch.rows])
        executor.run(
            *(arrays, None, starts, _NOTHING, _NOTHING, self.seed, self.step, begin, end),
            spans(layouts),
        )
        for name, array in zip(wanted, delivery.arrays, strict=True):
            if name not in given:
                self._copy(name, array)
            elif name in data:
                array[...] = np.asarray(data[name], FLOAT_TYPES[program.dtype])
        return delivery.give_back() if wanted else None

    def _copy(self, name: str, to: Array) -> None:
        """Copy a value of the workspace to where the caller's rows lie."""
        program = self.bound.program
        layouts = self.batch.packings_of(program)
        counts = [int(layout.length.sum()) for layout in layouts]
        value = self.bound.executor.read(name, self.batch.rows, counts)
        packing = program.buffers[name].packing
        if packing is None:
            to[...] = value
        else:
            to[layouts[packing].packing().places(layouts[packing].first)] = value
