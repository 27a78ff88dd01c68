"""What the ops that run in Python call: a layer or a loss that a user wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Function(NamedTuple):
    """Two functions of NumPy arrays, and who they belong to.

    Attributes
    ----------
    title : str
        What errors call it: "layer 2 (Lambda)".
    forward : callable
        Of a layer ``forward(xs, params) -> y``; of a loss ``forward(y_hat, y) -> losses``.
    backward : callable
        Of a layer ``backward(xs, y, dy, params) -> (dxs, dparams)``; of a loss
        ``backward(y_hat, y) -> dy_hat``. Lists as long as ``xs`` and ``params``.
    parameters : tuple of str
        What errors call the parameters.
    """

    title: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    parameters: tuple[str, ...] = ()
