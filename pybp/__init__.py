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
from pybp.callbacks import (
    EMA,
    SWA,
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    ReduceOnPlateau,
    update_statistics,
)
from pybp.cell import Cell, Recurrent, layer_norm_lstm
from pybp.config import num_threads, set_num_threads, show_config
from pybp.data.ragged import Ragged
from pybp.files import load, load_arrays
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
    CustomLayer,
    Dropout,
    Embedding,
    EmbeddingBag,
    Flatten,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalMaxPool1d,
    GlobalMaxPool2d,
    Input,
    Lambda,
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
    CustomLoss,
    Huber,
    KLDiv,
    NormError,
    Poisson,
    Quantile,
    SquaredError,
)
from pybp.metrics import Accuracy
from pybp.nets.model import Model
from pybp.nets.sequential import Sequential
from pybp.optimizers import (
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Annealing,
    NAdam,
    RAdam,
    RMSprop,
)
from pybp.schedules import (
    ConstantLR,
    CosineAnnealingWarmRestarts,
    CosineLR,
    CyclicLR,
    ExponentialLR,
    InverseTimeLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    StepLR,
    WarmupLR,
)
from pybp.training.clipping import clip_grad_norm, clip_grad_value
from pybp.training.fitting import History
from pybp.training.trainer import Trainer
from pybp.version import __version__

__all__ = [
    "BCE",
    "ELU",
    "EMA",
    "GELU",
    "LBFGS",
    "MAE",
    "MSE",
    "NLL",
    "SELU",
    "SGD",
    "SWA",
    "Accuracy",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Add",
    "Annealing",
    "AvgPool1d",
    "AvgPool2d",
    "BCEWithLogits",
    "BatchNorm",
    "CSVLogger",
    "Callback",
    "Cell",
    "Checkpoint",
    "Columns",
    "Constant",
    "ConstantLR",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "CosineAnnealingWarmRestarts",
    "CosineLR",
    "CrossEntropy",
    "CustomLayer",
    "CustomLoss",
    "CyclicLR",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "EmbeddingBag",
    "ExponentialLR",
    "Flatten",
    "GlobalAvgPool1d",
    "GlobalAvgPool2d",
    "GlobalMaxPool1d",
    "GlobalMaxPool2d",
    "GlorotNormal",
    "GlorotUniform",
    "GradCheck",
    "HardSigmoid",
    "HardTanh",
    "HeNormal",
    "HeUniform",
    "Heaviside",
    "History",
    "Huber",
    "Identity",
    "Input",
    "InverseTimeLR",
    "KLDiv",
    "Lambda",
    "LayerNorm",
    "LeCunNormal",
    "LeakyReLU",
    "Linear",
    "RAdam",
    "RMSprop",
    "LinearLR",
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
    "MultiStepLR",
    "Multiply",
    "NAdam",
    "NormError",
    "Normal",
    "Orthogonal",
    "OneCycleLR",
    "Poisson",
    "PolynomialLR",
    "Quantile",
    "Ragged",
    "ReLU",
    "Recurrent",
    "ReduceOnPlateau",
    "Reshape",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpatialDropout",
    "SquaredError",
    "StepLR",
    "Tanh",
    "Trainer",
    "Uniform",
    "Upsample2d",
    "WarmupLR",
    "Zeros",
    "__version__",
    "gradcheck",
    "clip_grad_norm",
    "clip_grad_value",
    "layer_norm_lstm",
    "load",
    "load_arrays",
    "num_threads",
    "set_num_threads",
    "show_config",
    "update_statistics",
    "use_backend",
]

if TYPE_CHECKING:
    from pybp import augment as augment
    from pybp import datasets as datasets
    from pybp import functional as functional
    from pybp import interop as interop
    from pybp import plot as plot
    from pybp.explanation import explain as explain
    from pybp.gradient_check import GradCheck as GradCheck
    from pybp.gradient_check import gradcheck as gradcheck
else:
    _MODULES = ("augment", "datasets", "functional", "interop", "plot", "text")
    _NAMES = {  # name -> its module
        "GradCheck": "gradient_check",
        "explain": "explanation",
        "gradcheck": "gradient_check",
    }

    def __getattr__(name: str) -> Any:
        """Import what stands beside the core when it is first asked for."""
        if name not in (*_MODULES, *_NAMES):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        module = importlib.import_module(f"pybp.{_NAMES.get(name, name)}")
        return getattr(module, name) if name in _NAMES else module
