"""Gradients against finite differences: an answer to "is this backward pass right?"."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from pybp.arrays import Array
from pybp.by_name import resolve
from pybp.data import inputs
from pybp.data.ragged import Ragged
from pybp.differences import Scalar, error_along
from pybp.differences import directions as directions_of
from pybp.graphs.graph import Graph
from pybp.layers import Input, Layer
from pybp.losses import LOSSES, Loss
from pybp.nets.model import Model
from pybp.nets.sequential import Sequential


class GradCheck(NamedTuple):
    """What ``gradcheck`` has found.

    Attributes
    ----------
    errors : dict
        Name of a parameter or an input -> the largest error of its gradient, relative to the
        gradient.
    kinks : tuple of str
        Those that could not be judged everywhere: the function has a kink at this place, as a ReLU
        of 0 has.
    tolerance : float
        The largest error that passes.
    """

    errors: dict[str, float]
    kinks: tuple[str, ...]
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether no error is larger than the tolerance."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the gradients that are wrong."""
        return tuple(name for name, error in self.errors.items() if not error <= self.tolerance)

    @property
    def worst(self) -> float:
        """The largest error of all."""
        return max(self.errors.values(), default=0.0)

    def __repr__(self) -> str:
        verdict = "ok" if self.ok else "FAILED"
        lines = [f"gradcheck {verdict}: worst relative error {self.worst:.1e}"]
        width = max(map(len, self.errors), default=0)
        for name, error in self.errors.items():
            note = "" if error <= self.tolerance else f"  above {self.tolerance:.0e}"
            note += "  (not judged where there is a kink)" if name in self.kinks else ""
            lines.append(f"  {name:<{width}}  {error:.1e}{note}")
        return "\n".join(lines)


def gradcheck(
    net: Sequential | Model | Layer | Loss,
    x: Any,
    y: Any = None,
    loss: Any = None,
    *,
    lengths: Any = None,
    sample_weight: Any = None,
    training: bool = True,
    tolerance: float = 1e-6,
    directions: int = 3,
    coordinates: int = 16,
    seed: int = 0,
    raise_on_failure: bool = True,
) -> GradCheck:
    """Compare gradients with central differences of five points, in float64.

    Parameters
    ----------
    net : Sequential, Model, Layer or Loss
        What is checked. A layer is made a net of its own. Of a loss the gradient by the prediction
        is checked: ``gradcheck(loss, y_hat, y)``.
    x : array, list of arrays, Ragged; or a tuple or dict of them
        Inputs as for ``net.forward``. Gradients by ids there are none.
    y : array, or tuple of arrays, optional
        Targets; with a loss.
    loss : Loss or str, or tuple of them for several outputs; optional
        What is differentiated; the sum of the outputs, each times a random number, by default.
    lengths : int array (n,), optional
        The steps that count in padded sequences.
    sample_weight : array, optional
        Weights, as the loss takes them.
    training : bool
        Whether layers act as in training: with batch statistics, and the dropout mask of the
        next step.
    tolerance : float
        The largest relative error that passes.
    directions : int
        Random directions along which each array is moved.
    coordinates : int
        Arrays with no more numbers than this are moved number by number.
    seed : int
        Of the directions, and of the random numbers in place of a loss.
    raise_on_failure : bool
        Raise for a wrong gradient, or only report it.

    Returns
    -------
    GradCheck
        The error of each gradient. The net itself is left as it was: a copy in float64 is moved.

    Raises
    ------
    AssertionError
        When a gradient is wrong; the message is the report.

    Warns
    -----
    UserWarning
        Where a kink keeps a gradient from being judged.

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> net = bp.Sequential([bp.Linear(4), bp.Tanh(), bp.Linear(2)])
    >>> bp.gradcheck(net, np.ones((3, 5))).ok
    True
    """
    rng = np.random.default_rng(inputs.check_seed(seed))
    if isinstance(net, Loss):
        scalar = _of_loss(net, x, y, sample_weight)
    else:
        judge = _Judge(net, x, y, loss, lengths, sample_weight, training, rng)
        scalar = judge.scalar()
    errors: dict[str, float] = {}
    kinks: list[str] = []
    for name, arrays in scalar.arrays.items():
        results = [
            error_along(scalar, name, direction, tolerance)
            for direction in directions_of(arrays, directions, coordinates, rng)
        ]
        errors[name] = max((error for error, _ in results), default=0.0)
        if any(kink for _, kink in results):
            kinks.append(name)
    report = GradCheck(errors, tuple(kinks), float(tolerance))
    if kinks:
        warnings.warn(
            f"gradcheck: {', '.join(kinks)} could not be judged everywhere: the function has a "
            "kink there, as a ReLU of 0 has",
            UserWarning,
            stacklevel=2,
        )
    if raise_on_failure and not report.ok:
        raise AssertionError(repr(report))
    return report


