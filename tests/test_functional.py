"""Functions on arrays: the layers' results, gradients by finite differences, errors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from finite_difference import directional_difference

import pybp as bp

F = bp.functional
RNG = np.random.default_rng(0)


def _normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def _apart(*shape: int) -> np.ndarray:
    """Return numbers that lie 0.1 apart from each other and 0.05 from 0: no maximum is near."""
    return (
        RNG.permutation(np.arange(np.prod(shape)) - np.prod(shape) // 2).reshape(shape) / 10 + 0.05
    )


class Case(NamedTuple):
    """A call: the arrays, all else, and the layer whose result it is."""

    function: Any
    arrays: tuple[Any, ...]
    options: dict[str, Any]
    layer: bp.layers.Layer | None
    parameters: tuple[str, ...] = ()  # of the layer: the names of arrays[1:]


LENGTHS = np.array([4, 1, 3])
IDS = np.array([[0, 3, 3], [2, 0, 5]])
IMAGE = _apart(2, 6, 5, 4)
SERIES = _apart(2, 7, 4)
ROWS = _apart(5, 4)

ACTIVATIONS = [
    Case(F.relu, (ROWS,), {}, bp.ReLU()),
    Case(F.leaky_relu, (ROWS,), {"negative_slope": 0.2}, bp.LeakyReLU(0.2)),
    Case(F.sigmoid, (ROWS,), {"slope": 2.0}, bp.Sigmoid(2.0)),
    Case(F.tanh, (ROWS,), {}, bp.Tanh()),
    Case(F.elu, (ROWS,), {"alpha": 0.7}, bp.ELU(0.7)),
    Case(F.selu, (ROWS,), {}, bp.SELU()),
    Case(F.gelu, (ROWS,), {}, bp.GELU()),
    Case(F.gelu, (ROWS,), {"approximate": "tanh"}, bp.GELU("tanh")),
    Case(F.silu, (ROWS,), {}, bp.SiLU()),
    Case(F.mish, (ROWS,), {}, bp.Mish()),
    Case(F.softplus, (ROWS,), {"beta": 2.0}, bp.Softplus(2.0)),
    Case(F.softsign, (ROWS,), {}, bp.Softsign()),
    Case(F.hardtanh, (ROWS,), {"max_val": 0.5}, bp.HardTanh(max_val=0.5)),
    Case(F.hardsigmoid, (ROWS,), {}, bp.HardSigmoid()),
    Case(F.heaviside, (ROWS,), {}, bp.Heaviside()),
    Case(F.softmax, (ROWS,), {}, bp.Softmax()),
    Case(F.softmax, (SERIES,), {"axis": 1}, bp.Softmax(1)),
    Case(F.log_softmax, (ROWS,), {}, bp.LogSoftmax()),
]

WINDOWS = [
    Case(
        F.conv1d, (SERIES, _normal(3, 4, 6), _normal(6)), {"padding": "same"},
        bp.Conv1d(6, 3, padding="same"), ("weight", "bias"),
    ),
    Case(
        F.conv2d, (IMAGE, _normal(3, 2, 2, 6), _normal(6)), {"stride": (2, 1), "groups": 2},
        bp.Conv2d(6, (3, 2), (2, 1), groups=2), ("weight", "bias"),
    ),
    Case(
        F.conv2d, (IMAGE, _normal(2, 2, 4, 3)), {"padding": ((1, 0), 1), "flip": True},
        bp.Conv2d(3, 2, padding=((1, 0), 1), flip=True, bias=False), ("weight",),
    ),
    Case(
        F.conv_transpose2d, (IMAGE, _normal(3, 3, 2, 4), _normal(4)),
        {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
        bp.ConvTranspose2d(4, 3, 2, 1, 1, groups=2), ("weight", "bias"),
    ),
    Case(F.upsample2d, (IMAGE, ), {"scale_factor": (2, 3)}, bp.Upsample2d((2, 3))),
    Case(F.max_pool1d, (SERIES,), {"kernel_size": 3, "stride": 2}, bp.MaxPool1d(3, 2)),
    Case(F.max_pool2d, (IMAGE,), {"kernel_size": 2, "padding": 1}, bp.MaxPool2d(2, padding=1)),
    Case(F.avg_pool1d, (SERIES,), {"kernel_size": 2, "ceil_mode": True},
         bp.AvgPool1d(2, ceil_mode=True)),
    Case(F.avg_pool2d, (IMAGE,), {"kernel_size": 3, "padding": 1, "count_include_pad": False},
         bp.AvgPool2d(3, padding=1, count_include_pad=False)),
    Case(F.global_avg_pool1d, (SERIES,), {}, bp.GlobalAvgPool1d()),
    Case(F.global_max_pool1d, (SERIES,), {}, bp.GlobalMaxPool1d()),
    Case(F.global_avg_pool2d, (IMAGE,), {}, bp.GlobalAvgPool2d()),
    Case(F.global_max_pool2d, (IMAGE,), {}, bp.GlobalMaxPool2d()),
]  # fmt: skip

OTHERS = [
    Case(F.linear, (ROWS, _normal(4, 3), _normal(3)), {}, bp.Linear(3), ("weight", "bias")),
    Case(F.linear, (SERIES, _normal(4, 3)), {}, bp.Linear(3, bias=False), ("weight",)),
    Case(F.add, (ROWS, _normal(5, 4)), {}, None),
    Case(F.multiply, (ROWS, _normal(5, 4)), {}, None),
    Case(F.concat, (ROWS, _normal(5, 2)), {}, None),
    Case(F.dropout, (ROWS,), {"p": 0.4, "seed": 3, "step": 2}, None),
    Case(F.layer_norm, (ROWS,), {}, bp.LayerNorm(elementwise_affine=False)),
    Case(
        F.layer_norm, (SERIES,), {"normalized_shape": (7, 4), "weight": _normal(7, 4)},
        bp.LayerNorm(axes=(1, 2), bias=False),
    ),
    Case(F.batch_norm, (SERIES,), {}, bp.BatchNorm(affine=False, track_running_stats=False)),
    Case(
        F.batch_norm, (ROWS,), {"running_mean": _normal(4), "running_var": _normal(4) ** 2,
        "weight": _normal(4), "bias": _normal(4)}, bp.BatchNorm(),
    ),
    Case(F.embedding, (IDS, _normal(6, 3)), {}, None),
    Case(F.embedding_bag, (IDS, _normal(6, 3)), {"mode": "max"}, None),
]  # fmt: skip

CELLS = [
    Case(
        function, (_normal(3, 4, 2), _normal(2, gates * 3), _normal(3, gates * 3),
        _normal(gates * 3), _normal(gates * 3)), {"lengths": LENGTHS},
        layer(3, return_state=True),
        ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
    )
    for function, layer, gates in ((F.rnn, bp.RNN, 1), (F.lstm, bp.LSTM, 4), (F.gru, bp.GRU, 3))
]  # fmt: skip

CASES = [*ACTIVATIONS, *WINDOWS, *OTHERS, *CELLS]
NAMES = [f"{i}-{case.function.__name__}" for i, case in enumerate(CASES)]


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("case", [c for c in CASES if c.layer], ids=lambda c: c.function.__name__)
def test_the_value_is_that_of_the_layer(case: Case, backend: str, dtype: str) -> None:
    arrays = [array.astype(dtype) for array in case.arrays]
    options = {
        name: value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f"
        else value for name, value in case.options.items()
    }  # fmt: skip
    y = case.function(*arrays, **options)
    net = bp.Sequential([bp.Input(case.arrays[0].shape[1:], layout="channels_last"), case.layer],
                        dtype=dtype)  # fmt: skip
    for name, array in zip(case.parameters, arrays[1:], strict=True):
        net.params[f"1.{name}"] = array
    for name, array in options.items():
        if name in ("weight", "bias"):
            net.params[f"1.{name}"] = array
        if name in ("running_mean", "running_var"):
            net.buffers[f"1.{name}"] = array
    expected = net.predict(arrays[0], lengths=case.options.get("lengths"))
    for one, two in zip(_tuple(y), _tuple(expected), strict=True):
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_gradients_are_finite_differences(case: Case, backend: str) -> None:
    keywords = {
        name: value for name, value in case.options.items()
        if name in ("weight", "bias") and isinstance(value, np.ndarray)
    }  # fmt: skip
    arrays = [np.array(array) for array in case.arrays]
    found = case.function(*arrays, **case.options)
    seeds = tuple(_normal(*one.shape) for one in _tuple(found))
    if "lengths" in case.options:  # what lies after the last step has no gradient
        seeds[0][np.arange(seeds[0].shape[1]) >= case.options["lengths"][:, None]] = 0
    dy = seeds if isinstance(found, tuple) else seeds[0]
    gradients = _tuple(case.function.grad(dy, *arrays, **case.options))

    def value() -> float:
        results = _tuple(case.function(*arrays, **case.options))
        return float(sum(np.sum(a * b) for a, b in zip(results, seeds, strict=True)))

    assert len(gradients) >= len(arrays)
    moved = [*arrays, *keywords.values()]
    by_array = [*gradients[: len(arrays)], *gradients[1 : 1 + len(keywords)]]
    for array, gradient in zip(moved, by_array, strict=True):
        if array.dtype.kind != "f":
            assert gradient is None
            continue
        direction = _normal(*array.shape)
        expected = directional_difference(value, array, direction)
        terms = gradient * direction
        assert abs(terms.sum() - expected) <= 1e-8 * max(np.abs(terms).sum(), 1e-1)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_arguments_stay_and_any_layout_gives_the_same_bits(case: Case, backend: str) -> None:
    before = [array.copy() for array in case.arrays]
    y = _tuple(case.function(*case.arrays, **case.options))
    dy = tuple(np.ones_like(one) for one in y)
    dy = dy if len(dy) > 1 else dy[0]
    gradients = _tuple(case.function.grad(dy, *case.arrays, **case.options))
    for array, copy in zip(case.arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    for strange in (
        [np.asfortranarray(array) for array in case.arrays],
        [np.repeat(array, 2, axis=-1)[..., ::2] for array in case.arrays],
        [array.astype(array.dtype.newbyteorder(">")) for array in case.arrays],
    ):
        again = _tuple(case.function(*strange, **case.options))
        assert [one.tobytes() for one in again] == [one.tobytes() for one in y]
        slopes = _tuple(case.function.grad(dy, *strange, **case.options))
        for one, two in zip(slopes, gradients, strict=True):
            assert one is two is None or one.tobytes() == two.tobytes()


def test_what_is_left_out_has_no_gradient(backend: str) -> None:
    dx, dw, db = F.linear.grad(np.ones((5, 2)), ROWS, _normal(4, 2))
    assert dx.shape == (5, 4)
    assert dw.shape == (4, 2)
    assert db is None
    weights = [_normal(3, 8), _normal(2, 8)]
    x, state = _normal(2, 4, 3), _normal(2, 2)
    found = F.lstm.grad((None, np.ones((2, 2)), None), x, *weights, h0=state, c0=state)
    assert [one if one is None else one.shape for one in found] == [
        (2, 4, 3), (3, 8), (2, 8), None, None, (2, 2), (2, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("arrays", [("h0",), ("bias_hh",), ("bias_ih", "h0")])
def test_states_and_single_biases(arrays: tuple[str, ...], backend: str) -> None:
    x, w_ih, w_hh = _normal(2, 3, 4), _normal(4, 2), _normal(2, 2)
    given = {name: _normal(2, 2) if name == "h0" else _normal(2) for name in arrays}
    y, h = F.rnn(x, w_ih, w_hh, **given)
    state = given.get("h0", np.zeros((2, 2)))
    for t in range(3):
        state = np.tanh(
            x[:, t] @ w_ih + state @ w_hh + given.get("bias_ih", 0) + given.get("bias_hh", 0)
        )
        np.testing.assert_allclose(y[:, t], state, rtol=1e-12)
    np.testing.assert_array_equal(h, y[:, -1])


def test_dropout_is_that_of_a_net(backend: str) -> None:
    net = bp.Sequential([bp.Dropout(0.4)], seed=3, dtype="float64").build((4,))
    net.state.steps = 2
    np.testing.assert_array_equal(
        F.dropout(ROWS, 0.4, seed=3, step=2), net.forward(ROWS, training=True)
    )
    np.testing.assert_array_equal(F.dropout(ROWS, 0.4, training=False), ROWS)
    assert (F.dropout(ROWS, 0.4) != F.dropout(ROWS, 0.4, step=1)).any()


def test_batch_norm_in_training_leaves_the_statistics_alone(backend: str) -> None:
    mean, var = np.zeros(4), np.ones(4)
    y = F.batch_norm(ROWS, mean, var, training=True)
    np.testing.assert_allclose(
        y, (ROWS - ROWS.mean(0)) / np.sqrt(ROWS.var(0) + 1e-5), rtol=1e-10, atol=1e-12
    )
    assert not mean.any()
    np.testing.assert_allclose(F.batch_norm(ROWS, mean, var), ROWS / np.sqrt(1 + 1e-5))


def test_the_row_of_padding_has_no_gradient(backend: str) -> None:
    table = _normal(6, 3)
    np.testing.assert_array_equal(F.embedding(IDS, table, padding_idx=3), table[IDS])
    _, gradient = F.embedding.grad(np.ones((2, 3, 3)), IDS, table, padding_idx=3)
    assert gradient[:, 0].tolist() == [2, 0, 1, 0, 0, 1]


def test_bags_in_every_form(backend: str) -> None:
    table = _normal(6, 3)
    expected = np.array([table[[0, 3, 3]].sum(0), table[[2, 0, 5]].sum(0)])
    for bags in (
        F.embedding_bag(IDS, table, mode="sum"),
        F.embedding_bag(IDS.ravel(), table, np.array([0, 3]), mode="sum"),
        F.embedding_bag(list(IDS), table, mode="sum"),
        F.embedding_bag(IDS, table, mode="sum", per_sample_weights=np.ones((2, 3))),
    ):
        np.testing.assert_allclose(bags, expected, rtol=1e-12)
    factors = _normal(2, 3)
    seed = _normal(2, 3)
    none, dw, df = F.embedding_bag.grad(seed, IDS, table, mode="sum", per_sample_weights=factors)
    assert none is None
    np.testing.assert_allclose(df, np.einsum("nls,ns->nl", table[IDS], seed), rtol=1e-12)
    dense = np.zeros_like(table)
    np.add.at(dense, IDS, factors[..., None] * seed[:, None])
    np.testing.assert_allclose(dw, dense, rtol=1e-12)


def test_number_types(backend: str) -> None:
    single, double = ROWS.astype(np.float32), _normal(4, 2)
    assert F.relu(single).dtype == np.float32
    assert F.relu.grad(np.ones((5, 4)), single).dtype == np.float32
    assert F.linear(single, double).dtype == np.float64
    assert F.linear(single, double.astype(np.float32)).dtype == np.float32
    assert F.relu(ROWS.astype(np.float16)).dtype == np.float64
    assert F.relu(np.array([1, -2])).dtype == np.float64
    assert F.embedding(IDS.astype(np.uint8) % 4, double.astype(np.float32)).dtype == np.float32
    assert F.relu(np.array([1.5, -2])).tolist() == [1.5, 0]


def test_functions_have_a_gradient_and_say_so() -> None:
    for name in F.__all__:
        function = getattr(F, name)
        assert function.__doc__
        if name not in ("filter_image", "im2col", "col2im"):
            assert function.grad.__name__ == f"{name}.grad"
            assert name in function.grad.__doc__


def test_rows_of_several_sizes_in_turn(backend: str) -> None:
    w = _normal(4, 2)
    for rows in (3, 300, 1, 40):
        x = _normal(rows, 4)
        np.testing.assert_allclose(F.linear(x, w), x @ w, rtol=1e-12, atol=1e-14)
        dx, dw, _ = F.linear.grad(np.ones((rows, 2)), x, w)
        np.testing.assert_allclose(dx, np.ones((rows, 2)) @ w.T, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(dw, x.T @ np.ones((rows, 2)), rtol=1e-12, atol=1e-12)


def test_several_threads_do_not_mix_up_their_arrays(backend: str) -> None:
    wrong: list[int] = []

    def work(k: int) -> None:
        w = np.full((4, 2), float(k))
        for _ in range(50):
            if (F.linear(np.ones((3, 4)), w) != 4 * k).any():
                wrong.append(k)
            if (F.linear.grad(np.full((3, 2), float(k)), np.ones((3, 4)), w)[1] != 3 * k).any():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_large_arrays_are_not_kept(backend: str) -> None:
    from pybp.functional import function

    x = np.ones((1 << 10, 1 << 11), np.float32)
    function._kept.clear()
    F.relu(x)
    assert not function._kept
    F.relu(x[:2])
    F.relu(x)
    (net,) = function._kept.values()
    assert all(bound.executor.max_rows == 2 for bound in net._bound.values())


# ------------------------------------------------------------------------------------ losses

P = np.abs(_normal(5, 3)) / 10 + 0.1
LABELS = np.array([0, 2, 1, 1, 0])
SHARES = np.abs(_normal(5, 3)) / 4
LOSSES = [
    (F.mse_loss, (ROWS, _normal(5, 4)), {}, bp.MSE()),
    (F.mse_loss, (ROWS, _normal(5, 4)), {"reduction": "batch"}, bp.MSE("batch")),
    (F.l1_loss, (ROWS, _normal(5, 4)), {}, bp.MAE()),
    (F.huber_loss, (ROWS, _normal(5, 4)), {"delta": 0.3}, bp.Huber(delta=0.3)),
    (F.norm_error, (ROWS, _normal(5, 4)), {}, bp.NormError()),
    (F.quantile_loss, (ROWS, _normal(5, 4)), {"q": 0.2}, bp.Quantile(0.2)),
    (
        F.cross_entropy, (P, LABELS),
        {"weight": np.array([1.0, 2, 3]), "label_smoothing": 0.1, "ignore_index": 1},
        bp.CrossEntropy(weight=np.array([1.0, 2, 3]), label_smoothing=0.1, ignore_index=1),
    ),
    (F.cross_entropy, (P, SHARES), {"reduction": "sum"}, bp.CrossEntropy("sum")),
    (F.nll_loss, (np.log(P), LABELS), {}, bp.NLL()),
    (F.binary_cross_entropy, (P, SHARES), {}, bp.BCE()),
    (
        F.binary_cross_entropy_with_logits, (P, SHARES), {"pos_weight": np.array([1.0, 2, 3])},
        bp.BCEWithLogits(pos_weight=np.array([1.0, 2, 3])),
    ),
    (F.kl_div, (np.log(P), SHARES), {"reduction": "batch"}, bp.KLDiv("batch")),
    (F.poisson_nll_loss, (P, SHARES), {"log_input": False}, bp.Poisson(log_input=False)),
]  # fmt: skip


@pytest.mark.parametrize(("function", "arrays", "options", "loss"), LOSSES)
def test_losses(
    function: Any, arrays: tuple[np.ndarray, ...], options: dict[str, Any], loss: Any, backend: str
) -> None:
    y_hat, y = np.array(arrays[0]), arrays[1]
    weights = np.arange(1.0, 6)
    value, slope = loss.value_and_grad(y_hat, y, weights)
    assert function(y_hat, y, **options, sample_weight=weights) == value
    gradient = function.grad(y_hat, y, **options, sample_weight=weights)
    np.testing.assert_array_equal(gradient, slope)
    direction = _normal(*y_hat.shape)
    expected = directional_difference(
        lambda: function(y_hat, y, **options, sample_weight=weights), y_hat, direction
    )
    assert abs(np.sum(gradient * direction) - expected) <= 1e-8


# ------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.linear([1], ROWS), TypeError, "linear: x must be an array, got list"),
        (lambda: F.linear(ROWS, None), TypeError, "linear: weight must be an array"),
        (lambda: F.relu(None), TypeError, "relu: x must be an array, got NoneType"),
        (lambda: F.relu(ROWS.astype(object)), TypeError, "relu: x must hold real.*object"),
        (lambda: F.relu(np.array(["a"])), TypeError, "relu: x must hold real numbers.*<U1"),
        (lambda: F.relu(ROWS + 1j), TypeError, "complex128"),
        (lambda: F.relu(ROWS.astype("M8[s]")), TypeError, "datetime64"),
        (lambda: F.relu(np.ma.array(ROWS)), TypeError, "masked array"),
        (lambda: F.relu(np.float64(3)), ValueError, "relu: x must have a batch axis"),
        (lambda: F.relu(np.zeros((0, 3))), ValueError, "relu: x has no rows"),
        (
            lambda: F.linear(ROWS, np.ones((3, 2))),
            ValueError,
            r"linear: weight must have the shape \(4, 2\), got \(3, 2\); x \(5, 4\)",
        ),
        (
            lambda: F.linear(ROWS, np.ones((4, 2)), np.ones(1)),
            ValueError,
            r"linear: bias must have the shape \(2,\), got \(1,\)",
        ),
        (lambda: F.linear(ROWS, ROWS[0]), ValueError, r"linear: weight must be \(in, out\)"),
        (lambda: F.add(ROWS, ROWS[:, :1]), ValueError, r"add needs samples of one shape.*\(1,\)"),
        (lambda: F.add(ROWS, ROWS[:1]), ValueError, "add: the inputs have 5 and 1 rows"),
        (lambda: F.softmax(ROWS, axis=0), ValueError, "softmax: axis 0.*batch axis"),
        (
            lambda: F.conv2d(ROWS, np.ones((3, 3, 4, 2))),
            ValueError,
            r"conv2d needs samples of shape \(height, width, channels\), got \(4,\)",
        ),
        (
            lambda: F.conv2d(IMAGE, np.ones((3, 3, 3, 2))),
            ValueError,
            r"conv2d: weight must have the shape \(3, 3, 4, 2\), got \(3, 3, 3, 2\)",
        ),
        (lambda: F.conv2d(IMAGE, np.ones((9, 9, 4, 2))), ValueError, "conv2d: the window is lar"),
        (lambda: F.conv2d(IMAGE, ROWS), ValueError, r"weight must be \(kh, kw, in / groups, out\)"),
        (lambda: F.conv2d(IMAGE, np.ones((1, 1, 4, 2)), stride=0), ValueError, "conv2d: stride"),
        (lambda: F.max_pool2d(IMAGE, "a"), TypeError, "max_pool2d: kernel_size"),
        (lambda: F.dropout(ROWS, 1.5), ValueError, r"dropout: p must lie in \[0, 1\]"),
        (lambda: F.dropout(ROWS, seed=-1), ValueError, "dropout: seed must be >= 0"),
        (lambda: F.embedding(ROWS, ROWS), TypeError, "embedding: ids must be whole numbers"),
        (lambda: F.embedding(np.array([5]), ROWS), IndexError, r"0 \.\.\. 4, got 5"),
        (lambda: F.embedding_bag(IDS[0], ROWS), ValueError, r"ids must be \(n, length\)"),
        (
            lambda: F.embedding_bag(IDS, _normal(6, 2), per_sample_weights=np.ones((2, 3))),
            ValueError,
            'mode "sum"',
        ),
        (lambda: F.batch_norm(ROWS, np.ones(4)), ValueError, "given together"),
        (lambda: F.batch_norm(ROWS, np.ones(3), np.ones(3)), ValueError, "running_mean must have"),
        (lambda: F.batch_norm(ROWS[:1]), ValueError, "one value a channel"),
        (lambda: F.layer_norm(ROWS, 3), ValueError, "normalized_shape must be the last sizes"),
        (lambda: F.lstm(ROWS, ROWS, ROWS), ValueError, r"lstm: x must be \(n, steps, features\)"),
        (
            lambda: F.lstm(SERIES, _normal(4, 8), _normal(2, 8), h0=_normal(2, 2)),
            ValueError,
            "lstm: h0 and c0 are given together",
        ),
        (
            lambda: F.gru(SERIES, _normal(4, 6), _normal(2, 6), lengths=np.array([8, 1])),
            ValueError,
            r"gru: lengths: expected 1 \.\.\. 7, got 8",
        ),
        (
            lambda: F.linear.grad(np.ones((5, 3)), ROWS, np.ones((4, 2))),
            ValueError,
            r"linear: dy must have shape \(n, 2\)",
        ),
        (lambda: F.relu(ROWS, slope=3), TypeError, "unexpected keyword argument 'slope'"),
        (lambda: F.mse_loss(ROWS, ROWS[0]), ValueError, "x has 5 rows and y has 4"),
    ],
)
def test_what_does_not_fit_is_said(
    call: Callable[[], object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        call()
