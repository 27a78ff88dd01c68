"""Layers: descriptions that lower themselves to forward ops. Gradients come from the program."""

from __future__ import annotations

from pybp.layers.base import Layer, Use, Value
from pybp.layers.cells import GRU, LSTM, RNN, Bidirectional
from pybp.layers.conv import Conv1d, Conv2d, ConvTranspose2d, Upsample2d
from pybp.layers.custom import CustomLayer, Lambda
from pybp.layers.dense import Linear
from pybp.layers.dropout import Dropout, SpatialDropout
from pybp.layers.embedding import Embedding, EmbeddingBag
from pybp.layers.merge import Add, Columns, Concat, Multiply
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
from pybp.layers.recurrent import RecurrentLayer
from pybp.layers.shape import Flatten, Input, Reshape
from pybp.layers.window import WindowLayer

__all__ = [
    "Add",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm",
    "Bidirectional",
    "Columns",
    "Concat",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "CustomLayer",
    "Dropout",
    "Embedding",
    "EmbeddingBag",
    "Flatten",
    "GRU",
    "GlobalAvgPool1d",
    "GlobalAvgPool2d",
    "GlobalMaxPool1d",
    "GlobalMaxPool2d",
    "Input",
    "LSTM",
    "Lambda",
    "Layer",
    "LayerNorm",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "Multiply",
    "RNN",
    "RecurrentLayer",
    "Reshape",
    "SpatialDropout",
    "Upsample2d",
    "Use",
    "Value",
    "WindowLayer",
]
