"""Descriptions by name: the class name in lower case, with or without underscores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pybp.record import Record

R = TypeVar("R", bound=Record)


def resolve_all(what: str, given: object, kinds: Iterable[type[R]], base: type[R]) -> tuple[R, ...]:
    """Return descriptions from a list of instances, classes or names."""
    if not isinstance(given, Iterable) or isinstance(given, str | base):
        raise TypeError(f"a list of {what}s is expected, such as [{given!r}]; got {given!r}")
    return tuple(resolve(what, one, kinds, base) for one in given)


def resolve(what: str, given: object, kinds: Iterable[type[R]], base: type[R]) -> R:
    """Return a description from an instance, its class, or its name.

    Raises
    ------
    ValueError
        For a name that none of the kinds has.
    TypeError
        For anything that is neither a name nor a description.
    """
    if isinstance(given, base):
        return given
    if isinstance(given, type) and issubclass(given, base):
        return given()
    if isinstance(given, str):
        names = {kind.__name__.lower(): kind for kind in kinds}
        kind = names.get(given.lower().replace("_", ""))
        if kind is None:
            raise ValueError(f"there is no {what} {given!r}; known names: {', '.join(names)}")
        return kind()
    raise TypeError(f"{what} must be a name or a pybp {what}, got {given!r}")
