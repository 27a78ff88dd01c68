"""Embeddings as layers: what they give, their gradients, and what they refuse."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tolerance import LINEAR, check_close

import pybp as bp

BAGS = [np.array(ids) for ids in ([3, 1, 3], [], [0], [5, 5, 2, 4], [1])]
LABELS = np.array([0, 1, 2, 1, 0])


def _net(*layers: bp.layers.Layer, dtype: str = "float64") -> bp.Sequential:
    return bp.Sequential(layers, dtype=dtype)


def _bag_net(**options: Any) -> bp.Sequential:
    net = _net(bp.EmbeddingBag(6, 4, **options), bp.Linear(3))
    return net.build((None,))


# ---------------------------------------------------------------------------------------- forward


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int64])
def test_rows_of_the_table(kind: type, backend: str, dtype: str) -> None:
    net = _net(bp.Embedding(7, 3), dtype=dtype)
    ids = np.array([[0, 6, 2], [2, 2, 1]], kind)
    y = net.predict(ids)
    np.testing.assert_array_equal(y, net.params["0.weight"][ids])
    np.testing.assert_array_equal(net.forward(ids), y)


def test_one_id_a_sample(backend: str) -> None:
    net = _net(bp.Embedding(7, 3), bp.Linear(2))
    ids = np.array([4, 0, 4])
    assert net.forward(ids).shape == (3, 2)
    assert net.backward(np.ones((3, 2))) is None
    np.testing.assert_array_equal(net.grads["0.weight"][4], 2 * net.params["1.weight"].sum(axis=1))


def _bag(table: np.ndarray, ids: np.ndarray, mode: str, padding: int | None, unique: bool) -> Any:
    counted = [i for i in ids.tolist() if i != padding]
    counted = list(dict.fromkeys(counted)) if unique else counted
    rows = table[np.array(counted, int)]
    if not counted:
        return np.zeros(table.shape[1])
    return {"sum": rows.sum, "mean": rows.mean, "max": rows.max}[mode](axis=0)


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("padding", [None, 3, -1])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags(mode: str, padding: int | None, unique: bool, backend: str, dtype: str) -> None:
    layer = bp.EmbeddingBag(6, 4, mode, padding, unique)
    net = _net(layer, dtype=dtype).build((None,))
    net.params["0.weight"] = np.random.default_rng(1).normal(size=(6, 4))
    left_out = None if padding is None else padding % 6
    table = net.params["0.weight"]
    expected = np.array([_bag(table, ids, mode, left_out, unique) for ids in BAGS])
    check_close(net.predict(BAGS), expected, dtype, 4, LINEAR)


def test_the_three_forms_of_bags(backend: str) -> None:
    net = _bag_net(padding_idx=2)
    bags = [ids[ids != 2] for ids in BAGS]
    flat = np.concatenate(bags).astype(int)
    offsets = np.cumsum([0, *map(len, bags[:-1])])
    padded = np.full((5, 6), 2)
    for row, ids in zip(padded, bags, strict=True):
        row[: len(ids)] = ids
    y = net.predict(bags)
    np.testing.assert_array_equal(net.predict(bp.Ragged(flat, offsets)), y)
    np.testing.assert_array_equal(net.predict(padded), y)


def test_a_bag_alone_gives_the_bits_of_a_bag_in_a_batch(backend: str) -> None:
    rng = np.random.default_rng(0)
    net = _net(bp.EmbeddingBag(500, 37), dtype="float32").build((None,))
    bags = [rng.integers(0, 500, length) for length in rng.integers(0, 90, 40)]
    whole = net.predict(bags)
    for row, ids in zip(whole, bags, strict=True):
        np.testing.assert_array_equal(net.predict([ids])[0], row)


@pytest.mark.parametrize(
    "layer",
    [bp.Embedding(6, 4, -2, lazy=True), bp.EmbeddingBag(6, 4, "max", unique=True)],
    ids=repr,
)
def test_a_file_and_a_copy(layer: bp.layers.Layer, tmp_path: Path, backend: str) -> None:
    net = _net(layer, bp.Linear(3), bp.Flatten()).build((4,))
    net.save(tmp_path / "net.safetensors")
    ids = np.array([[1, 2, 5, 5], [0, 4, 3, 3]])
    for again in (bp.load(tmp_path / "net.safetensors"), copy.deepcopy(net)):
        assert repr(again.layers[0]) == repr(layer)
        np.testing.assert_array_equal(again.predict(ids), net.predict(ids))


# -------------------------------------------------------------------------------------- gradients


def test_the_padding_row_starts_at_zero_and_stays(backend: str) -> None:
    for layer in (bp.Embedding(6, 4, padding_idx=2), bp.EmbeddingBag(6, 4, padding_idx=-4)):
        net = _net(layer, bp.Flatten(), bp.Linear(3))
        ids = np.array([[2, 1, 2], [0, 2, 5]])
        net.fit(ids, LABELS[:2], loss="cross_entropy", optimizer=bp.Adam(0.1), epochs=3, verbose=0)
        assert not net.params["0.weight"][2].any()
        assert not net.grads["0.weight"][2].any()
        assert net.grads["0.weight"][1].any()


def test_the_gradient_adds_up_over_all_places(backend: str) -> None:
    net = _net(bp.Embedding(5, 2))
    ids, dy = np.array([[1, 3], [3, 3]]), np.arange(8.0).reshape(2, 2, 2)
    net.forward(ids)
    assert net.backward(dy) is None
    expected = [[0, 0], [0, 1], [0, 0], [2 + 4 + 6, 3 + 5 + 7], [0, 0]]
    assert net.grads["0.weight"].tolist() == expected
    net.backward(dy, accumulate=True)
    np.testing.assert_array_equal(net.grads["0.weight"], 2 * np.array(expected))


def test_the_first_of_equal_maxima_takes_the_gradient(backend: str) -> None:
    net = _net(bp.EmbeddingBag(3, 2, "max")).build((None,))
    net.params["0.weight"] = [[1, 5], [1, 7], [0, 7]]
    net.forward([np.array([2, 1, 0]), np.array([], int)])
    net.backward(np.array([[10.0, 20.0], [30.0, 40.0]]))
    assert net.grads["0.weight"].tolist() == [[0, 0], [10, 0], [0, 20]]


def test_weights_of_ids(backend: str, dtype: str) -> None:
    rng = np.random.default_rng(2)
    ids, offsets, weights = rng.integers(0, 6, 9), [0, 4, 4], rng.normal(size=9)
    net = _net(bp.EmbeddingBag(6, 4, "sum"), bp.Linear(3), dtype=dtype).build((None,))
    table, mix = (np.array(net.params[f"{k}.weight"], np.float64) for k in (0, 1))
    batch = bp.Ragged(ids, offsets, weights)
    rows = weights[:, None] * table[ids]
    sums = np.array([rows[:4].sum(axis=0), np.zeros(4), rows[4:].sum(axis=0)])
    check_close(net.predict(batch), sums @ mix, dtype, 20, LINEAR)
    net.forward(batch)
    dy = rng.normal(size=(3, 3))
    assert net.backward(dy) is None
    of_bags = (dy @ mix.T)[[0] * 4 + [2] * 5]
    check_close(net.grads["0.weights"], (of_bags * table[ids]).sum(axis=1), dtype, 20, LINEAR)
    expected = np.zeros_like(table)
    np.add.at(expected, ids, weights[:, None] * of_bags)
    check_close(net.grads["0.weight"], expected, dtype, 20, LINEAR)
    assert list(net.grads) == ["0.weight", "1.weight", "1.bias"]
    loss = bp.Trainer(net, bp.MSE(), bp.SGD(0.1)).step(batch, np.zeros((3, 3)))
    np.testing.assert_allclose(loss, np.mean((sums @ mix) ** 2), rtol=1e-5)
    with pytest.raises(RuntimeError, match="no gradients"):
        net.grads["0.weight"]


def test_weights_of_one_and_none_are_the_same(backend: str) -> None:
    net = _bag_net(mode="sum")
    flat, offsets = np.concatenate(BAGS).astype(int), np.cumsum([0, *map(len, BAGS[:-1])])
    np.testing.assert_array_equal(
        net.predict(bp.Ragged(flat, offsets, np.ones(len(flat)))), net.predict(BAGS)
    )
    net.forward(np.array([[0, 1], [2, 2]]))
    net.backward(np.ones((2, 3)))
    assert net.grads["0.weights"].shape == (2, 2)


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize("mode", ["mean", "max"])
def test_weights_without_a_sum(mode: str) -> None:
    batch = bp.Ragged(np.arange(3), [0, 1], np.ones(3))
    for net in (_bag_net(mode=mode), _net(bp.LSTM(4)).build((None, 3))):
        with pytest.raises(
            ValueError, match='weights, which belong to an EmbeddingBag of mode "su'
        ):
            net.predict(batch if net.layers[0].takes_ids else _ragged_rows())


def _ragged_rows() -> bp.Ragged:
    return bp.Ragged(np.ones((3, 3)), [0, 1], np.ones(3))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((0, 4), ValueError, "count must be >= 1"),
        ((4, 0), ValueError, "size must be >= 1"),
        ((4.5, 4), TypeError, "count must be a whole number"),
        ((4, 4, 4), ValueError, "padding_idx must lie in -4 ... 3, got 4"),
        ((4, 4, -5), ValueError, "padding_idx must lie in -4 ... 3, got -5"),
        ((4, 4, 1.0), TypeError, "padding_idx must be a whole number"),
        ((4, 4, True), TypeError, "padding_idx must be a whole number"),
    ],
)
def test_bad_arguments(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        bp.Embedding(*arguments)
    count, size, *padding = arguments
    with pytest.raises(error, match=words):
        bp.EmbeddingBag(count, size, padding_idx=padding[0] if padding else None)


def test_an_unknown_mode() -> None:
    with pytest.raises(ValueError, match="mode must be one of sum, mean, max, got 'min'"):
        bp.EmbeddingBag(4, 4, "min")


@pytest.mark.parametrize(
    ("ids", "error", "words"),
    [
        ([[0, -1]], IndexError, r"ids in 0 \.\.\. 5, got -1"),
        ([[0, 6]], IndexError, r"ids in 0 \.\.\. 5, got 6"),
        ([[0, 2**62]], IndexError, "got 4611686018427387904"),
        ([[0.0, 1.0]], TypeError, "ids, whole numbers, got the dtype float64"),
        ([[True]], TypeError, "ids, whole numbers"),
    ],
)
def test_bad_ids(ids: Any, error: type[Exception], words: str, backend: str) -> None:
    bags = [np.array(row) for row in ids]
    for net, x in ((_bag_net(), bags), (_net(bp.Embedding(6, 2)), np.array(ids))):
        before = net.params.flat.copy() if net.is_built else None
        for call in (net.predict, net.forward):
            with pytest.raises(error, match=words):
                call(x)
        if before is not None:
            np.testing.assert_array_equal(net.params.flat, before)


@pytest.mark.parametrize("layer", [bp.Embedding(6, 2), bp.EmbeddingBag(6, 2)], ids=repr)
def test_other_layers_before_it(layer: bp.layers.Layer) -> None:
    with pytest.raises(ValueError, match=r"layer 0 \(Linear\) takes real numbers"):
        _net(bp.Linear(3), layer).build((3,))
    with pytest.raises(ValueError, match=r"layer 2 .* takes ids"):
        _net(bp.Linear(3), bp.Flatten(), layer).build((3,))


def test_bags_of_more_than_ids() -> None:
    with pytest.raises(ValueError, match="needs bags of ids"):
        _net(bp.EmbeddingBag(6, 2)).predict(np.zeros((2, 3, 4), int))


def test_a_lazy_table_used_twice() -> None:
    table = bp.Embedding(6, 3, lazy=True)
    a, b = bp.Input((), dtype="int32"), bp.Input((), dtype="int32")
    y = bp.Add()([table(a), table(b)])
    with pytest.raises(ValueError, match="used twice in this net, so its layer can't be lazy"):
        bp.Model((a, b), y).build(((), ()))
