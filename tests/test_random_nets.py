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


def _draw(
    rng: np.random.Generator, shape: Shape, *, batch_norm: bool = False
) -> list[bp.layers.Layer]:
    """Return layers that fit each other; dense ones are at times the same object again."""
    layers: list[bp.layers.Layer] = []
    dense: dict[int, bp.Linear] = {}
    if len(shape) > 1 and rng.random() < 0.3:
        # only first: later there are ties, which rounding breaks in another way in each backend
        layers.append(_pool(rng, shape, bp.MaxPool1d if len(shape) == 2 else bp.MaxPool2d))
        shape = _after(layers[-1], shape)
    for _ in range(rng.integers(1, 7)):
        if len(shape) > 1 and rng.random() < 0.4:
            layers.append(_spatial(rng, shape, batch_norm=batch_norm))
            shape = _after(layers[-1], shape)
            continue
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


def _after(layer: bp.layers.Layer, shape: Shape) -> Shape:
    return bp.Sequential([layer]).output_shape_for(shape)


def _around(rng: np.random.Generator, most: Shape) -> tuple[tuple[int, int], ...]:
    """Return padding, at most so much on each side of each axis."""
    return tuple((int(rng.integers(0, m + 1)), int(rng.integers(0, m + 1))) for m in most)


def _pool(rng: np.random.Generator, shape: Shape, kind: type) -> bp.layers.Layer:
    kernel = tuple(int(rng.integers(1, size + 1)) for size in shape[:-1])
    return kind(
        kernel,
        stride=tuple(int(k) for k in rng.integers(1, 4, len(kernel))),
        padding=_around(rng, tuple(k // 2 for k in kernel)),
        ceil_mode=bool(rng.random() < 0.5),
    )


def _spatial(rng: np.random.Generator, shape: Shape, *, batch_norm: bool) -> bp.layers.Layer:
    """Return a layer for samples with one or two axes of space; the norms' eps is kind."""
    plane = len(shape) == 3
    kinds = ["conv", "conv", "average", "layer norm", "dropout"]
    kinds += ["transpose", "upsample"] * plane + ["batch norm"] * batch_norm
    kind = kinds[rng.integers(len(kinds))]
    if kind == "average":
        return _pool(rng, shape, bp.AvgPool2d if plane else bp.AvgPool1d)
    if kind == "layer norm":
        return bp.LayerNorm(eps=0.1, axes=(-1, (-2, -1))[rng.integers(2)])
    if kind == "batch norm":
        return bp.BatchNorm(eps=0.1, momentum=0.3)
    if kind == "dropout":
        return bp.SpatialDropout(0.3)
    if kind == "upsample":
        return bp.Upsample2d((1, 2))
    groups = int(rng.choice([k for k in range(1, shape[-1] + 1) if shape[-1] % k == 0]))
    kernel = tuple(int(rng.integers(1, min(size, 3) + 1)) for size in shape[:-1])
    arguments = {"groups": groups, "bias": bool(rng.random() < 0.8)}
    channels = groups * int(rng.integers(1, 4))
    if kind == "transpose":
        return bp.ConvTranspose2d(channels, kernel, stride=int(rng.integers(1, 3)), **arguments)
    return (bp.Conv2d if plane else bp.Conv1d)(
        channels,
        kernel,
        stride=tuple(int(k) for k in rng.integers(1, 4, len(kernel))),
        padding=_around(rng, kernel),
        flip=bool(rng.random() < 0.3),
        **arguments,
    )


def _check(native: np.ndarray, exact: np.ndarray, bound: float, floor: float = 1e-14) -> None:
    size = math.sqrt(float(np.mean(np.square(exact)))) if exact.size else 0.0
    np.testing.assert_allclose(native, exact, rtol=bound, atol=bound * size + floor)


@pytest.mark.parametrize("seed", range(80))
def test_native_equals_numpy_by_hand(seed: int) -> None:
    """Any order of batch sizes and modes, and several backward passes for one forward pass."""
    require_native()
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(1, 7, rng.integers(1, 4)))
    layers = _draw(rng, shape, batch_norm=True)
    exact, native = (
        bp.Sequential(layers, dtype="float64", seed=seed, backend=name).build(shape)
        for name in ("numpy", "native")
    )
    x = rng.normal(size=(int(rng.integers(2, 40)), *shape))
    whole = native.predict(x)
    _check(whole, exact.predict(x), 1e-10)
    assert native.predict(x[-1:]).tobytes() == whole[-1:].tobytes()
    for training in (True, False, True):
        part = x[: rng.integers(2, len(x) + 1)]
        y = exact.forward(part, training=training)
        _check(native.forward(part, training=training), y, 1e-10)
        for accumulate in (False, True, False):
            dy = rng.normal(size=y.shape)
            dx = exact.backward(dy, accumulate=accumulate)
            _check(native.backward(dy, accumulate=accumulate), dx, 1e-8, 1e-12)
            for name in exact.params:
                # a bias before a norm has the gradient 0: what is left is rounding of terms near 1
                _check(native.grads[name], exact.grads[name], 1e-8, 1e-12)
        for name in exact.buffers:
            _check(native.buffers[name], exact.buffers[name], 1e-10)


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
