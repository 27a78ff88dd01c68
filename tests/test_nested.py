"""Nets as layers of other nets: names, shared weights, several inputs and outputs, errors."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from finite_difference import directional_difference

import pybp as bp
from pybp.graphs.graph_making import up_to

ROOT = Path(__file__).resolve().parents[1]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4))


def _copied(net: bp.Sequential | bp.Model, other: bp.Sequential | bp.Model) -> None:
    for mine, theirs in zip(net.params, other.params, strict=True):
        net.params[mine] = other.params[theirs]


def _check_gradients(net: bp.Model | bp.Sequential, x: np.ndarray) -> None:
    x = x.copy()
    weight = RNG.normal(size=net.forward(x, training=True).shape)

    def value() -> float:
        return float(np.sum(net.forward(x, training=True) * weight))

    net.forward(x, training=True)
    dx = net.backward(weight)
    analytic = {name: net.grads[name].copy() for name in net.params}
    for name, array in {**dict(net.params), "x": x}.items():
        direction = RNG.normal(size=array.shape)
        expected = directional_difference(value, array, direction)
        terms = (dx if name == "x" else analytic[name]) * direction
        assert abs(terms.sum() - expected) <= 1e-8 * max(np.abs(terms).sum(), 1e-1), name


# ----------------------------------------------------------------------- in a Sequential


def _flat(seed: int = 0) -> bp.Sequential:
    return bp.Sequential(
        [bp.Linear(5), bp.ReLU(), bp.Dropout(0.3), bp.BatchNorm(), bp.Linear(5), bp.Tanh(),
         bp.Linear(2)], seed=seed,
    )  # fmt: skip


def _nested(seed: int = 0) -> bp.Sequential:
    block = bp.Sequential([bp.Dropout(0.3), bp.BatchNorm()])
    inner = bp.Sequential([bp.ReLU(), block, bp.Linear(5)], seed=99, dtype="float64")
    return bp.Sequential([bp.Linear(5), inner, bp.Tanh(), bp.Linear(2)], seed=seed)


def test_names_are_those_of_the_net_and_then_of_its_layer() -> None:
    net = _nested().build((4,))
    assert list(net.params) == [
        "0.weight", "0.bias", "1.1.1.weight", "1.1.1.bias", "1.2.weight", "1.2.bias",
        "3.weight", "3.bias",
    ]  # fmt: skip
    assert list(net.buffers) == ["1.1.1.running_mean", "1.1.1.running_var"]
    assert net.paths == ("0", "1.0", "1.1.0", "1.1.1", "1.2", "2", "3")
    assert len(net.layers) == 7


def test_a_nested_net_is_its_layers_bit_for_bit(backend: str) -> None:
    nets = _flat(3), _nested(3)
    y = np.arange(6) % 2
    for net in nets:
        net.fit(X, y, loss="cross_entropy", optimizer="adam", epochs=3, batch_size=3, verbose=0)
    for name in ("params", "buffers"):
        one, two = (getattr(net, name).flat for net in nets)
        assert one.tobytes() == two.tobytes()
    assert nets[0].predict(X).tobytes() == nets[1].predict(X).tobytes()


def test_the_arrays_and_the_type_of_the_inner_net_play_no_part() -> None:
    inner = bp.Sequential([bp.Linear(4)], seed=7, dtype="float64").build((4,))
    inner.params["0.weight"] = np.ones((4, 4))
    net = bp.Sequential([inner, bp.Linear(1)]).build((4,))
    assert net.params["0.0.weight"].dtype == np.float32
    assert (net.params["0.0.weight"] != 1).all()
    net.params["0.0.weight"] = np.zeros((4, 4))
    assert (inner.params["0.weight"] == 1).all()


def test_a_name_stands_in_place_of_the_position() -> None:
    inner = bp.Sequential([bp.Linear(4, name="lower"), bp.Linear(4)], name="encoder")
    net = bp.Sequential([inner, bp.Linear(1)]).build((4,))
    assert [name for name in net.params if "weight" in name] == [
        "encoder.lower.weight", "encoder.1.weight", "1.weight",
    ]  # fmt: skip


def test_a_net_used_twice_shares_its_weights(backend: str) -> None:
    inner = bp.Sequential([bp.Linear(4), bp.Tanh()])
    net = bp.Sequential([inner, inner, bp.Linear(2)], dtype="float64")
    _check_gradients(net, X)
    assert list(net.params) == ["0.0.weight", "0.0.bias", "2.weight", "2.bias"]
    same = bp.Linear(4), bp.Tanh()
    flat = bp.Sequential([*same, *same, bp.Linear(2)], dtype="float64").build((4,))
    _copied(flat, net)
    np.testing.assert_array_equal(net.predict(X), flat.predict(X))


def test_a_layer_inside_and_outside_of_a_net_is_shared(backend: str) -> None:
    layer = bp.Linear(4)
    net = bp.Sequential([bp.Sequential([layer, bp.Tanh()]), layer, bp.Tanh()], dtype="float64")
    _check_gradients(net, X)
    assert list(net.params) == ["0.0.weight", "0.0.bias"]


def test_a_nested_net_without_layers_passes_on(backend: str) -> None:
    net = bp.Sequential([bp.Linear(3), bp.Sequential([]), bp.Linear(2)]).build((4,))
    assert list(net.params) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    x = bp.Input((4,))
    assert bp.Model(x, bp.Sequential([])(bp.Linear(3)(x))).predict(X).shape == (6, 3)


def test_a_model_in_a_sequential(backend: str) -> None:
    x = bp.Input((4,))
    block = bp.Model(x, bp.Add()([x, bp.Tanh()(bp.Linear(4)(x))]))
    net = bp.Sequential([bp.Linear(4), block, block, bp.Linear(2)], dtype="float64")
    _check_gradients(net, X)
    assert list(net.params)[2:4] == ["1.0.weight", "1.0.bias"]
    p = net.params
    h = X @ p["0.weight"] + p["0.bias"]
    for _ in range(2):
        h = h + np.tanh(h @ p["1.0.weight"] + p["1.0.bias"])
    np.testing.assert_allclose(net.predict(X), h @ p["3.weight"] + p["3.bias"], rtol=1e-12)


def test_a_first_net_with_an_input_tells_the_shape() -> None:
    net = bp.Sequential([bp.Sequential([bp.Input((4,)), bp.Linear(3)]), bp.Linear(2)])
    assert list(net.params) == ["0.1.weight", "0.1.bias", "1.weight", "1.bias"]


# ----------------------------------------------------------------------- in a Model


def _block(name: str | None = None) -> bp.Model:
    x, y = bp.Input((4,)), bp.Input((4,), name="beside")
    both = bp.Tanh()(bp.Add()([bp.Linear(4)(x), y]))
    return bp.Model([x, y], [both, bp.Multiply()([both, x])], name=name)


def test_several_inputs_and_outputs(backend: str) -> None:
    block = _block()
    x = bp.Input((4,))
    a, b = block([x, bp.Sigmoid()(x)])
    c, d = block({"beside": a, "input0": b})
    net = bp.Model(x, bp.Linear(2)(bp.Concat()([c, d])), dtype="float64")
    assert list(net.params) == ["1.0.weight", "1.0.bias", "3.weight", "3.bias"]
    _check_gradients(net, X)
    p = net.params

    def by_hand(x: np.ndarray, beside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = np.tanh(x @ p["1.0.weight"] + p["1.0.bias"] + beside)
        return both, both * x

    first = by_hand(X, 1 / (1 + np.exp(-X)))
    both = np.concatenate(by_hand(first[1], first[0]), axis=1)
    np.testing.assert_allclose(net.predict(X), both @ p["3.weight"] + p["3.bias"], rtol=1e-12)


def test_what_nobody_reads_of_a_nested_net_is_left_out(backend: str) -> None:
    x, y = bp.Input((4,)), bp.Input((4,))
    kept = bp.Linear(4)(x)
    block = bp.Model([x, y], [kept, bp.Linear(9)(bp.Linear(8)(y))])
    outer = bp.Input((4,))
    first, _ = block((outer, bp.Tanh()(outer)))
    net = bp.Model(outer, bp.Linear(2)(first))
    assert [array.shape for array in net.params.values()] == [(4, 4), (4,), (4, 2), (2,)]
    assert net.predict(X).shape == (6, 2)


def test_an_input_of_the_outer_net_may_be_that_of_the_inner_one(backend: str) -> None:
    x = bp.Input((4,))
    encoder = bp.Model(x, bp.Tanh()(bp.Linear(3)(x)))
    code = bp.Input((3,))
    decoder = bp.Model(code, bp.Linear(4)(code))
    net = bp.Model(x, decoder(encoder(x)), dtype="float64")
    assert list(net.params) == ["0.0.weight", "0.0.bias", "1.0.weight", "1.0.bias"]
    assert net.input_shape == (4,)
    _check_gradients(net, X)


def test_a_net_is_named_by_the_order_of_first_use() -> None:
    inner = bp.Sequential([bp.Linear(4), bp.Sequential([bp.Linear(4)])])
    x = bp.Input((4,))
    net = bp.Model(x, bp.Linear(1)(inner(inner(bp.Linear(4)(x)))))
    assert [name for name in net.params if "weight" in name] == [
        "0.weight", "1.0.weight", "1.1.0.weight", "2.weight",
    ]  # fmt: skip


def test_a_net_in_a_cell(backend: str) -> None:
    x, h = bp.Input((3,)), bp.Input((4,))
    part = bp.Sequential([bp.Linear(4), bp.Tanh()])
    y = bp.Tanh()(bp.Add()([part(x), bp.Linear(4, bias=False)(h)]))
    net = bp.Sequential([bp.Recurrent(bp.Cell(x, h, y, y))], dtype="float64")
    _check_gradients(net, RNG.normal(size=(2, 5, 3)))
    assert list(net.params) == ["0.0.0.weight", "0.0.0.bias", "0.1.weight"]


# ----------------------------------------------------------------------- sequences, ids, images


def test_sequences_enter_a_nested_net(backend: str) -> None:
    reader = bp.Sequential([bp.Input((None,), dtype="int32"), bp.Embedding(9, 3), bp.LSTM(4)])
    layers = [bp.Embedding(9, 3), bp.LSTM(4), bp.Linear(2)]
    flat = bp.Sequential(layers, dtype="float64").build((None,))
    net = bp.Sequential([reader, bp.Linear(2)], dtype="float64")
    assert next(iter(net.params)) == "0.1.weight"
    _copied(net, flat)
    batch = [np.array([1, 2, 3]), np.array([8]), np.array([4, 4])]
    for one, two in zip(net.predict(batch), flat.predict(batch), strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(IndexError, match=r"0 \.\.\. 8"):
        net.predict([np.array([9])])


def test_states_enter_and_leave_a_nested_net(backend: str) -> None:
    x, h = bp.Input((None, 3)), bp.Input((4,))
    inner = bp.Model([x, h], list(bp.GRU(4, return_state=True)(x, initial_state=h)))
    start = bp.Input((4,))
    steps = bp.Input((None, 3))
    y, last = inner([steps, start])
    y, last = inner([bp.Linear(3)(y), last])
    net = bp.Model([steps, start], [y, last], dtype="float64")
    x_array, h_array = RNG.normal(size=(2, 5, 3)), RNG.normal(size=(2, 4))
    y_array, last_array = net.predict((x_array, h_array), lengths=(np.array([5, 3]), None))
    assert (y_array[1, 3:] == 0).all()
    np.testing.assert_array_equal(last_array[1], y_array[1, 2])


def test_weights_of_ids_reach_a_bag_in_a_nested_net(backend: str) -> None:
    bag = bp.Sequential([bp.Input((None,), dtype="int64"), bp.EmbeddingBag(5, 3, mode="sum")])
    net = bp.Sequential([bag, bp.Linear(2)], dtype="float64")
    ids = bp.Ragged(np.array([0, 1, 4]), np.array([0, 2]), np.array([2.0, 0.5, 1.0]))
    table = net.params["0.1.weight"]
    h = np.array([2 * table[0] + 0.5 * table[1], table[4]])
    expected = h @ net.params["1.weight"] + net.params["1.bias"]
    np.testing.assert_allclose(net.predict(ids), expected, rtol=1e-12)
    net.forward(ids)
    net.backward(np.ones((2, 2)))
    assert net.grads["0.1.weights"].shape == (3,)


def test_stateful_layers_in_a_nested_net(backend: str) -> None:
    net = bp.Sequential([bp.Sequential([bp.LSTM(3, stateful=True)]), bp.Linear(1)])
    x = RNG.normal(size=(2, 3, 4))
    whole = bp.Sequential([bp.LSTM(3), bp.Linear(1)]).build((None, 4))
    net.build((None, 4))
    expected = whole.predict(np.concatenate([x, x], axis=1))
    np.testing.assert_allclose(net.predict(x), expected[:, :3], atol=1e-6)
    np.testing.assert_allclose(net.predict(x), expected[:, 3:], atol=1e-6)


def test_the_layout_of_an_inner_input_holds(backend: str) -> None:
    inner = bp.Sequential([bp.Input((3, 8, 6), layout="channels_first"), bp.Conv2d(2, 3)])
    net = bp.Sequential([inner, bp.Flatten()])
    x = RNG.normal(size=(2, 3, 8, 6))
    assert net.predict(x).shape == (2, 6 * 4 * 2)
    later = bp.Sequential([bp.Reshape((3, 8, 6)), inner, bp.Flatten()])
    later.build((3, 8, 6))
    _copied(later, net)
    np.testing.assert_array_equal(later.predict(x), net.predict(x))


# ----------------------------------------------------------------------- tables, copies, pictures


def test_the_summary_shows_nested_nets() -> None:
    text = _nested().build((4,)).summary()
    assert text.splitlines()[3:7] == [
        "1          Sequential with 40 parameters",
        "  1.0      ReLU()                         (n, 5)           0",
        "  1.1      Sequential with 10 parameters",
        "    1.1.0  Dropout(p=0.3)                 (n, 5)           0",
    ]
    assert "input (n, 4), 77 parameters, float32" in text


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))]
)  # fmt: skip
def test_copies_hold_nested_nets(
    copied: Callable[[bp.Sequential], bp.Sequential], backend: str
) -> None:
    net = _nested()
    net.predict(X)
    twin = copied(net)
    assert list(twin.params) == list(net.params)
    assert twin.summary() == net.summary()
    assert twin.predict(X).tobytes() == net.predict(X).tobytes()


def _in_a_model() -> bp.Model:
    x = bp.Input((4,))
    a, b = _block("pair")([x, bp.Tanh()(x)])
    return bp.Model(x, _nested()(bp.Add()([a, b])))


@pytest.mark.parametrize("make", [_nested, _in_a_model])
def test_files_keep_the_names(
    make: Callable[[], bp.Model | bp.Sequential], backend: str, tmp_path: Path
) -> None:
    net = make()
    y = np.arange(6) % 2
    fit = {"loss": "cross_entropy", "optimizer": "adam", "batch_size": 3, "verbose": 0}
    net.fit(X, y, epochs=2, **fit)
    net.save(tmp_path / "net.safetensors")
    again = bp.load(tmp_path / "net.safetensors")
    assert type(again) is type(net)
    assert list(again.params) == list(net.params)
    assert again.summary() == net.summary()
    assert again.predict(X).tobytes() == net.predict(X).tobytes()
    assert set(bp.load_arrays(tmp_path / "net.safetensors")) == {*net.params, *net.buffers}
    twin = copy.deepcopy(net)
    twin.reset_optimizer()
    again.reset_optimizer()
    for one in (twin, again):
        one.fit(X, y, epochs=1, **fit)
    assert twin.params.flat.tobytes() == again.params.flat.tobytes()


def test_weights_of_a_nested_net_go_to_torch_and_back(backend: str) -> None:
    from pybp.interop import torch as interop

    net, other = _nested().build((4,)), _nested(1).build((4,))
    state = interop.state_dict(net)
    assert "1.1.1.running_mean" in state
    assert state["1.2.weight"].shape == (5, 5)
    interop.load_state_dict(other, state)
    assert other.predict(X).tobytes() == net.predict(X).tobytes()


def test_the_part_of_a_graph_up_to_a_layer(backend: str) -> None:
    x = bp.Input((4,))
    block = bp.Model(x, bp.Add()([x, bp.Tanh()(bp.Linear(4)(x))]))
    net = bp.Sequential([bp.Linear(4), block], dtype="float64").build((4,))
    part = bp.Sequential.of_graph(up_to(net.graph, "1.0"), dtype="float64", seed=0).build((4,))
    _copied(part, net)
    p = net.params
    h = (X @ p["0.weight"] + p["0.bias"]) @ p["1.0.weight"] + p["1.0.bias"]
    np.testing.assert_allclose(part.predict(X), h, rtol=1e-12)


# ----------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: bp.Sequential([bp.Linear(3), bp.Sequential([bp.Input((4,))])]).build((2,)),
            ValueError,
            r"layer 1.0 \(Input\) takes samples of shape \(4,\), got \(3,\)",
        ),
        (
            lambda: bp.Sequential([bp.Linear(3), bp.Sequential([bp.Linear(2)])]).predict("x"),
            TypeError,
            "x must hold real numbers",
        ),
        (
            lambda: bp.Sequential([_block()]),
            ValueError,
            r"layer 0 \(Model\) reads 2 values.*make a bp.Model",
        ),
        (
            lambda: bp.Sequential([bp.Sequential([bp.LSTM(2, return_state=True)]), bp.Linear(1)]),
            ValueError,
            r"layer 0 \(Sequential\) writes 3 values",
        ),
        (
            lambda: _block()(bp.Input((4,))),
            ValueError,
            r"nested Model reads 2 values \(input0, beside\), got 1",
        ),
        (
            lambda: _block()({"beside": bp.Input((4,)), "x": bp.Input((4,))}),
            ValueError,
            "inputs input0, beside, got beside, x",
        ),
        (
            lambda: _nested()(X),
            TypeError,
            r"a Sequential is called on a bp.Input.*got ndarray; net.predict takes arrays",
        ),
        (lambda: bp.Sequential([bp.Linear(2)], name=3), TypeError, "name must be a text, got 3"),
        (lambda: bp.Sequential([bp.Linear(2), "relu"]), TypeError, "layer 1 must be a pybp layer"),
        (
            lambda: bp.Sequential([bp.Linear(4, name="1"), bp.Sequential([bp.Linear(2)])]),
            ValueError,
            "two layers have the name '1'",
        ),
        (
            lambda: bp.Sequential([bp.Sequential([bp.Linear(2)]), bp.Linear(4, name="0.0")]),
            ValueError,
            "two layers have the name '0.0'",
        ),
        (
            lambda: bp.Sequential(
                [bp.Sequential([bp.Input((5, 3)), bp.GRU(2)]), bp.Linear(1)]
            ).build((4, 3)),
            ValueError,
            r"takes samples of shape \(5, 3\), got \(4, 3\)",
        ),
        (
            lambda: bp.Sequential(
                [bp.GRU(3), bp.Sequential([bp.Input((5, 3)), bp.Linear(2)])]
            ).build((None, 3)),
            ValueError,
            r"layer 1.0 \(Input\) takes samples of shape \(5, 3\), got \(None, 3\)",
        ),
        (
            lambda: bp.Sequential(
                [bp.Linear(3), bp.Sequential([bp.Input((3,), dtype="int32")])]
            ).build((3,)),
            ValueError,
            "has dtype int32, but its readers take real numbers",
        ),
    ],
)
def test_what_does_not_fit_is_said(
    make: Callable[[], object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        make()


def test_a_sequence_of_fixed_length_keeps_its_length_for_a_nested_input(backend: str) -> None:
    net = bp.Sequential([bp.GRU(3), bp.Sequential([bp.Input((5, 3)), bp.Linear(2)])])
    net.build((5, 3))
    assert net.predict(RNG.normal(size=(2, 5, 3))).shape == (2, 5, 2)
    with pytest.raises(ValueError, match=r"n, 5, 3"):
        net.predict(RNG.normal(size=(2, 4, 3)))


@pytest.mark.parametrize("page", ["docs/graphs.md", "docs/functions.md"])
def test_the_code_of_a_page_runs(page: str, backend: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.S)
    assert len(blocks) >= 2
    for block in blocks:
        names: dict[str, object] = {}
        exec(compile(block, page, "exec"), names)
        assert re.findall(r"^assert .*", block, re.M), "each block checks its own result"


def test_a_nested_net_is_frozen_by_its_name(backend: str) -> None:
    net = _nested().build((4,))
    net.trainable("1", False)
    before = {name: array.copy() for name, array in net.params.items()}
    net.fit(X, X[:, :2], loss="mse", optimizer="sgd", epochs=2, verbose=0)
    changed = [name for name, array in net.params.items() if (array != before[name]).any()]
    assert changed == ["0.weight", "0.bias", "3.weight", "3.bias"]


def test_a_net_on_the_layers_of_a_nested_one_shares_its_arrays(backend: str) -> None:
    encoder = bp.Sequential([bp.Input((4,)), bp.Linear(3), bp.Tanh()])
    x = bp.Input((4,))
    code = encoder(x)
    net = bp.Model(x, bp.Linear(2)(code))
    part = bp.Model(x, code, share=net)
    assert list(part.params) == ["0.1.weight", "0.1.bias"]
    net.fit(X, X[:, :2], loss="mse", optimizer="sgd", epochs=2, verbose=0)
    weight, bias = net.params["0.1.weight"], net.params["0.1.bias"]
    np.testing.assert_allclose(part.predict(X), np.tanh(X @ weight + bias), rtol=1e-5)
