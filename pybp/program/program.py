"""A program: named buffers and a flat list of ops; its verifier and its printed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pybp.program.function import Function
from pybp.program.ops import CALLS, Loop, N, Op, OpError, Shape, packed, packing_of

DATA_ROLES = ("input", "target", "weight", "output")  # arrays of the caller, another for each run
# arrays that stay for the life of a net; "buffer" is its running statistics, "carry" the states of
# its recurrent layers, a row for each sample
FIXED_ROLES = ("param", "grad", "state", "buffer", "carry", "constant")
# values live in the workspace; a view is a part of another buffer, for the ops of a loop
ROLES = (*DATA_ROLES, *FIXED_ROLES, "value", "view")


class Buffer(NamedTuple):
    """A named array: its shape, role and dtype.

    The shape begins with ``N`` where there is a row for each sample, with ``packed(k)`` where there
    is one for each time step of each sample.
    """

    name: str
    shape: Shape
    role: str
    dtype: str = "real"  # "real" (the program's float type), "int32" or "uint8"

    @property
    def batched(self) -> bool:
        """Whether the first extent is a run-time number, of samples or of time steps."""
        return self.shape[:1] != () and self.shape[0] <= N

    @property
    def packing(self) -> int | None:
        """The packing of its time steps, None for all but packed buffers."""
        return packing_of(self.shape[0]) if self.shape else None

    def full_shape(self, sizes: dict[int, int]) -> Shape:
        """Return the shape for run-time numbers: ``{N: samples, packed(0): time steps ...}``."""
        return tuple(sizes[extent] if extent <= N else extent for extent in self.shape)


def run_time_sizes(rows: int, packed_rows: Sequence[int] = ()) -> dict[int, int]:
    """Return what N and each packed(k) stand for: samples, and time steps of each packing."""
    return {N: rows} | {packed(k): count for k, count in enumerate(packed_rows)}


class View(NamedTuple):
    """What the ops of a loop see of a packed buffer: the rows of a time step.

    With ``start``, a buffer (n, ...) in the order of the packing, they see the step before, and
    ``start`` at the first step: of both as many rows as the time step of the loop has samples.
    """

    of: str
    start: str = ""

    def behind(self) -> list[str]:
        """Return the buffers that the view shows."""
        return [self.of, self.start] if self.start else [self.of]


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
        self.views: dict[str, View] = {}
        self.ops: list[Op] = []
        self.results: list[str] = []
        self.functions: list[Function] = []  # that ops call, which name them by their place
        self.packings: list[int] = []  # time steps of every sample, or 0 where each run says it
        self.outputs: tuple[str, ...] = ()  # the buffers of role "output", as the net gives them
        self.backward_start = 0  # ops[:backward_start] is the forward part of a gradient program
        self.keep_start = 0  # ops[:keep_start] may run again without a trace in later steps
        self.update_start = 0  # ops[:update_start] is what makes the gradients of a train program

    def add_buffer(self, name: str, shape: Shape, role: str, dtype: str = "real") -> str:
        """Declare a buffer and return its name."""
        if name in self.buffers:
            raise OpError(f"buffer {name!r} is declared twice")
        if role not in ROLES:
            raise OpError(f"role of buffer {name!r} must be one of {ROLES}, got {role!r}")
        self.buffers[name] = Buffer(name, shape, role, dtype)
        return name

    def add_packing(self, steps: int = 0) -> int:
        """Declare a packing, of ``steps`` time steps for every sample or (0) as each run says."""
        self.packings.append(steps)
        return len(self.packings) - 1

    def add_result(self, name: str) -> int:
        """Add a named result and return its column: the sum; its divisor is the next column."""
        self.results.append(name)
        return 2 * (len(self.results) - 1)

    def add_function(self, function: Function) -> int:
        """Add what an op calls and return its place, the op's ``function``."""
        self.functions.append(function)
        return len(self.functions) - 1

    def append(self, op: Op) -> None:
        """Add an op; buffers that it writes and that don't exist yet become values."""
        for field, shape in self._written_shapes(op).items():
            name = getattr(op, field)
            if name not in self.buffers:
                self.add_buffer(name, shape, "value", op.dtypes().get(field, "real"))
        self._check_written(op)
        self.ops.append(op)

    def append_to(self, op: Op) -> str:
        """Add an op and return the name of what it writes first."""
        self.append(op)
        return op.outputs()[0]

    def add_view(self, stem: str, view: View) -> str:
        """Declare a view under an unused name that begins with ``stem``; return the name."""
        name, count = stem, 1
        while name in self.buffers:
            count += 1
            name = f"{stem} {count}"
        self.add_buffer(name, (N, *self.shape(view.of)[1:]), "view")
        self.views[name] = view
        return name

    def inside(self) -> Program:
        """Return an empty program with the buffers of this one, for the ops of a loop."""
        inner = Program(self.name, self.dtype)
        inner.buffers, inner.views, inner.packings = self.buffers, self.views, self.packings
        inner.functions = self.functions
        return inner

    def append_loop(self, packing: int, body: Sequence[Op], *, backward: bool = False) -> Loop:
        """Add a loop over these ops, whose buffers all exist; return its first op."""
        taken, made = loop_buffers(self, body)
        loop = Loop(taken, made, packing, len(body), backward)
        self.ops += [loop, *body]
        return loop

    def body(self, loop: Loop) -> list[Op]:
        """Return the ops that a loop runs."""
        place = self.ops.index(loop)
        return self.ops[place + 1 : place + 1 + loop.count]

    def outer(self) -> Iterator[tuple[int, Op]]:
        """Yield the ops outside of loops, and the loops, with their places."""
        place = 0
        while place < len(self.ops):
            op = self.ops[place]
            yield place, op
            place += 1 + (op.count if isinstance(op, Loop) else 0)

    def check_range(self, begin: int, end: int, check_at: int = -1) -> None:
        """Refuse to run ``ops[begin:end]``, and look at results at ``check_at``, inside a loop.

        Raises
        ------
        ValueError
            Where one of them lies between the ops of a loop, or ``check_at`` (above 0) outside.
        """
        if check_at > 0 and not begin <= check_at <= end:
            raise ValueError(f"check_at: expected an op from {begin} to {end}, got {check_at}")
        for place, op in self.outer():
            until = place + (op.count if isinstance(op, Loop) else 0)
            if any(place < cut <= until for cut in (begin, end, check_at)):
                raise ValueError(f"ops {begin} ... {end} cut the loop from op {place} to {until}")

    def behind(self, names: Sequence[str]) -> list[str]:
        """Return the buffers with these names, in place of views those that they show."""
        shown = [self.views[name].behind() if name in self.views else [name] for name in names]
        return [name for each in shown for name in each]

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
        for _, op in self.outer():
            self._check_op(op, ready)
            if isinstance(op, Loop):
                check_loop(self, op)
                for inner in self.body(op):
                    self._check_written(inner)
            ready.update(op.outputs())

    def _check_op(self, op: Op, ready: set[str]) -> None:
        self._check_written(op)
        for name in op.inputs():
            if name not in ready:
                raise op.fail(f"reads {name!r} before anything has written it")
        for name in op.outputs():
            if self.buffers[name].role in ("input", "target", "weight", "constant"):
                raise op.fail(f"writes {name!r}, which belongs to the caller")
            if self.buffers[name].role == "view":
                raise op.fail(f"writes {name!r}, a view, outside of a loop")
        result = getattr(op, "result", 0)
        if not 0 <= result < max(2 * len(self.results), 1):
            raise op.fail(f"result column {result} of {2 * len(self.results)}")
        if isinstance(op, CALLS) and not 0 <= op.function < len(self.functions):
            raise op.fail(f"function {op.function} of {len(self.functions)}")

    def _fed_values(self) -> set[str]:
        """Return the values which the caller writes: those that no op does."""
        written = {name for op in self.ops for name in op.outputs()}
        return {b.name for b in self.of_role("value") if b.name not in written}

    def _written_shapes(self, op: Op) -> dict[str, Shape]:
        shapes = {}
        for field in (*op.reads, *op.writes):
            name = getattr(op, field)
            if name and name not in self.buffers and field in op.reads:
                raise op.fail(f"{field}={name!r} names no buffer")
            if name in self.buffers:
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
        outer = {place for place, _ in self.outer()}
        for i, op in enumerate(self.ops):
            if i == self.backward_start and i:
                lines.append("  -- backward --")
            indent = "" if i in outer else "  "
            lines.append(f"  {i:>{width}}  {indent}{self._op_text(op)}")
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
    return "(" + ", ".join(_extent_text(extent) for extent in shape) + ")"


