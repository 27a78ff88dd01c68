"""One list of optimisers with their options, and a small problem to run them on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import pybp as bp

SIZE = 7
START = np.random.default_rng(1).normal(size=(1, SIZE))
_SPREAD = np.random.default_rng(2).normal(size=(SIZE, SIZE))
_CURVATURE = _SPREAD @ _SPREAD.T / SIZE + 0.1 * np.eye(SIZE)
_NOISE = np.random.default_rng(3).normal(size=(1000, 1, SIZE))

Options = dict[str, object]
CASES: list[tuple[str, Options]] = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.05, "nesterov": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.02, "weight_decay": 0.05, "eps": 1e-8}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.4, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.9, "weight_decay": 0.05, "momentum": 0.8, "maximize": True}),
    ("RMSprop", {"alpha": 0.95, "eps": 1e-3, "centered": True}),
    ("RMSprop", {"alpha": 0.95, "eps": 1e-3, "centered": True, "momentum": 0.6}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.7, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.05, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.05, "amsgrad": True}),
    ("Adam", {"lr": 0.02, "weight_decay": 0.05, "decoupled_weight_decay": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "eps": 1e-4, "amsgrad": True, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.03, "betas": (0.8, 0.95), "weight_decay": 0.05, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.05, "momentum_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.05, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.05, "maximize": True}),
    ("RAdam", {"betas": (0.9, 0.6), "weight_decay": 0.05, "decoupled_weight_decay": True}),
]
IDS = [f"{name} {' '.join(options)}" for name, options in CASES]


def slope(w: np.ndarray, t: int) -> np.ndarray:
    """Return the gradient of a noisy bowl at w (1, SIZE), for update t."""
    return w @ _CURVATURE + 0.5 * _NOISE[t]


def net_at_start(dtype: str = "float64") -> bp.Sequential:
    """Return a net whose one parameter is START."""
    net = bp.Sequential([bp.Linear(SIZE, bias=False)], dtype=dtype).build((1,))
    net.params["0.weight"] = START
    return net


def path_of(
    optimizer: bp.optimizers.Optimizer,
    steps: int,
    dtype: str = "float64",
    gradient: Callable[[np.ndarray, int], np.ndarray] = slope,
) -> np.ndarray:
    """Return the weights after each update by ``optimizer.step(net)``, (steps, 1, SIZE)."""
    net = net_at_start(dtype)
    path = []
    for t in range(steps):
        net.grads["0.weight"] = gradient(net.params["0.weight"].astype(np.float64), t)
        optimizer.step(net)
        path.append(net.params["0.weight"].copy())
    return np.array(path)
