"""S89, S90, S93: an LSTM with all its gradients, encoder and decoder, a state from a feature."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import require_native
from golden.helpers import Kind, golden

import pybp as bp

HALF_SQUARED = bp.SquaredError("sum", half=True)

# ---------------------------------------------------------------------------------------- one LSTM


def figures_of(start):
    """Return the figures of S89 that go with a start, and its h_0 and c_0."""
    fig = golden("S89")
    if start == "zero_start":
        return fig, np.zeros(3), np.zeros(3)
    return fig["nonzero_start"], fig["nonzero_start"]["h0"], fig["nonzero_start"]["c0"]


def lstm_net(model, bias_hh=0.0):
    """Return the net (x, h_0, c_0) -> (all h_t, c_N)."""
    fig = golden("S89")
    x, h0, c0 = bp.Input((None, 2)), bp.Input((3,)), bp.Input((3,))
    h, _, c = bp.LSTM(3, return_state=True, name="lstm")(x, initial_state=(h0, c0))
    params = {
        "lstm.weight_ih_l0": fig["W"], "lstm.weight_hh_l0": fig["U"],
        "lstm.bias_ih_l0": fig["b"] - bias_hh, "lstm.bias_hh_l0": np.full(12, bias_hh),
    }  # fmt: skip
    return model([x, h0, c0], [h, c], params)


@pytest.mark.parametrize("start", ["zero_start", "nonzero_start"])
def test_lstm_gives_its_states_after_every_step(model, array, close, start):
    """S89: h_1 ... h_3; c_1 ... c_3 as the last states of sequences of 1, 2 and 3 steps."""
    want, h0, c0 = figures_of(start)
    x = array(golden("S89")["x"])
    first_steps = [x[:n] for n in (3, 1, 2)]
    h, c = lstm_net(model).predict((first_steps, array([h0] * 3), array([c0] * 3)))
    close(c, want["c"][[2, 0, 1]], Kind.SMOOTH)
    for states, n in zip(h, (3, 1, 2), strict=True):
        close(states, want["h"][:n], Kind.SMOOTH)


@pytest.mark.parametrize("bias_hh", [0.0, 0.25])
@pytest.mark.parametrize("start", ["zero_start", "nonzero_start"])
def test_lstm_has_all_its_gradients(model, array, close, start, bias_hh):
    """S89: W, U, b, h_0 and c_0; b may lie in one of the two biases or be shared out."""
    want, h0, c0 = figures_of(start)
    fig, net = golden("S89"), lstm_net(model, bias_hh)
    h, c = net.forward((array([fig["x"]]), array([h0]), array([c0])), training=True)
    value, dh_3 = HALF_SQUARED.value_and_grad(h[:, -1], array([fig["target_h3"]]))
    slope = want.get("slope_c3", np.zeros(3))
    close(value + float(c[0] @ slope), want["E"], Kind.SMOOTH)
    dh = array(np.zeros((1, 3, 3)))
    dh[:, -1] = dh_3
    _, dh_0, dc_0 = net.backward((dh, array([slope])))
    for name, key in (
        ("weight_ih", "dW"),
        ("weight_hh", "dU"),
        ("bias_ih", "db"),
        ("bias_hh", "db"),
    ):
        close(net.grads[f"lstm.{name}_l0"], want[key], Kind.GRADIENT)
    close(dh_0[0], want["dh0"], Kind.GRADIENT)
    close(dc_0[0], want["dc0"], Kind.GRADIENT)


def test_gradients_of_two_starts_in_one_batch_add_up(model, array, close):
    """S89: one row from zeros, one from other states, each with its own."""
    fig, net = golden("S89"), lstm_net(model)
    wants = [figures_of(start) for start in ("zero_start", "nonzero_start")]
    x, h0, c0 = (
        array([fig["x"]] * 2), array([h for _, h, _ in wants]), array([c for _, _, c in wants]),
    )  # fmt: skip
    h, _ = net.forward((x, h0, c0), training=True)
    dh = array(np.zeros((2, 3, 3)))
    dh[:, -1] = h[:, -1] - array([fig["target_h3"]] * 2)
    dc = array([np.zeros(3), fig["nonzero_start"]["slope_c3"]])
    _, dh_0, dc_0 = net.backward((dh, dc))
    for name, key in (("weight_ih", "dW"), ("weight_hh", "dU"), ("bias_ih", "db")):
        total = sum(want[key] for want, _, _ in wants)
        close(net.grads[f"lstm.{name}_l0"], total, Kind.GRADIENT)
    close(dh_0, [want["dh0"] for want, _, _ in wants], Kind.GRADIENT)
    close(dc_0, [want["dc0"] for want, _, _ in wants], Kind.GRADIENT)


def two_marked_numbers(rng, count, steps=30):
    """Return rows of (number in [0, 1), mark), a mark in each half, and the marked sums."""
    x = np.zeros((count, steps, 2), "f4")
    x[:, :, 0] = rng.random((count, steps))
    rows, half = np.arange(count), steps // 2
    places = rng.integers(0, half, count), rng.integers(half, steps, count)
    for place in places:
        x[rows, place, 1] = 1
    return x, sum(x[rows, place, :1] for place in places)


@pytest.mark.parametrize(
    ("cell", "learns"),
    [(bp.LSTM, True), (bp.GRU, True), (bp.RNN, False)],
    ids=["lstm", "gru", "elman"],
)
def test_lstm_remembers_over_gaps_at_which_an_elman_net_fails(cell, learns):
    """S89: the sum of two numbers among 30 (Hochreiter and Schmidhuber 1997); 1/6 by guessing 1."""
    require_native()
    rng = np.random.default_rng(0)
    net = bp.Sequential([cell(24, return_sequences=False), bp.Linear(1)], backend="native")
    net.fit(
        *two_marked_numbers(rng, 40_000), loss="mse", optimizer=bp.Adam(0.02), epochs=1, verbose=0
    )
    error = net.evaluate(*two_marked_numbers(rng, 500), loss="mse")["loss"]
    assert error < 0.002 if learns else error > 0.1


# ----------------------------------------------------------------------------- encoder and decoder


def translator(model, tokens):
    """Return the net of S90 on one-hot rows, or on token numbers through a table of such rows."""
    fig = golden("S90")
    shape, dtype = ((None, 4), None) if tokens == "one_hot" else ((None,), "int32")
    source, target = (bp.Input(shape, dtype=dtype, name=name) for name in ("source", "target"))
    params = {"out.weight": fig["Wo"]}
    for name, w, u in (("encoder", "We", "Ue"), ("decoder", "Wd", "Ud")):
        params |= {f"{name}.weight_ih_l0": fig[w], f"{name}.weight_hh_l0": fig[u]}
    x, y = source, target
    if tokens == "numbers":
        table = bp.Embedding(4, 4, name="one_hot")
        x, y = table(source), table(target)
        params["one_hot.weight"] = np.eye(4)
    encoder = bp.LSTM(3, bias=False, return_state=True, name="encoder")
    _, *state = encoder(x)
    h = bp.LSTM(3, bias=False, name="decoder")(y, initial_state=tuple(state))
    return model([source, target], bp.Linear(4, bias=False, name="out")(h), params)


@pytest.mark.parametrize("tokens", ["one_hot", "numbers"])
def test_encoder_and_decoder(model, close, dtype, tokens):
    """S90: probabilities, mean cross entropy 1.4164, and the gradients of both LSTMs."""
    fig, net = golden("S90"), translator(model, tokens)
    source, given, wanted = (
        fig[key].astype(int)[None] for key in ("source", "decoder_input", "decoder_target")
    )
    one_hot = np.eye(4, dtype=dtype)
    x = (source, given) if tokens == "numbers" else (one_hot[source], one_hot[given])
    logits = net.forward(x, training=True)
    softmax = bp.Sequential([bp.Softmax()], dtype=dtype)
    close(softmax.predict(logits)[0], fig["probabilities"], Kind.SMOOTH)
    value, dy = bp.CrossEntropy().value_and_grad(logits, wanted)
    close(value, fig["loss_mean_cross_entropy"], Kind.SMOOTH)
    net.backward(dy)
    named = {"out.weight": "dWo"}
    for name, letter in (("encoder", "e"), ("decoder", "d")):
        named |= {f"{name}.weight_ih_l0": f"dW{letter}", f"{name}.weight_hh_l0": f"dU{letter}"}
    for name, key in named.items():
        close(net.grads[name], fig[key], Kind.GRADIENT)
    trainer = bp.Trainer(net, loss=bp.CrossEntropy(), optimizer=bp.SGD(0.5))
    close(trainer.step(x, wanted), fig["loss_mean_cross_entropy"], Kind.SMOOTH)
    for name, key in (("encoder.weight_hh_l0", "Ue"), ("decoder.weight_hh_l0", "Ud")):
        close(net.params[name], fig[key] - 0.5 * fig[f"d{key}"], Kind.GRADIENT)


START, END = 0, 1


def test_short_sequences_are_learned_backwards(backend):
    """S90: all 14 words of 1 to 3 letters a, b; greedy decoding gives each in reverse."""
    words = [[2 + (n >> i & 1) for i in range(size)] for size in (1, 2, 3) for n in range(2**size)]
    source = [np.array([*word, END]) for word in words]
    given = [np.array([START, *word[::-1]]) for word in words]
    wanted = [np.array([*word[::-1], END]) for word in words]
    inputs = [bp.Input((None,), dtype="int32") for _ in range(2)]
    table = bp.Embedding(4, 8)
    _, *state = bp.LSTM(16, return_state=True)(table(inputs[0]))
    h = bp.LSTM(16)(table(inputs[1]), initial_state=tuple(state))
    net = bp.Model(inputs, bp.Linear(4)(h), seed=1)
    net.fit(
        (source, given), wanted, loss="cross_entropy", optimizer=bp.Adam(0.02), epochs=120,
        batch_size=None, verbose=0,
    )  # fmt: skip
    said = [[START] for _ in words]
    for _ in range(4):
        logits = net.predict((source, [np.array(each) for each in said]))
        for each, rows in zip(said, logits, strict=True):
            each.append(int(rows[-1].argmax()))
    for each, answer in zip(said, wanted, strict=True):
        assert each[1 : 1 + len(answer)] == answer.tolist()


# --------------------------------------------------------------------------- a state from a feature


def test_first_state_from_a_feature(model, array, close):
    """S93: s_0 = tanh(feature W_f), then the recurrent layer of S82."""
    fig, cell = golden("S93"), golden("S82")
    feature, x = bp.Input((4,)), bp.Input((None, 2))
    s0 = bp.Tanh()(bp.Linear(3, bias=False, name="feature")(feature))
    s = bp.RNN(3, bias=False, name="hidden")(x, initial_state=s0)
    y = bp.Linear(2, bias=False, name="out")(s)
    params = {
        "feature.weight": fig["Wf"], "hidden.weight_ih_l0": cell["Wx"],
        "hidden.weight_hh_l0": cell["Ws"], "out.weight": cell["Wy"],
    }  # fmt: skip
    net = model([feature, x], [s0, s, y], params)
    given = array([fig["feature"]]), array([[fig["x1"]]])
    first, states, outputs = net.forward(given, training=True)
    close(first[0], fig["s0"], Kind.SMOOTH)
    close(states[0, 0], fig["s1"], Kind.SMOOTH)
    close(outputs[0, 0], fig["y1"], Kind.SMOOTH)
    # the gradient of the sum of y_1 goes back to the feature by the chain rule
    by_feature, _ = net.backward((None, None, array([[[1.0, 1.0]]])))
    delta_1 = cell["Wy"].sum(axis=1) * (1 - fig["s1"] ** 2)
    delta_0 = (cell["Ws"] @ delta_1) * (1 - fig["s0"] ** 2)
    close(net.grads["feature.weight"], np.outer(fig["feature"], delta_0), Kind.GRADIENT)
    close(by_feature[0], fig["Wf"] @ delta_0, Kind.GRADIENT)


def test_different_features_get_different_captions(backend):
    """S93: three pictures' features, three toy captions, told by greedy decoding."""
    words = ["<start>", "<end>", "a", "cat", "dog", "sleeps", "runs", "fast"]
    captions = ["a cat sleeps", "a dog runs fast", "a dog sleeps"]
    wanted = [np.array([words.index(w) for w in [*text.split(), "<end>"]]) for text in captions]
    given = [np.array([START, *caption[:-1]]) for caption in wanted]
    features = np.random.default_rng(0).normal(size=(3, 4)).astype("f4")
    feature, x = bp.Input((4,)), bp.Input((None,), dtype="int32")
    s0 = bp.Tanh()(bp.Linear(16)(feature))
    s = bp.RNN(16)(bp.Embedding(len(words), 8)(x), initial_state=s0)
    net = bp.Model([feature, x], bp.Linear(len(words))(s))
    net.fit(
        (features, given), wanted, loss="cross_entropy", optimizer=bp.Adam(0.02), epochs=100,
        batch_size=None, verbose=0,
    )  # fmt: skip
    for picture, text in zip(features, captions, strict=True):
        said = [START]
        while said[-1] != END and len(said) < 8:
            said.append(int(net.predict((picture[None], np.array([said])))[0, -1].argmax()))
        assert " ".join(words[i] for i in said[1:-1]) == text
