"""Convolutional nets drawn at random: native equals NumPy in all that a net can do."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from conftest import require_native

import pybp as bp

Shape = tuple[int, ...]
Layers = list[bp.layers.Layer]
ACTIVATIONS: Layers = [bp.ReLU(), bp.Tanh(), bp.LeakyReLU(0.3), bp.GELU(), bp.ELU(), bp.SiLU()]
KINDS = ["conv", "transposed", "pool", "upsample", "batch", "layer", "dropout", "activation"]


def _geometry(rng: np.random.Generator, axes: int) -> dict[str, tuple[int, ...]]:
    return {
        "stride": tuple(int(s) for s in rng.integers(1, 3, axes)),
        "dilation": tuple(int(d) for d in rng.integers(1, 3, axes)),
    }


def _layer(rng: np.random.Generator, shape: Shape) -> bp.layers.Layer:
    """Return a layer that reads samples (*space, channels)."""
    axes, channels = len(shape) - 1, shape[-1]
    kind = rng.choice(KINDS, p=[0.3, 0.05, 0.15, 0.05, 0.15, 0.05, 0.1, 0.15])
    kernel = tuple(int(k) for k in rng.integers(1, 4, axes))
    if kind == "conv":
        groups = int(rng.choice([1, 1, channels]))
        layer = bp.Conv1d if axes == 1 else bp.Conv2d
        padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (axes, 2)))
        return layer(
            groups * int(rng.integers(1, 9)), kernel, padding=padding, groups=groups,
            bias=bool(rng.random() < 0.7), flip=bool(rng.random() < 0.3), **_geometry(rng, axes),
        )  # fmt: skip
    if kind == "pool":
        name = rng.choice(["Max", "Avg"])
        return getattr(bp, f"{name}Pool{axes}d")(kernel, ceil_mode=bool(rng.random() < 0.5))
    if kind == "transposed" and axes == 2:
        return bp.ConvTranspose2d(int(rng.integers(1, 6)), kernel, stride=2)
    if kind == "upsample" and axes == 2:
        return bp.Upsample2d((2, 1))
    if kind == "batch":
        return bp.BatchNorm(affine=bool(rng.random() < 0.7), momentum=0.3)
    if kind == "layer":
        return bp.LayerNorm(axes=tuple(range(-int(rng.integers(1, axes + 2)), 0)))
    if kind == "dropout":
        return [bp.Dropout(0.3), bp.SpatialDropout(0.3)][rng.integers(2)]
    return ACTIVATIONS[rng.integers(len(ACTIVATIONS))]


def _draw(rng: np.random.Generator) -> tuple[Shape, Layers]:
    """Return the shape of a sample and layers that fit it; the last gives three numbers."""
    axes = int(rng.choice([1, 2, 2]))
    sample: Shape = (*(int(s) for s in rng.integers(3, 12, axes)), int(rng.integers(1, 7)))
    layers: Layers = []
    shape = sample
    while len(layers) < rng.integers(2, 8):
        layer = _layer(rng, shape)
        try:
            shape = bp.Sequential([layer]).output_shape_for(shape)
        except ValueError:
            continue  # a window that does not fit
        layers.append(layer)
    pools: Layers = [bp.GlobalAvgPool2d(), bp.GlobalMaxPool2d()]
    ending = pools[rng.integers(2)] if axes == 2 and rng.random() < 0.4 else bp.Flatten()
    return sample, [*layers, ending, bp.Linear(3)]


def _check(native: np.ndarray, exact: np.ndarray, bound: float, size: float = 0.0) -> None:
    size += math.sqrt(float(np.mean(np.square(exact)))) if exact.size else 0.0
    np.testing.assert_allclose(native, exact, rtol=bound, atol=bound * size + 1e-14)


@pytest.mark.parametrize("seed", range(60))
def test_native_equals_numpy_by_hand(seed: int) -> None:
    """Any order of batch sizes and modes, several backward passes, and running statistics."""
    require_native()
    rng = np.random.default_rng([seed, 1])
    shape, layers = _draw(rng)
    exact, native = (
        bp.Sequential(layers, dtype="float64", seed=seed, backend=name).build(shape)
        for name in ("numpy", "native")
    )
    x = rng.normal(size=(int(rng.integers(4, 20)), *shape))
    for training in (True, False, True):
        part = x[: rng.integers(4, len(x) + 1)]
        y = exact.forward(part, training=training)
        _check(native.forward(part, training=training), y, 1e-8)
        for accumulate in (False, True, False):
            dy = rng.normal(size=y.shape)
            dx = exact.backward(dy, accumulate=accumulate)
            _check(native.backward(dy, accumulate=accumulate), dx, 1e-6)
            size = max(float(np.abs(exact.grads[name]).max()) for name in exact.params)
            for name in exact.params:
                _check(native.grads[name], exact.grads[name], 1e-6, size)
        for name in exact.buffers:
            _check(native.buffers[name], exact.buffers[name], 1e-8)
    whole = native.predict(x)
    _check(whole, exact.predict(x), 1e-8)
    assert native.predict(x[-1:]).tobytes() == whole[-1:].tobytes()


@pytest.fixture
def _restore_threads() -> Iterator[None]:
    before = bp.num_threads()
    yield
    bp.set_num_threads(before)


@pytest.mark.usefixtures("_restore_threads")
@pytest.mark.parametrize("seed", range(30))
def test_steps_one_by_one_are_a_native_fit_at_any_thread_count(seed: int) -> None:
    """Bit for bit in float32, parameters and running statistics."""
    require_native()
    rng = np.random.default_rng([seed, 2])
    shape, layers = _draw(rng)
    rows = int(rng.integers(8, 33))
    x, y = rng.normal(size=(rows, *shape)), rng.integers(0, 3, rows)
    optimizer = [bp.SGD(0.01), bp.SGD(0.01, momentum=0.9), bp.Adam()][rng.integers(3)]
    size = int(rng.choice([4, rows // 2, rows]))
    rows -= rows % size
    ends = set()
    for threads in (1, 2, 3):
        bp.set_num_threads(threads)
        net = bp.Sequential(layers, seed=seed, backend="native").build(shape)
        net.fit(
            x[:rows], y[:rows], loss="cross_entropy", optimizer=optimizer, epochs=2,
            batch_size=size, shuffle=False, verbose=0,
        )  # fmt: skip
        ends.add(net.params.flat.tobytes() + net.buffers.flat.tobytes())
    net = bp.Sequential(layers, seed=seed, backend="native").build(shape)
    trainer = bp.Trainer(net, "cross_entropy", optimizer)
    for start in [*range(0, rows, size)] * 2:
        trainer.step(x[start : start + size], y[start : start + size])
    ends.add(net.params.flat.tobytes() + net.buffers.flat.tobytes())
    assert len(ends) == 1
