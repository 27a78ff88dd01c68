"""The two executors behind one interface, and the choice between them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

from pybp.arrays import Array
from pybp.backends.numpy_executor import NumpyExecutor
from pybp.program.program import Program

BACKENDS = ("native", "numpy")

Spans = Sequence[tuple[Array, Array]]


class Executor(Protocol):
    """What both executors do with a program that is bound to its arrays."""

    max_rows: int
    max_packed: tuple[int, ...]

    @property
    def steps_done(self) -> int:
        """The number of steps that the last run finished, also after an exception."""

    def run(
        self,
        data: Sequence[Array | None],
        order: Array | None,
        starts: Array,
        hyper: Array,
        results: Array,
        seed: int,
        first_step: int,
        begin: int,
        end: int,
        spans: Spans = (),
        check_at: int = -1,
    ) -> None:
        """Run ``ops[begin:end]`` once for each step.

        Parameters
        ----------
        data : sequence of arrays
            One for each data buffer, in the order of declaration: (rows, ...), and for packed
            buffers (time steps of all rows, ...). Inputs of another dtype are converted row by
            row; outputs have the program's dtype. None for those that the ops of this run don't
            use.
        order : int64 array or None
            The rows in the order they are used; None for 0, 1, 2 ...
        starts : int64 array, (steps + 1,)
            Step s uses ``order[starts[s]:starts[s + 1]]``; outputs go to those positions.
        hyper : float64 array, (steps, k)
            The scalars of the update op in each step.
        results : float64 array, (steps, m)
            Row s is overwritten with the sums and divisors of losses and metrics when step s
            begins.
        seed, first_step : int
            The randomness of step s is keyed by seed and ``first_step + s``.
        begin, end : int
            Which ops to run.
        spans : pairs of int64 arrays (rows,)
            For each packing of the program ``(first, length)``: the time steps of row r are
            ``first[r] ... first[r] + length[r] - 1`` of the packed data arrays.
        check_at : int
            Above 0: each step runs ``ops[begin:check_at]`` and then looks at the sums in its row of
            results (columns 0, 2, 4 ...). If one is NaN the run ends there, without an exception:
            ``ops[check_at:end]`` don't run, outputs of this step aren't delivered,
            ``steps_done`` doesn't count it, its row of results holds the NaN, and the later rows
            stay as they are.
        """

    def read(self, name: str, rows: int, packed_rows: Sequence[int] = ()) -> Array:
        """Return a copy of a value, as the last step left it.

        ``packed_rows`` holds the number of time steps of each packing.
        """

    def write(self, name: str, value: Array) -> None:
        """Set a value that no op writes."""


def _load_native() -> tuple[type | None, str]:
    try:
        from pybp.backends.native_executor import NativeExecutor
    except Exception as error:  # whatever the reason is, NumPy still works
        return None, f"{type(error).__name__}: {error}"
    return NativeExecutor, ""


_native, native_error = _load_native()
if _native is None:
    warnings.warn(
        f"pybp uses its NumPy backend, because the extension can't be loaded ({native_error})",
        RuntimeWarning,
        stacklevel=2,
    )


def check_backend(name: str) -> str:
    """Return the name of a backend that can be used; raise for any other."""
    if name not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {name!r}")
    if name == "native" and _native is None:
        raise RuntimeError(f"the native backend can't be loaded: {native_error}")
    return name


def _first_backend() -> str:
    chosen = os.environ.get("PYBP_BACKEND", "")
    if chosen:
        return check_backend(chosen)
    return "numpy" if _native is None else "native"


class _Default:
    """The backend of nets that have none of their own."""

    name = _first_backend()


class use_backend:  # noqa: N801 - reads as a function, and is a context manager too
    """Set the default backend, ``"native"`` or ``"numpy"``; in a ``with`` block for its length.

    Nets without a ``backend=`` of their own read the default at each call.

    Raises
    ------
    ValueError
        For another name.
    RuntimeError
        When the extension can't be loaded.
    """

    def __init__(self, name: str) -> None:
        self._before = _Default.name
        _Default.name = check_backend(name)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _Default.name = self._before


def current_backend() -> str:
    """Return the name of the default backend."""
    return _Default.name


def make_executor(
    backend: str,
    program: Program,
    fixed: dict[str, Array],
    max_rows: int,
    *,
    max_packed: tuple[int, ...] = (),
    keep_forward: bool = False,
) -> Executor:
    """Bind a program to its fixed arrays for one backend.

    ``max_rows`` and ``max_packed`` are the most samples, and time steps of each packing, in a step.
    """
    check_backend(backend)
    kind = NumpyExecutor if backend == "numpy" or _native is None else _native
    executor: Executor = kind(
        program, fixed, max_rows, max_packed=max_packed, keep_forward=keep_forward
    )
    return executor
