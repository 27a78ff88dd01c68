"""Loops over time in a program: the memory plan, what the verifiers refuse, ranges of ops."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from conftest import require_native

import pybp as bp
from pybp.arrays import aligned_zeros
from pybp.backends import make_executor
from pybp.program import ops
from pybp.program.ops import N, OpError, packed
from pybp.program.plan import buffer_bytes, make_plan
from pybp.program.program import Program, View

P = packed(0)


def _sums(dtype: str = "float32") -> Program:
    """Return the program y_t = tanh(x_t) + y_(t - 1), with a start (n, 3)."""
    program = Program("sums", dtype)
    program.add_packing()
    program.add_buffer("x", (P, 3), "input")
    program.add_buffer("start", (N, 3), "value")
    program.add_buffer("y", (P, 3), "value")
    now = program.add_view("x now", View("x"))
    before = program.add_view("y before", View("y", "start"))
    written = program.add_view("y now", View("y"))
    inner = program.inside()
    inner.append(ops.Activate(now, "a", "tanh"))
    inner.append(ops.Add("a", before, "b"))
    inner.append(ops.Activate("b", written, "identity"))
    program.append_loop(0, inner.ops)
    return program


def test_a_loop_knows_what_it_reads_and_writes() -> None:
    program = _sums()
    program.verify()
    (loop,) = (op for _, op in program.outer())
    assert (loop.inputs(), loop.outputs()) == (["x", "start"], ["y"])
    assert loop.count == 3
    lines = str(program).splitlines()
    assert "  0  y (p, 3) = loop(x, start, packing=0, count=3)" in lines
    assert "  1    a (n, 3) = activate(x now, function=tanh)" in lines


# ------------------------------------------------------------------------------------- the plan


def _pool_cell() -> bp.Cell:
    """A cell with reshaped values, and one that is written on the way back alone."""
    x, h = bp.Input((3,)), bp.Input((4, 2))
    wide = bp.Linear(8)(bp.Concat()([x, bp.Flatten()(h)]))
    new_h = bp.Tanh()(bp.MaxPool1d(3, 1, 1)(bp.Reshape((4, 2))(wide)))
    return bp.Cell(x, h, bp.Flatten()(new_h), new_h)


def _two_ways() -> bp.Sequential:
    first = bp.Recurrent(bp.layer_norm_lstm(3, 5), reverse=True)
    second = bp.Recurrent(bp.layer_norm_lstm(5, 2), return_sequences=False)
    return bp.Sequential([bp.Linear(3), bp.Tanh(), first, bp.GELU(), second, bp.Linear(3)])


NETS: dict[str, Callable[[], bp.Sequential]] = {
    "layer norm": lambda: bp.Sequential([bp.Recurrent(bp.layer_norm_lstm(3, 4)), bp.Linear(2)]),
    "two ways": _two_ways,
    "pool": lambda: bp.Sequential([bp.Recurrent(_pool_cell()), bp.LSTM(3), bp.Linear(1)]),
}


def _executed(program: Program) -> Iterator[ops.Op]:
    """Yield the ops in the order in which they run, for sequences of three time steps."""
    for _, op in program.outer():
        yield op
        if isinstance(op, ops.Loop):
            yield from program.body(op) * 3


def _lives(program: Program, aliases: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Return between which moments each storage is touched, directly or through a view."""
    lives: dict[str, tuple[int, int]] = {}
    for moment, op in enumerate(_executed(program)):
        for name in (*op.inputs(), *op.outputs()):
            view = program.views.get(name)
            shown = [name] if view is None else [view.of, view.start]
            for each in (aliases.get(one, one) for one in shown):
                first, _ = lives.get(each, (moment, moment))
                lives[each] = (first, moment)
    return lives


