"""Layers that users write in NumPy: a function, or a class with parameters.

They run as one op that calls back into Python, on the thread that runs the net.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pybp.arrays import Array
from pybp.initializers import Initializer
from pybp.layers.base import Layer
from pybp.program.builder import Builder
from pybp.program.function import Function
from pybp.program.ops import Call, Shape


class Lambda(Layer):
    """A function of NumPy arrays as a layer, without parameters.

    Parameters
    ----------
    forward : callable
        ``forward(x) -> y``, of arrays (n, ...) with a row for each sample; of several inputs
        ``forward(a, b, ...)``. It must depend on its arguments alone.
    backward : callable, optional
        ``backward(dy, y, *xs) -> dx``: from dLoss/dy to dLoss/dx, in the shape of x; a tuple of
        them for several inputs. Without it the net can predict, but no gradient goes through.
    output_shape : tuple, or function of the input shapes; optional
        Shape of one sample of y. That of the (first) input by default.
    name : str, optional
        Name of the layer.
    each_step : bool
        Whether the function acts on the last axis alone. Then sequences of any lengths may come as
        their time steps one below the other, (rows, features).

    Notes
    -----
    Inputs (n, ...), output (n, *output_shape). Both functions get arrays of the net's dtype that
    can't be written to, and return arrays of that dtype; else ValueError names the layer. In a
    graph ``Lambda(f)([a, b])`` takes a list of values. ``pybp.gradcheck`` checks ``backward``.

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> square = bp.Lambda(lambda x: x * x, backward=lambda dy, y, x: 2 * x * dy)
    >>> net = bp.Sequential([square])
    >>> net.forward(np.array([[1.0, -3.0]])), net.backward(np.ones((1, 2)))
    (array([[1., 9.]], dtype=float32), array([[ 2., -6.]], dtype=float32))
    """

    forward: Any
    backward: Any = None
    output_shape: Any = None
    name: str | None = None
    each_step: bool = False

    def _check(self) -> None:
        for argument, value in (("forward", self.forward), ("backward", self.backward)):
            if not callable(value) and (value is not None or argument == "forward"):
                raise TypeError(f"Lambda: {argument} must be a function, got {value!r}")
        if not (self.output_shape is None or callable(self.output_shape)):
            _check_shape("Lambda: output_shape", self.output_shape)

    def __call__(self, value: Any, *others: Any) -> Any:
        """Return what the layer makes of a symbolic value, or of a list of them."""
        if others or not isinstance(value, list | tuple):
            return super().__call__(value, *others)
        if not value:
            raise TypeError("Lambda takes one value, or a list of values, got an empty one")
        self.check_symbolic(value)
        return self._values(tuple(value))

    def __repr__(self) -> str:
        shown = (
            f"{name}={getattr(value, '__name__', None) or repr(value)}"
            for name, value in self.to_dict().items()
            if name == "forward" or value != self._defaults[name]
        )
        return f"Lambda({', '.join(shown)})"

    def by_rows(self) -> bool:
        """Tell whether the layer acts on the last axis alone."""
        return self.each_step

    def lower_many(self, builder: Builder, values: Sequence[str], path: str) -> str:
        """Lower to one op that calls the function."""
        title = f"layer {path} (Lambda)"
        shapes = [builder.shape(x) for x in values]
        shape = shapes[0] if self.output_shape is None else self.output_shape
        if callable(shape):
            shape = shape(*shapes)
        call = Function(title, self._run, lambda *given: self._run_back(title, *given))
        return _append(builder, values, path, call, _check_shape(f"{title}: output_shape", shape))

    def _run(self, xs: list[Array], params: list[Array]) -> Any:
        return self.forward(*xs)

    def _run_back(
        self, title: str, xs: list[Array], y: Array, dy: Array, params: list[Array]
    ) -> tuple[list[Any], list[Any]]:
        if self.backward is None:
            raise ValueError(
                f"{title} has no backward, so no gradient goes through it: make it with "
                "bp.Lambda(forward, backward)"
            )
        return _each(title, self.backward(dy, y, *xs), len(xs)), []


class CustomLayer(Layer):
    """Base of layers with parameters that users write in NumPy.

    A subclass declares its own fields by annotations and overrides ``forward`` and, to be trained,
    ``backward``; ``output_shape`` and ``parameters`` where there is something to say. Objects are
    descriptions: they hold no arrays and never change, and what a method returns depends on its
    arguments alone. A subclass that sets ``merges = True`` takes a list of values in graphs: then
    x, dx and shape are tuples. One that acts on the last axis alone may override ``by_rows`` to
    return True: sequences may then come as time steps one below the other.

    Notes
    -----
    Input (n, *shape), output (n, *output_shape(shape)). Arrays have the net's dtype and can't be
    written to; what is returned must have it too. Parameters are called ``<layer>.<name>``; all
    optimisers train them. ``name=`` is the last argument.

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> class Scale(bp.CustomLayer):
    ...     start: float = 1.0
    ...
    ...     def parameters(self, shape):
    ...         return {"factor": (shape[-1:], bp.Constant(self.start))}
    ...
    ...     def forward(self, x, params):
    ...         return x * params["factor"]
    ...
    ...     def backward(self, x, y, dy, params):
    ...         return dy * params["factor"], {"factor": (dy * x).sum(axis=0)}
    >>> net = bp.Sequential([Scale(2.0)]).build((3,))
    >>> net.params["0.factor"]
    array([2., 2., 2.], dtype=float32)
    """

    name: str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.move_last("name")

    def output_shape(self, shape: Any) -> Any:
        """Return the shape of one sample of y for that of x: the same, unless overridden."""
        if self.merges:
            raise NotImplementedError(f"{type(self).__name__} must say its output_shape")
        return shape

    def parameters(self, shape: Any) -> dict[str, tuple[Shape, Initializer]]:
        """Return the parameters, name -> (shape, initialiser), for the shape of one sample of x."""
        return {}

    def forward(self, x: Any, params: dict[str, Array]) -> Array:
        """Return y (n, ...) for x (n, ...)."""
        raise NotImplementedError(f"{type(self).__name__} must have a method forward(x, params)")

    def backward(
        self, x: Any, y: Array, dy: Array, params: dict[str, Array]
    ) -> tuple[Any, dict[str, Array]]:
        """Return dLoss/dx, and dLoss/dp for each parameter p by its name, from dLoss/dy."""
        raise NotImplementedError(
            f"{type(self).__name__} has no method backward(x, y, dy, params), so no gradient goes "
            "through it"
        )

    def lower_many(self, builder: Builder, values: Sequence[str], path: str) -> str:
        """Lower to one op that calls the methods."""
        title = f"layer {path} ({type(self).__name__})"
        shapes = tuple(builder.shape(x) for x in values)
        shape = shapes if self.merges else shapes[0]
        names, params = [], []
        for name, (sizes, initializer) in _parameters(title, self.parameters(shape)):
            names.append(name)
            params.append(builder.parameter(f"{path}.{name}", sizes, initializer))
        out = _check_shape(f"{title}: output_shape", self.output_shape(shape))
        call = Function(
            title,
            lambda xs, arrays: self.forward(self._given(xs), _named(names, arrays)),
            lambda *given: self._run_back(title, names, *given),
            tuple(names),
        )
        return _append(builder, values, path, call, out, params)

    def _given(self, xs: list[Array]) -> Any:
        return tuple(xs) if self.merges else xs[0]

    def _run_back(
        self,
        title: str,
        names: list[str],
        xs: list[Array],
        y: Array,
        dy: Array,
        params: list[Array],
    ) -> tuple[list[Any], list[Any]]:
        found = self.backward(self._given(xs), y, dy, _named(names, params))
        if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[1], dict):
            raise ValueError(
                f"{title}: backward must return (dx, dict of gradients), got {_short(found)}"
            )
        dx, gradients = found
        unknown = [name for name in gradients if name not in names]
        if unknown:
            raise ValueError(
                f"{title}: backward returns gradients of {unknown}, the parameters are {names}"
            )
        dxs = _each(title, dx, len(xs)) if self.merges else [dx]
        return dxs, [gradients.get(name) for name in names]


def _append(
    builder: Builder,
    values: Sequence[str],
    path: str,
    function: Function,
    shape: Shape,
    params: Sequence[str] = (),
) -> str:
    """Append the op that calls a function; return what it writes."""
    place = builder.program.add_function(function)
    x, *others = values
    op = Call(x, tuple(others), tuple(params), builder.fresh(path), place, shape)
    return builder.append(op)


def _each(title: str, dx: Any, count: int) -> list[Any]:
    """Return the gradients of the inputs as a list: one array, or a tuple of ``count``."""
    if count == 1 and not isinstance(dx, tuple | list):
        return [dx]
    if not isinstance(dx, tuple | list) or len(dx) != count:
        raise ValueError(
            f"{title}: backward must return a tuple of {count} gradients, one for each input, "
            f"got {_short(dx)}"
        )
    return list(dx)


def _short(value: Any) -> str:
    """Return what kind of thing a value is."""
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return "None" if value is None else type(value).__name__


def _named(names: list[str], arrays: list[Array]) -> dict[str, Array]:
    return dict(zip(names, arrays, strict=True))


def _check_shape(what: str, shape: Any) -> Shape:
    """Return a shape as a tuple of plain numbers."""
    if not isinstance(shape, tuple | list) or not all(
        isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in shape
    ):
        raise ValueError(f"{what} must be a tuple of sizes above 0, got {shape!r}")
    return tuple(shape)


def _parameters(title: str, found: Any) -> list[tuple[str, tuple[Shape, Initializer]]]:
    """Return what ``parameters`` has returned, checked."""
    if not isinstance(found, dict):
        raise ValueError(f"{title}: parameters must return a dictionary, got {_short(found)}")
    checked = []
    for name, entry in found.items():
        what = f"{title}: parameter {name!r}"
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"{what} must have a name without dots")
        if not isinstance(entry, tuple) or len(entry) != 2:
            raise ValueError(f"{what} must be a pair (shape, initialiser), got {entry!r}")
        shape, initializer = entry
        if not isinstance(initializer, Initializer):
            raise ValueError(f"{what} needs an initialiser such as bp.Zeros(), got {initializer!r}")
        checked.append((name, (_check_shape(f"{what}: its shape", shape), initializer)))
    return checked
