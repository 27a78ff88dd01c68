"""Weights from and to PyTorch: a ``state_dict``, as tensors, as NumPy arrays or as a file.

PyTorch itself is imported only by ``state_dict(net, tensors=True)``. Files are in the safetensors
format, which needs no PyTorch either.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.files import load_arrays
from pybp.interop.torch_layouts import Layout, layouts
from pybp.nets.network import Network
from pybp.program.ops import BatchNorm

__all__ = ["load_state_dict", "save_safetensors", "state_dict"]

Names = Mapping[str, str]
State = Mapping[str, Any] | str | os.PathLike[str]

_COUNT = "num_batches_tracked"  # PyTorch's count of the batches that a BatchNorm has seen


def load_state_dict(
    net: Network, state: State, *, names: Names | None = None, channels_first: bool = True
) -> None:
    """Copy the weights of a PyTorch model into a net of the same layers.

    Parameters
    ----------
    net : Network
        A built net; its parameters and running statistics are overwritten.
    state : mapping, str or path
        ``model.state_dict()``, the same with NumPy arrays, or the name of a safetensors file.
    names : mapping, optional
        Name here -> name in PyTorch, of layers (``{"0": "features.0"}``) or single arrays
        (``{"0.weight": "w"}``); ``{"0": ""}`` where the model is just this layer. All other names
        are the same on both sides.
    channels_first : bool
        Whether the model flattens images (channels, height, width), as PyTorch does; the rows of a
        Linear after a Flatten are then put into the order of pybp.

    Raises
    ------
    ValueError
        When entries are missing, unexpected or of a wrong shape: all of them are listed, and
        nothing has been changed.
    RuntimeError
        When the net is not built, or is being trained by another thread.
    """
    wanted = _Wanted(net, names, channels_first)
    arrays = wanted.check(_read(state))
    with net.training_alone():
        for name, array in arrays.items():
            _home(net, name)[name] = array


def state_dict(
    net: Network,
    *,
    tensors: bool = False,
    names: Names | None = None,
    channels_first: bool = True,
) -> dict[str, Any]:
    """Return copies of a net's weights under PyTorch's names and in its layouts.

    Parameters
    ----------
    net : Network
        A built net.
    tensors : bool
        Whether the values are ``torch.Tensor``, for ``model.load_state_dict``, or NumPy arrays.
    names, channels_first
        See ``load_state_dict``.

    Returns
    -------
    dict
        Name -> array or tensor of the net's dtype. ``num_batches_tracked`` of a BatchNorm is the
        number of the net's updates, int64.

    Raises
    ------
    ImportError
        When tensors are asked for and PyTorch is not installed.
    """
    wanted = _Wanted(net, names, channels_first)
    arrays = wanted.export()
    if not tensors:
        return arrays
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise ImportError(
            "state_dict(tensors=True) needs PyTorch: pip install torch; without it tensors=False "
            "gives NumPy arrays"
        ) from error
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def save_safetensors(
    net: Network,
    path: str | os.PathLike[str],
    *,
    names: Names | None = None,
    channels_first: bool = True,
) -> None:
    """Write ``state_dict(net)`` to a safetensors file, for ``safetensors.torch.load_file``.

    The file holds no architecture, so ``bp.load`` can't read it: ``net.save`` writes one that it
    can.

    Raises
    ------
    OSError
        When the file can't be written.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError(
            "save_safetensors needs the safetensors package: pip install 'pybp-nn[files]'"
        ) from error
    arrays = state_dict(net, names=names, channels_first=channels_first)
    try:
        save_file(arrays, os.fspath(path), metadata={"format": "pt"})
    except SafetensorError as error:
        raise OSError(f"{os.fspath(path)!r} can't be written: {error}") from error


