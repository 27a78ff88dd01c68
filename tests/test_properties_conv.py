"""Laws of convolutions and pools, on geometries that hypothesis draws.

All draws are derandomised: a failure comes back in the next run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import require_native
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tolerance import EXACT, LINEAR, check_close
from window_geometry import Geometry, Pair, conv, fits_pool, geometries, pool

import pybp as bp

RULES = settings(max_examples=60, derandomize=True, deadline=None, database=None)
FEW = settings(RULES, max_examples=25)
BACKENDS = pytest.mark.parametrize("name", ["numpy", "native"])
DTYPES = pytest.mark.parametrize("kind", ["float32", "float64"])


class Pass(NamedTuple):
    """All that one forward and one backward pass give."""

    y: np.ndarray
    dx: np.ndarray
    grads: dict[str, np.ndarray]
    params: dict[str, np.ndarray]


def run(
    layers: bp.layers.Layer | list[bp.layers.Layer],
    x: np.ndarray,
    backend: str,
    params: dict[str, np.ndarray] | None = None,
    upstream: np.ndarray | None = None,
) -> Pass:
    """Run a net on x, and back from an upstream gradient that is drawn unless it is given."""
    if backend == "native":
        require_native()
    layers = layers if isinstance(layers, list) else [layers]
    net = bp.Sequential(layers, dtype=str(x.dtype), backend=backend).build(x.shape[1:])
    rng = np.random.default_rng(3)
    for name, view in net.params.items():
        view[...] = params[name] if params else rng.normal(size=view.shape)
    y = net.forward(x, training=True)
    dy = rng.normal(size=y.shape) if upstream is None else upstream
    dx = net.backward(dy.astype(x.dtype))
    return Pass(y, dx, {k: v.copy() for k, v in net.grads.items()}, dict(net.params))


def check_native(layers: Any, x: np.ndarray, terms: dict[str, int], amp: float) -> None:
    """Fail unless the native pass is that of NumPy in float64 on the same numbers."""
    native = run(layers, x, "native")
    upstream = np.random.default_rng(4).normal(size=native.y.shape).astype(x.dtype)
    native = run(layers, x, "native", native.params, upstream)
    kind = str(x.dtype)
    exact = run(layers, x.astype("float64"), "numpy", native.params, upstream.astype("float64"))
    check_close(native.y, exact.y, kind, terms["y"], amp, "y")
    check_close(native.dx, exact.dx, kind, terms["dx"], amp, "dx")
    assert set(native.grads) == set(exact.grads)
    for name, gradient in native.grads.items():
        check_close(gradient, exact.grads[name], kind, terms["dw"], amp, name)


def conv_terms(g: Geometry) -> dict[str, int]:
    return {
        "y": g.taps * g.channels // g.groups,
        "dx": g.taps * g.filters // g.groups,
        "dw": g.rows * int(np.prod(g.counts())),
    }


def check_products(first: float, second: float, sizes: np.ndarray) -> None:
    """Fail unless two inner products are equal, as sums of numbers of these sizes."""
    size = float(np.sum(np.abs(sizes)))
    got, want = np.array([first, size]), np.array([second, size])
    check_close(got, want, "float64", sizes.size, LINEAR, "inner product")


# --------------------------------------------------------------------------- native is NumPy


@DTYPES
@RULES
@given(g=geometries())
def test_native_convolution_is_numpys(g: Geometry, kind: str) -> None:
    """Any stride, padding (before != after), dilation, groups, flip; forward and all gradients."""
    assume(min(g.counts()) >= 1)
    check_native(conv(g), g.x(kind), conv_terms(g), LINEAR)


@DTYPES
@FEW
@given(g=geometries(largest=19), wide=st.integers(4, 17))
def test_native_convolution_is_numpys_with_many_channels(g: Geometry, wide: int, kind: str) -> None:
    assume(min(g.counts()) >= 1)
    g = g._replace(channels=wide * g.channels, filters=wide * g.filters)
    check_native(conv(g), g.x(kind), conv_terms(g), LINEAR)


@DTYPES
@FEW
@given(g=geometries(largest=9), padding=st.sampled_from(["same", "valid"]))
def test_native_convolution_is_numpys_with_padding_by_name(
    g: Geometry, padding: str, kind: str
) -> None:
    assume(padding == "same" or all(s >= r for s, r in zip(g.space, g.spans(), strict=True)))
    layer = conv(g, padding=padding)
    y = run(layer, g.x(), "numpy").y
    if padding == "same":
        assert y.shape[1:-1] == tuple(-(-s // t) for s, t in zip(g.space, g.stride, strict=True))
    terms = {**conv_terms(g), "dw": y[..., 0].size}
    check_native(layer, g.x(kind), terms, LINEAR)


@DTYPES
@FEW
@given(g=geometries(largest=6), extra=st.tuples(st.integers(0, 2), st.integers(0, 2)))
def test_native_transposed_convolution_is_numpys(g: Geometry, extra: Pair, kind: str) -> None:
    assume(g.axes == 2)
    extra = tuple(min(e, s - 1) for e, s in zip(extra, g.stride, strict=True))
    parts = zip(g.space, g.stride, g.padding, g.spans(), extra, strict=True)
    size = [(n - 1) * s - sum(pad) + reach + e for n, s, pad, reach, e in parts]
    assume(min(size) >= 1)
    layer = bp.ConvTranspose2d(
        g.filters, g.kernel, stride=g.stride, padding=g.padding, output_padding=extra,
        groups=g.groups, dilation=g.dilation,
    )  # fmt: skip
    terms = {
        "y": g.taps * g.channels // g.groups,
        "dx": g.taps * g.filters // g.groups,
        "dw": g.rows * size[0] * size[1],
    }
    assert run(layer, g.x(), "numpy").y.shape[1:-1] == tuple(size)
    check_native(layer, g.x(kind), terms, LINEAR)


@DTYPES
@RULES
@given(g=geometries(padded=2))
def test_native_max_pool_is_numpys(g: Geometry, kind: str) -> None:
    assume(fits_pool(g))
    terms = {"y": 1, "dx": g.taps, "dw": 1}
    check_native(pool("Max", g), g.x(kind), terms, EXACT)


@DTYPES
@RULES
@given(g=geometries(padded=2), counted=st.booleans())
def test_native_average_pool_is_numpys(g: Geometry, counted: bool, kind: str) -> None:
    assume(fits_pool(g))
    terms = {"y": g.taps, "dx": g.taps, "dw": 1}
    check_native(pool("Avg", g, count_include_pad=counted), g.x(kind), terms, LINEAR)


# ---------------------------------------------------------------------------- laws of the ops


@BACKENDS
@RULES
@given(g=geometries())
def test_gradients_are_the_adjoints_of_the_convolution(g: Geometry, name: str) -> None:
    """<conv(x), u> = <x, gradient by x of u> = <w, gradient by w of u>."""
    assume(min(g.counts()) >= 1)
    x = g.x()
    upstream = np.random.default_rng(5).normal(size=(g.rows, *g.counts(), g.filters))
    got = run(conv(g, bias=False), x, name, upstream=upstream)
    w = got.params["0.weight"]
    forward = float(np.sum(got.y * upstream))
    sizes = run(conv(g, bias=False), np.abs(x), name, {"0.weight": np.abs(w)}).y * upstream
    check_products(forward, float(np.sum(x * got.dx)), sizes)
    check_products(forward, float(np.sum(w * got.grads["0.weight"])), sizes)


@BACKENDS
@RULES
@given(g=geometries())
def test_convolution_is_im2col_times_the_weight(g: Geometry, name: str) -> None:
    """Group by group; flip reverses the taps."""
    assume(min(g.counts()) >= 1)
    x = g.x()
    got = run(conv(g, bias=False), x, name)
    w = got.params["0.weight"]
    if g.flip:
        w = np.flip(w, tuple(range(g.axes)))
    parts = []
    for xs, ws in zip(np.split(x, g.groups, axis=-1), np.split(w, g.groups, axis=-1), strict=True):
        columns = im2col(g, np.ascontiguousarray(xs), name)
        parts.append(columns @ ws.reshape(-1, ws.shape[-1]))
    want = np.concatenate(parts, axis=-1)
    check_close(got.y, want, "float64", conv_terms(g)["y"], LINEAR)


def im2col(g: Geometry, x: np.ndarray, name: str) -> np.ndarray:
    with bp.use_backend(name):
        return bp.functional.im2col(
            x, g.kernel, stride=g.stride, padding=g.padding, dilation=g.dilation
        )


@BACKENDS
@FEW
@given(g=geometries())
def test_groups_are_convolutions_side_by_side(g: Geometry, name: str) -> None:
    assume(min(g.counts()) >= 1)
    x = g.x()
    whole = run(conv(g), x, name)
    cut = g._replace(channels=g.channels // g.groups, filters=g.filters // g.groups, groups=1)
    for group in range(g.groups):
        ins = slice(group * cut.channels, (group + 1) * cut.channels)
        outs = slice(group * cut.filters, (group + 1) * cut.filters)
        params = {key: value[..., outs] for key, value in whole.params.items()}
        part = run(conv(cut), np.ascontiguousarray(x[..., ins]), name, params)
        check_close(whole.y[..., outs], part.y, "float64", conv_terms(g)["y"], LINEAR)


@BACKENDS
@FEW
@given(g=geometries(), shift=st.integers(1, 3))
def test_a_shifted_input_gives_a_shifted_output(g: Geometry, shift: int, name: str) -> None:
    """Without padding: x moved by ``shift`` strides along an axis, y moved by ``shift`` cells."""
    g = g._replace(padding=((0, 0),) * g.axes)
    assume(min(g.counts()) >= 1)
    assume(g.counts()[0] > shift)
    x = g.x()
    whole = run(conv(g), x, name)
    moved = run(conv(g), x[:, shift * g.stride[0] :], name, whole.params)
    check_close(moved.y, whole.y[:, shift:], "float64", conv_terms(g)["y"], LINEAR)


@BACKENDS
@RULES
@given(g=geometries(padded=2), counted=st.booleans())
def test_pools_keep_their_laws(g: Geometry, counted: bool, name: str) -> None:
    """The maximum is at least the average of the cells, and gradients are moved, not made."""
    assume(fits_pool(g))
    x = g.x()
    most = run(pool("Max", g), x, name)
    mean = run(pool("Avg", g, count_include_pad=False), x, name)
    assert (most.y >= mean.y - 1e-12 * np.abs(mean.y)).all()
    assert np.isin(most.y, x).all()
    upstream = np.random.default_rng(6).normal(size=most.y.shape)
    for layer in (pool("Max", g), pool("Avg", g, count_include_pad=False)):
        dx = run(layer, x, name, upstream=upstream).dx
        check_products(float(np.sum(dx)), float(np.sum(upstream)), upstream)
    got = run(pool("Avg", g, count_include_pad=counted), x, name, upstream=upstream)
    sizes = np.abs(got.y * upstream)
    check_products(float(np.sum(got.y * upstream)), float(np.sum(x * got.dx)), sizes)


@RULES
@given(g=geometries(largest=5, padded=2), kind=st.sampled_from(["Max", "Avg"]))
def test_a_window_in_padding_alone_is_refused(g: Geometry, kind: str) -> None:
    """And so is padding over half a window; all else is built."""
    assume(min(g.counts()) >= 1)
    net = bp.Sequential([pool(kind, g)], backend="numpy")
    shape = (*g.space, g.channels)
    if fits_pool(g):
        assert net.build(shape).output_shape == (*g.counts(), g.channels)
        return
    with pytest.raises(ValueError, match=r"half a window|lies only in padding"):
        net.build(shape)
    assert not net.is_built


# ----------------------------------------------------------------------------------- threads


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    before = bp.num_threads()
    yield
    bp.set_num_threads(before)


def bits(got: Pass) -> bytes:
    return b"".join(array.tobytes() for array in (got.y, got.dx, *got.grads.values()))


@DTYPES
@FEW
@given(g=geometries(largest=30), rows=st.integers(2, 9), wide=st.integers(1, 9))
def test_threads_do_not_change_the_bits(g: Geometry, rows: int, wide: int, kind: str) -> None:
    """Convolutions, a norm and pools one after the other, at 1, 2 and 3 threads."""
    g = g._replace(rows=rows, channels=wide * g.channels, filters=wide * g.filters)
    assume(min(g.counts()) >= 1)
    same = g._replace(stride=(1,) * g.axes, padding=((0, 0),) * g.axes)
    layers = [conv(g), bp.BatchNorm(), bp.ReLU(), conv(same, padding="same", groups=1)]
    for kind_of_pool in ("Max", "Avg"):
        layer = getattr(bp, f"{kind_of_pool}Pool{g.axes}d")
        layers.append(layer(3, stride=1, padding=1))
    if g.axes == 2:
        layers.append(bp.ConvTranspose2d(wide, 3, stride=2))
    results = set()
    for threads in (1, 2, 3):
        bp.set_num_threads(threads)
        results.add(bits(run(layers, g.x(kind), "native")))
    assert len(results) == 1


def test_few_images_on_more_threads_than_parts() -> None:
    """What is summed in parts for many images is shared by all threads for a few.

    The scratch of a net that is bound for many must do for both.
    """
    require_native()
    x = np.random.default_rng(0).normal(size=(64, 30, 30, 8)).astype(np.float32)
    results = set()
    for threads in (1, 40):
        bp.set_num_threads(threads)
        net = bp.Sequential([bp.Conv2d(24, 5)], seed=0, backend="native")
        for rows in (64, 2):
            y = net.forward(x[:rows], training=True)
            net.backward(y)
        results.add(net.grads.flat.tobytes())
    assert len(results) == 1


@BACKENDS
@DTYPES
@FEW
@given(g=geometries(), function=st.sampled_from([bp.ReLU(), bp.Tanh(), bp.LeakyReLU(0.2)]))
def test_fusion_keeps_the_bits(
    g: Geometry, function: bp.layers.Layer, kind: str, name: str
) -> None:
    """A convolution with its activation is the one after the other, forward and backward."""
    assume(min(g.counts()) >= 1)
    x = g.x(kind)
    fused = run([conv(g), function], x, name)
    plain = run(conv(g), x, name, fused.params)
    upstream = np.random.default_rng(7).normal(size=plain.y.shape)
    after = run(function, plain.y, name, upstream=upstream)
    fused = run([conv(g), function], x, name, fused.params, upstream)
    plain = run(conv(g), x, name, fused.params, after.dx)
    assert fused.y.tobytes() == after.y.tobytes()
    assert fused.dx.tobytes() == plain.dx.tobytes()
    assert bits(fused._replace(y=x)) == bits(plain._replace(y=x))


@DTYPES
@FEW
@given(g=geometries(), rows=st.integers(2, 9))
def test_a_row_alone_has_the_bits_of_the_row_in_a_batch(g: Geometry, rows: int, kind: str) -> None:
    assume(min(g.counts()) >= 1)
    x = g._replace(rows=rows).x(kind)
    whole = run(conv(g), x, "native")
    for row in range(rows):
        alone = run(conv(g), x[row : row + 1], "native", whole.params)
        assert alone.y.tobytes() == whole.y[row : row + 1].tobytes()
