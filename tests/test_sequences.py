"""Nets on sequences: padded arrays, lists, lengths, states, streams, several inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tolerance import TRAINING, check_close

import pybp as bp

RNG = np.random.default_rng(4)
X = RNG.normal(size=(5, 7, 3))
LENGTHS = np.array([3, 7, 1, 4, 7])
LISTS = [row[:length] for row, length in zip(X, LENGTHS, strict=True)]
LABELS = RNG.integers(0, 4, (5, 7))
LABEL_LISTS = [row[:length] for row, length in zip(LABELS, LENGTHS, strict=True)]
CELLS = (bp.RNN, bp.LSTM, bp.GRU)
LAYERS: list[bp.layers.Layer] = [
    bp.RNN(6),
    bp.RNN(6, nonlinearity="relu"),
    bp.LSTM(6),
    bp.GRU(6),
    bp.LSTM(5, num_layers=2, bidirectional=True),
    bp.Bidirectional(bp.GRU(5)),
    bp.GRU(4, num_layers=3),
]


def _net(*layers: bp.layers.Layer, dtype: str = "float64") -> bp.Sequential:
    return bp.Sequential(layers, dtype=dtype, seed=1)


def _fitted(net: bp.Sequential, x: Any, y: Any, **arguments: Any) -> bp.Sequential:
    arguments = {"loss": "cross_entropy", "optimizer": bp.Adam(0.01), "batch_size": 2} | arguments
    net.fit(x, y, epochs=2, verbose=0, **arguments)
    return net


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_padded_arrays_lists_and_each_alone_agree(layer: bp.layers.Layer, backend: str) -> None:
    net = _net(layer, bp.Linear(4)).build((None, 3))
    padded = net.predict(X, lengths=LENGTHS)
    lists = net.predict(LISTS)
    assert padded.shape == (5, 7, 4)
    for i, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(padded[i, :length], lists[i])
        assert not padded[i, length:].any()
        alone = net.predict(X[i : i + 1, :length])[0]
        if backend == "native":
            np.testing.assert_array_equal(alone, lists[i])
        check_close(alone, lists[i], "float64", 8, TRAINING)


@pytest.mark.parametrize("cell", CELLS)
def test_the_last_output_is_that_of_the_own_last_step(cell: Any, backend: str) -> None:
    every, last = _net(cell(6)), _net(cell(6, return_sequences=False))
    every.build((None, 3))
    last.build((None, 3))
    outputs = every.predict(LISTS)
    got = last.predict(LISTS)
    assert got.shape == (5, 6)
    np.testing.assert_array_equal(got, [y[-1] for y in outputs])


def test_both_directions_are_reversed_within_each_length(backend: str) -> None:
    both = _net(bp.LSTM(4, bidirectional=True)).build((None, 3))
    ends = _net(bp.LSTM(4, bidirectional=True, return_sequences=False)).build((None, 3))
    there, back = _net(bp.LSTM(4)).build((None, 3)), _net(bp.LSTM(4)).build((None, 3))
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        there.params[f"0.{name}"] = both.params[f"0.{name}"]
        back.params[f"0.{name}"] = both.params[f"0.{name}_reverse"]
    ys = both.predict(LISTS)
    forward = there.predict(LISTS)
    backward = back.predict([x[::-1].copy() for x in LISTS])
    for y, a, b, end in zip(ys, forward, backward, ends.predict(LISTS), strict=True):
        check_close(y, np.concatenate([a, b[::-1]], axis=-1), "float64", 8, TRAINING)
        check_close(end, np.concatenate([a[-1], b[-1]]), "float64", 8, TRAINING)


def test_training_on_lists_equals_training_on_padded_arrays(backend: str) -> None:
    """And what stands behind the lengths doesn't matter."""
    wild = np.where(np.arange(7)[None, :, None] < LENGTHS[:, None, None], X, np.nan)
    nets = [
        _fitted(_net(bp.GRU(6), bp.Dropout(0.3), bp.Linear(4)), x, y, lengths=lengths)
        for x, y, lengths in (
            (LISTS, LABEL_LISTS, None),
            (wild, LABELS, LENGTHS),
            (LISTS, LABELS, None),
            (bp.Ragged.of(LISTS), bp.Ragged.of(LABEL_LISTS), None),
        )
    ]
    for net in nets[1:]:
        assert net.params.flat.tobytes() == nets[0].params.flat.tobytes()


