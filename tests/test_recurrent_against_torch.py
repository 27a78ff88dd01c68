"""PyTorch as an outside judge of the recurrent layers, where it is installed.

Cells, sizes, lengths and states are drawn from a seed. The weights are PyTorch's, its sequences are
packed by ``pack_padded_sequence``. Outputs, final states and all gradients are compared with its
float64 results.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from tolerance import TRANSCENDENTAL, check_close

import pybp as bp
from pybp.interop.torch import load_state_dict
from pybp.interop.torch_layouts import layouts

torch = pytest.importorskip("torch")
nn = torch.nn
pack, unpack = nn.utils.rnn.pack_padded_sequence, nn.utils.rnn.pad_packed_sequence

CELLS = ("tanh", "relu", "LSTM", "GRU")
FORMS = ("padded", "list", "ragged")
JUDGED = ("every step", "states", "last step")  # what the loss reads


class Case(NamedTuple):
    """A recurrent layer and a batch for it."""

    cell: str
    lengths: tuple[int, ...]
    features: int
    units: int
    layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    initial: bool = False
    judged: str = "every step"
    form: str = "padded"
    seed: int = 0

    @property
    def directions(self) -> int:
        return 1 + self.bidirectional

    @property
    def names(self) -> str:
        """The arrays of a state: h, and c of an LSTM."""
        return "hc" if self.cell == "LSTM" else "h"

    @property
    def gates(self) -> int:
        return {"LSTM": 4, "GRU": 3}.get(self.cell, 1)

    @property
    def amp(self) -> float:
        """The formula's kind of operation for recurrent nets: each step adds its own error."""
        return TRANSCENDENTAL + max(self.lengths) * self.layers

    @property
    def terms(self) -> int:
        """The longest sum: over inputs of a gate, gates of an input, or steps of the batch."""
        inputs = max(self.features, self.units * self.directions)
        return max(inputs, self.gates * self.units, sum(self.lengths))


