"""Weights of recurrent layers and embeddings in the layouts of PyTorch, without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import pybp as bp
from pybp.interop.torch import load_state_dict, save_safetensors, state_dict


def count(*shape: int) -> np.ndarray:
    return np.arange(float(np.prod(shape)), dtype=np.float32).reshape(shape)


CELLS = [(bp.RNN, 1), (bp.LSTM, 4), (bp.GRU, 3)]


@pytest.mark.parametrize(("cell", "gates"), CELLS)
def test_matrices_of_cells_are_transposed_and_gates_keep_their_order(cell: Any, gates: int) -> None:
    net = bp.Sequential([cell(2)]).build((None, 3))
    state = {
        "weight_ih_l0": count(2 * gates, 3),
        "weight_hh_l0": count(2 * gates, 2),
        "bias_ih_l0": count(2 * gates),
        "bias_hh_l0": count(2 * gates) + 1,
    }
    load_state_dict(net, state, names={"0": ""})
    for name, array in state.items():
        np.testing.assert_array_equal(net.params[f"0.{name}"], array.T)
    again = state_dict(net, names={"0": ""})
    assert list(again) == list(state)
    for name, array in state.items():
        np.testing.assert_array_equal(again[name], array)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("cell", "gates"), CELLS)
def test_layers_and_directions_have_pytorchs_names_and_shapes(
    cell: Any, gates: int, bias: bool
) -> None:
    layers = [cell(2, num_layers=2, bidirectional=True, bias=bias)]
    found = state_dict(bp.Sequential(layers).build((None, 3)), names={"0": ""})
    want = {}
    for k, suffix in ((0, ""), (0, "_reverse"), (1, ""), (1, "_reverse")):
        want[f"weight_ih_l{k}{suffix}"] = (2 * gates, 4 if k else 3)
        want[f"weight_hh_l{k}{suffix}"] = (2 * gates, 2)
        if bias:
            want |= {f"bias_{which}_l{k}{suffix}": (2 * gates,) for which in ("ih", "hh")}
    assert {name: array.shape for name, array in found.items()} == want
    twin = bp.Sequential([bp.Bidirectional(cell(2, num_layers=2, bias=bias))]).build((None, 3))
    assert list(state_dict(twin, names={"0": ""})) == list(want)


def test_tables_are_the_same() -> None:
    for layer in (bp.Embedding(4, 3, padding_idx=1), bp.EmbeddingBag(4, 3)):
        net = bp.Sequential([layer]).build((2,))
        load_state_dict(net, {"0.weight": count(4, 3)})
        np.testing.assert_array_equal(net.params["0.weight"], count(4, 3))
        np.testing.assert_array_equal(state_dict(net)["0.weight"], count(4, 3))


def tagger(seed: int) -> bp.Model:
    ids, start = bp.Input((None,), dtype="int32"), bp.Input((2, 4))
    words = bp.Embedding(9, 5, name="words")(ids)
    y, h = bp.GRU(4, num_layers=2, return_state=True, name="cell")(words, initial_state=start)
    head = bp.Linear(3, name="head")
    return bp.Model([ids, start], [head(y), bp.Flatten()(h)], seed=seed)


def test_recurrent_nets_go_through_files(tmp_path: Path) -> None:
    path = tmp_path / "tagger.safetensors"
    net, other = tagger(0), tagger(1)
    assert not np.array_equal(net.params.flat, other.params.flat)
    save_safetensors(net, path)
    assert load_file(path)["cell.weight_ih_l1"].shape == (12, 4)
    load_state_dict(other, path)
    np.testing.assert_array_equal(other.params.flat, net.params.flat)


def test_a_cell_in_the_layout_of_pybp_is_a_wrong_shape() -> None:
    net = bp.Sequential([bp.LSTM(2, bias=False)]).build((None, 3))
    with pytest.raises(ValueError, match=r"weight_ih_l0 should be \(8, 3\), got \(3, 8\)"):
        load_state_dict(net, dict(net.params))


def test_what_is_made_of_ids_is_no_image() -> None:
    """PyTorch has the size of an embedding last, as here; a convolution reads an image."""
    flat = [bp.Embedding(4, 5), bp.ReLU(), bp.Flatten(), bp.Linear(1, bias=False)]
    net = bp.Sequential(flat).build((2, 3))
    load_state_dict(net, {"0.weight": count(4, 5), "3.weight": count(1, 30)})
    np.testing.assert_array_equal(net.params["3.weight"].ravel(), np.arange(30))
    net = bp.Sequential([flat[0], bp.MaxPool2d(1), *flat[2:]]).build((2, 3))
    load_state_dict(net, {"0.weight": count(4, 5), "3.weight": count(1, 30)})
    assert net.params["3.weight"][1] == 6