# ------------------------------------------------------------------------------------ what is moved


def _of_loss(loss: Loss, y_hat: Any, y: Any, sample_weight: Any) -> Scalar:
    """Return a loss as a function of the prediction."""
    p = np.array(inputs.numbers(y_hat, "y_hat"), np.float64)

    def value() -> tuple[float, float]:
        found = np.asarray(loss.value_and_grad(p, y, sample_weight)[0])
        return float(found.sum()), float(np.abs(found).sum())

    gradient = loss.value_and_grad(p, y, sample_weight)[1]
    return Scalar(value, {"y_hat": [p]}, {"y_hat": [np.array(gradient)]})


class _Judge:
    """A copy of a net in float64, and the number that is made of its outputs."""

    def __init__(
        self,
        net: Any,
        x: Any,
        y: Any,
        loss: Any,
        lengths: Any,
        sample_weight: Any,
        training: bool,
        rng: np.random.Generator,
    ) -> None:
        self.prefix = "0." if isinstance(net, Layer) else ""
        self.net = _of_layer(net, x) if isinstance(net, Layer) else as_double(net)
        self.lengths, self.training, self.rng = lengths, training, rng
        self.sample_weight = sample_weight
        self.net.take_batch(x, lengths)  # raises for what the net can't take
        self.names = [node.path for node in self.net.graph.nodes if node.is_source()] or ["x"]
        self.x, self.moved = self._own(x)
        self.carried = self.net.carried.export()
        self.losses, self.targets = self._judged(y, loss)
        self.factors: list[list[Array]] = []  # of the outputs, in place of a loss

    def scalar(self) -> Scalar:
        """Return the number as a function of the parameters and of the inputs."""
        seeds = self._weighed(self._forward())[2]
        dx = self.net.backward(tuple(seeds) if len(seeds) > 1 else seeds[0])
        arrays = {name.removeprefix(self.prefix): [a] for name, a in self.net.params.items()}
        gradients = {
            name.removeprefix(self.prefix): [self.net.grads[name].copy()]
            for name in self.net.params
        }
        each = dx if isinstance(dx, tuple) else (dx,)
        for name, moved, found in zip(self.names, self.moved, each, strict=True):
            if found is not None:
                title = name if len(each) > 1 else "x"
                arrays[title] = moved
                gradients[title] = [np.array(g) for g in _listed(found)]
        return Scalar(lambda: self._weighed(self._forward())[:2], arrays, gradients)

    def _own(self, x: Any) -> tuple[Any, list[list[Array]]]:
        """Return the inputs as copies in float64, and the arrays of each."""
        given = tuple(x[name] for name in self.names) if isinstance(x, dict) else x
        each = given if isinstance(given, tuple) else (given,)
        ports = self.net.recipe.ports
        copies = [_copied(one, port.dtype) for one, port in zip(each, ports, strict=True)]
        moved = [_listed(one) for one in copies]
        return tuple(copies) if isinstance(given, tuple) else copies[0], moved

    def _forward(self) -> list[Any]:
        """Return the outputs, from the states and in the state of the net before."""
        self.net.carried.restore(self.carried)
        found = self.net.forward(self.x, self.training, self.lengths)
        return list(found) if isinstance(found, tuple) else [found]

    def _judged(self, y: Any, loss: Any) -> tuple[list[Loss], list[Any]]:
        if loss is None:
            if y is not None:
                raise ValueError("targets are given, and no loss: gradcheck(net, x, y, loss)")
            return [], []
        losses = list(loss) if isinstance(loss, tuple) else [loss]
        targets = list(y) if isinstance(y, tuple) else [y]
        outputs = len(self.net.wanted.outputs)
        if not len(losses) == len(targets) == outputs:
            raise ValueError(
                f"the net has {outputs} outputs, got {len(losses)} losses, {len(targets)} targets"
            )
        return [resolve("loss", one, LOSSES, Loss) for one in losses], targets

    def _weighed(self, outputs: list[Any]) -> tuple[float, float, list[Any]]:
        """Return the number, the size of its terms, and the gradient of each output."""
        if self.losses:
            return self._lost(outputs)
        if not self.factors:
            self.factors = [
                [self.rng.normal(size=part.shape) for part in _listed(one)] for one in outputs
            ]
        total = size = 0.0
        seeds: list[Any] = []
        for one, factors in zip(outputs, self.factors, strict=True):
            for part, factor in zip(_listed(one), factors, strict=True):
                total += float(np.sum(part * factor))
                size += float(np.sum(np.abs(part * factor)))
            seeds.append(factors if isinstance(one, list) else factors[0])
        return total, size, seeds

    def _lost(self, outputs: list[Any]) -> tuple[float, float, list[Any]]:
        total = size = 0.0
        seeds: list[Any] = []
        for one, target, loss in zip(outputs, self.targets, self.losses, strict=True):
            if isinstance(one, list):
                raise TypeError("with a loss sequences are padded arrays with lengths=, not lists")
            value, slope = loss.value_and_grad(one, target, self._weights(one))
            total += float(np.sum(value))
            size += float(np.sum(np.abs(value)))
            seeds.append(slope)
        return total, size, seeds

    def _weights(self, output: Array) -> Any:
        """Return the weights of samples: 0 for the steps after the end of a sequence."""
        if self.lengths is None or output.ndim < 3:
            return self.sample_weight
        if self.sample_weight is not None:
            return self.sample_weight
        lengths = self.lengths[0] if isinstance(self.lengths, tuple) else self.lengths
        return (np.arange(output.shape[1]) < np.asarray(lengths)[:, None]).astype(np.float64)


