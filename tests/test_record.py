"""Records: frozen descriptions with named fields."""

from __future__ import annotations

import copy
import pickle
from typing import ClassVar

import numpy as np
import pytest

import pybp as bp
from pybp.record import Record


class Base(Record):
    size: int
    rate: float = 0.5


class Derived(Base):
    unit: ClassVar[str] = "m"
    flag: bool = False
    rate: float = 0.25

    def _check(self) -> None:
        if self.size < 0:
            raise ValueError("size")


def test_fields_come_by_position_and_by_name() -> None:
    assert Base(3, 0.1).to_dict() == Base(rate=0.1, size=3).to_dict() == {"size": 3, "rate": 0.1}


def test_annotations_may_be_types_as_well_as_texts() -> None:
    """Where a module does not import ``annotations``, they are objects."""

    class Plain(Record):
        __annotations__ = {"size": int, "unit": ClassVar[str], "name": str | None}
        name = None

    assert Plain(np.int64(2)).to_dict() == {"size": 2, "name": None}
    with pytest.raises(TypeError, match="size must be a whole number"):
        Plain("2")


def test_a_field_declared_again_moves_to_the_end() -> None:
    assert Derived(1).to_dict() == {"size": 1, "flag": False, "rate": 0.25}
    assert Base(1).rate == 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Base, "misses the argument 'size'"),
        (lambda: Base(1, 2.0, 3), r"at most 2 arguments \(size, rate\), got 3"),
        (lambda: Base(1, size=2), "'size' twice"),
        (lambda: Base(1, colour=2), "no argument 'colour'; its arguments: size, rate"),
        (lambda: Derived(1, unit="km"), "no argument 'unit'"),
        (lambda: Base("1"), "size must be a whole number, got '1'"),
        (lambda: Base(1.0), "size must be a whole number"),
        (lambda: Base(True), "size must be a whole number"),
        (lambda: Base(1, "fast"), "rate must be a real number"),
        (lambda: Derived(1, flag=1), "flag must be True or False"),
    ],
)
def test_wrong_arguments_are_type_errors(make: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_numbers_of_numpy_become_plain_ones() -> None:
    record = Derived(np.int64(3), np.bool_(True), np.float32(0.5))
    assert [type(value) for value in record.to_dict().values()] == [int, bool, float]


def test_records_cannot_be_changed() -> None:
    record = Base(1)
    with pytest.raises(AttributeError, match="make a new one with the other 'size'"):
        record.size = 2
    with pytest.raises(AttributeError):
        del record.size
    assert record.size == 1


def test_replace_makes_a_checked_copy() -> None:
    record = Derived(1)
    assert record.replace(size=2).to_dict() == {"size": 2, "flag": False, "rate": 0.25}
    with pytest.raises(ValueError, match="size"):
        record.replace(size=-1)
    assert record.size == 1


def test_the_text_shows_what_differs_from_the_defaults() -> None:
    assert repr(Derived(1, rate=0.75)) == "Derived(size=1, rate=0.75)"
    assert repr(bp.Linear(3)) == "Linear(units=3)"


def test_equal_records_are_not_the_same_one() -> None:
    """A layer used twice shares its weights by identity, so records must not compare equal."""
    assert Base(1) != Base(1)
    assert len({Base(1), Base(1)}) == 2


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_copies_keep_what_is_shared(copied: object) -> None:
    layer = bp.Linear(3, weight_init=bp.Constant(2.0), name="head")
    first, second = copied([layer, layer])
    assert first is second
    assert first is not layer
    assert repr(first) == repr(layer)
