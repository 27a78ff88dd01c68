"""PyTorch as an outside judge of embeddings, and of whole trainings of recurrent nets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tolerance import EXACT, LINEAR, TRAINING, check_close

import pybp as bp
from pybp.interop.torch import load_state_dict, state_dict

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional

COUNT, SIZE = 11, 5
LENGTHS = [(3, 0, 1, 9, 0), (1,), (0, 0), (40, 2)]
MODES = ("sum", "mean", "max")
PADDINGS = (None, 2, -1)


def table(rng: np.random.Generator, dtype: str) -> np.ndarray:
    return rng.normal(size=(COUNT, SIZE)).astype(dtype)


def tensor(array: np.ndarray) -> Any:
    """Return a float64 leaf that asks for its gradient."""
    return torch.from_numpy(array.astype(np.float64)).requires_grad_()


def offsets_of(lengths: tuple[int, ...]) -> np.ndarray:
    return np.cumsum([0, *lengths[:-1]])


# ------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("shape", [(6,), (4, 7), (2, 3, 5)], ids=str)
def test_embedding(shape: tuple[int, ...], padding: int | None, backend: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    net = bp.Sequential([bp.Embedding(COUNT, SIZE, padding)], dtype=dtype).build(shape[1:])
    net.params["0.weight"] = table(rng, dtype)
    ids = rng.integers(0, COUNT, shape)
    w = tensor(net.params["0.weight"])
    want = functional.embedding(torch.from_numpy(ids), w, padding)
    y = net.forward(ids, training=True)
    check_close(y, want.detach().numpy(), dtype, 1, EXACT)
    dy = rng.normal(size=y.shape).astype(dtype)
    want.backward(torch.from_numpy(dy.astype(np.float64)))
    assert net.backward(dy) is None
    check_close(net.grads["0.weight"], w.grad.numpy(), dtype, ids.size, LINEAR)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("lengths", LENGTHS, ids=repr)
@pytest.mark.parametrize("mode", MODES)
def test_embedding_bag(
    mode: str, lengths: tuple[int, ...], padding: int | None, backend: str, dtype: str
) -> None:
    """With offsets; bags of nothing but ``padding_idx`` among them."""
    rng = np.random.default_rng(1)
    net = bag_net(mode, padding, table(rng, dtype), dtype)
    ids, offsets = rng.integers(0, COUNT, sum(lengths)), offsets_of(lengths)
    if padding is not None and lengths[0] == 3:
        ids[:3] = padding % COUNT
    compare_bags(net, ids, offsets, mode, padding, dtype)


def test_the_first_of_equal_maxima_takes_the_gradient_as_in_pytorch(backend: str) -> None:
    rng = np.random.default_rng(2)
    net = bag_net("max", None, rng.integers(0, 3, (COUNT, SIZE)), "float64")
    compare_bags(net, rng.integers(0, COUNT, 60), np.arange(0, 60, 6), "max", None, "float64")


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("lengths", LENGTHS[:1] + LENGTHS[3:], ids=repr)
def test_weights_of_ids(
    lengths: tuple[int, ...], padding: int | None, backend: str, dtype: str
) -> None:
    rng = np.random.default_rng(3)
    net = bag_net("sum", padding, table(rng, dtype), dtype)
    ids, offsets = rng.integers(0, COUNT, sum(lengths)), offsets_of(lengths)
    weights = rng.normal(size=len(ids)).astype(dtype)
    compare_bags(net, ids, offsets, "sum", padding, dtype, weights)


def bag_net(mode: str, padding: int | None, rows: np.ndarray, dtype: str) -> bp.Sequential:
    net = bp.Sequential([bp.EmbeddingBag(COUNT, SIZE, mode, padding)], dtype=dtype).build((None,))
    net.params["0.weight"] = rows
    return net


def compare_bags(
    net: bp.Sequential,
    ids: np.ndarray,
    offsets: np.ndarray,
    mode: str,
    padding: int | None,
    dtype: str,
    weights: np.ndarray | None = None,
) -> None:
    """Fail unless a net of one EmbeddingBag gives what PyTorch gives, forward and backward."""
    w = tensor(net.params["0.weight"])
    factors = None if weights is None else tensor(weights)
    want = functional.embedding_bag(
        torch.from_numpy(ids),
        w,
        torch.from_numpy(offsets),
        mode=mode,
        padding_idx=padding,
        per_sample_weights=factors,
    )
    y = net.forward(bp.Ragged(ids, offsets, weights), training=True)
    terms = max(1, len(ids))
    amp = EXACT if mode == "max" else LINEAR
    check_close(y, want.detach().numpy(), dtype, terms, amp, "y")
    dy = np.random.default_rng(4).normal(size=y.shape).astype(dtype)
    want.backward(torch.from_numpy(dy.astype(np.float64)))
    net.backward(dy)
    check_close(net.grads["0.weight"], w.grad.numpy(), dtype, terms, LINEAR, "dw")
    if factors is not None:
        found = net.grads["0.weights"]
        check_close(found, factors.grad.numpy(), dtype, SIZE, LINEAR, "gradient of the weights")


# ------------------------------------------------------------------------------------ trainings


class Tagger(nn.Module):
    """A label for each time step, or for each sequence."""

    def __init__(self, each_step: bool, options: dict[str, Any]) -> None:
        super().__init__()
        self.table = nn.Embedding(COUNT, SIZE, padding_idx=options.get("padding"))
        self.cell = nn.LSTM(SIZE, 6, batch_first=True, bidirectional=options["both"])
        self.head = nn.Linear(12 if options["both"] else 6, 4)
        self.each_step = each_step

    def forward(self, ids: Any, lengths: Any) -> Any:
        packed = nn.utils.rnn.pack_padded_sequence(
            self.table(ids), lengths, batch_first=True, enforce_sorted=False
        )
        y, (h, _) = self.cell(packed)
        if not self.each_step:
            return self.head(h.transpose(0, 1).flatten(1))
        return self.head(nn.utils.rnn.pad_packed_sequence(y, batch_first=True)[0])


OPTIMIZERS = {
    "sgd": (bp.SGD(0.5), lambda p: torch.optim.SGD(p, 0.5)),
    "momentum": (
        bp.SGD(0.2, momentum=0.9, weight_decay=0.01, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.2, 0.9, weight_decay=0.01, nesterov=True),
    ),
    "adam": (bp.Adam(0.02), lambda p: torch.optim.Adam(p, 0.02)),
    "adamw": (bp.AdamW(0.02, amsgrad=True), lambda p: torch.optim.AdamW(p, 0.02, amsgrad=True)),
}


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both directions"])
@pytest.mark.parametrize("each_step", [True, False], ids=["each step", "last step"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training(optimizer: str, each_step: bool, both: bool, backend: str) -> None:
    """Embedding, LSTM, Linear with cross entropy: the mean over the time steps that there are."""
    torch.manual_seed(0)
    module = Tagger(each_step, {"both": both, "padding": 3}).double()
    ours, theirs = OPTIMIZERS[optimizer]
    layers = [
        bp.Embedding(COUNT, SIZE, padding_idx=3, name="table"),
        bp.LSTM(6, bidirectional=both, return_sequences=each_step, name="cell"),
        bp.Linear(4, name="head"),
    ]
    net = bp.Sequential(layers, dtype="float64").build((None,))
    load_state_dict(net, module.state_dict())
    trainer, judge = bp.Trainer(net, bp.CrossEntropy(), ours), theirs(module.parameters())
    rng = np.random.default_rng(5)
    for step in range(12):
        lengths = rng.integers(1, 9, 1 + step % 5)
        ids = [rng.integers(0, COUNT, length) for length in lengths]
        labels = [rng.integers(0, 4, length if each_step else ()) for length in lengths]
        loss = trainer.step(ids, labels if each_step else np.array(labels))
        judge.zero_grad()
        y = module(padded(ids, 0), torch.from_numpy(lengths))
        target = padded(labels, -100) if each_step else torch.tensor(np.array(labels))
        want = functional.cross_entropy(y.flatten(0, -2), target.flatten())
        want.backward()
        judge.step()
        amp = TRAINING + 8  # and a number for each step of the longest sequence
        check_close(np.array(loss), np.array(want.item()), "float64", 36, amp, f"loss {step}")
    for name, array in state_dict(net).items():
        want = module.state_dict()[name].numpy()
        check_close(array, want, "float64", 36, amp, name)


def padded(rows: list[np.ndarray], filling: int) -> Any:
    whole = np.full((len(rows), max(map(len, rows))), filling)
    for to, row in zip(whole, rows, strict=True):
        to[: len(row)] = row
    return torch.from_numpy(whole)
