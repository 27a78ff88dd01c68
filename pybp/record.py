"""Frozen records: the base class of layers, losses, optimisers and ops.

A record is a class whose annotations are its fields. It does what a frozen dataclass does, without
compiling code for each class: a hundred dataclasses would cost tens of milliseconds of import.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self, dataclass_transform

_MISSING: Any = object()
_KINDS = {"bool": "True or False", "int": "a whole number", "float": "a real number"}


@dataclass_transform(frozen_default=True)
class Record:
    """Base of all descriptions: named fields, keyword or positional, never changed afterwards.

    Subclasses declare fields as annotations, with defaults where there is one; names that begin
    with an underscore and annotations of ``ClassVar`` are not fields. ``_check`` may be overridden
    to refuse bad values.
    """

    _fields: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}
    _annotations: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        annotations = dict(cls._annotations)
        defaults = dict(cls._defaults)
        for name, annotation in _own_annotations(cls).items():
            if name.startswith("_") or annotation.startswith("ClassVar"):
                continue
            annotations.pop(name, None)  # a redeclared field moves to the end
            annotations[name] = annotation
            defaults.pop(name, None)
            if name in cls.__dict__:
                defaults[name] = cls.__dict__[name]
        cls._annotations = annotations
        cls._defaults = defaults
        cls._fields = tuple(annotations)

    @classmethod
    def move_last(cls, name: str) -> None:
        """Let an inherited field stand behind those of the class, as the last argument."""
        cls._annotations[name] = cls._annotations.pop(name)
        cls._fields = tuple(cls._annotations)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        fields = self._fields
        title = type(self).__name__
        if len(args) > len(fields):
            raise TypeError(
                f"{title}() takes at most {len(fields)} arguments "
                f"({', '.join(fields)}), got {len(args)}"
            )
        values = dict(zip(fields, args, strict=False))
        for name, value in kwargs.items():
            if name not in fields:
                known = ", ".join(fields) or "none"
                raise TypeError(f"{title}() has no argument {name!r}; its arguments: {known}")
            if name in values:
                raise TypeError(f"{title}() got argument {name!r} twice")
            values[name] = value
        for name in fields:
            value = values.get(name, _MISSING)
            if value is _MISSING:
                value = self._defaults.get(name, _MISSING)
            if value is _MISSING:
                raise TypeError(f"{title}() misses the argument {name!r}")
            object.__setattr__(self, name, self._converted(name, value))
        self._check()

    def _converted(self, name: str, value: Any) -> Any:
        """Return the value of a field as its annotation says: plain bool, int or float."""
        kind = self._annotations[name]
        if kind == "bool" and type(value).__name__ in ("bool", "bool_"):
            return bool(value)
        if kind == "int" and isinstance(value, Integral) and not isinstance(value, bool):
            return int(value)
        if kind == "float" and isinstance(value, Real) and not isinstance(value, bool):
            return float(value)
        if kind in _KINDS:
            title = type(self).__name__
            raise TypeError(f"{title}: {name} must be {_KINDS[kind]}, got {value!r}")
        return value

    def _check(self) -> None:
        """Refuse bad values; called once, at the end of construction."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"{type(self).__name__} is a description and can't be changed: "
            f"make a new one with the other {name!r}"
        )

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __repr__(self) -> str:
        shown = (
            f"{name}={value!r}"
            for name, value in self.to_dict().items()
            if name not in self._defaults or repr(value) != repr(self._defaults[name])
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a new dictionary, in the order of declaration."""
        return {name: getattr(self, name) for name in self._fields}

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return type(self)(**{**self.to_dict(), **changes})

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.to_dict())


def _own_annotations(cls: type) -> dict[str, str]:
    """Return the annotations of one class as text, whether its module keeps them so or not."""
    return {
        name: kind.__name__ if isinstance(kind, type) else str(kind).removeprefix("typing.")
        for name, kind in cls.__annotations__.items()
    }


def _rebuild(cls: type[Record], values: dict[str, Any]) -> Record:
    return cls(**values)
