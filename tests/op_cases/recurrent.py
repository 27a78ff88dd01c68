"""Cases of the recurrent ops: cells, sizes, lengths, and each of their optional fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from tolerance import EXACT, LINEAR, TRANSCENDENTAL

from op_cases.case import Case, Fill, Shape, normal, not_a_number, probabilities, some_zero
from pybp.program import ops
from pybp.program.ops import N, packed
from pybp.program.ops.recurrent import GATES, SAVED

P = packed(0)

# what a cell may read and write, besides what it always does
FORWARD = {
    "rnn_tanh": ("b_ih", "b_hh", "h0", "mask", "hn"),
    "rnn_relu": ("b_ih", "b_hh", "h0", "mask", "hn"),
    "lstm": ("b_ih", "b_hh", "h0", "c0", "mask", "hn", "cn", "gates", "cells"),
    "gru": ("b_ih", "b_hh", "h0", "mask", "hn", "gates"),
}
BACKWARD = {
    "rnn_tanh": ("dy", "dhn", "h0", "mask", "dh0"),
    "rnn_relu": ("dy", "dhn", "h0", "mask", "dh0"),
    "lstm": ("dy", "dhn", "dcn", "h0", "c0", "mask", "dh0", "dc0"),
    "gru": ("dy", "dhn", "h0", "mask", "dh0"),
}
SEEDS = ("dy", "dhn", "dcn")  # one of them is needed
TRAINING = ("b_ih", "b_hh", "gates", "cells")  # what a layer in training has


class Net(NamedTuple):
    """The sizes of a cell, and its batch."""

    inner: int
    size: int
    lengths: tuple[int, ...]
    title: str = ""

    def __str__(self) -> str:
        steps = self.title or ",".join(map(str, self.lengths))
        return f"{self.inner}->{self.size} steps {steps}"


RAGGED = Net(5, 7, (2, 4, 1, 4))
NETS = [
    Net(1, 1, (1,)),
    Net(5, 7, (3, 3, 3)),
    Net(17, 31, (6,)),
    Net(3, 33, (5, 2, 5, 1)),
    Net(8, 16, (4,) * 9, "9 x 4"),
    Net(66, 64, (7, 3, 9, 1, 4, 9, 2, 6, 6, 1, 3, 8, 5), "13 mixed"),
    Net(40, 130, tuple(1 + 5 * i % 7 for i in range(70)), "70 mixed"),
]
BENCH = [  # the workloads of the benchmarks
    ("rnn_tanh", Net(65, 128, (100,) * 32, "32 x 100")),
    ("lstm", Net(512, 512, (50,) * 50, "50 x 50")),
    ("gru", Net(65, 256, (100,) * 64, "64 x 100")),
    ("lstm", Net(65, 64, (20,), "1 x 20")),
]


def recurrent_cases() -> Iterator[Case]:
    for cell in GATES:
        for net in NETS:
            yield from _cases_of_net(cell, net)
        yield from _cases_of_fields(cell)
    for cell, net in BENCH:
        yield forward_case(cell, net, TRAINING, bench=True)
        yield backward_case(cell, net, ("dy",), bench=True)
        yield weight_case(cell, net, ("db",), bench=True)
    for p, rows, size in ((0.5, 3, 41), (0.0, 2, 5), (1.0, 2, 5), (0.2, 128, 512)):
        op = ops.DropMask("y", size, p, 3)
        bench = rows > 100
        yield Case(
            f"drop_mask {p} {rows}x{size}", op, rows, {"y": (N, size)}, 1, EXACT, bench=bench
        )


def _cases_of_net(cell: str, net: Net) -> Iterator[Case]:
    yield forward_case(cell, net, TRAINING)
    yield backward_case(cell, net, ("dy",))
    yield weight_case(cell, net, ("db",))
    for reverse in (False, True):
        yield forward_case(cell, net, FORWARD[cell], "all options", reverse=reverse)
        yield backward_case(cell, net, BACKWARD[cell], "all options", reverse=reverse)
        yield weight_case(cell, net, ("db", "h0", "mask"), "all options", reverse=reverse)


def _cases_of_fields(cell: str) -> Iterator[Case]:
    """Yield cases with one optional field alone, and with all but one."""
    yield forward_case(cell, RAGGED, ())
    yield forward_case(cell, RAGGED, (), reverse=True)
    for field in FORWARD[cell]:
        others = [other for other in FORWARD[cell] if other != field]
        yield forward_case(cell, RAGGED, (field,), f"{field} alone")
        yield forward_case(cell, RAGGED, others, f"no {field}", reverse=True)
    for field in BACKWARD[cell]:
        others = [other for other in BACKWARD[cell] if other != field]
        alone = (field,) if field in SEEDS else ("dy", field)
        yield backward_case(cell, RAGGED, alone, f"{field} alone")
        yield backward_case(cell, RAGGED, others, f"no {field}", reverse=True)
    last = [field for field in BACKWARD[cell] if field != "dy" and field in (*SEEDS, "dh0")]
    yield backward_case(cell, RAGGED, last, "of the last states", reverse=True)
    if cell == "lstm":
        for fields in ((), ("h0",), ("mask",), ("h0", "mask", "db")):
            yield weight_case(cell, RAGGED, fields, f"with {' '.join(fields)}", reverse=True)
        yield weight_case(cell, RAGGED, ("db", "h0"), "accumulate", accumulate=True)


def recurrent_sized(size: int) -> Iterator[Case]:
    """Yield cases of every cell with this inner size."""
    lengths = tuple(1 + (size + 3 * i) % 4 for i in range(1 + size % 5))
    for cell in GATES:
        for net in (Net(size, 7, lengths), Net(7, size, lengths)):
            yield forward_case(cell, net, FORWARD[cell])
            yield backward_case(cell, net, BACKWARD[cell])
            yield weight_case(cell, net, ("db", "h0", "mask"))
    op = ops.DropMask("y", size, 0.4, 2)
    yield Case(f"drop_mask {size}", op, 5, {"y": (N, size)}, 1, EXACT)


# ------------------------------------------------------------------------------ how cases are made


def _shapes(cell: str, net: Net) -> dict[str, Shape]:
    h, wide = (net.size,), GATES[cell] * net.size
    each, state = (P, *h), (N, *h)
    return {
        "x": (P, net.inner),
        "w_ih": (net.inner, wide),
        "w_hh": (*h, wide),
        "b_ih": (wide,),
        "b_hh": (wide,),
        "gates": (P, SAVED[cell] * net.size),
        "dw": (*h, wide),
        "db": (wide,),
        **dict.fromkeys(("dz", "dq"), (P, wide)),
        **dict.fromkeys(("y", "cells", "dy"), each),
        **dict.fromkeys(
            ("h0", "c0", "mask", "hn", "cn", "dhn", "dcn", "dh0", "dc0"),
            state,
        ),
    }


def _weights(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Return weights that neither blow a state up nor let it fade."""
    return rng.normal(size=shape) / np.sqrt(shape[0])