class _Wanted:
    """The entries that PyTorch's ``state_dict`` of a net has."""

    def __init__(self, net: Network, names: Names | None, channels_first: bool) -> None:
        program = net.recipe.predict()
        self.net = net
        self.layouts = layouts(program, channels_first=channels_first)
        self.counts = {
            op.mean: f"{_layer(op.mean)}.{_COUNT}"
            for op in program.ops
            if isinstance(op, BatchNorm) and program.buffers[op.mean].role == "buffer"
        }
        self.theirs = _their_names([*self.layouts, *self.counts.values()], names or {})

    def export(self) -> dict[str, Array]:
        """Return all entries, in the order of the layers."""
        arrays = {}
        for name, layout in self.layouts.items():
            arrays[self.theirs[name]] = layout.export(_home(self.net, name)[name])
        for count in self.counts.values():
            arrays[self.theirs[count]] = np.array(self.net.state.steps, np.int64)
        return arrays

    def check(self, state: dict[str, Array]) -> dict[str, Array]:
        """Return the arrays of a state as the net has them; raise when any of them is wrong."""
        optional = {self.theirs[count] for count in self.counts.values()}
        expected = {self.theirs[name]: name for name in self.layouts}
        problems = [f"missing: {name}" for name in expected if name not in state]
        problems += [f"unexpected: {name}" for name in state if name not in {*expected, *optional}]
        arrays = {}
        for their_name, name in expected.items():
            if their_name in state:
                array, layout = state[their_name], self.layouts[name]
                problems += _misfits(their_name, array, layout)
                arrays[name] = array, layout
        if problems:
            lines = "\n  ".join(problems)
            raise ValueError(f"the state does not fit the net, nothing was changed:\n  {lines}")
        shapes = {name: _home(self.net, name)[name].shape for name in arrays}
        return {
            name: layout.take(array).reshape(shapes[name])
            for name, (array, layout) in arrays.items()
        }


def _misfits(name: str, array: Array, layout: Layout) -> list[str]:
    """Return what is wrong with an entry."""
    if array.dtype.kind not in "fiub":
        return [f"no real numbers: {name} has the dtype {array.dtype}"]
    if array.shape != layout.shape:
        return [f"wrong shape: {name} should be {layout.shape}, got {array.shape}"]
    return []


def _home(net: Network, name: str) -> Any:
    """Return the mapping that holds an array of a net."""
    return net.params if name in net.params else net.buffers


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _their_names(ours: list[str], names: Names) -> dict[str, str]:
    """Return our name -> PyTorch's name; the longest entry of ``names`` that leads ours counts."""
    theirs = {}
    unused = set(names)
    for name in ours:
        parts = name.split(".")
        leads = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        lead = next((lead for lead in leads if lead in names), None)
        theirs[name] = name
        if lead is not None:
            theirs[name] = (names[lead] + name[len(lead) :]).removeprefix(".")
            unused.discard(lead)
    if unused:
        raise ValueError(
            f"names holds {', '.join(sorted(unused))}; the names here are {', '.join(ours)}"
        )
    twice = sorted({name for name in theirs.values() if list(theirs.values()).count(name) > 1})
    if twice:
        raise ValueError(f"several arrays would have the name {', '.join(twice)} in PyTorch")
    return theirs


def _read(state: State) -> dict[str, Array]:
    """Return name -> array of a state dict or a file."""
    if isinstance(state, str | os.PathLike):
        return load_arrays(state)
    if not isinstance(state, Mapping):
        hint = ": pass model.state_dict()" if hasattr(state, "state_dict") else ""
        raise TypeError(
            "state must be a mapping from names to arrays, or the path of a safetensors file, "
            f"got {type(state).__name__}{hint}"
        )
    return {str(name): _array(value) for name, value in state.items()}


def _array(value: Any) -> Array:
    """Return a tensor or an array as an array."""
    if hasattr(value, "detach"):  # a tensor, wherever it lies
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # a type that NumPy lacks
            value = value.float()
        return np.asarray(value.numpy())
    return np.asarray(value)
