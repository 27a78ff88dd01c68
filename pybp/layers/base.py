"""The base of the layers, and the symbolic values from which graphs are made."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, ClassVar

from pybp.initializers import GlorotUniform, Initializer, Zeros
from pybp.program.builder import Builder
from pybp.program.ops import OpError, Shape
from pybp.record import Record

WEIGHT_INIT = GlorotUniform()
BIAS_INIT = Zeros()

_numbers = count()  # of values, in the order in which they were made


class Layer(Record):
    """Base of the layers. Arguments are PyTorch's less the input sizes; ``name`` stands last.

    A layer is a description. It stands in a ``Sequential``, or is called on a symbolic value,
    ``h = layer(bp.Input((20,)))``, to make a graph for ``Model``.
    """

    merges: ClassVar[bool] = False  # whether it reads several values
    sequence: ClassVar[bool] = False  # whether it reads sequences, packed
    takes_ids: ClassVar[bool] = False  # whether it reads ids, whole numbers

    def __call__(self, value: Any, *others: Any) -> Any:
        """Return what the layer makes of a symbolic value (of a list of them, if it merges).

        Raises
        ------
        TypeError
            For anything but an ``Input`` or what a layer has returned.
        """
        if others:
            name = type(self).__name__
            raise TypeError(f"{name}()(...) takes one value, or a list of values: {name}()([a, b])")
        given = tuple(value) if isinstance(value, list | tuple) else (value,)
        self.check_symbolic(given)
        if isinstance(value, list | tuple) != self.merges:
            wanted = "a list of values" if self.merges else "one value"
            raise TypeError(f"{type(self).__name__} takes {wanted}, got {len(given)} in {value!r}")
        return self._values(given)

    def check_symbolic(self, given: Sequence[Any]) -> None:
        """Refuse what is neither an ``Input`` nor a value that a layer has returned."""
        for one in given:
            if not isinstance(one, Value) and not (isinstance(one, Layer) and one.is_source()):
                raise TypeError(
                    f"{type(self).__name__} is a description: it is called on a bp.Input(...) or "
                    f"on what a layer has returned, got {type(one).__name__}; net.predict takes "
                    "arrays"
                )

    def _values(self, given: tuple[Any, ...]) -> Any:
        """Return what one use of the layer writes: a value, or a tuple of them."""
        use = Use(self, given)
        values = tuple(Value(use, i) for i in range(self.output_count()))
        return values if len(values) > 1 else values[0]

    def is_source(self) -> bool:
        """Tell whether the layer is itself a symbolic value: an ``Input`` is."""
        return False

    def given_name(self) -> str | None:
        """Return the ``name`` argument."""
        name = self.to_dict()["name"]
        if name is None or (isinstance(name, str) and name):
            return name
        raise TypeError(f"{type(self).__name__}: name must be a text, got {name!r}")

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Append the forward ops to the builder's program.

        Parameters
        ----------
        builder : Builder
            Takes ops and requests for parameters.
        x : str
            The value that the layer reads.
        path : str
            The layer's name in the net, the first part of its parameters' names.

        Returns
        -------
        str
            The value that the layer writes.
        """
        raise NotImplementedError

    def lower_many(
        self, builder: Builder, values: Sequence[str], path: str
    ) -> str | tuple[str, ...]:
        """Append the forward ops for all values that the layer reads: one, for most layers.

        Returns
        -------
        str or tuple of str
            What the layer writes: one value, or ``output_count()`` of them.
        """
        (x,) = values
        return self.lower(builder, x, path)

    def rate_scale(self) -> float:
        """Return what multiplies the rate of the layer's updates."""
        return float(self.to_dict().get("lr_scale", 1.0))

    def _converted(self, name: str, value: Any) -> Any:
        value = super()._converted(name, value)
        if name == "lr_scale" and not 0 <= value < float("inf"):
            raise ValueError(
                f"{type(self).__name__}: lr_scale must be a finite number >= 0, got {value!r}"
            )
        return value

    def by_rows(self) -> bool:
        """Tell whether the layer acts on the last axis alone, so on each time step by itself."""
        return False

    def id_count(self) -> int:
        """Return how many ids there are, for a layer that takes ids."""
        return 0

    def takes_weights(self) -> bool:
        """Tell whether the ids that a layer takes may come with factors."""
        return False

    def may_be_empty(self) -> bool:
        """Tell whether a layer that reads sequences takes some without time steps."""
        return False

    def sequence_count(self) -> int:
        """Return how many of the values that it reads are sequences: the first ones."""
        return 1

    def keeps_steps(self) -> bool:
        """Tell whether a layer that reads sequences writes one: a row for each time step."""
        return True

    def output_count(self) -> int:
        """Return how many values the layer writes."""
        return 1


class Use:
    """One call of a layer, or of a net, on symbolic values.

    Attributes
    ----------
    layer : Layer or net
        What was called.
    inputs : tuple of Value or Input
        What it was called on.
    number : int
        The order of the calls; a call comes after those that made what it reads.
    """

    def __init__(self, layer: Any, inputs: tuple[Any, ...]) -> None:
        self.layer = layer
        self.inputs = inputs
        self.number = next(_numbers)


class Value:
    """A symbolic value: one of those that a use of a layer writes."""

    def __init__(self, use: Use, index: int) -> None:
        self.use = use
        self.index = index

    def __repr__(self) -> str:
        return f"<value of {self.use.layer!r}>"

    def __iter__(self) -> Any:
        raise TypeError("a symbolic value holds no numbers and can't be unpacked")


def check_count(layer: Layer, name: str, value: int) -> None:
    """Refuse a number of units, channels ... below 1."""
    if value < 1:
        raise ValueError(f"{type(layer).__name__}: {name} must be >= 1, got {value}")


def check_probability(layer: Layer, p: float) -> None:
    """Refuse a number outside [0, 1], and NaN."""
    if not 0 <= p <= 1:
        raise ValueError(f"{type(layer).__name__}: p must lie in [0, 1], got {p!r}")


def check_eps(layer: Layer, eps: float) -> None:
    """Refuse an eps that is not small: a size meant for a layer that infers its sizes."""
    if not 0 < eps < 1:
        title = type(layer).__name__
        raise ValueError(
            f"{title}: eps must lie between 0 and 1, got {eps!r}; sizes are not given, "
            "they follow from the input"
        )


def check_initializers(layer: Layer, *initializers: Initializer) -> None:
    """Refuse what is no initialiser."""
    for initializer in initializers:
        if not isinstance(initializer, Initializer):
            raise TypeError(
                f"{type(layer).__name__}: an initialiser such as pybp.HeNormal() is expected, "
                f"got {initializer!r}"
            )


def rule_of(error: OpError) -> str:
    """Return the rule that an op found broken, without the op's own fields."""
    return str(error).partition("; op: ")[0].partition(": ")[2]


def check_sample(layer: Layer, path: str, shape: Shape, axes: tuple[str, ...]) -> None:
    """Refuse samples that don't have exactly these axes."""
    if len(shape) != len(axes):
        text = ", ".join(axes) + ("," if len(axes) == 1 else "")
        missing = ""
        if len(shape) < len(axes):
            missing = "; is an axis missing? x[None] adds that of the batch, x[..., None] channels"
        raise ValueError(
            f"layer {path} ({type(layer).__name__}) needs samples of shape ({text}), "
            f"got {shape}{missing}"
        )
