"""pybp trains and runs neural nets on the CPU by backpropagation: NumPy arrays in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pybp.activations import (
    ELU,
    GELU,
    SELU,
    HardSigmoid,
    HardTanh,
    Heaviside,
    Identity,
    LeakyReLU,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from pybp.backends import use_backend
from pybp.callbacks import Callback, EarlyStopping
from pybp.cell import Cell, Recurrent, layer_norm_lstm
from pybp.config import num_threads, set_num_threads, show_config
from pybp.files import load, load_arrays
from pybp.fitting import History
from pybp.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LeCunNormal,
    Normal,
    Orthogonal,
    Uniform,
    Zeros,
)
from pybp.layers import (
    GRU,
    LSTM,
    RNN,
    Add,
    AvgPool1d,
    AvgPool2d,
    BatchNorm,
    Bidirectional,
    Columns,
    Concat,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Embedding,
    EmbeddingBag,
    Flatten,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalMaxPool1d,
    GlobalMaxPool2d,
    Input,
    LayerNorm,
    Linear,
    MaxPool1d,
    MaxPool2d,
    Multiply,
    Reshape,
    SpatialDropout,
    Upsample2d,
)
from pybp.losses import (
    BCE,
    MAE,
    MSE,
    NLL,
    BCEWithLogits,
    CrossEntropy,
    Huber,
    KLDiv,
    NormError,
    Poisson,
    Quantile,
    SquaredError,
)
from pybp.metrics import Accuracy
from pybp.model import Model
from pybp.optimizers import SGD, Adam, AdamW
from pybp.ragged import Ragged
from pybp.sequential import Sequential
from pybp.trainer import Trainer
from pybp.version import __version__

__all__ = [
    "BCE",
    "ELU",
    "GELU",
    "MAE",
    "MSE",
    "NLL",
    "SELU",
    "SGD",
    "Accuracy",
    "Adam",
    "AdamW",
    "Add",
    "AvgPool1d",
    "AvgPool2d",
    "BCEWithLogits",
    "BatchNorm",
    "Callback",
    "Cell",
    "Columns",
    "Constant",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropy",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "EmbeddingBag",
    "Flatten",
    "GlobalAvgPool1d",
    "GlobalAvgPool2d",
    "GlobalMaxPool1d",
    "GlobalMaxPool2d",
    "GlorotNormal",
    "GlorotUniform",
    "HardSigmoid",
    "HardTanh",
    "HeNormal",
    "HeUniform",
    "Heaviside",
    "History",
    "Huber",
    "Identity",
    "Input",
    "KLDiv",
    "LayerNorm",
    "LeCunNormal",
    "LeakyReLU",
    "Linear",
    "RNN",
    "LSTM",
    "GRU",
    "Bidirectional",
    "Concat",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "Mish",
    "Model",
    "Multiply",
    "NormError",
    "Normal",
    "Orthogonal",
    "Poisson",
    "Quantile",
    "Ragged",
    "ReLU",
    "Recurrent",
    "Reshape",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpatialDropout",
    "SquaredError",
    "Tanh",
    "Trainer",
    "Uniform",
    "Upsample2d",
    "Zeros",
    "__version__",
    "layer_norm_lstm",
    "load",
    "load_arrays",
    "num_threads",
    "set_num_threads",
    "show_config",
    "use_backend",
]

if TYPE_CHECKING:
    from pybp import augment as augment
    from pybp import datasets as datasets
    from pybp import functional as functional
    from pybp import interop as interop
    from pybp import plot as plot
else:

    def __getattr__(name: str) -> Any:
        """Import what stands beside the core when it is first asked for."""
        if name not in ("augment", "datasets", "functional", "interop", "plot", "text"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return importlib.import_module(f"pybp.{name}")
