"""The base of the ops: fields, shape rules, errors.

An op is a frozen record. Fields annotated ``Read``, ``Write`` (and their ``Maybe`` forms, where ""
means absent) name buffers, ``Reads`` and ``Writes`` several of them ("" again for one that is
absent); all other fields are attributes. ``shapes`` is the shape rule: from the
shapes of what is read to the shapes of what is written. The C++ executor mirrors each op with one
struct of the same field names; a test compares the two.

A shape is a tuple of sizes whose first entry is ``N`` (printed as ``n``) when the buffer has one
row for each sample, and ``packed(k)`` (printed as ``p``) when it has one for each time step of each
sample: ``pybp.program.packing`` says in which order. ``rows of x`` means all axes but the last, so
that every op on rows applies to each time step of a sequence too.
"""

from __future__ import annotations

import re
from typing import ClassVar

from pybp.program.activations import ACTIVATIONS, slope_from_output
from pybp.record import Record

N = -1  # the run-time number of samples, as the first entry of a shape


def packed(packing: int) -> int:
    """Return what stands for the run-time number of time steps of a packing, as N for samples."""
    return -2 - packing


def packing_of(extent: int) -> int | None:
    """Return the packing that a first entry of a shape stands for, None for any other entry."""
    return None if extent >= N else -2 - extent


Shape = tuple[int, ...]
Read = str
Write = str
MaybeRead = str
MaybeWrite = str
Reads = tuple[str, ...]
Writes = tuple[str, ...]

READS = ("Read", "MaybeRead")
WRITES = ("Write", "MaybeWrite")


class OpError(ValueError):
    """A program that breaks a rule; the message names the op, the rule and what was found."""


class Op(Record):
    """One step of a program."""

    kind: ClassVar[str] = ""
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()
    read_lists: ClassVar[tuple[str, ...]] = ()  # fields that name several buffers
    write_lists: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()
    hyper: ClassVar[tuple[str, ...]] = ()  # the named scalars an update reads for each step

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        kinds = cls._annotations
        cls.kind = _snake_case(cls.__name__)
        cls.reads = tuple(name for name in kinds if kinds[name] in READS)
        cls.writes = tuple(name for name in kinds if kinds[name] in WRITES)
        cls.read_lists = tuple(name for name in kinds if kinds[name] == "Reads")
        cls.write_lists = tuple(name for name in kinds if kinds[name] == "Writes")
        named = {*cls.reads, *cls.writes, *cls.read_lists, *cls.write_lists}
        cls.attributes = tuple(name for name in kinds if name not in named)

    def inputs(self) -> list[str]:
        """Return the names of the buffers that are read."""
        return self._named(self.reads, self.read_lists)

    def outputs(self) -> list[str]:
        """Return the names of the buffers that are written."""
        return self._named(self.writes, self.write_lists)

    def _named(self, single: tuple[str, ...], lists: tuple[str, ...]) -> list[str]:
        names = [getattr(self, field) for field in single]
        names += [name for field in lists for name in getattr(self, field)]
        return [name for name in names if name]

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        """Return the shape of each written field, from the shapes of the fields that are read.

        ``shape`` also has the written fields whose buffers exist, as those of ops in place do.
        """
        raise NotImplementedError

    def dtypes(self) -> dict[str, str]:
        """Return the type of each written field that does not hold real numbers."""
        return {}

    def fail(self, rule: str) -> OpError:
        """Return the error for a broken rule, to be raised by the caller."""
        return OpError(f"{self.kind}: {rule}; op: {self!r}")


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def check_activation(op: Op, function: str, *, fused: bool = False, alpha: float = 0.0) -> None:
    """Refuse a name that no activation has, or one whose slope the output does not tell."""
    if function not in ACTIVATIONS:
        raise op.fail(f"activation is one of {', '.join(ACTIVATIONS)}, got {function!r}")
    if fused and not slope_from_output(function, alpha):
        raise op.fail(f"{function} can't be fused: its slope needs the input")


def is_prefix(short: Shape, long: Shape) -> bool:
    """Tell whether a shape leads another, as weights lead the positions they weigh."""
    return len(short) >= 1 and short == long[: len(short)]
