"""Nets, arrays and checkpoints as files: safetensors, with a description in the metadata.

Nothing in a file is ever run, and no class is imported by a name from a file: kinds of layers are
looked up in fixed tables, and the user's own are given to ``load``.
"""

from __future__ import annotations

from pybp.files.checkpoint import read_checkpoint, write_checkpoint
from pybp.files.nets import build_net, describe_net, load, load_arrays, save
from pybp.files.records import LAYERS, describe, from_json, to_json

__all__ = [
    "LAYERS",
    "build_net",
    "describe",
    "describe_net",
    "from_json",
    "load",
    "load_arrays",
    "read_checkpoint",
    "save",
    "to_json",
    "write_checkpoint",
]
