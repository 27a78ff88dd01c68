"""A run that ends where a loss is NaN, before the ops that would change anything."""

from __future__ import annotations

import numpy as np
import pytest

import pybp as bp
from pybp import backends
from pybp.program.ops import Activate, ElementwiseLoss, Loop, N
from pybp.program.program import Program

STEPS = 5


def _program() -> Program:
    """Return a program with two losses of x against t, then a part that writes y."""
    program = Program("judged", "float64")
    program.add_buffer("x", (N, 2), "input")
    program.add_buffer("t", (N, 2), "target")
    program.append(ElementwiseLoss("x", "t", result=program.add_result("loss")))
    program.append(
        ElementwiseLoss("x", "t", function="absolute", result=program.add_result("other"))
    )
    program.backward_start = len(program.ops)
    program.add_buffer("y", (N, 2), "output")
    program.append(Activate("x", "y", "relu"))
    program.verify()
    return program


class Judged:
    """Steps of one row each; those of some rows have the loss NaN."""

    def __init__(self, backend: str, bad: tuple[int, ...]) -> None:
        self.program = _program()
        self.executor = backends.make_executor(backend, self.program, {}, 1)
        self.x = np.ones((STEPS, 2))
        self.x[list(bad), 1] = np.nan
        self.y = np.full((STEPS, 2), 7.0)
        self.results = np.full((STEPS, 4), 9.0)

    def run(self, check_at: int, begin: int = 0) -> None:
        self.executor.run(
            [self.x, np.zeros((STEPS, 2)), self.y],
            *(None, np.arange(STEPS + 1), np.zeros((STEPS, 0)), self.results, 0, 0),
            *(begin, len(self.program.ops)),
            check_at=check_at,
        )


@pytest.mark.parametrize("first", range(STEPS))
def test_the_run_ends_before_the_rest_of_the_step(backend: str, first: int) -> None:
    judged = Judged(backend, (first,))
    judged.run(judged.program.backward_start)
    assert judged.executor.steps_done == first
    assert np.all(judged.y[:first] == 1)
    assert np.all(judged.y[first:] == 7)
    assert np.all(judged.results[:first] == [2, 2, 2, 2])
    assert np.array_equal(np.isnan(judged.results[first]), [True, False, True, False])
    assert np.all(judged.results[first + 1 :] == 9)


@pytest.mark.parametrize("check_at", [-1, 0])
def test_without_a_check_all_steps_run(backend: str, check_at: int) -> None:
    judged = Judged(backend, (1, 2))
    judged.run(check_at)
    assert judged.executor.steps_done == STEPS
    assert np.isnan(judged.y[1, 1])
    assert judged.y[4, 1] == 1


def test_only_losses_before_the_check_count(backend: str) -> None:
    """At op 1 the second loss has not yet been measured, but the first one is looked at."""
    judged = Judged(backend, (3,))
    judged.run(1)
    assert judged.executor.steps_done == 3
    assert judged.results[3, 2:].tolist() == [0, 0]


@pytest.mark.parametrize(("check_at", "begin"), [(1, 2), (4, 0)])
def test_a_check_outside_of_the_run_is_refused(backend: str, check_at: int, begin: int) -> None:
    judged = Judged(backend, ())
    with pytest.raises(ValueError, match="check_at: expected an op from"):
        judged.run(check_at, begin)
    assert judged.executor.steps_done == 0
    assert np.all(judged.y == 7)
    assert np.all(judged.results == 9)


def test_the_next_run_is_as_good_as_ever(backend: str) -> None:
    judged = Judged(backend, (0,))
    judged.run(2)
    assert judged.executor.steps_done == 0
    judged.x[...] = 1
    judged.run(2)
    assert judged.executor.steps_done == STEPS
    assert np.all(judged.y == 1)


def test_a_check_does_not_cut_a_loop(backend: str) -> None:
    x, h = bp.Input((2,)), bp.Input((2,))
    step = bp.Tanh()(bp.Add()([x, h]))
    net = bp.Sequential([bp.Recurrent(bp.Cell(x, h, step, step))]).build((3, 2))
    program = net.recipe.predict()
    place = next(i for i, op in enumerate(program.ops) if isinstance(op, Loop))
    executor = backends.make_executor(backend, program, {}, 1, max_packed=(3,))
    nothing = np.zeros((1, 0))
    with pytest.raises(ValueError, match="cut the loop"):
        executor.run(
            [np.zeros((3, 2), np.float32)] * 2,
            *(None, np.array([0, 1]), nothing, nothing, 0, 0, 0, len(program.ops)),
            [(np.array([0]), np.array([3]))],
            check_at=place + 1,
        )