def _of_layer(layer: Layer, x: Any) -> Sequential | Model:
    """Return the net of a layer alone."""
    if not isinstance(x, tuple | list) or (not layer.merges and not isinstance(x, tuple)):
        return Sequential([layer.replace(name=None)], dtype="float64")
    sources = [Input(inputs.numbers(one, "x").shape[1:]) for one in x]
    return Model(sources, layer.replace(name=None)(sources), dtype="float64")


def as_double(net: Any) -> Any:
    """Return a copy of a net with float64 for its numbers."""
    if not isinstance(net, Sequential | Model):
        raise TypeError(f"gradcheck takes a net, a layer or a loss, got {net!r}")
    nodes = [
        node._replace(layer=node.layer.replace(dtype=None))
        if isinstance(node.layer, Input) and node.layer.dtype in ("float32", "float64")
        else node
        for node in net.graph.nodes
    ]
    graph = Graph(nodes, net.graph.outputs)
    twin = type(net).of_graph(graph, dtype="float64", seed=net.seed)
    twin.backend = net.backend
    if net.is_built:
        shapes = tuple(port.shape for port in net.recipe.ports)
        twin.build(shapes if len(shapes) > 1 else shapes[0])
        for own, others in ((twin.params, net.params), (twin.buffers, net.buffers)):
            for name in own:
                own[name] = others[name]
        twin.state.steps = net.state.steps
        twin.carried.restore(net.carried.export())
    return twin


def _copied(value: Any, kind: str) -> Any:
    """Return an input as a copy that may be moved; ids as they are."""
    if kind != "real":
        return value
    if isinstance(value, Ragged):
        value = np.split(value.values, value.first[1:])
    if isinstance(value, list):
        return [np.array(one, np.float64) for one in value]
    return np.array(value, np.float64)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
