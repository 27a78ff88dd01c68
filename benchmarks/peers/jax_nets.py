"""The nets of the workloads in JAX: losses as functions of a tuple of weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

import pybp as bp
from pybp.bench.workloads import Workload

Weights = dict[str, Any]
Loss = Callable[[Weights, Any, Any], Any]


def loss_of(workload: Workload, unroll: int) -> Loss:
    """Return the loss of a batch: the mean cross entropy of all labels."""
    forward = partial(_sequence, workload, unroll) if workload.is_sequence else dense(workload)

    def loss(weights: Weights, x: Any, y: Any) -> Any:
        logits = jax.nn.log_softmax(forward(weights, x))
        return -jnp.take_along_axis(logits, y[..., None], -1).mean()

    return loss


def dense(workload: Workload) -> Callable[[Weights, Any], Any]:
    """Return the forward pass of dense layers with ReLU between."""
    places = [i for i, one in enumerate(workload.layers()) if isinstance(one, bp.Linear)]

    def forward(weights: Weights, x: Any) -> Any:
        for i in places:
            x = x @ weights[f"{i}.weight"] + weights[f"{i}.bias"]
            x = x if i == places[-1] else jax.nn.relu(x)
        return x

    return forward


def _sequence(workload: Workload, unroll: int, weights: Weights, x: Any) -> Any:
    """Return the outputs (T, n, head) of a recurrent net for x (T, n, features)."""
    layer = workload.layers()[0]
    cell = {"RNN": _elman, "LSTM": _lstm}[type(layer).__name__]
    for k in range(layer.to_dict()["num_layers"]):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        w_ih, w_hh, b_ih, b_hh = (weights[f"0.{name}_l{k}"] for name in names)
        zeros = jnp.zeros((x.shape[1], w_hh.shape[0]), x.dtype)
        start = (zeros, zeros) if cell is _lstm else zeros
        inputs = x @ w_ih + (b_ih + b_hh)  # one product for all time steps
        _, x = jax.lax.scan(partial(cell, w_hh), start, inputs, unroll=unroll)
    return x @ weights["1.weight"] + weights["1.bias"]


def _elman(w_hh: Any, h: Any, z: Any) -> tuple[Any, Any]:
    h = jnp.tanh(z + h @ w_hh)
    return h, h


def _lstm(w_hh: Any, state: tuple[Any, Any], z: Any) -> tuple[Any, Any]:
    h, c = state
    i, f, g, o = jnp.split(z + h @ w_hh, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def step_of(workload: Workload, unroll: int = 1) -> Callable[[Any, Any, Any], Any]:
    """Return the function of a training step: (state, x, y) -> (state, loss)."""
    gradient = jax.value_and_grad(loss_of(workload, unroll))
    update = adam if isinstance(workload.optimizer, bp.Adam) else sgd

    def step(state: Any, x: Any, y: Any) -> Any:
        loss, gradients = gradient(state[0], x, y)
        return update(workload.optimizer, state, gradients), loss

    return step


def first_state(workload: Workload) -> Any:
    """Return the start weights, and what the optimiser keeps."""
    weights = {name: jnp.array(value) for name, value in workload.net().params.items()}
    if not isinstance(workload.optimizer, bp.Adam):
        return (weights,)
    return weights, _zeros(weights), _zeros(weights), jnp.zeros((), jnp.int32)


def _zeros(weights: Weights) -> Weights:
    return {name: jnp.zeros_like(value) for name, value in weights.items()}


def sgd(optimizer: Any, state: Any, gradients: Weights) -> Any:
    """Return the state after a plain step."""
    return (jax.tree.map(lambda w, g: w - optimizer.lr * g, state[0], gradients),)


def adam(optimizer: Any, state: Any, gradients: Weights) -> Any:
    """Return the state after a step of Adam (Kingma and Ba 2015, algorithm 1)."""
    weights, m, v, count = state
    beta1, beta2 = optimizer.betas
    count = count + 1
    m = jax.tree.map(lambda a, g: beta1 * a + (1 - beta1) * g, m, gradients)
    v = jax.tree.map(lambda a, g: beta2 * a + (1 - beta2) * g * g, v, gradients)
    rate = optimizer.lr / (1 - beta1**count)
    root = jnp.sqrt(1 - beta2**count)

    def moved(w: Any, a: Any, b: Any) -> Any:
        return w - rate * a / (jnp.sqrt(b) / root + optimizer.eps)

    return jax.tree.map(moved, weights, m, v), m, v, count
