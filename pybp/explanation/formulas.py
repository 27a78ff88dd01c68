"""What happens in layers and losses, as lines of text with numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pybp import activations, layers, losses
from pybp.arrays import Array
from pybp.explanation.text import entry, equation, factor, indices, number, total
from pybp.losses import Loss

_SAME = (layers.Flatten, layers.Reshape, layers.Dropout, layers.Input, activations.Identity)
_KNOWN = (layers.Linear, activations.Activation, activations.Softmax, *_SAME)


class Passage(NamedTuple):
    """One layer with the numbers of an example: what it reads (``x``) and writes (``y``)."""

    layer: Any
    x: Array
    y: Array
    reads: str  # the names of both
    writes: str
    place: int  # the layer's number, of its weights in the text
    params: dict[str, Array]
    slopes: Array  # dy/dx of a layer that acts element by element

    @property
    def weight(self) -> str:
        """The name of the weights."""
        return f"W{self.place}"

    @property
    def bias(self) -> str:
        """The name of the biases."""
        return f"b{self.place}"


def is_known(layer: Any) -> bool:
    """Tell whether there is a text about a layer."""
    return isinstance(layer, _KNOWN)


def forward(passage: Passage) -> list[str]:
    """Return the lines of the values that a layer writes."""
    if isinstance(passage.layer, layers.Linear):
        return _linear(passage)
    lines: list[str] = []
    for index in indices(passage.y):
        name = entry(passage.writes, index)
        x, value = entry(passage.reads, index), passage.y[index]
        if isinstance(passage.layer, _SAME):
            continue
        formula, _ = _formulas(passage)
        lines += equation(
            name,
            formula.format(x=x, all=passage.reads, k=",".join(map(str, index))),
            number(value),
        )
    return lines or [f"    {passage.writes} = {passage.reads}: the same numbers"]


def backward(passage: Passage, dy: Array, dx: Array, grads: dict[str, Array]) -> list[str]:
    """Return the lines of the gradients, by the chain rule."""
    if isinstance(passage.layer, layers.Linear):
        return _linear_back(passage, dy, dx, grads)
    if isinstance(passage.layer, _SAME):
        return [f"    d{passage.reads} = d{passage.writes}: the same numbers"]
    lines: list[str] = []
    _, slope = _formulas(passage)
    for index in indices(dx):
        given = entry(f"d{passage.writes}", index)
        names = {"x": entry(passage.reads, index), "y": entry(passage.writes, index)}
        values = {"x": number(passage.x[index]), "y": factor(passage.y[index])}
        if isinstance(passage.layer, activations.Softmax):
            sides = _softmax_back(passage, dy, index)
        else:
            sides = [
                f"{given} * {slope.format(**names)}",
                f"{factor(dy[index])} * {slope.format(**values)}",
                f"{factor(dy[index])} * {factor(passage.slopes[index])}",
            ]
        lines += equation(entry(f"d{passage.reads}", index), *sides, number(dx[index]))
    return lines


def _formulas(passage: Passage) -> tuple[str, str]:
    """Return the formulas of an activation and of its slope."""
    layer, name = passage.layer, type(passage.layer).__name__.lower()
    if isinstance(layer, activations.LogSoftmax):
        return "{x} - log(sum(exp({all})))", ""
    if isinstance(layer, activations.Softmax):
        return "exp({x}) / sum(exp({all}))", ""
    if isinstance(layer, activations.Sigmoid) and layer.slope == 1:
        return "1 / (1 + exp(-{x}))", "{y} * (1 - {y})"
    if isinstance(layer, activations.Tanh):
        return "tanh({x})", "(1 - {y}^2)"
    if isinstance(layer, activations.ReLU):
        return "max({x}, 0)", "relu'({x})"
    return f"{name}({{x}})", f"{name}'({{x}})"


def _softmax_back(passage: Passage, dy: Array, index: tuple[int, ...]) -> list[str]:
    y, given = passage.writes, f"d{passage.writes}"
    if isinstance(passage.layer, activations.LogSoftmax):
        return [
            f"{entry(given, index)} - exp({entry(y, index)}) * sum({given})",
            f"{number(dy[index])} - exp({number(passage.y[index])}) * {factor(dy.sum())}",
        ]
    return [
        f"{entry(y, index)} * ({entry(given, index)} - sum({given} * {y}))",
        f"{number(passage.y[index])} * ({number(dy[index])} - {factor(np.sum(dy * passage.y))})",
    ]


def _linear(passage: Passage) -> list[str]:
    w, b = passage.params["weight"], passage.params.get("bias")
    lines: list[str] = []
    for j in range(w.shape[1]):
        names = [
            f"{entry(passage.reads, (i,))} * {entry(passage.weight, (i, j))}" for i in range(len(w))
        ]
        values = [f"{factor(passage.x[i])} * {factor(w[i, j])}" for i in range(len(w))]
        if b is not None:
            names.append(entry(passage.bias, (j,)))
            values.append(factor(b[j]))
        lines += equation(
            entry(passage.writes, (j,)), total(names), total(values), number(passage.y[j])
        )
    return lines


def _linear_back(passage: Passage, dy: Array, dx: Array, grads: dict[str, Array]) -> list[str]:
    w = passage.params["weight"]
    given = f"d{passage.writes}"
    lines: list[str] = []
    for i, j in indices(w):
        lines += equation(
            entry(f"d{passage.weight}", (i, j)),
            f"{entry(passage.reads, (i,))} * {entry(given, (j,))}",
            f"{factor(passage.x[i])} * {factor(dy[j])}",
            number(grads["weight"][i, j]),
        )
    if "bias" in grads:
        for j in range(len(dy)):
            lines += equation(
                entry(f"d{passage.bias}", (j,)), entry(given, (j,)), number(grads["bias"][j])
            )
    for i in range(len(w)):
        names = [f"{entry(given, (j,))} * {entry(passage.weight, (i, j))}" for j in range(len(dy))]
        values = [f"{factor(dy[j])} * {factor(w[i, j])}" for j in range(len(dy))]
        lines += equation(
            entry(f"d{passage.reads}", (i,)), total(names), total(values), number(dx[i])
        )
    return lines


# ------------------------------------------------------------------------------------------ losses


def loss_lines(
    loss: Loss, p: Array, target: Array, name: str, value: float, slope: Array
) -> tuple[list[str], list[str]]:
    """Return the lines of the loss of an example, and of its gradient by the prediction.

    Parameters
    ----------
    loss : Loss
        The loss.
    p, target : array
        Prediction and target of the example.
    name : str
        The name of the prediction.
    value : float
        The loss.
    slope : array
        Its gradient, of the shape of p.
    """
    if isinstance(loss, losses.SquaredError):
        return _squared(loss, p, target, name, value, slope)
    if _is_plain(loss) and target.ndim < p.ndim == 1:
        return _labelled(p, int(target), name, value, slope)
    kind = type(loss).__name__
    back: list[str] = []
    for index in indices(p):
        back += equation(entry(f"d{name}", index), f"slope of {kind}", number(slope[index]))
    return equation("L", f"{kind}({name}, y)", number(value)), back


def _is_plain(loss: Loss) -> bool:
    """Tell whether a loss is the cross entropy of labels, without weights of classes and such."""
    if not isinstance(loss, losses.CrossEntropy):
        return False
    return loss.weight is None and loss.label_smoothing == 0


def _squared(
    loss: Any, p: Array, target: Array, name: str, value: float, slope: Array
) -> tuple[list[str], list[str]]:
    count = p.size if loss.reduction == "mean" else 1
    over = f" / {count}" if count > 1 else ""
    half = " / 2" if loss.half else ""
    places = list(indices(p))
    names = [f"({entry(name, k)} - {entry('y', k)})^2" for k in places]
    values = [f"({number(p[k])} - {factor(target[k])})^2" for k in places]
    sums = [total(names), total(values)]
    if len(places) > 1 and (over or half):
        sums = [f"({one})" for one in sums]
    ahead = equation("L", *(f"{one}{over}{half}" for one in sums), number(value))
    back: list[str] = []
    for k in places:
        two = "" if loss.half else "2 * "
        back += equation(
            entry(f"d{name}", k),
            f"{two}({entry(name, k)} - {entry('y', k)}){over}",
            f"{two}({number(p[k])} - {factor(target[k])}){over}",
            number(slope[k]),
        )
    return ahead, back


def _labelled(
    p: Array, label: int, name: str, value: float, slope: Array
) -> tuple[list[str], list[str]]:
    share = np.exp(p - p.max())
    share /= share.sum()
    ahead: list[str] = []
    back: list[str] = []
    for k in range(len(p)):
        formula = f"exp({entry(name, (k,))}) / sum(exp({name}))"
        ahead += equation(entry("p", (k,)), formula, number(share[k]))
        one = int(k == label)
        back += equation(
            entry(f"d{name}", (k,)),
            f"{entry('p', (k,))} - {one}",
            f"{number(share[k])} - {one}",
            number(slope[k]),
        )
    ahead += equation(
        "L", f"-log({entry('p', (label,))})", f"-log({number(share[label])})", number(value)
    )
    return ahead, back
