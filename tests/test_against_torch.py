"""PyTorch as an outside judge of layers and nets, where it is installed.

Each case has the layers here and PyTorch's module for the same thing. The weights are PyTorch's;
inputs, outputs and gradients are compared in float64 directly, and in float32 with PyTorch's
float64 results by the tolerance formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import require_native
from hypothesis import assume, given, settings
from tolerance import EXACT, LINEAR, TRANSCENDENTAL, check_close
from window_geometry import Geometry, conv, geometries

import pybp as bp
from pybp.interop.torch import load_state_dict, state_dict
from pybp.interop.torch_layouts import layouts

torch = pytest.importorskip("torch")
nn = torch.nn


class Case(NamedTuple):
    """Layers here, the module there, and the shape of a batch (channels last)."""

    name: str
    layers: Callable[[], list[bp.layers.Layer]]
    module: Callable[[], Any]
    shape: tuple[int, ...]
    terms: int  # of the longest sum
    amp: float = LINEAR


def conv_case(
    name: str, shape: tuple[int, ...], terms: int, *, padding: Any = 0, **options: Any
) -> Case:
    """Return a case of ``Conv1d`` or ``Conv2d`` with 6 filters."""
    axes = len(shape) - 2
    kernel = options.pop("kernel", 3)
    here = getattr(bp, f"Conv{axes}d")
    there = getattr(nn, f"Conv{axes}d")
    return Case(
        f"conv{axes}d {name}",
        lambda: [here(6, kernel, padding=padding, **options)],
        lambda: there(shape[-1], 6, kernel, padding=padding, **options),
        shape,
        terms,
    )


def transposed_case(name: str, shape: tuple[int, ...], terms: int, **options: Any) -> Case:
    kernel = options.pop("kernel", 3)
    return Case(
        f"conv_transpose2d {name}",
        lambda: [bp.ConvTranspose2d(6, kernel, **options)],
        lambda: nn.ConvTranspose2d(shape[-1], 6, kernel, **options),
        shape,
        terms,
    )


def pool_case(kind: str, name: str, shape: tuple[int, ...], kernel: Any, **options: Any) -> Case:
    axes = len(shape) - 2
    here, there = (getattr(package, f"{kind}Pool{axes}d") for package in (bp, nn))
    return Case(
        f"{kind} pool{axes}d {name}",
        lambda: [here(kernel, **options)],
        lambda: there(kernel, **options),
        shape,
        int(np.prod(kernel)) ** axes,
        EXACT if kind == "Max" else LINEAR,
    )


def simple_case(
    name: str, layer: Any, module: Any, shape: tuple[int, ...], terms: int, amp: float = LINEAR
) -> Case:
    return Case(name, lambda: [layer], module, shape, terms, amp)


IMAGE, LINE = (3, 9, 7, 4), (3, 11, 4)
CASES = [
    conv_case("plain", IMAGE, 105),
    conv_case("1x1", IMAGE, 189, kernel=1),
    conv_case("stride and padding", IMAGE, 105, stride=2, padding=1),
    conv_case("a number an axis", IMAGE, 105, stride=(2, 1), padding=(0, 2), kernel=(2, 3)),
    conv_case("dilation", IMAGE, 105, dilation=2, padding=2),
    conv_case("groups", IMAGE, 105, groups=2, padding=1),
    conv_case("same", IMAGE, 189, padding="same"),
    conv_case("same, even kernel", IMAGE, 189, padding="same", kernel=(2, 4)),
    conv_case("no bias", IMAGE, 105, bias=False),
    conv_case("depthwise", (3, 9, 7, 3), 105, groups=3, padding=1),
    conv_case("line", LINE, 27),
    conv_case("line, all options", LINE, 20, stride=2, padding=3, dilation=2, groups=2),
    transposed_case("plain", IMAGE, 297),
    transposed_case("stride", IMAGE, 300, stride=2, padding=1, output_padding=1),
    transposed_case("a number an axis", IMAGE, 300, stride=(2, 3), kernel=(3, 4), padding=(1, 0)),
    transposed_case("groups, dilation", IMAGE, 300, groups=2, dilation=2, padding=1),
    pool_case("Max", "plain", IMAGE, 2),
    pool_case("Max", "overlapping", IMAGE, 3, stride=1, padding=1),
    pool_case("Max", "ceil", IMAGE, 2, ceil_mode=True),
    pool_case("Max", "ceil, padding", IMAGE, 3, stride=2, padding=1, ceil_mode=True),
    pool_case("Max", "dilation", IMAGE, 2, stride=1, dilation=3),
    pool_case("Max", "a number an axis", IMAGE, (3, 2), stride=(2, 1), padding=(1, 0)),
    pool_case("Max", "line", LINE, 3, stride=2, padding=1, dilation=2, ceil_mode=True),
    pool_case("Avg", "plain", IMAGE, 2),
    pool_case("Avg", "padding counted", IMAGE, 3, stride=2, padding=1),
    pool_case("Avg", "padding left out", IMAGE, 3, padding=1, count_include_pad=False),
    pool_case("Avg", "ceil", IMAGE, 2, ceil_mode=True),
    pool_case("Avg", "ceil, padding", IMAGE, 3, stride=2, padding=1, ceil_mode=True),
    pool_case(
        "Avg",
        "ceil, padding left out",
        IMAGE,
        3,
        stride=2,
        padding=1,
        ceil_mode=True,
        count_include_pad=False,
    ),
    pool_case("Avg", "divisor", IMAGE, 2, divisor_override=3),
    pool_case("Avg", "line", LINE, 4, stride=3, padding=2, ceil_mode=True),
    simple_case("global average", bp.GlobalAvgPool2d(), lambda: _squeezed("avg", 2), IMAGE, 63),
    simple_case("global maximum", bp.GlobalMaxPool2d(), lambda: _squeezed("max", 2), IMAGE, 1),
    simple_case(
        "global average, line", bp.GlobalAvgPool1d(), lambda: _squeezed("avg", 1), LINE, 11
    ),
    simple_case("global maximum, line", bp.GlobalMaxPool1d(), lambda: _squeezed("max", 1), LINE, 1),
    simple_case(
        "upsampling", bp.Upsample2d((2, 3)), lambda: nn.Upsample(scale_factor=(2, 3)), IMAGE, 6
    ),
    simple_case(
        "batch norm 2d", bp.BatchNorm(), lambda: nn.BatchNorm2d(4), IMAGE, 189, TRANSCENDENTAL
    ),
    simple_case(
        "batch norm of lines",
        bp.BatchNorm(eps=1e-3, momentum=0.3),
        lambda: nn.BatchNorm1d(4, eps=1e-3, momentum=0.3),
        LINE,
        33,
        TRANSCENDENTAL,
    ),
    simple_case(
        "batch norm of rows",
        bp.BatchNorm(),
        lambda: nn.BatchNorm1d(5),
        (16, 5),
        16,
        TRANSCENDENTAL,
    ),
    simple_case(
        "batch norm, not affine",
        bp.BatchNorm(affine=False),
        lambda: nn.BatchNorm2d(4, affine=False),
        IMAGE,
        189,
        TRANSCENDENTAL,
    ),
    simple_case(
        "batch norm, no running statistics",
        bp.BatchNorm(track_running_stats=False),
        lambda: nn.BatchNorm2d(4, track_running_stats=False),
        IMAGE,
        189,
        TRANSCENDENTAL,
    ),
    simple_case("layer norm", bp.LayerNorm(), lambda: nn.LayerNorm(5), (8, 5), 8, TRANSCENDENTAL),
    simple_case(
        "layer norm of images",
        bp.LayerNorm(axes=(-3, -2, -1)),
        lambda: nn.LayerNorm((4, 9, 7)),
        IMAGE,
        252,
        TRANSCENDENTAL,
    ),
    simple_case(
        "layer norm without bias",
        bp.LayerNorm(bias=False, eps=1e-3),
        lambda: nn.LayerNorm(5, bias=False, eps=1e-3),
        (8, 5),
        8,
        TRANSCENDENTAL,
    ),
    Case(
        "conv, batch norm, relu, pool, dense",
        lambda: [
            bp.Conv2d(6, 3, padding=1, bias=False),
            bp.BatchNorm(),
            bp.ReLU(),
            bp.MaxPool2d(2),
            bp.Flatten(),
            bp.Linear(5),
        ],
        lambda: nn.Sequential(
            nn.Conv2d(4, 6, 3, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(72, 5),
        ),
        IMAGE,
        189,
        TRANSCENDENTAL,
    ),
]


def _squeezed(kind: str, axes: int) -> Any:
    """Return PyTorch's global pool, with the axes of space left out."""
    pool = getattr(nn, f"Adaptive{kind.capitalize()}Pool{axes}d")
    return nn.Sequential(pool(1), nn.Flatten())