@pytest.mark.parametrize("keep_forward", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_what_lives_across_a_loop_shares_no_byte_with_it(name: str, keep_forward: bool) -> None:
    net = NETS[name]().build((None, 3))
    program = net.recipe.gradient(training=True).program
    assert sum(isinstance(op, ops.Loop) for op in program.ops) >= 2
    plan = make_plan(program, 5, max_packed=(17,), keep_forward=keep_forward)
    sizes = {N: 5, P: 17}
    lives = _lives(program, plan.aliases)
    assert not set(program.views) & (set(plan.offsets) | set(plan.aliases.values()))
    for a, b in itertools.combinations(set(lives) & set(plan.offsets), 2):
        if lives[a][0] <= lives[b][1] and lives[b][0] <= lives[a][1]:
            start, other = plan.offsets[a], plan.offsets[b]
            size_a = buffer_bytes(program.buffers[a], program.dtype, sizes)
            size_b = buffer_bytes(program.buffers[b], program.dtype, sizes)
            assert start + size_a <= other or other + size_b <= start, (a, b)


@pytest.mark.parametrize("name", NETS)
def test_a_forward_pass_can_be_followed_by_several_backward_ones(name: str, backend: str) -> None:
    x = np.random.default_rng(0).normal(size=(4, 5, 3))
    net = NETS[name]().build((None, 3))
    dy = np.ones_like(net.forward(x, training=True))
    first = net.backward(dy).copy()
    grads = {name: np.array(grad) for name, grad in net.grads.items()}
    net.forward(x, training=True)
    np.testing.assert_array_equal(net.backward(dy), first)
    for name, grad in net.grads.items():
        np.testing.assert_array_equal(grad, grads[name])


# ------------------------------------------------------------------------- what Python refuses


def _replaced(program: Program, **changes: Any) -> Program:
    program.ops[0] = program.ops[0].replace(**changes)
    return program


def _with_body(program: Program, *body: ops.Op) -> Program:
    program.ops = []
    program.append_loop(0, body)
    return program


def _two_packings() -> Program:
    program = _sums()
    program.add_packing()
    program.add_buffer("other", (packed(1), 3), "input")
    other = program.add_view("other now", View("other"))
    return _with_body(program, ops.Activate(other, "y now", "identity"))


def _read_first() -> Program:
    program = _sums()
    return _with_body(program, ops.Add("a", "b", "a"), ops.Activate("a", "y now", "identity"))


def _loss() -> Program:
    program = _sums()
    program.add_result("loss")
    return _with_body(program, ops.ElementwiseLoss("y before", "x now"))


def _outside() -> Program:
    program = _sums()
    program.append(ops.Activate("b", "y now", "tanh"))
    return program


def _temporary() -> Program:
    program = _sums()
    program.append(ops.Activate("b", "c", "tanh"))
    return program


BROKEN = {
    "taken and made must be": lambda: _replaced(_sums(), taken=("x",)),
    "count reaches beyond the 3 ops": lambda: _replaced(_sums(), count=4),
    "count reaches beyond the 0 ops": lambda: _replaced(_sums(), count=0),
    "there is no packing 1": lambda: _replaced(_sums(), packing=1),
    "loop can't stand in a loop": lambda: _with_body(_sums(), *_sums().ops),
    "zeros.* can't be used in a loop but|'y' can't be used": lambda: _with_body(
        _sums(), ops.Zeros("y", (P, 3))
    ),
    "'other now' shows 'other', which is not of packing 0": _two_packings,
    "add reads 'a', which no op before it makes": _read_first,
    "elementwise_loss can't stand in a loop": _loss,
    "by_rank can't stand in a loop": lambda: _with_body(_sums(), ops.ByRank("start", "y now")),
    "writes 'y now', a view, outside of a loop|reads 'b' before": _outside,
    "reads 'b' before anything has written it": _temporary,
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_loop_is_refused(message: str) -> None:
    with pytest.raises(OpError, match=message):
        BROKEN[message]().verify()


# --------------------------------------------------------------------------- what C++ refuses


class _Lists:
    """What the extension takes, for the sums, before it is broken."""

    def __init__(self) -> None:
        from pybp.backends.native_executor import _Layout

        program = _sums()
        plan = make_plan(program, 4, max_packed=(9,))
        layout = _Layout(program, [], plan.offsets, plan.aliases)
        self.index, self.size = layout.index, plan.size
        self.buffers, self.data = layout.buffers(), layout.data()
        self.ops, self.views = layout.ops(), layout.views()
        self.packings = [0]

    def bind(self) -> Any:
        from pybp import _core

        lists = (self.buffers, self.data, self.ops)
        room = [4, *[9] * len(self.packings)]
        executor = _core.Executor("float32", *lists, room, self.packings, self.views)
        executor.bind([aligned_zeros(self.size, np.uint8)], aligned_zeros(64, np.uint8))
        return executor

    def field(self, place: int, **fields: Any) -> None:
        kind, old = self.ops[place]
        self.ops[place] = (kind, old | fields)

    def op(self, place: int, kind: str, **fields: Any) -> None:
        named = {
            name: self.index[value] if isinstance(value, str) else value
            for name, value in fields.items()
        }
        self.ops[place : place + 1] = [(kind, named)]

    def buffer(self, name: str, **fields: Any) -> None:
        keys = ("slot", "offset", "dtype", "shape")
        old = dict(zip(keys, self.buffers[self.index[name]], strict=True))
        self.buffers[self.index[name]] = tuple((old | fields).values())

    def view(self, place: int, *entry: Any) -> None:
        self.views[place] = tuple(self.index.get(each, each) for each in entry)

    def other_packing(self) -> None:
        self.packings.append(0)
        self.field(0, packing=1)


REFUSED: list[tuple[str, Callable[[_Lists], None]]] = [
    (r"op 0 \(loop\), field count: got 4, but 3 ops follow", lambda x: x.field(0, count=4)),
    (r"op 0 \(loop\), field count: got 0", lambda x: x.field(0, count=0)),
    (r"op 0 \(loop\), field taken: expected the index", lambda x: x.field(0, taken=(77,))),
    (r"op 0 \(loop\), field made: expected Writes, got \[1\]", lambda x: x.field(0, made=[1])),
    (r"op 0 \(loop\), field made: expected Writes", lambda x: x.field(0, made=("y",))),
    (
        r"op 1: buffer \d+ is packed: a loop sees it through views alone",
        lambda x: x.op(1, "multiply", a="y", b="y", y="y"),
    ),
    (
        r"op 1: buffer \d+ is data: no loop may use it",
        lambda x: x.buffer("a", slot=x.buffers[x.index["x"]][0]),
    ),
    (
        r"op 4: uses a view outside of a loop",
        lambda x: x.op(4, "multiply", a="a", b="x now", y="b"),
    ),
    (r"op 1: buffer \d+ is a view of another packing", _Lists.other_packing),
    (
        r"op 2: can't stand in a loop",
        lambda x: x.op(2, "by_rank", x="a", y="b", packing=0, inverse=False),
    ),
    (
        r"op 2: can't stand in a loop",
        lambda x: x.op(2, "loop", taken=(), made=(), packing=0, count=1, backward=False),
    ),
    (r"view 2: expected its buffer in slot \d+, got 0", lambda x: x.buffer("y now", slot=0)),
    (r"view 1: expected a start like the view", lambda x: x.view(1, "y before", "y", "y")),
    (
        r"view 0: expected a buffer \(n, ...\) and a packed one",
        lambda x: x.view(0, "x now", "a", -1),
    ),
    (r"view 0: expected a buffer", lambda x: x.view(0, "x now", 99, -1)),
    (r"view 0: expected \(buffer, of, start\)", lambda x: x.view(0, "x now", "x")),
]


@pytest.mark.parametrize(("message", "change"), REFUSED)
def test_the_extension_refuses_broken_loops(message: str, change: Callable[[_Lists], None]) -> None:
    require_native()
    _Lists().bind()
    lists = _Lists()
    change(lists)
    with pytest.raises(ValueError, match=message):
        lists.bind()


# ------------------------------------------------------------------------------- ranges of ops


def _run(backend: str, begin: int, end: int) -> np.ndarray:
    executor = make_executor(backend, _sums("float64"), {}, 3, max_packed=(6,))
    executor.write("start", np.full((3, 3), 0.5))
    lengths = np.array([1, 3, 2])
    x = np.arange(18.0).reshape(6, 3) / 9
    spans = [(np.array([0, 1, 4]), lengths)]
    starts, nothing = np.array([0, 3]), np.zeros((1, 0))
    executor.run([x], None, starts, nothing, nothing, 0, 0, begin, end, spans)
    return executor.read("y", 3, (6,))


def test_sums_over_time(backend: str) -> None:
    x = np.tanh(np.arange(18.0).reshape(6, 3) / 9)
    sums = [0.5 + x[1], 0.5 + x[4], 0.5 + x[0]]  # the longest first
    sums += [sums[0] + x[2], sums[1] + x[5], sums[0] + x[2] + x[3]]
    np.testing.assert_allclose(_run(backend, 0, 4), sums, rtol=1e-15)


@pytest.mark.parametrize(("begin", "end"), [(0, 1), (0, 3), (1, 4), (2, 3), (3, 4)])
def test_a_part_of_a_loop_does_not_run(backend: str, begin: int, end: int) -> None:
    with pytest.raises(ValueError, match="cut the loop"):
        _run(backend, begin, end)
