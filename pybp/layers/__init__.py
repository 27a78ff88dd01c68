"""Layers: descriptions that lower themselves to forward ops. Gradients come from the program."""

from __future__ import annotations

from pybp.layers.base import Layer, Value
from pybp.layers.conv import Conv1d, Conv2d, ConvTranspose2d, Upsample2d
from pybp.layers.dense import Linear
from pybp.layers.dropout import Dropout, SpatialDropout
from pybp.layers.merge import Add
from pybp.layers.norm import BatchNorm, LayerNorm
from pybp.layers.pool import (
    AvgPool1d,
    AvgPool2d,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalMaxPool1d,
    GlobalMaxPool2d,
    MaxPool1d,
    MaxPool2d,
)
from pybp.layers.shape import Flatten, Input, Reshape
from pybp.layers.window import WindowLayer

__all__ = [
    "Add",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool1d",
    "GlobalAvgPool2d",
    "GlobalMaxPool1d",
    "GlobalMaxPool2d",
    "Input",
    "Layer",
    "LayerNorm",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "Reshape",
    "SpatialDropout",
    "Upsample2d",
    "Value",
    "WindowLayer",
]
