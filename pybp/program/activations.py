"""The table of activations: their names, and what the program must know of each.

The formulas stand in ``pybp/backends/numpy_activations.py`` (the definition) and in
``csrc/kernels/activations.h``.
"""

from __future__ import annotations

# name -> whether the slope follows from the output alone, so that dense ops may fuse it
ACTIVATIONS: dict[str, bool] = {
    "identity": True,
    "relu": True,
    "straight_through_relu": True,  # the gradient ignores the mask
    "leaky_relu": True,  # alpha is the slope below 0
    "sigmoid": True,  # y = sigmoid(alpha * x)
    "tanh": True,
    "elu": False,
    "selu": False,
    "gelu": False,
    "gelu_tanh": False,
    "silu": False,
    "mish": False,
    "softplus": False,  # y = log(1 + exp(alpha * x)) / alpha
    "softsign": False,
    "hard_tanh": False,  # clip to [alpha, beta]
    "hard_sigmoid": False,
    "heaviside": True,
}


def slope_from_output(function: str, alpha: float) -> bool:
    """Tell whether the slope can be computed from the output of this activation."""
    return ACTIVATIONS[function] and not (function == "leaky_relu" and alpha < 0)
