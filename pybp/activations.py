"""Activation layers; the formulas stand in ``pybp/backends/numpy_activations.py``."""

from __future__ import annotations

from typing import ClassVar

from pybp.layers import Layer
from pybp.program.builder import Builder
from pybp.program.ops import Softmax as SoftmaxOp


class Activation(Layer):
    """Base of the activations that act element by element."""

    _function: ClassVar[str]

    def by_rows(self) -> bool:
        """Tell that the layer acts on the last axis alone."""
        return True

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to an activation, fused into a dense op before it where that is possible."""
        function, alpha, beta = self._lowered()
        return builder.activate(x, path, function, alpha, beta)

    def _lowered(self) -> tuple[str, float, float]:
        """Return the op's function and its parameters alpha and beta."""
        return self._function, 0.0, 0.0


class Identity(Activation):
    """``y = x``."""

    _function = "identity"
    name: str | None = None


class ReLU(Activation):
    """``y = max(x, 0)``; the slope at 0 is 0.

    Parameters
    ----------
    straight_through : bool
        Let the gradient ignore the mask: the slope is 1 everywhere.
    name : str, optional
        Name of the layer.
    """

    straight_through: bool = False
    name: str | None = None

    def _lowered(self) -> tuple[str, float, float]:
        return ("straight_through_relu" if self.straight_through else "relu"), 0.0, 0.0


class LeakyReLU(Activation):
    """``y = x`` above 0, ``negative_slope * x`` else; the slope at 0 is the negative one."""

    negative_slope: float = 0.01
    name: str | None = None

    def _lowered(self) -> tuple[str, float, float]:
        return "leaky_relu", float(self.negative_slope), 0.0


class Sigmoid(Activation):
    """``y = 1 / (1 + exp(-slope * x))``; a large slope is a smooth Heaviside step."""

    slope: float = 1.0
    name: str | None = None

    def _lowered(self) -> tuple[str, float, float]:
        return "sigmoid", float(self.slope), 0.0


class Tanh(Activation):
    """``y = tanh(x)``."""

    _function = "tanh"
    name: str | None = None


class ELU(Activation):
    """``y = x`` above 0, ``alpha * (exp(x) - 1)`` else (Clevert et al. 2016)."""

    alpha: float = 1.0
    name: str | None = None

    def _lowered(self) -> tuple[str, float, float]:
        return "elu", float(self.alpha), 0.0


class SELU(Activation):
    """The self-normalising ELU with its two constants (Klambauer et al. 2017)."""

    _function = "selu"
    name: str | None = None


class GELU(Activation):
    """``y = x * Phi(x)`` (Hendrycks and Gimpel 2016).

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Exact through the error function, or the paper's tanh formula.
    name : str, optional
        Name of the layer.
    """

    approximate: str = "none"
    name: str | None = None

    def _check(self) -> None:
        if self.approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: approximate is "none" or "tanh", got {self.approximate!r}')

    def _lowered(self) -> tuple[str, float, float]:
        return ("gelu" if self.approximate == "none" else "gelu_tanh"), 0.0, 0.0


class SiLU(Activation):
    """``y = x * sigmoid(x)`` (Elfwing et al. 2018)."""

    _function = "silu"
    name: str | None = None


class Mish(Activation):
    """``y = x * tanh(softplus(x))`` (Misra 2019)."""

    _function = "mish"
    name: str | None = None


class Softplus(Activation):
    """``y = log(1 + exp(beta * x)) / beta``, everywhere by this formula."""

    beta: float = 1.0
    name: str | None = None

    def _check(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"Softplus: beta must be > 0, got {self.beta!r}")

    def _lowered(self) -> tuple[str, float, float]:
        return "softplus", float(self.beta), 0.0


class Softsign(Activation):
    """``y = x / (1 + |x|)``."""

    _function = "softsign"
    name: str | None = None


class HardTanh(Activation):
    """``y = min(max(x, min_val), max_val)``; the slope is 1 strictly between the two."""

    min_val: float = -1.0
    max_val: float = 1.0
    name: str | None = None

    def _check(self) -> None:
        if not self.min_val < self.max_val:
            raise ValueError(
                f"HardTanh: min_val must lie below max_val, got {self.min_val} and {self.max_val}"
            )

    def _lowered(self) -> tuple[str, float, float]:
        return "hard_tanh", float(self.min_val), float(self.max_val)


class HardSigmoid(Activation):
    """``y = min(max(x / 6 + 1 / 2, 0), 1)``."""

    _function = "hard_sigmoid"
    name: str | None = None


class Heaviside(Activation):
    """``y = 1`` above 0, else 0; its slope is 0, so no gradient passes."""

    _function = "heaviside"
    name: str | None = None


class Softmax(Layer):
    """``y_j = exp(x_j) / sum_i exp(x_i)`` along one axis, without overflow.

    Parameters
    ----------
    axis : int
        Axis of the whole array; the batch axis 0 is not allowed.
    name : str, optional
        Name of the layer.
    """

    axis: int = -1
    name: str | None = None
    _log: ClassVar[bool] = False

    def by_rows(self) -> bool:
        """Tell whether the layer acts on the last axis alone."""
        return self.axis == -1

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to a softmax op."""
        axes = 1 + len(builder.shape(x))
        axis = self.axis + axes if self.axis < 0 else self.axis
        if not 1 <= axis < axes:
            raise ValueError(
                f"layer {path} ({type(self).__name__}): axis {self.axis} of an array with {axes} "
                "axes; the batch axis 0 is not allowed"
            )
        return builder.append(SoftmaxOp(x, builder.fresh(path), axis, self._log))


class LogSoftmax(Softmax):
    """The logarithm of the softmax along one axis, computed without overflow."""

    axis: int = -1
    name: str | None = None
    _log = True
