"""Whole nets with PyTorch's weights give PyTorch's outputs, and the weights go back unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pybp as bp
from pybp.interop.torch import load_state_dict, save_safetensors, state_dict

torch = pytest.importorskip("torch")
nn = torch.nn


def same_outputs(net: Any, module: Any, names: dict[str, str] | None = None) -> None:
    """Fail unless a net gives the outputs of a module whose weights it has, and back again."""
    torch.manual_seed(1)
    module = module.eval()
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif name.endswith(("running_mean", "bias")):
            tensor.normal_(std=0.3)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(5, *net.input_shape)).astype(np.float32)
    theirs = torch.from_numpy(np.moveaxis(x, -1, 1).copy())
    want = module(theirs).detach().numpy()
    load_state_dict(net, module.state_dict(), names=names)
    got = net.predict(x)
    got = np.moveaxis(got, -1, 1) if got.ndim > 2 else got
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * float(np.abs(want).max()))
    for value in module.parameters():
        torch.nn.init.zeros_(value)
    back = state_dict(net, tensors=True, names=names)
    module.load_state_dict(back, strict=True)
    again = module(theirs).detach().numpy()
    np.testing.assert_array_equal(again, want)  # no bit was lost on the way there and back


def test_lenet(backend: str) -> None:
    net = bp.Sequential(
        [
            bp.Conv2d(6, 5, padding=2), bp.Tanh(), bp.AvgPool2d(2),
            bp.Conv2d(16, 5), bp.Tanh(), bp.AvgPool2d(2),
            bp.Flatten(), bp.Linear(120), bp.Tanh(), bp.Linear(84), bp.Tanh(), bp.Linear(10),
        ]
    )  # fmt: skip
    module = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(),
        nn.Linear(84, 10),
    )  # fmt: skip
    same_outputs(net.build((28, 28, 1)), module)


def test_a_residual_net(backend: str) -> None:
    class Block(nn.Module):
        def __init__(self, channels: int, out: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(out)
            self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(out)
            self.downsample = nn.Sequential()
            if stride > 1:
                self.downsample = nn.Sequential(
                    nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
                )

        def forward(self, x: Any) -> Any:
            y = torch.relu(self.bn1(self.conv1(x)))
            return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))

    def block(x: Any, path: str, out: int, stride: int) -> Any:
        y = bp.Conv2d(out, 3, stride, 1, bias=False, name=f"{path}.conv1")(x)
        y = bp.ReLU()(bp.BatchNorm(name=f"{path}.bn1")(y))
        y = bp.Conv2d(out, 3, 1, 1, bias=False, name=f"{path}.conv2")(y)
        y = bp.BatchNorm(name=f"{path}.bn2")(y)
        if stride > 1:
            x = bp.Conv2d(out, 1, stride, bias=False, name=f"{path}.downsample.0")(x)
            x = bp.BatchNorm(name=f"{path}.downsample.1")(x)
        return bp.ReLU()(bp.Add()([y, x]))

    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), Block(8, 8, 1), Block(8, 16, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    image = bp.Input((12, 12, 3))
    x = bp.Conv2d(8, 3, padding=1, name="0")(image)
    x = block(block(x, "1", 8, 1), "2", 16, 2)
    net = bp.Model(image, bp.Linear(10, name="fc")(bp.GlobalAvgPool2d()(x)))
    same_outputs(net, module, {"fc": "5"})


def test_a_decoder_with_transposed_convolutions(backend: str) -> None:
    net = bp.Sequential(
        [
            bp.Linear(3 * 3 * 8), bp.BatchNorm(), bp.ReLU(), bp.Reshape((3, 3, 8)),
            bp.ConvTranspose2d(6, 3, stride=2, padding=1, output_padding=1), bp.BatchNorm(),
            bp.ReLU(), bp.ConvTranspose2d(2, 4, stride=2, padding=1, groups=2), bp.Sigmoid(),
        ]
    )  # fmt: skip
    module = nn.Sequential(
        nn.Linear(5, 72), nn.BatchNorm1d(72), nn.ReLU(), nn.Unflatten(1, (8, 3, 3)),
        nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, output_padding=1), nn.BatchNorm2d(6),
        nn.ReLU(), nn.ConvTranspose2d(6, 2, 4, stride=2, padding=1, groups=2), nn.Sigmoid(),
    )  # fmt: skip
    same_outputs(net.build((5,)), module)


def test_a_net_of_lines_with_layer_norms(backend: str) -> None:
    net = bp.Sequential(
        [
            bp.Conv1d(6, 5, stride=2), bp.LayerNorm(axes=(-2, -1)), bp.GELU(), bp.MaxPool1d(2),
            bp.Flatten(), bp.BatchNorm(), bp.Linear(7), bp.LayerNorm(), bp.Linear(3),
        ]
    )  # fmt: skip
    module = nn.Sequential(
        nn.Conv1d(2, 6, 5, stride=2), nn.LayerNorm((6, 10)), nn.GELU(), nn.MaxPool1d(2),
        nn.Flatten(), nn.BatchNorm1d(30), nn.Linear(30, 7), nn.LayerNorm(7), nn.Linear(7, 3),
    )  # fmt: skip
    same_outputs(net.build((23, 2)), module)


class Batched(nn.Module):
    """A recurrent module under its own name, of whose outputs the next layer wants the first."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.cell = module

    def forward(self, x: Any) -> Any:
        return self.cell(x)[0]


