"""Batches: the arguments of a call, checked and laid out as the programs of a net take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pybp.arrays import FLOAT_TYPES, Array, each_once
from pybp.data import inputs
from pybp.data.ragged import Ragged
from pybp.data.sequences import Layout, flat_like, is_ragged, padded_layout, take
from pybp.data.sources import Rows, Source
from pybp.program.builder import Port
from pybp.program.program import Program

SampleShape = tuple[int | None, ...]
_MOST_STEPS = 1 << 16  # time steps of a batch of evaluation


class Intake(NamedTuple):
    """What a net takes, for the checks of its arguments.

    ``names`` are those of its inputs for users; ``id_counts`` the number of rows of the smallest
    table that an input of ids goes to (0 for others), ``bags`` which of them may be empty.
    """

    ports: tuple[Port, ...]
    names: tuple[str, ...]
    id_counts: tuple[int, ...]
    bags: tuple[bool, ...]


class Batch(NamedTuple):
    """Samples, ready for executors: an array for each input, and the layout of each packing."""

    rows: int
    data: list[Rows]
    layouts: tuple[Layout, ...]

    def packings_of(self, program: Program) -> tuple[Layout, ...]:
        """Return the layouts of all packings of a program: these, then those of fixed length."""
        if len(program.packings) == len(self.layouts):
            return self.layouts
        fixed = program.packings[len(self.layouts) :]
        return (*self.layouts, *(padded_layout(self.rows, steps) for steps in fixed))


def spans(layouts: Sequence[Layout]) -> tuple[tuple[Array, Array], ...]:
    """Return layouts as executors take them."""
    return tuple((layout.first, layout.length) for layout in layouts)


def most_packed(layouts: Sequence[Layout], rows: int) -> tuple[int, ...]:
    """Return the most time steps that ``rows`` samples can have, for each packing."""
    if not layouts:
        return ()
    counts = []
    for layout in layouts:
        length = layout.length
        if rows < len(length):
            length = np.partition(length, len(length) - rows)[len(length) - rows :]
        counts.append(max(1, int(length.sum())))
    return tuple(counts)


def cut(rows: int, most: int, layouts: Sequence[Layout]) -> Array:
    """Return where steps of evaluation begin, and the end of the last: (steps + 1,)."""
    if most >= rows and not layouts:
        return np.array([0, rows])
    if not layouts:
        return np.append(np.arange(0, rows, most), rows)
    steps = np.maximum.reduce([layout.length for layout in layouts])
    starts, total = [0], 0
    for row, length in enumerate(steps.tolist()):
        if row > starts[-1] and (row - starts[-1] == most or total + length > _MOST_STEPS):
            starts.append(row)
            total = 0
        total += length
    return np.array([*starts, rows])


def sample_shapes(ports_wanted: int, x: Any) -> tuple[SampleShape, ...]:
    """Return the shapes of the samples of an argument, for a net that is not built yet."""
    given = x if isinstance(x, tuple) else (x,)
    if isinstance(x, dict):
        given = tuple(x.values())
    if len(given) != ports_wanted:
        raise ValueError(f"the net takes {ports_wanted} inputs, got {len(given)}")
    shapes: list[SampleShape] = []
    for one in given:
        if is_ragged(one):
            flat, _ = take(one, "x", None, empty=True)
            shapes.append((None, *flat.shape[1:]))
        else:
            shapes.append(inputs.rows_of(one, "x").shape[1:])
    return tuple(shapes)


def take_batch(intake: Intake, x: Any, lengths: Any, dtype: str) -> Batch:
    """Check the samples of a call, and lay them out.

    Raises
    ------
    TypeError, ValueError, IndexError
        For what the net can't take; the message names the input.
    """
    count = len(intake.ports)
    if count == 1 and isinstance(x, dict):
        (x,) = _each(x, intake.names, "x")
    if count == 1 and intake.ports[0].packing is None and lengths is None:
        array, _ = _take_one(intake.ports[0], x, None, "x", empty=False)
        if intake.id_counts[0]:
            check_ids(array, None, intake.id_counts[0], "x")
        return Batch(len(array), [inputs.ready(array, dtype)], ())
    given = _each(x, intake.names, "x") if count > 1 else (x,)
    own = _each(lengths, intake.names, "lengths") if count > 1 else (lengths,)
    layouts: dict[int, Layout] = {}
    data: list[Rows] = []
    rows = 0
    for k, port in enumerate(intake.ports):
        name = "x" if count == 1 else f"input {intake.names[k]}"
        array, layout = _take_one(port, given[k], own[k], name, empty=intake.bags[k])
        if intake.id_counts[k]:
            check_ids(array, layout, intake.id_counts[k], name)
        n = len(array) if layout is None else len(layout.first)
        if k and n != rows:
            raise ValueError(f"the inputs have {rows} and {n} rows")
        rows = n
        if layout is not None:
            assert port.packing is not None
            if not layouts.setdefault(port.packing, layout).same_steps(layout):
                raise ValueError(f"{name} must have the time steps of the inputs it meets")
        data.append((inputs.ready if layout is None else inputs.whole)(array, dtype))
        data += _take_weights(port, given[k], len(array), name, dtype)
    return Batch(rows, data, tuple(layouts[k] for k in sorted(layouts)))


def _each(value: Any, names: Sequence[str], what: str) -> Sequence[Any]:
    """Return an argument for each input, from a tuple or a dictionary by name."""
    if value is None and what == "lengths":
        return [None] * len(names)
    if isinstance(value, dict):
        if set(value) != set(names) and what == "x":
            raise ValueError(f"{what} must have the keys {', '.join(names)}, got {list(value)}")
        return [value.get(name) for name in names]
    if not isinstance(value, tuple) or len(value) != len(names):
        raise TypeError(
            f"{what} must be a tuple of {len(names)}, or a dict by name ({', '.join(names)}), "
            f"got {type(value).__name__}"
        )
    return value


def _take_one(
    port: Port, value: Any, lengths: Any, name: str, *, empty: bool
) -> tuple[Rows, Layout | None]:
    if port.packing is None:
        if lengths is not None:
            raise ValueError("lengths belong to sequences, and this net takes none")
        array = inputs.samples(value, name, port.shape)
        _check_kind(array, port, name)
        return array, None
    flat, layout = take(value, name, lengths, empty=empty)
    _check_kind(flat, port, name)
    steps = port.shape[0]
    fits = steps is None or layout.steps in (steps, 0)
    if flat.shape[1:] != port.shape[1:] or not fits:
        sizes = "".join(f", {size}" for size in port.shape[1:])
        shape = (*flat.shape[1:],) if layout.steps == 0 else (layout.steps, *flat.shape[1:])
        raise ValueError(
            f"{name} must have shape (n, {steps or 'steps'}{sizes}), got samples of {shape}"
        )
    if steps is not None and layout.length.max() > steps:
        raise ValueError(f"{name}: sequences of up to {steps} steps fit, got {layout.length.max()}")
    return flat, layout


def _take_weights(port: Port, value: Any, steps: int, name: str, dtype: str) -> list[Array]:
    """Return the factors of ids for each layer that takes them: 1 where none are given."""
    weights = value.weights if isinstance(value, Ragged) else None
    if not port.weights:
        if weights is not None:
            raise ValueError(f'{name} has weights, which belong to an EmbeddingBag of mode "sum"')
        return []
    if weights is None:
        weights = np.ones(steps, FLOAT_TYPES[dtype])
    return [inputs.whole(weights, dtype)] * len(port.weights)


def _check_kind(array: Rows, port: Port, name: str) -> None:
    if port.dtype == "int32" and array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold ids, whole numbers, got the dtype {array.dtype}")


def check_ids(array: Rows, layout: Layout | None, count: int, name: str) -> None:
    """Refuse ids that no table has, where they count."""
    if isinstance(array, Source):
        for block in array.blocks():
            check_ids(block, None, count, name)
        return
    if layout is not None and layout.steps and int(layout.length.min()) < layout.steps:
        array = array[layout.packing().places(layout.first)]
    array = each_once(array)
    if array.size and (int(array.min()) < 0 or int(array.max()) >= count):
        wrong = int(array[(array < 0) | (array >= count)].flat[0])
        raise IndexError(f"{name} must hold ids in 0 ... {count - 1}, got {wrong}")


class Delivery:
    """The outputs of a call: fresh arrays that executors fill, given back as the inputs came."""

    def __init__(self, ports: Sequence[Port], batch: Batch, program: Program, dtype: str) -> None:
        self.layouts = batch.packings_of(program)
        self.ports = ports
        self.arrays = [self._fresh(port, batch, FLOAT_TYPES[dtype]) for port in ports]

    def _fresh(self, port: Port, batch: Batch, dtype: Any) -> Array:
        if port.packing is None:
            return np.empty((batch.rows, *port.sizes), dtype)
        layout = self.layouts[port.packing]
        whole = int(layout.length.sum()) == layout.rows
        make = np.empty if whole else np.zeros  # what no sequence reaches stays 0
        return make((layout.rows, *port.sizes), dtype)

    def give_back(self) -> Any:
        """Return the outputs: an array or a list of them; a tuple where there are several."""
        results = [
            array if port.packing is None else self.layouts[port.packing].give_back(array)
            for port, array in zip(self.ports, self.arrays, strict=True)
        ]
        return results[0] if len(results) == 1 else tuple(results)


def take_seeds(ports: Sequence[Port], dy: Any, batch: Batch, program: Program, dtype: str) -> Any:
    """Return the gradients of the outputs as flat arrays; None among several stands for zeros."""
    several = len(ports) > 1
    if several and (not isinstance(dy, tuple) or len(dy) != len(ports)):
        raise TypeError(f"dy must be a tuple of {len(ports)}, one for each output")
    layouts = batch.packings_of(program)
    seeds = []
    for k, (port, one) in enumerate(zip(ports, dy if several else (dy,), strict=True)):
        name = f"dy[{k}]" if several else "dy"
        layout = None if port.packing is None else layouts[port.packing]
        rows = batch.rows if layout is None else layout.rows
        if one is None and several:
            seeds.append(np.zeros((rows, *port.sizes), FLOAT_TYPES[dtype]))
            continue
        array = inputs.numbers(one, name) if layout is None else flat_like(one, name, layout)
        if array.shape[1:] != port.sizes:
            text = "".join(f", {size}" for size in port.shape)
            raise ValueError(f"{name} must have shape (n{text}), got rows of {array.shape[1:]}")
        if len(array) != rows:
            raise ValueError(
                f"{name} must have the {rows} rows of the forward pass, got {len(array)}"
            )
        seeds.append(inputs.whole(array, dtype))
    return seeds
