"""PyTorch's modules for the nets of pybp, with the same weights."""

from __future__ import annotations

from typing import Any

import pybp as bp
from pybp.interop.torch import state_dict


def torch_module(net: Any, *, dropout: bool = True) -> Any:
    """Return a net as a PyTorch module, with the same weights; without dropout if so asked."""
    from torch import nn

    state = state_dict(net, tensors=True)
    made = {node.path: layer(nn, node.layer, state, node.path, dropout) for node in net.graph.nodes}
    if isinstance(net, bp.Sequential):
        module = nn.Sequential(*made.values())
    else:
        module = _graph_module(nn, net, made)
    known = module.state_dict()
    module.load_state_dict({key: value for key, value in state.items() if key in known})
    return module


def layer(nn: Any, one: Any, state: dict[str, Any], path: str, dropout: bool) -> Any:
    """Return PyTorch's module for a layer; the identity for what ``merge`` does."""
    weight = state.get(f"{path}.weight")
    kind = type(one).__name__
    if kind == "Conv2d":
        out, channels, *kernel = weight.shape
        arguments = {"stride": one.stride, "padding": one.padding, "bias": one.bias}
        return nn.Conv2d(channels, out, kernel, **arguments)
    if kind == "BatchNorm":
        size = state[f"{path}.running_mean"].shape[0]
        return nn.BatchNorm2d(size, one.eps, one.momentum, affine=one.affine)
    make = {
        "Linear": lambda: nn.Linear(weight.shape[1], weight.shape[0]),
        "MaxPool2d": lambda: nn.MaxPool2d(one.kernel_size),
        "Dropout": lambda: nn.Dropout(one.p * dropout),
        "ReLU": lambda: nn.ReLU(inplace=True),
        "Flatten": nn.Flatten,
    }
    return make.get(kind, nn.Identity)()


def merge(one: Any, values: list[Any]) -> Any:
    """Return what the layers without a module make of values."""
    if isinstance(one, bp.Add):
        return values[0] + values[1]
    return values[0].mean((2, 3)) if isinstance(one, bp.GlobalAvgPool2d) else values[0]


def _graph_module(nn: Any, net: Any, made: dict[str, Any]) -> Any:
    """Return a module that walks the net's graph."""

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for path, one in made.items():
                self.add_module(path, one)

        def forward(self, x: Any) -> Any:
            values: list[Any] = []
            for node in net.graph.nodes:
                read = [x if index < 0 else values[index] for index in node.inputs]
                values.append(getattr(self, node.path)(merge(node.layer, read)))
            return values[-1]

    return Module()


def sequence_modules(net: Any, features: int, *, batch_first: bool) -> tuple[Any, Any]:
    """Return PyTorch's modules of a net of two layers: recurrent or a bag, and its linear head."""
    from torch import nn

    state = state_dict(net, tensors=True)
    first = net.layers[0]
    if isinstance(first, bp.EmbeddingBag):
        body = nn.EmbeddingBag(first.count, first.size, mode=first.mode, sparse=True)
    else:
        kind = getattr(nn, type(first).__name__)
        body = kind(features, first.units, first.num_layers, batch_first=batch_first)
    out, size = state["1.weight"].shape
    head = nn.Linear(size, out)
    for module, lead in ((body, "0."), (head, "1.")):
        own = {name: value for name, value in state.items() if name.startswith(lead)}
        module.load_state_dict({name.removeprefix(lead): own[name] for name in own})
    return body, head