def channels_first(x: np.ndarray) -> Any:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def channels_last(tensor: Any) -> np.ndarray:
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


def judge(got: np.ndarray, want: np.ndarray, kind: str, case: Case, what: str) -> None:
    if kind == "float32":
        check_close(got, want, kind, case.terms, case.amp, what)
        return
    near(got, want, what)


def near(got: np.ndarray, want: np.ndarray, what: str) -> None:
    """Compare two float64 results of different summation orders."""
    size = float(np.sqrt(np.mean(np.square(want))))
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10 * size, err_msg=what)


def make(case: Case, kind: str, backend: str) -> tuple[bp.Sequential, Any]:
    """Return the net and PyTorch's module in float64, with the same random weights."""
    torch.manual_seed(0)
    module = case.module().double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    for tensor in module.state_dict().values():  # so that float32 has the same numbers
        tensor.copy_(tensor.float())
    net = bp.Sequential(case.layers(), dtype=kind, backend=backend).build(case.shape[1:])
    state = module.state_dict()
    if isinstance(module, nn.Sequential) or not state:
        load_state_dict(net, state)
    else:
        load_state_dict(net, {f"0.{name}": value for name, value in state.items()})
    return net, module


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_layer_is_pytorchs(case: Case, training: bool, backend: str, dtype: str) -> None:
    """Output, gradient of the input, gradients of the parameters, and running statistics."""
    net, module = make(case, dtype, backend)
    module.train(training)
    rng = np.random.default_rng(1)
    x = rng.normal(size=case.shape).astype(np.float32)
    theirs = channels_first(x.astype(np.float64)).requires_grad_()
    want = module(theirs)
    got = net.forward(x.astype(dtype), training=training)
    judge(got, channels_last(want), dtype, case, "y")
    dy = rng.normal(size=got.shape).astype(np.float32)
    want.backward(channels_first(dy.astype(np.float64)))
    dx = net.backward(dy.astype(dtype))
    judge(dx, channels_last(theirs.grad), dtype, case, "dx")
    gradients = {
        name if "." in name else f"0.{name}": parameter.grad.numpy()
        for name, parameter in module.named_parameters()
    }
    found = layouts(net.recipe.predict(), channels_first=True)
    assert set(gradients) == set(net.params)
    for name, want_gradient in gradients.items():
        judge(found[name].export(net.grads[name]), want_gradient, dtype, case, name)
    for name, statistic in module.named_buffers():
        if not name.endswith("num_batches_tracked"):
            own_name = name if "." in name else f"0.{name}"
            judge(net.buffers[own_name], statistic.numpy(), dtype, case, name)