class Moved(nn.Module):
    """Channels from the last axis to the front, as PyTorch's convolutions want them, or back."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Any) -> Any:
        return x.permute(self.axes)


def same_both_ways(net: Any, module: Any, *x: np.ndarray, **names: str) -> None:
    """As ``same_outputs``, on these arrays: sequences have one layout on both sides."""
    module = module.eval()
    load_state_dict(net, module.state_dict(), names=names)
    want = module(*map(torch.from_numpy, x)).detach().numpy()
    got = net.predict(x if len(x) > 1 else x[0])
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * float(np.abs(want).max()))
    for value in module.parameters():
        torch.nn.init.zeros_(value)
    module.load_state_dict(state_dict(net, tensors=True, names=names), strict=True)
    np.testing.assert_array_equal(module(*map(torch.from_numpy, x)).detach().numpy(), want)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_taggers(cell: str, bias: bool, backend: str) -> None:
    torch.manual_seed(3)
    options = {"num_layers": 2, "bias": bias}
    there = getattr(nn, cell)(7, 9, batch_first=True, bidirectional=True, **options)
    module = nn.Sequential(nn.Embedding(30, 7), Batched(there), nn.Linear(18, 4))
    ids = np.random.default_rng(4).integers(0, 30, (6, 12))
    for here in (
        getattr(bp, cell)(9, bidirectional=True, **options),
        bp.Bidirectional(getattr(bp, cell)(9, **options)),
    ):
        net = bp.Sequential([bp.Embedding(30, 7), here, bp.Linear(4)]).build((None,))
        same_both_ways(net, module, ids, **{"1": "1.cell"})


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_words(mode: str, backend: str) -> None:
    torch.manual_seed(5)
    module = nn.Sequential(nn.EmbeddingBag(30, 7, mode=mode, padding_idx=0), nn.Linear(7, 4))
    net = bp.Sequential([bp.EmbeddingBag(30, 7, mode, padding_idx=0), bp.Linear(4)]).build((None,))
    same_both_ways(net, module, np.random.default_rng(6).integers(0, 30, (6, 12)))


def test_a_convolution_over_words(backend: str) -> None:
    """The Linear behind the flattened line has its rows reordered, the embedding nothing."""
    torch.manual_seed(7)
    module = nn.Sequential(
        nn.Embedding(30, 7), Moved(0, 2, 1), nn.Conv1d(7, 5, 3), nn.ReLU(), nn.MaxPool1d(2),
        nn.Flatten(), nn.Linear(25, 4),
    )  # fmt: skip
    net = bp.Sequential(
        [
            bp.Embedding(30, 7), bp.Identity(), bp.Conv1d(5, 3), bp.ReLU(), bp.MaxPool1d(2),
            bp.Flatten(), bp.Linear(4),
        ]
    )  # fmt: skip
    ids = np.random.default_rng(8).integers(0, 30, (6, 12))
    same_both_ways(net.build((12,)), module, ids)


def test_a_recurrent_net_over_the_columns_of_images(backend: str) -> None:
    """A convolution that leaves one row; its columns are the steps, its channels the features."""
    torch.manual_seed(9)
    module = nn.Sequential(
        nn.Conv2d(2, 5, (4, 3)), nn.ReLU(), nn.Flatten(2), Moved(0, 2, 1),
        Batched(nn.GRU(5, 6, batch_first=True)), nn.Flatten(), nn.Linear(42, 3),
    )  # fmt: skip
    net = bp.Sequential(
        [
            bp.Conv2d(5, (4, 3)), bp.ReLU(), bp.Reshape((7, 5)), bp.Identity(), bp.GRU(6),
            bp.Flatten(), bp.Linear(3),
        ]
    )  # fmt: skip
    same_layout = [Moved(0, 3, 1, 2), *module]  # images have their channels last here
    x = np.random.default_rng(10).normal(size=(3, 4, 9, 2)).astype(np.float32)
    names = {"0": "1", "4": "5.cell", "6": "7"}
    same_both_ways(net.build((4, 9, 2)), nn.Sequential(*same_layout), x, **names)


def test_an_encoder_and_a_decoder(backend: str) -> None:
    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.source, self.target = nn.Embedding(20, 6), nn.Embedding(25, 5)
            self.encoder = nn.LSTM(6, 8, num_layers=2, batch_first=True)
            self.decoder = nn.LSTM(5, 8, num_layers=2, batch_first=True)
            self.head = nn.Linear(8, 25)

        def forward(self, source: Any, target: Any) -> Any:
            _, states = self.encoder(self.source(source))
            return self.head(self.decoder(self.target(target), states)[0])

    torch.manual_seed(11)
    source, target = (bp.Input((None,), dtype="int32") for _ in range(2))
    read = bp.Embedding(20, 6, name="source")(source)
    _, h, c = bp.LSTM(8, num_layers=2, return_state=True, name="encoder")(read)
    said = bp.Embedding(25, 5, name="target")(target)
    y = bp.LSTM(8, num_layers=2, name="decoder")(said, initial_state=(h, c))
    net = bp.Model([source, target], bp.Linear(25, name="head")(y))
    rng = np.random.default_rng(12)
    same_both_ways(net, Translator(), rng.integers(0, 20, (4, 9)), rng.integers(0, 25, (4, 7)))


def test_tensors_of_other_types_are_taken() -> None:
    net = bp.Sequential([bp.Linear(2)]).build((3,))
    for kind in (torch.float64, torch.float16, torch.bfloat16):
        weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3).to(kind))
        load_state_dict(net, {"0.weight": weight, "0.bias": torch.ones(2)})
        np.testing.assert_array_equal(net.params["0.weight"], [[0, 3], [1, 4], [2, 5]])


def test_pytorch_reads_the_file(tmp_path: Path) -> None:
    from safetensors.torch import load_file as load_tensors

    layers = [bp.Conv2d(2, 1, name="features.0"), bp.BatchNorm(name="features.1")]
    net = bp.Sequential(layers).build((3, 3, 1))
    net.forward(np.random.default_rng(0).normal(size=(4, 3, 3, 1)), training=True)
    save_safetensors(net, tmp_path / "net.safetensors")
    features = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    module = nn.ModuleDict({"features": features})
    module.load_state_dict(load_tensors(tmp_path / "net.safetensors"), strict=True)
    want = net.buffers["features.1.running_var"]
    np.testing.assert_array_equal(features[1].running_var.numpy(), want)
