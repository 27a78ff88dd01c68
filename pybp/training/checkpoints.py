"""Trainers as files: the net, what trains it, and how far a fit is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pybp.arrays import Array
from pybp.nets.model import Model
from pybp.nets.objective import Part
from pybp.nets.sequential import Sequential
from pybp.training.fitting import Position
from pybp.training.unfinished import Unfinished

if TYPE_CHECKING:
    from pybp.training.trainer import Trainer

_BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def save_trainer(
    trainer: Trainer, unfinished: Unfinished | None, path: str | os.PathLike[str], keep: int
) -> None:
    """Write a checkpoint: ``Trainer.save``."""
    from pybp.files import write_checkpoint

    arrays: dict[str, Array] = {}
    tree = {
        "trainer": describe_trainer(trainer),
        "net": _export_net(trainer),
        "fit": None if unfinished is None else _export_fit(unfinished),
    }
    net = trainer.net
    arrays |= {f"net/{name}": array for name, array in (*net.params.items(), *net.buffers.items())}
    write_checkpoint(path, _take_out(tree, "state", arrays), arrays, keep)


def describe_trainer(trainer: Trainer) -> dict[str, Any]:
    """Return what a trainer was made from, as JSON can hold it.

    Raises
    ------
    TypeError
        For what no file can hold; it is named.
    ValueError
        For a net that uses the arrays of another one.
    """
    from pybp.files import describe, describe_net

    net = trainer.net
    if not isinstance(net, Sequential | Model):
        raise TypeError(f"only Sequential nets and Models can be saved, got {net!r}")
    if net.shares_arrays:
        raise ValueError(
            "this net uses the arrays of another one (share=), so it can't be saved with its "
            "optimiser: save a trainer of the other net"
        )
    return {
        "optimizer": describe(trainer.optimizer),
        "objective": [_describe_part(part) for part in trainer.objective.parts],
        "net": describe_net(net),
        "rules": trainer.rules._asdict(),
        "keep_grads": trainer.keep_grads,
    }


def _describe_part(part: Part) -> dict[str, Any]:
    from pybp.files import describe

    return {
        "loss": None if part.loss is None else describe(part.loss),
        "weight": part.weight,
        "metrics": [describe(metric) for metric in part.metrics],
    }


def _export_net(trainer: Trainer) -> dict[str, Any]:
    """Return what a net has beside its parameters and running statistics."""
    net = trainer.net
    kept = net.state.export()
    for name in ("params", "buffers", "grads"):
        del kept[name]
    return {"state": kept, "carried": net.carried.export()}


def _export_fit(fit: Unfinished) -> dict[str, Any]:
    return {
        "kind": fit.kind,
        "arguments": fit.arguments,
        "data": fit.data,
        "position": fit.position.export(),
        "history": {name: np.array(values) for name, values in fit.history.items()},
        "callbacks": [[name, state] for name, state in fit.callbacks],
    }


def _take_out(tree: Any, path: str, arrays: dict[str, Array]) -> Any:
    """Return a tree of dictionaries and lists with its arrays moved to ``arrays``."""
    if isinstance(tree, np.ndarray):
        arrays[path] = tree
        return {"array": path}
    if isinstance(tree, np.generic):
        return tree.item()
    if isinstance(tree, Mapping):
        return {key: _take_out(value, f"{path}/{key}", arrays) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_take_out(value, f"{path}/{i}", arrays) for i, value in enumerate(tree)]
    return tree


def _put_in(tree: Any, arrays: Mapping[str, Array]) -> Any:
    """Return a tree with the arrays that ``_take_out`` has moved."""
    if isinstance(tree, dict):
        if set(tree) == {"array"}:
            return arrays[tree["array"]]
        return {key: _put_in(value, arrays) for key, value in tree.items()}
    return [_put_in(value, arrays) for value in tree] if isinstance(tree, list) else tree


def resume_trainer(
    kind: type[Trainer], path: str | os.PathLike[str], custom: Iterable[type]
) -> Trainer:
    """Read a checkpoint: ``Trainer.resume``."""
    from pybp.files import read_checkpoint

    description, arrays = read_checkpoint(path)
    try:
        return _rebuilt(kind, description, arrays, tuple(custom))
    except _BROKEN as error:
        raise ValueError(f"{os.fspath(path)!r} holds a broken checkpoint: {error}") from error


def _rebuilt(
    kind: type[Trainer],
    description: dict[str, Any],
    arrays: dict[str, Array],
    custom: tuple[type, ...],
) -> Trainer:
    from pybp.files import build_net, from_json
    from pybp.files.records import RECORDS

    about = description["trainer"]
    own = {name.removeprefix("net/"): a for name, a in arrays.items() if name.startswith("net/")}
    net = build_net(about["net"], own, custom)

    def record(value: Any) -> Any:
        return None if value is None else from_json(value, RECORDS, custom)

    parts = about["objective"]
    losses = tuple(record(part["loss"]) for part in parts)
    metrics = [tuple(record(one) for one in part["metrics"]) for part in parts]
    weights = tuple(part["weight"] for part in parts)
    several = len(parts) > 1 or weights != (1.0,)
    trainer = kind(
        net,
        losses if several else losses[0],
        record(about["optimizer"]),
        dict(zip(net.graph.output_names(), metrics, strict=True)) if several else metrics[0],
        loss_weights=weights if several else None,
        keep_grads=about["keep_grads"],
        **about["rules"],
    )
    tree = _put_in(description, arrays)
    _import_net(trainer, tree["net"])
    if tree["fit"] is not None:
        trainer.continue_with(_import_fit(tree["fit"]))
    return trainer


def _import_net(trainer: Trainer, kept: dict[str, Any]) -> None:
    net = trainer.net
    exported = dict(kept["state"])
    exported["params"], exported["buffers"] = net.state.params.flat, net.state.buffers.flat
    exported["grads"] = None
    net.state.restore(exported)
    net.carried.restore(kept["carried"])


def _import_fit(kept: dict[str, Any]) -> Unfinished:
    return Unfinished(
        kept["kind"],
        kept["arguments"],
        kept["data"],
        Position.restore(kept["position"]),
        {name: values.tolist() for name, values in kept["history"].items()},
        tuple((name, state) for name, state in kept["callbacks"]),
    )
