"""The memory plan, against a check that knows nothing of how it was made."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pybp.program import ops
from pybp.program.ops import N
from pybp.program.plan import ALIGNMENT, buffer_bytes, make_plan
from pybp.program.program import Program


def _random_program(seed: int) -> Program:
    """Return a chain of ops in which each reads some earlier value."""
    rng = np.random.default_rng(seed)
    program = Program("random", str(rng.choice(["float32", "float64"])))
    program.add_buffer("x", (N, int(rng.integers(1, 40))), "input")
    program.add_buffer("fed", (N, 7), "value")
    names = ["x", "fed"]
    for i in range(int(rng.integers(1, 15))):
        x = names[int(rng.integers(max(0, len(names) - 4), len(names)))]
        shape = program.shape(x)
        if rng.random() < 0.3:
            program.append(ops.Reshape(x, f"v{i}", (1, *shape[1:])))
        elif rng.random() < 0.3:
            program.append(ops.Add(x, x, f"v{i}"))
        elif rng.random() < 0.5:
            w = program.add_buffer(f"w{i}", (shape[-1], int(rng.integers(1, 60))), "param")
            program.append(ops.Dense(x, w, f"v{i}"))
        else:
            program.append(ops.Activate(x, f"v{i}", "tanh"))
        names.append(f"v{i}")
    program.backward_start = int(rng.integers(0, len(program.ops) + 1))
    program.verify()
    return program


def _alive(program: Program, keep_forward: bool) -> dict[str, range]:
    """Return the moments at which each storage must hold its number, by plain reading."""
    end = len(program.ops)
    root: dict[str, str] = {}
    for op in program.ops:
        if isinstance(op, ops.Reshape):
            root[op.y] = root.get(op.x, op.x)
    moments: dict[str, set[int]] = {}
    written: set[str] = set()
    read: set[str] = set()
    for i, op in enumerate(program.ops):
        for name in op.inputs() + op.outputs():
            moments.setdefault(root.get(name, name), set()).add(i)
        read.update(op.inputs())
        written.update(op.outputs())
    for buffer in program.of_role("value", "input"):
        name = root.get(buffer.name, buffer.name)
        moments.setdefault(name, set())
        if buffer.name not in written:
            moments[name].add(0)
        for_the_caller = buffer.name not in read or buffer.name not in written
        if buffer.role == "value" and for_the_caller:
            moments[name].add(end)
        if keep_forward and min(moments[name]) < program.backward_start:
            moments[name].add(end)
    storages = {b.name for b in program.of_role("value", "input")} - set(root)
    return {name: range(min(m), max(m) + 1) for name, m in moments.items() if name in storages}


@pytest.mark.parametrize("keep_forward", [False, True])
def test_values_alive_together_share_no_byte(keep_forward: bool) -> None:
    for seed in range(200):
        program = _random_program(seed)
        rows = 1 + seed % 9
        plan = make_plan(program, rows, keep_forward=keep_forward)
        alive = _alive(program, keep_forward)
        assert set(plan.offsets) == set(alive)
        for name, offset in plan.offsets.items():
            size = buffer_bytes(program.buffers[name], program.dtype, {N: rows})
            assert offset % ALIGNMENT == 0
            assert 0 <= offset <= plan.size - size
        for a, b in itertools.combinations(alive, 2):
            if set(alive[a]) & set(alive[b]):
                start, other = plan.offsets[a], plan.offsets[b]
                size_a = buffer_bytes(program.buffers[a], program.dtype, {N: rows})
                size_b = buffer_bytes(program.buffers[b], program.dtype, {N: rows})
                assert start + size_a <= other or other + size_b <= start, (seed, a, b)


def test_memory_is_used_again() -> None:
    """A long chain needs room for two values, not for all of them."""
    program = Program("chain", "float32")
    program.add_buffer("v0", (N, 1000), "input")
    for i in range(20):
        program.append(ops.Activate(f"v{i}", f"v{i + 1}", "tanh"))
    size = buffer_bytes(program.buffers["v0"], "float32", {N: 8})
    assert make_plan(program, 8).size == 2 * size


def test_a_value_is_as_large_as_its_type() -> None:
    """The argmax of a small window takes a byte, of a large one four, in either float type."""
    for kernel, dtype, width in (((3,), "uint8", 1), ((257,), "int32", 4)):
        for float_type, float_width in (("float32", 4), ("float64", 8)):
            program = Program("pool", float_type)
            program.add_buffer("x", (N, 512, 64), "input")
            program.append(ops.MaxPool((1,), (0, 0), (1,), kernel, False, "x", "y", "argmax"))
            argmax, y = program.buffers["argmax"], program.buffers["y"]
            assert (argmax.dtype, y.dtype) == (dtype, "real")
            count = 2 * (513 - kernel[0]) * 64
            assert buffer_bytes(argmax, float_type, {N: 2}) == width * count
            assert buffer_bytes(y, float_type, {N: 2}) == float_width * count


def test_a_reshaped_value_shares_its_storage() -> None:
    program = Program("reshape", "float32")
    program.add_buffer("x", (N, 6), "input")
    program.append(ops.Activate("x", "a", "tanh"))
    program.append(ops.Reshape("a", "b", (2, 3)))
    program.append(ops.Reshape("b", "c", (3, 2)))
    plan = make_plan(program, 4)
    assert plan.aliases == {"b": "a", "c": "a"}
    assert set(plan.offsets) == {"x", "a"}
