"""A program: named buffers and a flat list of ops; its verifier and its printed form."""

from __future__ import annotations

from typing import NamedTuple

from pybp.program.ops import N, Op, OpError, Shape

DATA_ROLES = ("input", "target", "weight", "output")  # arrays of the caller, another for each run
# arrays that stay for the life of a net; "buffer" is its running statistics
FIXED_ROLES = ("param", "grad", "state", "buffer", "constant")
ROLES = (*DATA_ROLES, *FIXED_ROLES, "value")  # values live in the workspace


class Buffer(NamedTuple):
    """A named array: its shape (``N`` first where it has one row a sample), role and dtype."""

    name: str
    shape: Shape
    role: str
    dtype: str = "real"  # "real" (the program's float type), "int32" or "uint8"

    @property
    def batched(self) -> bool:
        """Whether the first extent is the run-time number of samples."""
        return self.shape[:1] == (N,)


class Program:
    """Buffers and ops in order of execution.

    Parameters
    ----------
    name : str
        What the program does, for printing: "predict", "gradient", "train" ...
    dtype : {"float32", "float64"}
        The float type of all "real" buffers.
    """

    def __init__(self, name: str, dtype: str) -> None:
        self.name = name
        self.dtype = dtype
        self.buffers: dict[str, Buffer] = {}
        self.ops: list[Op] = []
        self.results: list[str] = []
        self.backward_start = 0  # ops[:backward_start] is the forward part of a gradient program

    def add_buffer(self, name: str, shape: Shape, role: str, dtype: str = "real") -> str:
        """Declare a buffer and return its name."""
        if name in self.buffers:
            raise OpError(f"buffer {name!r} is declared twice")
        if role not in ROLES:
            raise OpError(f"role of buffer {name!r} must be one of {ROLES}, got {role!r}")
        self.buffers[name] = Buffer(name, shape, role, dtype)
        return name

    def add_result(self, name: str) -> int:
        """Add a named result and return its column: the sum; its divisor is the next column."""
        self.results.append(name)
        return 2 * (len(self.results) - 1)

    def append(self, op: Op) -> None:
        """Add an op; buffers that it writes and that don't exist yet become values."""
        for field, shape in self._written_shapes(op).items():
            name = getattr(op, field)
            if name not in self.buffers:
                self.add_buffer(name, shape, "value", op.dtypes().get(field, "real"))
        self._check_written(op)
        self.ops.append(op)

    def of_role(self, *roles: str) -> list[Buffer]:
        """Return the buffers of these roles in the order of declaration."""
        return [buffer for buffer in self.buffers.values() if buffer.role in roles]

    def shape(self, name: str) -> Shape:
        """Return the shape of a buffer."""
        return self.buffers[name].shape

    def verify(self) -> None:
        """Check the rules that hold for every program.

        Raises
        ------
        OpError
            When an op reads what nothing has written, writes what it may not, when a shape breaks
            an op's rule, or when a result column is out of range.
        """
        ready = {b.name for b in self.of_role("input", "target", "weight", *FIXED_ROLES)}
        ready |= self._fed_values()
        for op in self.ops:
            self._check_written(op)
            for name in op.inputs():
                if name not in ready:
                    raise op.fail(f"reads {name!r} before anything has written it")
            for name in op.outputs():
                if self.buffers[name].role in ("input", "target", "weight", "constant"):
                    raise op.fail(f"writes {name!r}, which belongs to the caller")
                ready.add(name)
            result = getattr(op, "result", 0)
            if not 0 <= result < max(2 * len(self.results), 1):
                raise op.fail(f"result column {result} of {2 * len(self.results)}")

    def _fed_values(self) -> set[str]:
        """Return the values which the caller writes: those that no op does."""
        written = {name for op in self.ops for name in op.outputs()}
        return {b.name for b in self.of_role("value") if b.name not in written}

    def _written_shapes(self, op: Op) -> dict[str, Shape]:
        shapes = {}
        for field in op.reads:
            name = getattr(op, field)
            if name and name not in self.buffers:
                raise op.fail(f"{field}={name!r} names no buffer")
            if name:
                shapes[field] = self.buffers[name].shape
        written = op.shapes(shapes)
        return {field: shape for field, shape in written.items() if getattr(op, field)}

    def _check_written(self, op: Op) -> None:
        for field, shape in self._written_shapes(op).items():
            found = self.buffers[getattr(op, field)].shape
            if found != shape:
                raise op.fail(f"{field} must have shape {_text(shape)}, got {_text(found)}")

    def __str__(self) -> str:
        fed = self._fed_values()
        roles = [b for b in self.buffers.values() if b.role != "value" or b.name in fed]
        lines = [f"program {self.name}: {len(self.ops)} ops, {self.dtype}"]
        lines += [f"  {_role_text(b)}" for b in roles]
        width = len(str(len(self.ops)))
        for i, op in enumerate(self.ops):
            if i == self.backward_start and i:
                lines.append("  -- backward --")
            lines.append(f"  {i:>{width}}  {self._op_text(op)}")
        if self.results:
            lines.append(f"  results: {', '.join(self.results)}")
        return "\n".join(lines)

    def _op_text(self, op: Op) -> str:
        outputs = [f"{name} {_text(self.buffers[name].shape)}" for name in op.outputs()]
        defaults = op._defaults
        arguments = op.inputs()
        arguments += [
            f"{name}={getattr(op, name)}"
            for name in op.attributes
            if getattr(op, name) != defaults.get(name)
        ]
        return f"{', '.join(outputs) or 'results'} = {op.kind}({', '.join(arguments)})"


def _text(shape: Shape) -> str:
    return "(" + ", ".join("n" if extent == N else str(extent) for extent in shape) + ")"


def _role_text(buffer: Buffer) -> str:
    kind = "" if buffer.dtype == "real" else f" {buffer.dtype}"
    return f"{buffer.role:<8} {buffer.name} {_text(buffer.shape)}{kind}"
