"""One example through a small net, with every number: forward, backward, and the chain rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybp import layers
from pybp.arrays import Array
from pybp.by_name import resolve
from pybp.data import inputs
from pybp.explanation.formulas import Passage, backward, forward, is_known, loss_lines
from pybp.explanation.text import entry, equation, factor, indices, number, paragraph, vector
from pybp.gradient_check import as_double, gradcheck
from pybp.losses import LOSSES, Loss
from pybp.nets.sequential import Sequential

_MOST_NUMBERS = 300  # of the parameters: nobody reads more


def explain(net: Sequential, x: Any, y: Any, loss: Loss | str, *, rate: float | None = None) -> str:
    """Return a text that follows one example forward and backward through a small net.

    Each value and each gradient stands there with its formula and its numbers; in the last line
    the gradients are compared with finite differences.

    Parameters
    ----------
    net : Sequential
        Linear layers and activations, as in evaluation; it is left as it was.
    x : array of the shape of one sample
        The example.
    y : array or number
        Its target: as the loss takes it, without the batch axis.
    loss : Loss or str
        The loss.
    rate : float, optional
        Show a step of gradient descent too, with this rate.

    Returns
    -------
    str
        For ``print``, up to 100 columns wide. Indices count from 0, as in NumPy: ``W1[0,2]`` is
        ``net.params["0.weight"][0, 2]``, and ``dW1[0,2]`` the derivative of the loss by it.

    Raises
    ------
    TypeError
        For other nets and layers.
    ValueError
        For a net with more than 300 parameters, and for a loss without reduction.

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> net = bp.Sequential([bp.Linear(2), bp.Tanh(), bp.Linear(1)])
    >>> text = bp.explain(net, np.array([1.0, 2.0]), np.array([0.5]), "mse", rate=0.1)
    """
    if not isinstance(net, Sequential):
        raise TypeError(f"explain takes a Sequential of Linear layers and activations, got {net!r}")
    judge = resolve("loss", loss, LOSSES, Loss)
    if judge.reduction == "none":
        raise ValueError("explain needs a loss that is one number, got reduction='none'")
    for layer, path in zip(net.layers, net.paths, strict=True):
        if not is_known(layer):
            raise TypeError(
                f"explain knows Linear layers and activations, not layer {path}: {layer!r}"
            )
    sample = np.array(inputs.numbers(np.asarray(x)[None], "x"), np.float64)
    double = as_double(net)
    double.predict(sample)  # builds it, and raises for what it can't take
    size = sum(array.size for array in double.params.values())
    if size > _MOST_NUMBERS:
        raise ValueError(f"explain is for nets of up to {_MOST_NUMBERS} numbers, this has {size}")
    return "\n".join(_Story(double, sample, np.asarray(y)[None], judge).lines(rate))


class _Story:
    """The numbers of one example in a net of float64, and the text about them."""

    def __init__(self, net: Sequential, sample: Array, target: Array, loss: Loss) -> None:
        self.net, self.sample, self.target, self.loss = net, sample, target, loss
        self.passages: list[Passage] = []
        x = sample
        for position in range(len(net.layers)):
            self.passages.append(_passage(net, position, x[0]))
            x = self.passages[-1].y[None]
        value, slope = loss.value_and_grad(x, target)
        self.value, self.slope = float(value), slope[0]

    def lines(self, rate: float | None) -> list[str]:
        """Return all lines."""
        check = gradcheck(
            *(self.net, self.sample, self.target, self.loss),
            training=False,
            raise_on_failure=False,
        )
        found = [*self._head(), "", "Forward", *self._forward()]
        found += ["", "Backward (dA stands for dL/dA, the derivative of the loss by A)"]
        grads: dict[str, Array] = {}
        found += self._backward(grads)
        if rate is not None:
            found += ["", *self._step(inputs.real_number(rate, "rate"), grads)]
        verdict = "agree" if check.ok else "DISAGREE"
        return [*found, "", f"Finite differences {verdict}: the worst differs by {check.worst:.1e}"]

    def _head(self) -> list[str]:
        target = vector(self.target[0])
        target = target[1:-1] if self.target.ndim == 1 else target
        return [
            *paragraph(f"x = {vector(self.sample[0])}"),
            *paragraph(f"y = {target}"),
        ]

    def _forward(self) -> list[str]:
        found: list[str] = []
        for passage, path in zip(self.passages, self.net.paths, strict=True):
            found += paragraph(f"layer {path}, {passage.layer!r}{_legend(passage, path)}", "  ")
            found += forward(passage)
        return [*found, f"  loss, {self.loss!r}", *self._loss_lines()[0]]

    def _loss_lines(self) -> tuple[list[str], list[str]]:
        last = self.passages[-1].writes if self.passages else "x"
        p = self.passages[-1].y if self.passages else self.sample[0]
        return loss_lines(self.loss, p, self.target[0], last, self.value, self.slope)

    def _backward(self, grads: dict[str, Array]) -> list[str]:
        """Return the lines from the loss back to x; collect the gradients of the parameters."""
        found = [f"  loss, {self.loss!r}", *self._loss_lines()[1]]
        dy = self.slope
        for passage, path in reversed(list(zip(self.passages, self.net.paths, strict=True))):
            alone = _alone(passage)
            alone.forward(passage.x[None])
            dx = alone.backward(dy[None])[0]
            own = {name: alone.grads[f"0.{name}"].copy() for name in passage.params}
            found += paragraph(f"layer {path}, {passage.layer!r}", "  ")
            found += backward(passage, dy, dx, own)
            grads |= {f"{path}.{name}": array for name, array in own.items()}
            dy = dx
        return found

    def _step(self, rate: float, grads: dict[str, Array]) -> list[str]:
        """Return the lines of a step of gradient descent."""
        found = [f"Step of gradient descent: A - {number(rate)} * dA"]
        for passage, path in zip(self.passages, self.net.paths, strict=True):
            for name, array in passage.params.items():
                title = passage.weight if name == "weight" else passage.bias
                gradient = grads[f"{path}.{name}"]
                for index in indices(array):
                    found += equation(
                        entry(title, index),
                        f"{number(array[index])} - {number(rate)} * {factor(gradient[index])}",
                        number(array[index] - rate * gradient[index]),
                    )
        return found


def _passage(net: Sequential, position: int, x: Array) -> Passage:
    """Return a layer of a net with the numbers of an example."""
    layer, path = net.layers[position], net.paths[position]
    if isinstance(layer, layers.Linear) and x.ndim != 1:
        raise ValueError(f"explain takes Linear layers of vectors, layer {path} reads {x.shape}")
    reads = f"h{position}" if position else "x"
    names = ("weight", "bias") if isinstance(layer, layers.Linear) and layer.bias else ("weight",)
    params: dict[str, Array] = {}
    if isinstance(layer, layers.Linear):
        params = {name: net.params[f"{path}.{name}"].copy() for name in names}
    passage = Passage(layer, x, x, reads, f"h{position + 1}", position + 1, params, x)
    alone = _alone(passage)
    y = alone.forward(x[None])
    slopes = alone.backward(np.ones_like(y))[0]
    return passage._replace(y=y[0], slopes=slopes)


def _alone(passage: Passage) -> Sequential:
    """Return the net of one layer."""
    alone = Sequential([passage.layer.replace(name=None)], dtype="float64")
    alone.build(passage.x.shape)
    for name, array in passage.params.items():
        alone.params[f"0.{name}"] = array
    return alone


def _legend(passage: Passage, path: str) -> str:
    """Return what the letters of a layer stand for."""
    if not passage.params:
        return ""
    bias = f" + {passage.bias}" if "bias" in passage.params else ""
    names = f"{passage.weight} = {path}.weight"
    names += f", {passage.bias} = {path}.bias" if bias else ""
    return f": {passage.writes} = {passage.reads} @ {passage.weight}{bias} with {names}"
