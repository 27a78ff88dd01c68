"""Running a case on a backend, and judging what it wrote."""

from __future__ import annotations

import numpy as np
from tolerance import check_close

from op_cases.case import Case, normal
from pybp import backends
from pybp.arrays import FLOAT_TYPES, element_type
from pybp.program import ops
from pybp.program.ops import N
from pybp.program.ops.pool import Pool, argmax_dtype
from pybp.program.program import Program


def make_program(case: Case, dtype: str) -> Program:
    """Return the program that holds just this op."""
    program = Program(case.name, dtype)
    program.functions += case.functions
    if case.lengths:
        program.add_packing()
    for name, shape in case.shapes.items():
        kind = _kind(case, name)
        written = name in case.op.outputs()
        role = "value" if shape[0] <= N else "state" if written else "constant"
        program.add_buffer(name, shape, role, kind)
    if isinstance(case.op, ops.Loss | ops.Accuracy):
        program.add_result("result")
    program.append(case.op)
    program.verify()
    return program


def _kind(case: Case, name: str) -> str:
    """Return the dtype of a buffer; in a case, buffers are named after the fields."""
    op = case.op
    if name == "argmax" and isinstance(op, Pool):
        return argmax_dtype(op)
    if name in ("ids", "rows", "argmax"):
        return "int32"
    if name == "target" and isinstance(op, ops.LabelLoss | ops.Accuracy):
        return "int32" if case.shapes[name] == case.shapes["prediction"][:-1] else "real"
    if name == "target" and isinstance(op, ops.CallLoss):
        return "real" if case.shapes[name] == case.shapes["prediction"] else "int32"
    return "real"


def make_arrays(case: Case, dtype: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the arrays the case starts from, by buffer."""
    rng = np.random.default_rng([seed, len(case.name), *case.name.encode()])
    arrays = {}
    for name in case.shapes:
        array = case.fills.get(name, normal)(rng, case.full_shape(name))
        arrays[name] = array if array.dtype.kind in "iu" else array.astype(FLOAT_TYPES[dtype])
    return arrays


IN_PLACE = ops.Penalty | ops.ClipValue | ops.ClipNorm | ops.MaxNorm  # they change what is there


class BoundCase:
    """A case bound to one backend, ready to run again and again."""

    def __init__(self, case: Case, dtype: str, backend: str, arrays: dict[str, np.ndarray]) -> None:
        self.case, self.program = case, make_program(case, dtype)
        self.fixed = {
            buffer.name: np.ascontiguousarray(arrays[buffer.name], FLOAT_TYPES[dtype]).copy()
            for buffer in self.program.of_role("state", "constant")
        }
        self.executor = backends.make_executor(
            backend,
            self.program,
            self.fixed,
            case.rows,
            max_packed=tuple(max(count, 1) for count in case.packed_rows),
        )
        for buffer in self.program.of_role("value"):
            if buffer.name in case.op.inputs() or isinstance(case.op, IN_PLACE):
                self.executor.write(buffer.name, arrays[buffer.name])
        self.results = np.zeros((1, 2 * len(self.program.results)))
        self._starts = np.array([0, case.rows])
        self._hyper = np.array([case.hyper], np.float64).reshape(1, -1)

    def run(self) -> None:
        """Run the op once."""
        spans = self.case.spans
        self.executor.run([], None, self._starts, self._hyper, self.results, 7, 5, 0, 1, spans)

    def outputs(self) -> dict[str, np.ndarray]:
        """Return all that the op has written, and its results."""
        written = {
            name: self.fixed[name].copy()
            if name in self.fixed
            else self.executor.read(name, self.case.rows, self.case.packed_rows)
            for name in self.case.op.outputs()
        }
        if "values" in written:  # of a table: those of no row are left as they are
            written["values"] = written["values"][written["rows"] >= 0]
        if self.results.size:
            written["results"] = self.results.copy()
        return written


def run(case: Case, dtype: str, backend: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Run a case once on a backend and return all that it wrote."""
    bound = BoundCase(case, dtype, backend, make_arrays(case, dtype, seed))
    bound.run()
    return bound.outputs()


def check_case(case: Case, dtype: str, backend: str) -> None:
    """Fail unless a backend's outputs are those of NumPy in float64 on the same inputs."""
    check_arrays(case, dtype, backend, make_arrays(case, dtype))


def check_arrays(case: Case, dtype: str, backend: str, arrays: dict[str, np.ndarray]) -> None:
    """Check a case as ``check_case`` does, from other arrays."""
    bound = BoundCase(case, dtype, backend, arrays)
    bound.run()
    exact = BoundCase(case, "float64", "numpy", arrays)
    exact.run()
    expected = exact.outputs()
    for name, array in bound.outputs().items():
        if name != "results":
            assert array.dtype == element_type(_kind(case, name), dtype)
        check_close(array, expected[name], dtype, case.terms, case.amp, f"{case.name}: {name}")
