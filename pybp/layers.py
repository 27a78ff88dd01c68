"""Layers: descriptions that lower themselves to forward ops. Gradients come from the program."""

from __future__ import annotations

import math

from pybp.initializers import GlorotUniform, Initializer, Zeros
from pybp.program.builder import Builder
from pybp.program.ops import Dense
from pybp.program.ops import Dropout as DropoutOp
from pybp.program.ops import Reshape as ReshapeOp
from pybp.record import Record

_WEIGHT_INIT = GlorotUniform()
_BIAS_INIT = Zeros()


class Layer(Record):
    """Base of the layers. Arguments are PyTorch's less the input sizes; ``name`` stands last."""

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


def _check_units(layer: Layer, units: int) -> None:
    if units < 1:
        raise ValueError(f"{type(layer).__name__}: units must be >= 1, got {units}")


def _check_initializers(layer: Layer, *initializers: Initializer) -> None:
    for initializer in initializers:
        if not isinstance(initializer, Initializer):
            raise TypeError(
                f"{type(layer).__name__}: an initialiser such as pybp.HeNormal() is expected, "
                f"got {initializer!r}"
            )


class Linear(Layer):
    """A dense layer on the last axis: ``y = x @ weight + bias``.

    Parameters
    ----------
    units : int
        Size of the output's last axis.
    bias : bool
        Whether a bias is added.
    weight_init, bias_init : initialiser
        GlorotUniform and Zeros by default.
    name : str, optional
        First part of the parameters' names in place of the position.

    Notes
    -----
    Input (n, ..., in), output (n, ..., units); parameters ``weight`` (in, units), ``bias``
    (units,).
    """

    units: int
    bias: bool = True
    weight_init: Initializer = _WEIGHT_INIT
    bias_init: Initializer = _BIAS_INIT
    name: str | None = None

    def _check(self) -> None:
        _check_units(self, self.units)
        _check_initializers(self, self.weight_init, self.bias_init)

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to one dense op."""
        shape = builder.shape(x)
        if not shape or shape[-1] < 1:
            raise ValueError(
                f"layer {path} (Linear) needs samples of shape (..., features), got {shape}; "
                "is the batch axis missing? x[None] adds it"
            )
        weight_shape = (shape[-1], self.units)
        w = builder.parameter(f"{path}.weight", weight_shape, self.weight_init)
        b = ""
        if self.bias:
            b = builder.parameter(f"{path}.bias", (self.units,), self.bias_init)
        return builder.append(Dense(x, w, builder.fresh(path), b))


class Flatten(Layer):
    """All axes of a sample in one, row by row: (n, a, b, ...) to (n, a * b * ...)."""

    name: str | None = None

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to a reshape, which costs nothing."""
        size = math.prod(builder.shape(x))
        return builder.append(ReshapeOp(x, builder.fresh(path), (size,)))


class Reshape(Layer):
    """Samples under another shape, in row-major order.

    Parameters
    ----------
    shape : tuple of int
        The new shape of one sample, without the batch axis; one entry may be -1.
    name : str, optional
        Name of the layer.
    """

    shape: tuple[int, ...]
    name: str | None = None

    def _check(self) -> None:
        shape = self.shape
        if not isinstance(shape, tuple) or not all(isinstance(extent, int) for extent in shape):
            raise TypeError(f"Reshape: shape must be a tuple of whole numbers, got {shape!r}")
        if any(extent < 1 and extent != -1 for extent in shape) or shape.count(-1) > 1:
            raise ValueError(f"Reshape: sizes must be >= 1, with at most one -1, got {shape}")

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to a reshape, which costs nothing."""
        old = builder.shape(x)
        size, known = math.prod(old), math.prod(e for e in self.shape if e != -1)
        shape = tuple(size // known if extent == -1 else extent for extent in self.shape)
        if math.prod(shape) != size:
            raise ValueError(f"layer {path} (Reshape): {old} can't become {self.shape}")
        return builder.append(ReshapeOp(x, builder.fresh(path), shape))


class Dropout(Layer):
    """In training, set each element to 0 with probability p and divide the rest by 1 - p.

    The mask is a function of the net's seed and step counter alone, so it is the same in both
    backends, at any thread count, and after a resume. Evaluation passes the values on unchanged.
    (Srivastava et al. 2014, in the inverted form.)

    Parameters
    ----------
    p : float
        Probability of dropping an element, in [0, 1].
    name : str, optional
        Name of the layer.
    """

    p: float = 0.5
    name: str | None = None

    def _check(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"Dropout: p must lie in [0, 1], got {self.p!r}")

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to a dropout op in training, to nothing in evaluation."""
        if not builder.training or self.p == 0:
            return x
        stream = builder.stream()
        return builder.append(DropoutOp(x, builder.fresh(path), float(self.p), stream))