def test_running_statistics_follow_pytorchs_over_many_batches(backend: str) -> None:
    case = next(case for case in CASES if case.name == "batch norm of lines")
    net, module = make(case, "float64", backend)
    rng = np.random.default_rng(2)
    for rows in (4, 1, 7):
        x = rng.normal(size=(rows, *case.shape[1:])) * 2 + 1
        net.forward(x, training=True)
        module(channels_first(x))
    for name in ("running_mean", "running_var"):
        want = getattr(module, name).numpy()
        np.testing.assert_allclose(net.buffers[f"0.{name}"], want, rtol=1e-12)
    x = rng.normal(size=case.shape)
    want = channels_last(module.eval()(channels_first(x)))
    np.testing.assert_allclose(net.predict(x), want, rtol=1e-10, atol=1e-12)


def test_nan_wins_a_maximum_as_in_pytorch(backend: str) -> None:
    x = np.random.default_rng(3).normal(size=(2, 6, 6, 3))
    x[0, 2, 3, 1] = x[1, 5, 5, 0] = np.nan
    net = bp.Sequential([bp.MaxPool2d(3, stride=1)], dtype="float64", backend=backend)
    want = nn.MaxPool2d(3, stride=1)(channels_first(x))
    np.testing.assert_array_equal(net.forward(x, training=True), channels_last(want))


def test_the_first_of_equal_maxima_takes_the_gradient_as_in_pytorch(backend: str) -> None:
    x = np.random.default_rng(4).integers(0, 3, (2, 7, 7, 2)).astype(np.float64)
    net = bp.Sequential([bp.MaxPool2d(3, stride=2, padding=1)], dtype="float64", backend=backend)
    theirs = channels_first(x).requires_grad_()
    want = nn.MaxPool2d(3, stride=2, padding=1)(theirs)
    y = net.forward(x, training=True)
    dy = np.random.default_rng(5).normal(size=y.shape)
    want.backward(channels_first(dy))
    np.testing.assert_allclose(net.backward(dy), channels_last(theirs.grad), rtol=1e-14)


@pytest.mark.parametrize("name", ["numpy", "native"])
@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(g=geometries())
def test_drawn_convolutions_are_pytorchs(g: Geometry, name: str) -> None:
    """Any geometry, with padding before != after by ``pad``, and the kernel turned for flip."""
    assume(min(g.counts()) >= 1)
    if name == "native":
        require_native()
    net = bp.Sequential([conv(g)], dtype="float64", backend=name).build((*g.space, g.channels))
    state = {key: value.requires_grad_() for key, value in state_dict(net, tensors=True).items()}
    x = g.x()
    theirs = channels_first(x).requires_grad_()
    around = [cells for pair in reversed(g.padding) for cells in pair]
    function = getattr(nn.functional, f"conv{g.axes}d")
    want = function(
        nn.functional.pad(theirs, around), state["0.weight"], state["0.bias"], g.stride,
        dilation=g.dilation, groups=g.groups,
    )  # fmt: skip
    y = net.forward(x, training=True)
    dy = np.random.default_rng(8).normal(size=y.shape)
    want.backward(channels_first(dy))
    dx = net.backward(dy)
    found = layouts(net.recipe.predict(), channels_first=True)
    near(y, channels_last(want), "y")
    near(dx, channels_last(theirs.grad), "dx")
    for key, tensor in state.items():
        near(found[key].export(net.grads[key]), tensor.grad.numpy(), key)