def test_losses_are_means_over_the_steps_there_are(backend: str) -> None:
    net = _net(bp.LSTM(5), bp.Linear(4)).build((None, 3))
    outputs = np.concatenate(net.predict(LISTS))
    labels = np.concatenate(LABEL_LISTS)
    value, _ = bp.CrossEntropy().value_and_grad(outputs, labels)
    got = net.evaluate(X, LABELS, lengths=LENGTHS, loss="cross_entropy", metrics=["accuracy"])
    assert got["loss"] == pytest.approx(value, rel=1e-12)
    assert got["accuracy"] == np.mean(outputs.argmax(-1) == labels)
    total, _ = bp.CrossEntropy("sum").value_and_grad(outputs, labels)
    for reduction in ("batch", "sum"):
        loss = bp.CrossEntropy(reduction)
        assert net.evaluate(LISTS, LABEL_LISTS, loss=loss)["loss"] == pytest.approx(total / 5)
        step = bp.Trainer(net, loss, bp.SGD(0.0)).step(LISTS, LABEL_LISTS)
        assert step == pytest.approx(total / 5 if reduction == "batch" else total)


@pytest.mark.parametrize("given", ["samples", "steps", "lists"])
def test_weights_of_samples_and_of_steps(given: str, backend: str) -> None:
    each = RNG.uniform(0, 2, 5)
    steps = RNG.uniform(0, 2, (5, 7))
    flat = [row[:length] for row, length in zip(steps, LENGTHS, strict=True)]
    weight = {"samples": each, "steps": steps, "lists": flat}[given]
    net = _net(bp.RNN(5), bp.Linear(4)).build((None, 3))
    outputs = np.concatenate(net.predict(LISTS))
    w = np.repeat(each, LENGTHS) if given == "samples" else np.concatenate(flat)
    value, _ = bp.CrossEntropy().value_and_grad(outputs, np.concatenate(LABEL_LISTS), w)
    got = net.evaluate(LISTS, LABEL_LISTS, loss="cross_entropy", sample_weight=weight)
    assert got["loss"] == pytest.approx(value, rel=1e-12)


def test_class_weights_weigh_steps(backend: str) -> None:
    weights = np.array([0.5, 1, 2, 3])
    plain = _net(bp.RNN(5), bp.Linear(4))
    _fitted(plain, LISTS, LABEL_LISTS, class_weight=weights)
    by_hand = _net(bp.RNN(5), bp.Linear(4))
    _fitted(by_hand, LISTS, LABEL_LISTS, sample_weight=[weights[y] for y in LABEL_LISTS])
    assert plain.params.flat.tobytes() == by_hand.params.flat.tobytes()


def test_a_step_by_hand_is_a_step_of_the_trainer(backend: str) -> None:
    """Forward, the loss, backward, update: the gradients of a ragged batch are the trainer's."""
    trained, by_hand = (_net(bp.LSTM(5), bp.Linear(4)).build((None, 3)) for _ in range(2))
    bp.Trainer(trained, "cross_entropy", bp.SGD(0.1)).step(LISTS, LABEL_LISTS)
    y = by_hand.forward(LISTS, training=True)
    _, dy = bp.CrossEntropy().value_and_grad(np.concatenate(y), np.concatenate(LABEL_LISTS))
    cuts = np.cumsum(LENGTHS)[:-1]
    dx = by_hand.backward(np.split(dy, cuts))
    bp.SGD(0.1).step(by_hand)
    assert [a.shape for a in dx] == [a.shape for a in LISTS]
    check_close(by_hand.params.flat, trained.params.flat, "float64", 35, TRAINING)


def test_a_net_takes_any_number_of_steps(backend: str) -> None:
    net = _fitted(_net(bp.GRU(4), bp.Linear(4)), X, LABELS)
    assert net.input_shape == (None, 3)
    assert net.output_shape == (None, 4)
    for steps in (1, 2, 30):
        assert net.predict(np.ones((2, steps, 3))).shape == (2, steps, 4)
    fixed = _net(bp.Input((7, 3)), bp.GRU(4))
    with pytest.raises(ValueError, match=r"must have shape \(n, 7, 3\)"):
        fixed.predict(np.ones((2, 6, 3)))


def test_layers_of_whole_samples_stand_before_and_behind(backend: str) -> None:
    """A convolution before, a Flatten behind: then all sequences have one length."""
    net = _net(bp.Conv1d(4, 3), bp.ReLU(), bp.LSTM(5), bp.Flatten(), bp.Linear(2))
    labels = np.arange(5) % 2
    _fitted(net, X, labels)
    assert net.input_shape == (7, 3)
    dx = net.backward(np.ones_like(net.forward(X)))
    assert dx.shape == X.shape
    behind = _net(bp.GRU(5), bp.Flatten(), bp.Linear(2)).build((7, 3))
    assert behind.predict(X).shape == (5, 2)
    short = behind.predict(X, lengths=LENGTHS)  # what is not there is 0 in the Flatten
    check_close(short[1], behind.predict(X)[1], "float64", 8, TRAINING)
    with pytest.raises(ValueError, match=r"layer 1 \(Flatten\) needs sequences of one length"):
        _net(bp.GRU(5), bp.Flatten()).build((None, 3))


