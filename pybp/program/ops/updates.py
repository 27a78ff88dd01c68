"""The updates: the steps of optimisers on flat buffers."""

from __future__ import annotations

from typing import ClassVar

from pybp.program.ops.base import MaybeRead, MaybeWrite, Op, Read, Shape, Write


class Update(Op):
    """Base of the optimiser steps on flat buffers: w is changed in place, and so is the state.

    With ``rows`` int32 (...) the step is that of some rows of a table: g (..., size) holds their
    gradients, w and the states are (count, size). ``rows`` names each row once, in rising order,
    then -1; all rows that it does not name keep their numbers, in w and in the states.

    ``scale`` multiplies the rate ``lr``, which leads the scalars of a step: the rate of one layer.
    ``sign`` is -1 for climbing. A gain is 1 - beta, taken in double before it is rounded.
    """

    w: Write
    g: Read

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        g, fields = shape["g"], vars(self)
        if not fields["rows"]:
            return dict.fromkeys(self.writes, g)
        if shape["rows"] != g[:-1]:
            raise self.fail(f"rows must lead g {g}, got {shape['rows']}")
        return dict.fromkeys(self.writes, (fields["count"], g[-1]))


class SGD(Update):
    """Stochastic gradient descent with momentum, as PyTorch orders it.

    ``g' = sign * g + weight_decay * w``; ``v = momentum * v + gain * g'``;
    ``w -= lr * v``, or with Nesterov ``w -= lr * (g' + momentum * v)``.
    Without v: ``w -= lr * g'``.
    """

    v: MaybeWrite = ""
    nesterov: bool = False
    rows: MaybeRead = ""
    count: int = 0
    scale: float = 1.0
    hyper: ClassVar[tuple[str, ...]] = ("lr", "sign", "weight_decay", "momentum", "gain")


class SGDDense(Op):
    """The weight gradient of a dense op and a plain SGD step in one: no gradient is stored.

    ``w -= lr * (sign * x.T @ dy + weight_decay * w)``, and b likewise with the sum of the rows of
    dy: the bits of ``DenseGradWeight`` followed by ``SGD``. It must come after all readers of w.
    """

    x: Read
    dy: Read
    w: Write
    b: MaybeWrite = ""
    scale: float = 1.0
    hyper: ClassVar[tuple[str, ...]] = SGD.hyper

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x, dy = shape["x"], shape["dy"]
        if x[:-1] != dy[:-1]:
            raise self.fail(f"x and dy must have the same rows, got x {x} and dy {dy}")
        return {"w": (x[-1], dy[-1]), "b": (dy[-1],)}


class Adam(Update):
    """Adam (Kingma and Ba 2015, algorithm 1); ``decoupled`` decay is AdamW.

    ``w *= 1 - lr * weight_decay`` if decoupled, else ``g' = sign * g + weight_decay * w``;
    ``m = beta1 * m + gain1 * g'``; ``v = beta2 * v + gain2 * g'^2``;
    ``w -= lr / correction1 * m / (sqrt(v) / sqrt(correction2) + eps)``. With ``vmax`` (AMSGrad) the
    running maximum of v stands in the root.
    """

    m: Write
    v: Write
    vmax: MaybeWrite = ""
    decoupled: bool = False
    rows: MaybeRead = ""
    count: int = 0
    scale: float = 1.0
    hyper: ClassVar[tuple[str, ...]] = (
        "lr",
        "sign",
        "weight_decay",
        "beta1",
        "gain1",
        "beta2",
        "gain2",
        "eps",
        "correction1",
        "sqrt_correction2",
    )


class Nadam(Update):
    """Adam with Nesterov's momentum (Dozat 2016), as PyTorch orders it.

    The decay and the means m and v as in ``Adam``; then
    ``w -= lr * (slope_part * g' + mean_part * m) / (sqrt(v) / sqrt(correction2) + eps)``.
    """

    m: Write
    v: Write
    decoupled: bool = False
    rows: MaybeRead = ""
    count: int = 0
    scale: float = 1.0
    hyper: ClassVar[tuple[str, ...]] = (
        *Adam.hyper[:8],
        "slope_part",
        "mean_part",
        "sqrt_correction2",
    )


class Radam(Update):
    """Adam with a rectified rate (Liu et al. 2020, algorithm 2), as PyTorch orders it.

    The decay and the means m and v as in ``Adam``; then
    ``w -= lr / correction1 * m * rectifier / (sqrt(v) + eps)``, or, where the rectifier is 0 (the
    first updates), ``w -= lr / correction1 * m``.
    """

    m: Write
    v: Write
    decoupled: bool = False
    rows: MaybeRead = ""
    count: int = 0
    scale: float = 1.0
    hyper: ClassVar[tuple[str, ...]] = (*Adam.hyper[:9], "rectifier")


class Adamax(Update):
    """Adam with the maximum norm (Kingma and Ba 2015, algorithm 2), as PyTorch orders it.

    ``g' = sign * g + weight_decay * w``; ``m = beta1 * m + gain1 * g'``;
    ``u = max(beta2 * u, |g'| + eps)``; ``w -= lr / correction1 * m / u``.
    """

    m: Write
    u: Write
    rows: MaybeRead = ""
    count: int = 0
    scale: float = 1.0
    hyper: ClassVar[tuple[str, ...]] = (*Adam.hyper[:6], "eps", "correction1")


class Adagrad(Update):
    """A rate for each weight that falls with what it has moved (Duchi et al. 2011).

    ``g' = sign * g + weight_decay * w``; ``sum += g'^2``; ``w -= lr * g' / (sqrt(sum) + eps)``.
    """

    sum: Write
    rows: MaybeRead = ""
    count: int = 0
    scale: float = 1.0
    hyper: ClassVar[tuple[str, ...]] = ("lr", "sign", "weight_decay", "eps")


class RMSProp(Update):
    """Gradients divided by the root of their mean square (Tieleman and Hinton 2012).

    ``g' = sign * g + weight_decay * w``; ``v = alpha * v + gain * g'^2``. With m (centred):
    ``m = alpha * m + gain * g'`` and ``max(v - m^2, 0)`` stands in the root.
    ``move = g' / (sqrt(v) + eps)``; with velocity ``move = velocity = momentum * velocity + move``;
    ``w -= lr * move``.
    """

    v: Write
    m: MaybeWrite = ""
    velocity: MaybeWrite = ""
    rows: MaybeRead = ""
    count: int = 0
    scale: float = 1.0
    hyper: ClassVar[tuple[str, ...]] = (
        "lr",
        "sign",
        "weight_decay",
        "alpha",
        "gain",
        "eps",
        "momentum",
    )


class Adadelta(Update):
    """Moves in the size of the moves before (Zeiler 2012).

    ``g' = sign * g + weight_decay * w``; ``v = rho * v + gain * g'^2``;
    ``move = sqrt(u + eps) / sqrt(v + eps) * g'``; ``u = rho * u + gain * move^2``;
    ``w -= lr * move``.
    """

    v: Write
    u: Write
    rows: MaybeRead = ""
    count: int = 0
    scale: float = 1.0
    hyper: ClassVar[tuple[str, ...]] = ("lr", "sign", "weight_decay", "rho", "gain", "eps")