def _case(name: str, op: ops.Op, cell: str, net: Net, terms: int, amp: float, bench: bool) -> Case:
    shapes = _shapes(cell, net)
    outputs: dict[str, Fill] = {"rnn_tanh": _squashed, "rnn_relu": some_zero}
    given: dict[str, Fill] = {
        "w_ih": _weights,
        "w_hh": _weights,
        "mask": some_zero,
        "gates": probabilities,
        "y": outputs.get(cell, normal),
    }
    if not getattr(op, "accumulate", False):
        given |= dict.fromkeys(("dw", "db"), not_a_number)
    used = (*op.inputs(), *op.outputs())
    return Case(
        name,
        op,
        len(net.lengths),
        {field: shapes[field] for field in used},
        terms,
        amp,
        {field: given[field] for field in used if field in given},
        bench=bench,
        lengths=net.lengths,
    )


def _squashed(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(-0.95, 0.95, shape)


def _name(kind: str, cell: str, net: Net, title: str, reverse: bool) -> str:
    return " ".join([kind, cell, str(net), *[title] * bool(title), *["reverse"] * reverse])


def _named(fields: Sequence[str]) -> dict[str, str]:
    return {field: field for field in fields}


def forward_case(
    cell: str,
    net: Net,
    fields: Sequence[str],
    title: str = "",
    *,
    reverse: bool = False,
    bench: bool = False,
) -> Case:
    """Return a case of ``Recurrent`` with these optional fields, as far as the cell has them."""
    named = _named([field for field in fields if field in FORWARD[cell]])
    op = ops.Recurrent("x", "w_ih", "w_hh", "y", **named, cell=cell, reverse=reverse)
    amp = TRANSCENDENTAL + max(net.lengths)
    terms = max(net.inner, net.size)
    name = _name("recurrent", cell, net, title, reverse)
    return _case(name, op, cell, net, terms, amp, bench)


def backward_case(
    cell: str,
    net: Net,
    fields: Sequence[str],
    title: str = "",
    *,
    reverse: bool = False,
    bench: bool = False,
) -> Case:
    """Return a case of ``RecurrentGrad`` with these optional fields, and those it must have."""
    must = ["gates"] * bool(SAVED[cell]) + ["cells"] * (cell == "lstm") + ["dq"] * (cell == "gru")
    named = _named([*must, *fields])
    op = ops.RecurrentGrad("y", "w_hh", "dz", **named, cell=cell, reverse=reverse)
    amp = TRANSCENDENTAL + max(net.lengths)
    name = _name("recurrent_grad", cell, net, title, reverse)
    return _case(name, op, cell, net, GATES[cell] * net.size, amp, bench)


def weight_case(
    cell: str,
    net: Net,
    fields: Sequence[str],
    title: str = "",
    *,
    reverse: bool = False,
    accumulate: bool = False,
    bench: bool = False,
) -> Case:
    """Return a case of ``RecurrentGradWeight`` with these optional fields."""
    op = ops.RecurrentGradWeight(
        "y", "dq", "dw", **_named(fields), accumulate=accumulate, reverse=reverse
    )
    name = _name("recurrent_grad_weight", cell, net, title, reverse)
    return _case(name, op, cell, net, sum(net.lengths), LINEAR, bench)