@pytest.mark.parametrize("cell", CELLS)
def test_states_go_in_and_out(cell: Any, backend: str) -> None:
    """Two halves, the second from the states of the first, are the whole."""
    x = bp.Input((None, 3))
    pair = cell is bp.LSTM
    h0 = [bp.Input((4,)) for _ in range(1 + pair)]
    layer = cell(4, return_state=True)
    y, *states = layer(x, initial_state=tuple(h0) if pair else h0[0])
    net = bp.Model([x, *h0], [y, *states], dtype="float64")
    zeros = [np.zeros((5, 4))] * (1 + pair)
    whole, *ends = net.predict((X, *zeros))
    first, *middle = net.predict((X[:, :3], *zeros))
    second, *ends_again = net.predict((X[:, 3:], *middle))
    np.testing.assert_array_equal(np.concatenate([first, second], 1), whole)
    for a, b in zip(ends, ends_again, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(ends[0], whole[:, -1])


def test_states_of_several_layers_and_directions(backend: str) -> None:
    x, h0, c0 = bp.Input((None, 3)), bp.Input((4, 2)), bp.Input((4, 2))
    layer = bp.LSTM(2, num_layers=2, bidirectional=True, return_state=True)
    net = bp.Model([x, h0, c0], list(layer(x, initial_state=(h0, c0))), dtype="float64")
    start = RNG.normal(size=(2, 5, 4, 2))
    y, h, c = net.forward((LISTS, *start))
    assert (h.shape, c.shape) == ((5, 4, 2), (5, 4, 2))
    np.testing.assert_array_equal([a[-1, :2] for a in y], h[:, 2])  # layer 1, forward
    np.testing.assert_array_equal([a[0, 2:] for a in y], h[:, 3])  # layer 1, backward
    dx, dh0, dc0 = net.backward((None, h, c))
    assert [a.shape for a in dx] == [a.shape for a in LISTS]
    assert (dh0.shape, dc0.shape) == ((5, 4, 2), (5, 4, 2))
    assert all(np.abs(g).max() > 0 for g in (dh0, dc0))


def test_inputs_go_by_name_or_in_order(backend: str) -> None:
    a, b = bp.Input((None, 3), name="a"), bp.Input((None, 2), name="b")
    net = bp.Model([a, b], bp.Linear(1)(bp.GRU(3)(bp.Concat()([a, b]))), dtype="float64")
    second = RNG.normal(size=(5, 7, 2))
    y = net.predict((X, second))
    np.testing.assert_array_equal(net.predict({"b": second, "a": X}), y)
    ragged = (LISTS, [row[:length] for row, length in zip(second, LENGTHS, strict=True)])
    np.testing.assert_array_equal(net.predict(ragged)[1], y[1])
    both = net.predict((X, second), lengths=(LENGTHS, LENGTHS))
    np.testing.assert_array_equal(both[1], y[1])
    with pytest.raises(ValueError, match="input b must have the time steps of the inputs"):
        net.predict((LISTS, ragged[1][::-1]))


def test_inputs_of_different_lengths(backend: str) -> None:
    """An encoder's last state starts a decoder; each batch has two sets of lengths."""
    source, target = bp.Input((None,), dtype="int32"), bp.Input((None,), dtype="int32")
    _, h, c = bp.LSTM(4, return_state=True)(bp.Embedding(6, 3)(source))
    decoded = bp.LSTM(4)(bp.Embedding(5, 3)(target), initial_state=(h, c))
    net = bp.Model([source, target], bp.Linear(5)(decoded), dtype="float64", seed=2)
    sources = [RNG.integers(0, 6, length) for length in LENGTHS]
    targets = [RNG.integers(0, 5, length) for length in LENGTHS[[1, 0, 3, 2, 4]]]
    outputs = net.predict((sources, targets))
    for i in range(5):
        alone = net.predict((sources[i : i + 1], targets[i : i + 1]))[0]
        check_close(alone, outputs[i], "float64", 8, TRAINING)
    before = net.evaluate((sources, targets), targets, loss="cross_entropy")["loss"]
    optimizer = bp.Adam(0.05)
    net.fit(
        (sources, targets), targets, loss="cross_entropy", optimizer=optimizer, epochs=20, verbose=0
    )
    assert net.evaluate((sources, targets), targets, loss="cross_entropy")["loss"] < before / 2
    net.forward((sources, targets))
    assert net.backward(outputs) == (None, None)


# ------------------------------------------------------------------------------------ the promises


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_of_states_is_the_same_in_both_backends(cell: Any) -> None:
    """A unit is dropped at all steps of a sequence; evaluation drops none."""
    trained, outputs = [], []
    for name in ("numpy", "native"):
        layer = cell(6, num_layers=2, dropout=0.3, recurrent_dropout=0.4)
        net = bp.Sequential([layer, bp.Linear(4)], dtype="float64", seed=1, backend=name)
        start = net.build((None, 3)).predict(LISTS)
        plain = bp.Sequential([cell(6, num_layers=2), bp.Linear(4)], dtype="float64", seed=1)
        plain.backend = name
        for a, b in zip(start, plain.build((None, 3)).predict(LISTS), strict=True):
            np.testing.assert_array_equal(a, b)
        assert not np.array_equal(net.forward(LISTS, training=True)[1], net.forward(LISTS)[1])
        trained.append(_fitted(net, LISTS, LABEL_LISTS).params.flat)
        outputs.append(np.concatenate(net.predict(LISTS)))
    check_close(trained[1], trained[0], "float64", 35, TRAINING)
    check_close(outputs[1], outputs[0], "float64", 35, TRAINING)


@pytest.mark.parametrize("layer", [bp.RNN(6), bp.LSTM(6, num_layers=2), bp.GRU(6)], ids=repr)
def test_epochs_steps_and_threads_make_no_difference(layer: bp.layers.Layer) -> None:
    def net() -> bp.Sequential:
        return bp.Sequential([layer, bp.Dropout(0.2), bp.Linear(4)], seed=3, backend="native")

    def fit(target: bp.Sequential, epochs: int) -> None:
        trainer = bp.Trainer(target, "cross_entropy", bp.Adam(0.01))
        trainer.fit(LISTS, LABEL_LISTS, epochs=epochs, batch_size=2, shuffle=False, verbose=0)

    together, one_by_one, stepped = net(), net(), net()
    threads = bp.num_threads()
    try:
        bp.set_num_threads(1)
        fit(together, 3)
        bp.set_num_threads(3)
        for _ in range(3):
            fit(one_by_one, 1)
        trainer = bp.Trainer(stepped, "cross_entropy", bp.Adam(0.01))
        for _ in range(3):
            for a in range(0, 5, 2):
                trainer.step(LISTS[a : a + 2], LABEL_LISTS[a : a + 2])
    finally:
        bp.set_num_threads(threads)
    for other in (one_by_one, stepped):
        assert other.params.flat.tobytes() == together.params.flat.tobytes()


def test_a_net_of_sequences_is_saved(tmp_path: Path, backend: str) -> None:
    x, h0 = bp.Input((None, 3), name="x"), bp.Input((4,), name="h")
    y, h = bp.Bidirectional(bp.GRU(2, return_state=True))(x)
    net = bp.Model([x, h0], [bp.GRU(4)(y, initial_state=h0), h], dtype="float64")
    net.save(tmp_path / "net.safetensors")
    again = bp.load(tmp_path / "net.safetensors")
    assert again.summary() == net.summary()
    given = {"x": LISTS, "h": RNG.normal(size=(5, 4))}
    for a, b in zip(again.predict(given), net.predict(given), strict=True):
        np.testing.assert_array_equal(np.concatenate(a), np.concatenate(b))


def test_batches_of_two_sizes_in_turn_are_bound_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many short sequences, then few long ones: the workspace grows to hold either."""
    net = _net(bp.GRU(3), bp.Linear(4)).build((None, 3))
    trainer = bp.Trainer(net, "cross_entropy", "sgd")
    short = (RNG.normal(size=(6, 2, 3)), np.zeros((6, 2), int))
    long = (RNG.normal(size=(2, 9, 3)), np.zeros((2, 9), int))
    bound: list[str] = []
    bind = net.bind

    def counted(program: Any, *arguments: Any, **named: Any) -> Any:
        bound.append(program.name)
        return bind(program, *arguments, **named)

    monkeypatch.setattr(net, "bind", counted)
    for x, y in (short, long, short, long, short):
        trainer.step(x, y)
        net.predict(x)
        net.evaluate(x, y, loss="cross_entropy")
        net.forward(x)
    assert bound.count("train") == bound.count("predict") == bound.count("gradient") == 2