def _extent_text(extent: int) -> str:
    packing = packing_of(extent)
    if packing is None:
        return "n" if extent == N else str(extent)
    return f"p{packing}" if packing else "p"


def _role_text(buffer: Buffer) -> str:
    kind = "" if buffer.dtype == "real" else f" {buffer.dtype}"
    return f"{buffer.role:<8} {buffer.name} {_text(buffer.shape)}{kind}"


# ------------------------------------------------------------------------------------------ loops


def loop_buffers(program: Program, body: Sequence[Op]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the ops of a loop read and write, apart from what they make at each step."""
    taken: dict[str, None] = {}  # as sets that keep the order
    made: dict[str, None] = {}
    whole: set[str] = set()  # packed buffers of which every step is written
    for op in body:
        taken.update(dict.fromkeys(program.behind(op.inputs())))
        made.update(dict.fromkeys(program.behind(op.outputs())))
        views = [program.views[name] for name in op.outputs() if name in program.views]
        whole.update(view.of for view in views if not view.start)
    own = {name for op in body for name in op.outputs() if _is_temporary(program, name)}
    return (
        tuple(name for name in taken if name not in own | whole),
        tuple(name for name in made if name not in own),
    )


def _is_temporary(program: Program, name: str) -> bool:
    buffer = program.buffers[name]
    return buffer.role == "value" and buffer.packing is None


def _is_made_at_each_step(program: Program, loop: Loop, name: str) -> bool:
    """Tell whether a name that a loop's op reads must have been written in the same step."""
    view = program.views.get(name)
    if view is None:
        return _is_temporary(program, name)
    return not view.start and view.of not in loop.taken


def check_loop(program: Program, loop: Loop) -> None:
    """Check the ops of a loop: what they are, and what they read and write.

    Raises
    ------
    OpError
        For ops that act on packed buffers, losses and updates, a buffer that is neither fixed nor a
        view nor made in the loop itself, and where ``taken`` and ``made`` are not what is used.
    """
    body = program.body(loop)
    if not 0 < loop.count == len(body):
        raise loop.fail(f"count reaches beyond the {len(body)} ops that follow")
    if not 0 <= loop.packing < len(program.packings):
        raise loop.fail(f"there is no packing {loop.packing}")
    known: set[str] = set()
    for op in body:
        if hasattr(op, "packing") or hasattr(op, "result") or op.hyper:
            raise loop.fail(f"{op.kind} can't stand in a loop")
        for name in op.inputs():
            _check_in_loop(program, loop, name)
            if name not in known and _is_made_at_each_step(program, loop, name):
                raise loop.fail(f"{op.kind} reads {name!r}, which no op before it makes")
        for name in op.outputs():
            _check_in_loop(program, loop, name)
            known.add(name)
    if loop_buffers(program, body) != (loop.taken, loop.made):
        raise loop.fail("taken and made must be what the ops read and write")


def _check_in_loop(program: Program, loop: Loop, name: str) -> None:
    buffer = program.buffers[name]
    if name in program.views:
        view = program.views[name]
        if program.buffers[view.of].packing != loop.packing:
            raise loop.fail(f"{name!r} shows {view.of!r}, which is not of packing {loop.packing}")
        if view.start and program.shape(view.start) != buffer.shape:
            raise loop.fail(f"{view.start!r} must have the shape of the view {name!r}")
    elif buffer.packing is not None or buffer.role in (*DATA_ROLES, "carry"):
        raise loop.fail(f"{name!r} can't be used in a loop but through a view")
