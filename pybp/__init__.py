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
from pybp.config import num_threads, set_num_threads, show_config
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
from pybp.layers import Dropout, Flatten, Linear, Reshape
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
from pybp.optimizers import SGD, Adam, AdamW
from pybp.sequential import Sequential
from pybp.trainer import History, Trainer
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
    "BCEWithLogits",
    "Callback",
    "Constant",
    "CrossEntropy",
    "Dropout",
    "EarlyStopping",
    "Flatten",
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
    "KLDiv",
    "LeCunNormal",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Mish",
    "NormError",
    "Normal",
    "Orthogonal",
    "Poisson",
    "Quantile",
    "ReLU",
    "Reshape",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "SquaredError",
    "Tanh",
    "Trainer",
    "Uniform",
    "Zeros",
    "__version__",
    "load",
    "load_arrays",
    "num_threads",
    "set_num_threads",
    "show_config",
    "use_backend",
]

if TYPE_CHECKING:
    from pybp import datasets as datasets
else:

    def __getattr__(name: str) -> Any:
        """Import what stands beside the core when it is first asked for."""
        if name not in ("datasets", "text"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return importlib.import_module(f"pybp.{name}")