def drawn(seed: int) -> Case:
    """Return a random case: most are small, one in eight is not."""
    rng = np.random.default_rng(seed)
    most = 80 if seed % 8 == 7 else 20
    rows, longest = int(rng.integers(1, most // 2)), int(rng.integers(1, most // 2 + 4))
    lengths = rng.integers(1, longest + 1, rows)
    if rng.random() < 0.1:
        lengths[:] = longest
    flags = rng.random(3) < 0.5
    return Case(
        cell=str(rng.choice(CELLS)),
        lengths=tuple(lengths.tolist()),
        features=int(rng.integers(1, most)),
        units=int(rng.integers(1, most)),
        layers=int(rng.integers(1, 4)),
        bidirectional=bool(flags[0]),
        bias=bool(flags[1]),
        initial=bool(flags[2]),
        judged=str(rng.choice(JUDGED)),
        form=str(rng.choice(FORMS)),
        seed=seed,
    )


class Result(NamedTuple):
    """Outputs and gradients by name, in PyTorch's layouts."""

    outputs: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]


class Data(NamedTuple):
    """A batch, padded with numbers that nobody may read, and the gradients of the outputs."""

    x: np.ndarray  # (n, steps, features)
    states: dict[str, np.ndarray]  # (n, layers * directions, units)
    seeds: dict[str, np.ndarray]  # of y, h and c


def make_data(case: Case) -> Data:
    rng = np.random.default_rng([1, case.seed])
    rows, steps = len(case.lengths), max(case.lengths)
    x = rng.normal(size=(rows, steps, case.features))
    state = (rows, case.layers * case.directions, case.units)
    wide = case.directions * case.units
    states = {name: rng.normal(size=state) for name in case.names} if case.initial else {}
    y = (rows, wide) if case.judged == "last step" else (rows, steps, wide)
    seeds = {"y": rng.normal(size=y)}
    if case.judged == "states":
        seeds |= {name: rng.normal(size=state) for name in case.names}
    return Data(single(x), *({k: single(a) for k, a in each.items()} for each in (states, seeds)))


def single(x: np.ndarray) -> np.ndarray:
    """Return numbers that float32 has too, as float64."""
    return x.astype(np.float32).astype(np.float64)


def make_module(case: Case) -> Any:
    """Return PyTorch's module in float64, its weights such that float32 has them too."""
    torch.manual_seed(case.seed)
    options = {"num_layers": case.layers, "bidirectional": case.bidirectional, "bias": case.bias}
    if case.cell in ("tanh", "relu"):
        module = nn.RNN(case.features, case.units, nonlinearity=case.cell, **options)
    else:
        module = getattr(nn, case.cell)(case.features, case.units, **options)
    return module.double()


def ours(case: Case, data: Data, module: Any, backend: str, dtype: str) -> Result:
    """Run the layer here, forward and backward."""
    net = make_net(case, backend, dtype)
    load_state_dict(net, module.state_dict(), names={"cell": ""})
    one = case.layers * case.directions == 1
    states = [state[:, 0] if one else state for state in data.states.values()]
    x, lengths = given(case, data.x)
    given_x = (x, *states) if states else x
    written = net.forward(given_x, training=True, lengths=lengths_of(lengths, states))
    outputs = dict(zip(data.seeds, as_tuple(written), strict=True))
    seeds = [seed[:, 0] if name != "y" and one else seed for name, seed in data.seeds.items()]
    read = net.backward(tuple(seeds) if len(seeds) > 1 else seeds[0])
    gradients = dict(zip(("x", *data.states), as_tuple(read), strict=True))
    found = layouts(net.recipe.predict(), channels_first=True)
    gradients["x"] = padded(case, gradients["x"])
    if case.judged != "last step":
        outputs["y"] = padded(case, outputs["y"])
    for arrays in (outputs, gradients):
        for name in set(arrays) & set(case.names):
            arrays[name] = arrays[name].reshape(len(case.lengths), -1, case.units)
    for name in net.params:
        gradients[name.removeprefix("cell.")] = found[name].export(net.grads[name])
    return Result(outputs, gradients)


def make_net(case: Case, backend: str, dtype: str) -> bp.Model:
    kind = bp.RNN if case.cell in ("tanh", "relu") else getattr(bp, case.cell)
    options = {"nonlinearity": case.cell} if kind is bp.RNN else {}
    layer = kind(
        case.units,
        num_layers=case.layers,
        bidirectional=case.bidirectional,
        bias=case.bias,
        return_sequences=case.judged != "last step",
        return_state=case.judged == "states",
        name="cell",
        **options,
    )
    count = case.layers * case.directions
    shape = (case.units,) if count == 1 else (count, case.units)
    x = bp.Input((None, case.features))
    states = [bp.Input(shape) for _ in case.names] if case.initial else []
    written = layer(x, initial_state=tuple(states) or None)
    inputs = [x, *states] if states else x
    outputs = list(written) if isinstance(written, tuple) else written
    return bp.Model(inputs, outputs, dtype=dtype, backend=backend)


def given(case: Case, x: np.ndarray) -> tuple[Any, Any]:
    """Return padded sequences in the case's form, and their lengths where it needs them."""
    if case.form == "padded":
        return x, np.array(case.lengths)
    rows = [row[:length] for row, length in zip(x, case.lengths, strict=True)]
    if case.form == "list":
        return rows, None
    offsets = np.cumsum([0, *case.lengths[:-1]])
    return bp.Ragged(np.concatenate(rows), offsets), None


def lengths_of(lengths: Any, states: list[np.ndarray]) -> Any:
    """Return lengths as a net of this many inputs takes them."""
    return (lengths, *[None] * len(states)) if states and lengths is not None else lengths


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def padded(case: Case, value: Any) -> np.ndarray:
    """Return sequences, padded or a list, with zeros after each one's last step."""
    whole = np.zeros((len(case.lengths), max(case.lengths), value[0].shape[-1]))
    for row, length, one in zip(whole, case.lengths, value, strict=True):
        assert not one[length:].any()
        row[:length] = one[:length]
    return whole


def theirs(case: Case, data: Data, module: Any) -> Result:
    """Run PyTorch's module on the same batch, forward and backward."""
    module.zero_grad()
    x = torch.from_numpy(data.x).requires_grad_()
    states = {name: torch.from_numpy(state).requires_grad_() for name, state in data.states.items()}
    turned = [state.transpose(0, 1).contiguous() for state in states.values()]
    initial = tuple(turned) if len(turned) > 1 else (turned[0] if turned else None)
    packed = pack(x, torch.tensor(case.lengths), batch_first=True, enforce_sorted=False)
    y, final = module(packed, initial)
    final = dict(zip(case.names, (each.transpose(0, 1) for each in as_tuple(final)), strict=True))
    outputs = {"y": unpack(y, batch_first=True)[0], **final}
    if case.judged == "last step":
        outputs["y"] = final["h"][:, -case.directions :].flatten(1)
    outputs = {name: outputs[name] for name in data.seeds}
    loss = sum((outputs[name] * torch.from_numpy(seed)).sum() for name, seed in data.seeds.items())
    loss.backward()
    read = {"x": x, **states, **dict(module.named_parameters())}
    return Result(
        {name: tensor.detach().numpy() for name, tensor in outputs.items()},
        {name: tensor.grad.numpy() for name, tensor in read.items()},
    )


def check(case: Case, backend: str, dtype: str) -> None:
    """Fail unless the layer gives what PyTorch gives."""
    module, data = make_module(case), make_data(case)
    got, want = ours(case, data, module, backend, dtype), theirs(case, data, module)
    for ours_, theirs_ in zip(got, want, strict=True):
        assert set(ours_) == set(theirs_)
        for name, array in theirs_.items():
            check_close(ours_[name], array, dtype, case.terms, case.amp, f"{name} of {case}")


@pytest.mark.parametrize("seed", range(24))
def test_drawn_layers_are_pytorchs(seed: int, backend: str, dtype: str) -> None:
    check(drawn(seed), backend, dtype)


@pytest.mark.parametrize("judged", JUDGED)
@pytest.mark.parametrize("cell", CELLS)
def test_two_layers_in_both_directions_with_initial_states(
    cell: str, judged: str, backend: str
) -> None:
    case = Case(cell, (4, 1, 7, 7, 2), 3, 5, 2, bidirectional=True, initial=True, judged=judged)
    check(case, backend, "float64")


@pytest.mark.parametrize("lengths", [(1,), (1, 1, 1), (9,), (5, 5), (2, 9, 1)], ids=repr)
@pytest.mark.parametrize("cell", CELLS)
def test_odd_lengths(cell: str, lengths: tuple[int, ...], backend: str) -> None:
    for judged in JUDGED:
        check(Case(cell, lengths, 4, 3, bias=False, judged=judged), backend, "float64")


@pytest.mark.parametrize("cell", CELLS)
def test_stateful_windows_go_on_like_detached_states(cell: str, backend: str, dtype: str) -> None:
    """Gradients reach back to the beginning of their window: truncated backpropagation."""
    whole = Case(cell, (9, 9, 9), 4, 5, 2)
    module, data = make_module(whole), make_data(whole)
    kind = bp.RNN if cell in ("tanh", "relu") else getattr(bp, cell)
    options = {"nonlinearity": cell} if kind is bp.RNN else {}
    layer = kind(5, num_layers=2, stateful=True, **options)
    net = bp.Sequential([layer], dtype=dtype).build((None, 4))
    load_state_dict(net, module.state_dict(), names={"0": ""})
    found = layouts(net.recipe.predict(), channels_first=True)
    for _ in range(2):
        state: Any = None
        for begin, end in ((0, 4), (4, 5), (5, 9)):
            x = torch.from_numpy(data.x[:, begin:end].transpose(1, 0, 2)).requires_grad_()
            y, state = module(x, state)
            state = tuple(each.detach() for each in state) if cell == "LSTM" else state.detach()
            module.zero_grad()
            dy = data.seeds["y"][:, begin:end]
            y.backward(torch.from_numpy(dy.transpose(1, 0, 2)))
            got = net.forward(data.x[:, begin:end], training=True)
            dx = net.backward(dy)
            limits = (dtype, whole.terms, whole.amp)
            check_close(got, y.detach().numpy().transpose(1, 0, 2), *limits, "y")
            check_close(dx, x.grad.numpy().transpose(1, 0, 2), *limits, "dx")
            for name, parameter in module.named_parameters():
                gradient = found[f"0.{name}"].export(net.grads[f"0.{name}"])
                check_close(gradient, parameter.grad.numpy(), *limits, name)
        net.reset_states()
