"""Normalisation: over all rows of a channel (batch), or over the trailing axes (layer)."""

from __future__ import annotations

from pybp.program.ops.base import (
    MaybeRead,
    MaybeWrite,
    Op,
    Read,
    Shape,
    Write,
    check_activation,
)


class ChannelMoments(Op):
    """Mean and biased variance of each channel over all rows; running statistics follow.

    ``running = (1 - momentum) * running + momentum * moment``, with the unbiased variance
    (PyTorch's rule). x [rows, channels].
    """

    x: Read
    mean: Write
    var: Write
    running_mean: MaybeWrite = ""
    running_var: MaybeWrite = ""
    momentum: float = 0.1

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        channels = (shape["x"][-1],)
        return dict.fromkeys(self.writes, channels)


class BatchNorm(Op):
    """``y = act((x - mean) / sqrt(var + eps) * gamma + beta)``, channel by channel."""

    x: Read
    mean: Read
    var: Read
    y: Write
    gamma: MaybeRead = ""
    beta: MaybeRead = ""
    eps: float = 1e-5
    activation: str = "identity"
    alpha: float = 0.0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x = shape["x"]
        check_activation(self, self.activation, fused=True, alpha=self.alpha)
        check_channels(self, shape, x, "mean", "var", "gamma", "beta")
        return {"y": x}


class BatchNormGrad(Op):
    """The gradients of ``BatchNorm`` by x, gamma and beta.

    With ``g = dy * act'`` (the slope from y where it is given) and ``xhat = (x - mean) / sqrt(var +
    eps)``: ``dgamma (+)= sum(g * xhat)``, ``dbeta (+)= sum(g)``, ``dx = gamma / sqrt(var + eps) *
    g``; with ``batch_statistics``, where mean and var are x's own, ``dx = gamma / sqrt(var + eps) *
    (g - mean(g) - xhat * mean(g * xhat))`` (Ioffe and Szegedy 2015).
    """

    dy: Read
    x: Read
    mean: Read
    var: Read
    y: MaybeRead = ""
    gamma: MaybeRead = ""
    dx: MaybeWrite = ""
    dgamma: MaybeWrite = ""
    dbeta: MaybeWrite = ""
    eps: float = 1e-5
    batch_statistics: bool = True
    accumulate: bool = False
    activation: str = "identity"
    alpha: float = 0.0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x = shape["x"]
        check_activation(self, self.activation)
        if (self.activation != "identity") != bool(self.y):
            raise self.fail("y is given exactly when there is an activation")
        for name in ("dy", "y"):
            if name in shape and shape[name] != x:
                raise self.fail(f"{name} must be {x}, got {shape[name]}")
        check_channels(self, shape, x, "mean", "var", "gamma")
        return {"dx": x, "dgamma": (x[-1],), "dbeta": (x[-1],)}


class LayerNorm(Op):
    """``y = (x - mean) / sqrt(var + eps) * gamma + beta`` over the last ``axes`` axes.

    ``mean`` and ``rstd = 1 / sqrt(var + eps)`` have the shape of the other axes, gamma and beta
    that of the last.
    """

    x: Read
    y: Write
    mean: Write
    rstd: Write
    gamma: MaybeRead = ""
    beta: MaybeRead = ""
    axes: int = 1
    eps: float = 1e-5

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x = shape["x"]
        outer, _ = split_axes(self, x, self.axes)
        check_inner(self, shape, x[-self.axes :], "gamma", "beta")
        return {"y": x, "mean": outer, "rstd": outer}


class LayerNormGrad(Op):
    """The gradients of ``LayerNorm``, with ``xhat = (x - mean) * rstd`` and ``g = dy * gamma``.

    ``dx = rstd * (g - mean(g) - xhat * mean(g * xhat))``, means over the last axes; ``dgamma (+)=
    sum of dy * xhat`` and ``dbeta (+)= sum of dy`` over the others (Ba, Kiros and Hinton 2016).
    """

    dy: Read
    x: Read
    mean: Read
    rstd: Read
    gamma: MaybeRead = ""
    dx: MaybeWrite = ""
    dgamma: MaybeWrite = ""
    dbeta: MaybeWrite = ""
    axes: int = 1
    accumulate: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x = shape["x"]
        outer, inner = split_axes(self, x, self.axes)
        if shape["dy"] != x or shape["mean"] != outer or shape["rstd"] != outer:
            raise self.fail(f"dy must be {x}, mean and rstd {outer}, got {shape}")
        check_inner(self, shape, inner, "gamma")
        return {"dx": x, "dgamma": inner, "dbeta": inner}


def split_axes(op: Op, x: Shape, axes: int) -> tuple[Shape, Shape]:
    """Return the leading and the normalised sizes of x."""
    if not 1 <= axes < len(x):
        raise op.fail(f"axes must be 1 ... {len(x) - 1}, got {axes}")
    return x[:-axes], x[-axes:]


def check_channels(op: Op, shape: dict[str, Shape], x: Shape, *names: str) -> None:
    """Refuse arrays that don't have one entry a channel."""
    if len(x) < 2:
        raise op.fail(f"x must be (n, ..., channels), got {x}")
    check_inner(op, shape, x[-1:], *names)


def check_inner(op: Op, shape: dict[str, Shape], inner: Shape, *names: str) -> None:
    """Refuse arrays of another shape than the given one."""
    for name in names:
        if name in shape and shape[name] != inner:
            raise op.fail(f"{name} must be {inner}, got {shape[name]}")
