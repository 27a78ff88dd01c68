"""Nets drawn at random: native equals NumPy in all that a net can do."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from conftest import require_native

import pybp as bp

SMOOTH: list[bp.layers.Layer] = [
    bp.Sigmoid(slope=2.0),
    bp.Tanh(),
    bp.ELU(0.7),
    bp.GELU(),
    bp.GELU("tanh"),
    bp.SiLU(),
    bp.Mish(),
    bp.Softplus(2.0),
    bp.Softsign(),
]
KINKED: list[bp.layers.Layer] = [
    bp.ReLU(),
    bp.ReLU(straight_through=True),
    bp.LeakyReLU(-0.3),
    bp.SELU(),
    bp.HardTanh(-0.5, 0.8),
    bp.HardSigmoid(),
    bp.Heaviside(),
    bp.Softmax(),
    bp.LogSoftmax(),
    bp.Dropout(0.3),
    bp.Dropout(1.0),
    bp.Identity(),
]
Shape = tuple[int, ...]


def _draw(rng: np.random.Generator, shape: Shape) -> list[bp.layers.Layer]:
    """Return layers that fit each other; dense ones are at times the same object again."""
    layers: list[bp.layers.Layer] = []
    dense: dict[int, bp.Linear] = {}
    for _ in range(rng.integers(1, 7)):
        kind = rng.choice(["dense", "activation", "flatten", "reshape"], p=[0.4, 0.4, 0.1, 0.1])
        if kind == "dense":
            layer = bp.Linear(int(rng.integers(1, 40)), bias=bool(rng.random() < 0.8))
            if rng.random() < 0.4:
                layer = dense.get(shape[-1], layer)
            dense[shape[-1]] = layer
            shape = (*shape[:-1], layer.units)
            layers.append(layer)
        elif kind == "activation":
            choices = SMOOTH + KINKED
            layers.append(choices[rng.integers(len(choices))])
        elif kind == "flatten":
            shape = (math.prod(shape),)
            layers.append(bp.Flatten())
        else:
            size = math.prod(shape)
            first = int(rng.choice([k for k in range(1, size + 1) if size % k == 0]))
            shape = (first, size // first)
            layers.append(bp.Reshape(shape))
    return layers


def _check(native: np.ndarray, exact: np.ndarray, bound: float) -> None:
    size = math.sqrt(float(np.mean(np.square(exact)))) if exact.size else 0.0
    np.testing.assert_allclose(native, exact, rtol=bound, atol=bound * size + 1e-14)


@pytest.mark.parametrize("seed", range(80))
def test_native_equals_numpy_by_hand(seed: int) -> None:
    """Any order of batch sizes and modes, and several backward passes for one forward pass."""
    require_native()
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(1, 7, rng.integers(1, 4)))
    layers = _draw(rng, shape)
    exact, native = (
        bp.Sequential(layers, dtype="float64", seed=seed, backend=name).build(shape)
        for name in ("numpy", "native")
    )
    x = rng.normal(size=(int(rng.integers(1, 40)), *shape))
    whole = native.predict(x)
    _check(whole, exact.predict(x), 1e-10)
    assert native.predict(x[-1:]).tobytes() == whole[-1:].tobytes()
    for training in (True, False, True):
        part = x[: rng.integers(1, len(x) + 1)]
        y = exact.forward(part, training=training)
        _check(native.forward(part, training=training), y, 1e-10)
        for accumulate in (False, True, False):
            dy = rng.normal(size=y.shape)
            dx = exact.backward(dy, accumulate=accumulate)
            _check(native.backward(dy, accumulate=accumulate), dx, 1e-8)
            for name in exact.params:
                _check(native.grads[name], exact.grads[name], 1e-8)


@pytest.mark.parametrize("seed", range(40))
def test_steps_one_by_one_are_a_native_fit(seed: int) -> None:
    """Bit for bit in float32, for any net, loss, optimiser, batch size and weights."""
    require_native()
    rng = np.random.default_rng(1000 + seed)
    shape = tuple(int(size) for size in rng.integers(1, 7, rng.integers(1, 4)))
    layers = [*_draw(rng, shape), bp.Linear(3)]
    fitted, stepped = (bp.Sequential(layers, seed=seed, backend="native") for _ in range(2))
    fitted.build(shape)
    rows = int(rng.integers(1, 40))
    x = rng.normal(size=(rows, *shape))
    y = rng.integers(0, 2, (rows, *fitted.output_shape))
    loss = str(rng.choice(["mse", "mae", "huber", "norm_error", "bce_with_logits"]))
    optimizers = [bp.SGD(0.01), bp.SGD(0.01, momentum=0.9), bp.Adam(), bp.AdamW()]
    optimizer = optimizers[rng.integers(len(optimizers))]
    weight = rng.uniform(0.1, 2, rows)
    size = int(rng.choice([1, rows, rng.integers(1, rows + 1)]))
    arguments = {"loss": loss, "optimizer": optimizer, "epochs": 2, "batch_size": size}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # some of these nets diverge
        fitted.fit(x, y, **arguments, sample_weight=weight, shuffle=False, verbose=0)
    trainer = bp.Trainer(stepped, loss, optimizer)
    for start in [*range(0, rows, size)] * 2:
        part = slice(start, start + size)
        trainer.step(x[part], y[part], weight[part])
    assert fitted.params.flat.tobytes() == stepped.params.flat.tobytes()
