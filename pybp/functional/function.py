"""What makes a function on arrays of a layer: a net of that layer alone, kept for the next call."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from pybp.arrays import Array
from pybp.data import inputs
from pybp.initializers import Zeros
from pybp.layers import Input, Layer
from pybp.nets.model import Model

NOTHING = Zeros()  # how parameters start that are given in each call
_MOST_NETS = 64  # that are kept; then all are dropped
_MOST_BYTES = 1 << 22  # of the arrays of a call whose net is kept: making one anew costs little

_ERRORS = (TypeError, ValueError, IndexError)

_kept: dict[tuple[Any, ...], Model] = {}
_lock = threading.RLock()  # a net of one call at a time


class Call(NamedTuple):
    """One use of a layer as a function.

    ``inputs`` are what the layer reads, by argument; ``parameters`` its arrays, by the names that
    the layer gives them: the arguments are called the same, less the suffix ``_l0``. ``fixed`` are
    its parameters that no argument gives, and ``buffers`` its running statistics. ``factors`` is
    the argument that comes with ids as their weights.
    """

    layer: Layer
    inputs: dict[str, Any]
    parameters: Mapping[str, Array] = MappingProxyType({})
    fixed: Mapping[str, Array] = MappingProxyType({})
    buffers: Mapping[str, Array] = MappingProxyType({})
    lengths: Any = None
    training: bool = False
    seed: int = 0
    step: int = 0
    factors: tuple[str, Sequence[int]] | None = None  # the argument, and the shape of its gradient


class Function(Protocol):
    """A function on arrays, and its gradient.

    ``f(x, ...)`` gives the result, or a tuple of several. ``f.grad(dy, x, ...)`` gives the
    gradients of all array arguments, in the order of the arguments: an array where there is one
    such argument, else a tuple, with None for those that are left out and for ids. ``dy`` is the
    gradient of the result; for several results a tuple, in which None stands for zeros.
    """

    __name__: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result."""

    def grad(self, dy: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the gradients of the array arguments."""


def function(*arrays: str) -> Callable[[Callable[..., Call]], Function]:
    """Make a function on arrays, and its gradient, of one that describes a call.

    Parameters
    ----------
    *arrays : str
        The arguments that have a gradient, and ids, in their order.
    """

    def make(describe: Callable[..., Call]) -> Function:
        name = describe.__name__
        describe.__annotations__["return"] = "Any"  # what users see is the function, not the call

        @functools.wraps(describe)
        def value(*args: Any, **kwargs: Any) -> Any:
            with _errors_of(name):
                return _value(describe(*args, **kwargs), name)

        def grad(dy: Any, *args: Any, **kwargs: Any) -> Any:
            with _errors_of(name):
                found = _gradients(describe(*args, **kwargs), name, dy)
            given = tuple(found.get(argument) for argument in arrays)
            return given if len(given) > 1 else given[0]

        grad.__name__ = grad.__qualname__ = f"{name}.grad"
        grad.__doc__ = f"Return the gradients of ``{name}`` by {', '.join(arrays)}."
        made = cast(Any, value)
        made.grad = grad
        return cast(Function, made)

    return make


def given(name: str, value: Any, *axes: str) -> Array:
    """Return an argument as an array of real numbers, with these axes if they are named.

    Raises
    ------
    TypeError
        For anything else than an array of real numbers.
    ValueError
        For another number of axes, and for an array without entries.
    """
    array = inputs.numbers(value, name)
    if axes and array.ndim != len(axes):
        text = ", ".join(axes) + ("," if len(axes) == 1 else "")
        raise ValueError(f"{name} must be ({text}), got the shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} holds no numbers: its shape is {array.shape}")
    return array


def some(**arrays: Any) -> dict[str, Array]:
    """Return the arguments that are not None, as arrays by name."""
    return {name: given(name, one) for name, one in arrays.items() if one is not None}


# --------------------------------------------------------------------------------------- running


def _value(call: Call, name: str) -> Any:
    with _lock:
        net, x, lengths = _prepared(call, name)
        if call.training:
            return net.forward(x, training=True, lengths=lengths)
        return net.predict(x, lengths)


def _gradients(call: Call, name: str, dy: Any) -> dict[str, Any]:
    """Return the gradient of each argument."""
    with _lock:
        net, x, lengths = _prepared(call, name)
        net.forward(x, call.training, lengths)
        dx = net.backward(dy)
        several = len(call.inputs) > 1
        found = dict(zip(call.inputs, dx if several else (dx,), strict=True))
        for parameter in call.parameters:
            found[_argument(parameter)] = net.grads[f"{name}.{parameter}"].copy()
        if call.factors:
            argument, shape = call.factors
            found[argument] = net.grads[f"{name}.weights"].reshape(shape)
        return found


def _prepared(call: Call, name: str) -> tuple[Model, Any, Any]:
    """Return a net with the arrays of a call, and what it is called on."""
    dtype = _dtype(call)
    shapes = [_sample(call, argument) for argument in call.inputs]
    net = _net(call, name, dtype, shapes)
    for parameter, array in ({**call.parameters, **call.fixed}).items():
        own = net.params[f"{name}.{parameter}"]
        if array.shape != own.shape:
            sizes = ", ".join(f"{a} {np.shape(one)}" for a, one in call.inputs.items())
            what = f"{_argument(parameter)} must have the shape {own.shape}"
            raise ValueError(f"{what}, got {array.shape}; {sizes}")
        own[...] = array
    for buffer, array in call.buffers.items():
        if array.shape != net.buffers[f"{name}.{buffer}"].shape:
            wanted = net.buffers[f"{name}.{buffer}"].shape
            raise ValueError(f"{buffer} must have the shape {wanted}, got {array.shape}")
        net.buffers[f"{name}.{buffer}"] = array
    net.seed, net.state.steps = call.seed, call.step
    given = tuple(call.inputs.values())
    if len(given) == 1:
        return net, given[0], call.lengths
    lengths = None if call.lengths is None else (call.lengths, *[None] * (len(given) - 1))
    return net, given, lengths


def _sample(call: Call, argument: str) -> tuple[int | None, ...]:
    """Return the shape of a sample; any number of steps where the layer reads sequences."""
    value = call.inputs[argument]
    first = next(iter(call.inputs)) == argument
    if not isinstance(value, np.ndarray):
        return (None,)  # lists and Ragged: bags of ids
    if call.layer.sequence and first:
        return (None, *value.shape[2:])
    return value.shape[1:]


def _dtype(call: Call) -> str:
    """Return float32 where all arrays that hold no ids are of this type, else float64."""
    arrays = [*call.parameters.values(), *call.buffers.values()]
    if not call.layer.takes_ids:
        arrays += call.inputs.values()
    single = all(array.dtype == np.float32 for array in arrays)
    return "float32" if single else "float64"


def _net(call: Call, name: str, dtype: str, shapes: Sequence[tuple[int | None, ...]]) -> Model:
    """Return the net of a layer alone, for samples of these shapes."""
    layer = call.layer
    arrays = [*call.inputs.values(), *call.parameters.values()]
    size = sum(getattr(array, "nbytes", 0) for array in arrays)
    key = (type(layer), *layer.to_dict().values(), dtype, *shapes)
    small = size <= _MOST_BYTES
    if small and key in _kept:
        return _kept[key]
    kind = "int32" if layer.takes_ids else None
    layout = None if layer.takes_ids else "channels_last"
    sources = [Input(shape, dtype=kind, layout=layout) for shape in shapes]
    net = Model(sources, _wired(layer, sources), dtype=dtype)
    if small:
        if len(_kept) >= _MOST_NETS:
            _kept.clear()
        _kept[key] = net
    return net


def _wired(layer: Any, sources: Sequence[Input]) -> Any:
    """Return what a layer makes of its inputs: the second and third are states."""
    if layer.merges:
        return layer(list(sources))
    if len(sources) == 1:
        return layer(sources[0])
    states = tuple(sources[1:])
    return layer(sources[0], initial_state=states if len(states) > 1 else states[0])


def _argument(parameter: str) -> str:
    return parameter.removesuffix("_l0")


@contextmanager
def _errors_of(name: str) -> Iterator[None]:
    """Let errors name the function in place of the layer."""
    try:
        yield
    except _ERRORS as error:
        kind = next(kind for kind in _ERRORS if isinstance(error, kind))
        raise kind(_retitled(str(error), name)) from error


def _retitled(text: str, name: str) -> str:
    """Return an error of a net as one of a function."""
    text = text.partition("; samples of shape")[0]  # a hint at Input, which there is none of
    lead, _, rest = text.partition(f"layer {name} (")
    if rest:
        text = lead + name + rest.partition(")")[2]
    else:
        title, colon, rest = text.partition(": ")
        if colon and title.isidentifier() and title[0].isupper():
            text = rest
    return text if text.startswith(name) else f"{name}: {text}"
