"""The native half: an executor of programs, single kernels, and what the build can do."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

class Executor:
    """Runs a program whose memory belongs to the caller.

    Buffers are ``(slot, byte offset, "real" or "int32", shape)``, with -1 as the first extent where
    there is one row a sample, and -2 - k where there is one for each time step of packing k. Slots
    0 ... S - 1 are the segments of ``bind``, slot S + d is data array d, and slot S + D + v view v
    behind D data arrays. Data slots are ``(buffer, staging slot, staging byte offset, is_output)``:
    rows that can't be used where they lie are gathered and converted there. Ops are ``(kind,
    fields)`` with an index of a buffer, or -1, for each operand. Views are ``(buffer, of, start)``
    with the indices of buffers, start -1 for none: see ``pybp.program.program.View``.

    Raises
    ------
    ValueError
        If the program breaks a rule; the message names the op and the field.
    """

    def __init__(
        self,
        dtype: str,
        buffers: list[tuple[int, int, str, tuple[int, ...]]],
        data: list[tuple[int, int, int, bool]],
        ops: list[tuple[str, dict[str, Any]]],
        capacity: list[int],
        fixed_steps: list[int],
        views: list[tuple[int, int, int]] = ...,
    ) -> None: ...
    @property
    def scratch_bytes(self) -> int:
        """The scratch that ``bind`` asks for at the present number of threads."""

    @property
    def steps_done(self) -> int:
        """The number of steps that the last run finished, also after an exception."""

    def bind(self, segments: list[NDArray[Any]], scratch: NDArray[Any]) -> None:
        """Take the fixed memory and keep references to it.

        All arrays are C-contiguous and writable; ``scratch`` begins at a multiple of 64 bytes.
        ValueError says which buffer does not fit into its segment.
        """

    def run(
        self,
        data: Sequence[NDArray[Any] | None],
        order: NDArray[np.int64] | None,
        starts: NDArray[np.int64],
        hyper: NDArray[np.float64],
        results: NDArray[np.float64],
        seed: int,
        first_step: int,
        begin: int,
        end: int,
        spans: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]] = (),
        check_at: int = -1,
        call: Callable[[int, list[Any], int, NDArray[np.float64]], list[Any]] | None = None,
    ) -> None:
        """Run ``ops[begin:end]`` once for each step, without the GIL.

        ``data`` has an array for each data slot: (rows, ...) of any number type, the elements of a
        row side by side; None is allowed where none of the ops uses the slot. Outputs are writable,
        C-contiguous and of the buffer's type. Step s uses the rows ``order[starts[s]:starts[s+1]]``
        (None: those rows themselves), reads ``hyper[s]`` (float64, (steps, k)) and overwrites
        ``results[s]`` (float64, (steps, m)). Labels are not checked: each must be a class or the
        op's ``ignore_index``. ``spans`` has (first, length) for each packing: the time steps of row
        r are ``first[r] ... first[r] + length[r] - 1`` of the arrays of packed buffers. With
        ``check_at`` above 0 a NaN among the sums that ``ops[begin:check_at]`` add to ``results[s]``
        ends the run, without an error and before the rest of the step.

        Ops that run in Python are handed to ``call(op, arrays, rows, results)``, on this thread and
        with the GIL: copies of what the op reads in the order of its fields, None for its other
        operands, and a copy of ``results[s]`` that may be changed. It returns a list of what the op
        writes. What it raises ends the run and is passed on.

        Signals are handled between steps, about every 50 ms; what a handler raises ends the run
        after the step in progress. Several threads take turns.

        Raises
        ------
        ValueError
            If an array does not fit, before anything is changed.
        RuntimeError
            Before ``bind``, or from a signal handler that interrupts this executor.
        """

def schema() -> dict[str, list[tuple[str, str]]]:
    """Return the fields of each kind of op, with the annotations of ``pybp.program.ops``."""

def hyper_schema() -> dict[str, tuple[str, ...]]:
    """Return the scalars that each kind of update reads for a step."""

def isa_levels() -> list[str]:
    """Return the instruction set levels that can be used here, the best first."""

def isa() -> str:
    """Return the instruction set level in use."""

def set_isa(name: str) -> None:
    """Use another level; ValueError if it is not one of ``isa_levels()``."""

def num_threads() -> int:
    """Return how many threads share the work."""

def set_num_threads(count: int) -> None:
    """Set how many threads share the work; ValueError if that is less than 1."""

def cpu_quota(root: str = "") -> int:
    """Return how many CPUs' time the control groups allow, rounded up; 0 without a limit."""

def build_info() -> dict[str, Any]:
    """Return version, compiler, sanitize, openmp and isa_levels."""

def gemm(
    a: NDArray[Any],
    b: NDArray[Any],
    c: NDArray[Any],
    transpose_a: bool = False,
    transpose_b: bool = False,
    accumulate: bool = False,
) -> None:
    """Compute ``c (+)= a @ b``; all float32 or all float64, with adjacent elements in a row."""

def vector_math(name: str, x: NDArray[Any]) -> NDArray[Any]:
    """Apply exp, expm1, log, log1p, tanh, sigmoid or normal_cdf to a contiguous vector."""

def roof_width(dtype: str) -> int:
    """Return how many numbers ``roof_multiply_add`` holds in the registers of a core."""

def roof_multiply_add(x: NDArray[Any], factor: float, addend: float, rounds: int) -> None:
    """Repeat ``x = x * factor + addend`` in registers; x is (tasks, roof_width), a task a row."""

def roof_sum(x: NDArray[Any], repeats: int) -> NDArray[Any]:
    """Sum each row of x (tasks, count) so many times; return the totals (tasks,)."""

def roof_copy(x: NDArray[Any], y: NDArray[Any], repeats: int) -> None:
    """Copy the rows of x (tasks, count) to y so many times."""

def empty_calls(count: int) -> None:
    """Hand every thread a task that does nothing, so many times."""
