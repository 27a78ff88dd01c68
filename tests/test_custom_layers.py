"""Layers written in NumPy: ``Lambda`` and ``CustomLayer``."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import require_native
from custom_parts import Dense, Gate, check_gradients, square
from tolerance import LINEAR, TRAINING, check_close

import pybp as bp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3))
Y = RNG.normal(size=(6, 2))


# ------------------------------------------------------------------------------------------ Lambda


def test_a_function_between_layers(backend: str, dtype: str) -> None:
    net = bp.Sequential([bp.Linear(4), square(), bp.Linear(2)], dtype=dtype)
    plain = bp.Sequential([bp.Linear(4)], dtype=dtype).build((3,))
    net.build((3,))
    for name in ("0.weight", "0.bias"):
        plain.params[name] = net.params[name]
    hidden = plain.predict(X) ** 2
    expected = hidden @ net.params["2.weight"] + net.params["2.bias"]
    assert net.predict(X).dtype == np.dtype(dtype)
    check_close(net.predict(X), expected, dtype, 4, LINEAR)
    check_close(net.forward(X), expected, dtype, 4, LINEAR)


@pytest.mark.parametrize("training", [False, True])
def test_gradients_through_a_function(backend: str, training: bool) -> None:
    net = bp.Sequential([bp.Linear(4), square(), bp.Linear(2)], dtype="float64")
    check_gradients(net, X.copy(), lambda x: net.forward(x, training=training))


def test_several_inputs(backend: str) -> None:
    a, b = bp.Input((3,)), bp.Input((2,))
    outer = bp.Lambda(
        lambda x, y: x[:, :, None] * y[:, None, :],
        lambda dz, z, x, y: ((dz @ y[:, :, None])[..., 0], (x[:, None, :] @ dz)[:, 0]),
        output_shape=lambda left, right: (*left, *right),
    )
    net = bp.Model(inputs=[a, b], outputs=[outer([a, b])], dtype="float64")
    x, y = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 2))
    dz = RNG.normal(size=(4, 3, 2))
    np.testing.assert_allclose(net.predict((x, y)), np.einsum("ni,nj->nij", x, y), rtol=1e-14)
    net.forward((x, y))
    dx, dy = net.backward(dz)
    np.testing.assert_allclose(dx, np.einsum("nij,nj->ni", dz, y), rtol=1e-13)
    np.testing.assert_allclose(dy, np.einsum("nij,ni->nj", dz, x), rtol=1e-13)


def test_one_value_twice(backend: str) -> None:
    source = bp.Input((3,))
    hidden = bp.Linear(4)(source)
    product = bp.Lambda(lambda a, b: a * b, lambda dy, y, a, b: (dy * b, dy * a))
    whole = bp.Add()([product([hidden, hidden]), hidden])
    net = bp.Model(inputs=[source], outputs=[whole], dtype="float64")
    check_gradients(net, X.copy())


@pytest.mark.parametrize(
    "output_shape", [(1,), [1], lambda shape: (1,), lambda shape: (shape[0] - 2,)]
)
def test_output_shapes(backend: str, output_shape: Any) -> None:
    total = bp.Lambda(
        lambda x: x.sum(axis=1, keepdims=True),
        lambda dy, y, x: np.broadcast_to(dy, x.shape),
        output_shape,
    )
    net = bp.Sequential([total, bp.Linear(2)], dtype="float64")
    check_gradients(net, X.copy())


def test_samples_that_are_numbers(backend: str) -> None:
    first = bp.Lambda(lambda x: x[:, 0] * 1, output_shape=())
    assert bp.Sequential([first]).predict(X).tolist() == np.float32(X[:, 0]).tolist()


def test_prediction_needs_no_backward(backend: str) -> None:
    net = bp.Sequential([bp.Linear(4), bp.Lambda(np.tanh, name="squash"), bp.Linear(2)])
    net.predict(X)
    net.forward(X)
    before = {name: array.copy() for name, array in net.params.items()}
    message = r"layer 1 \(Lambda\) has no backward|layer squash \(Lambda\) has no backward"
    with pytest.raises(ValueError, match=message):
        net.backward(np.ones((6, 2)))
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y, loss="mse", optimizer=bp.SGD(0.1), epochs=1, verbose=0)
    assert all(np.array_equal(net.params[name], before[name]) for name in before)


def test_a_function_before_all_parameters_needs_no_backward_in_a_fit(backend: str) -> None:
    net = bp.Sequential([bp.Lambda(lambda x: x - x.mean(axis=1, keepdims=True)), bp.Linear(2)])
    history = net.fit(X, Y, loss="mse", optimizer=bp.SGD(0.1), epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_nan_passes_through(backend: str) -> None:
    net = bp.Sequential([bp.Lambda(lambda x: np.where(x > 0, x, np.nan).astype(x.dtype))])
    assert np.array_equal(np.isnan(net.predict(X)), X <= 0)


WRONG: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: None, "got None"),
    (lambda x: x.tolist(), "got list"),
    (lambda x: 3.0, "got float"),
    (lambda x: x[:, :2], r"got shape \(6, 2\), float32"),
    (lambda x: x[:2], r"got shape \(2, 3\), float32"),
    (lambda x: x.sum(), r"got shape \(\), float32"),
    (lambda x: x.astype(np.float64), r"got shape \(6, 3\), float64"),
    (lambda x: x > 0, r"got shape \(6, 3\), bool"),
]


@pytest.mark.parametrize(("forward", "got"), WRONG)
def test_what_forward_must_return(backend: str, forward: Any, got: str) -> None:
    net = bp.Sequential([bp.ReLU(), bp.Lambda(forward)])
    expected = r"layer 1 \(Lambda\): forward must return an array of shape \(6, 3\), float32, "
    with pytest.raises(ValueError, match=expected + got):
        net.predict(X)


@pytest.mark.parametrize(("backward", "got"), [one for one in WRONG if one[1] != "got list"])
def test_what_backward_must_return(backend: str, backward: Any, got: str) -> None:
    net = bp.Sequential([bp.ReLU(), bp.Lambda(np.tanh, lambda dy, y, x: backward(x))])
    net.forward(X)
    expected = r"layer 1 \(Lambda\): backward, gradient of input 0 must return an array of shape "
    with pytest.raises(ValueError, match=expected + rf"\(6, 3\), float32, {got}"):
        net.backward(np.ones((6, 3)))


@pytest.mark.parametrize("found", [None, 1, (1,), (1, 2, 3)])
def test_a_gradient_for_each_input(backend: str, found: Any) -> None:
    a, b = bp.Input((3,)), bp.Input((3,))
    layer = bp.Lambda(lambda x, y: x + y, lambda dz, z, x, y: found)
    net = bp.Model(inputs=[a, b], outputs=[layer([a, b])])
    net.forward((X, X))
    with pytest.raises(ValueError, match="backward must return a tuple of 2 gradients"):
        net.backward(np.ones((6, 3)))


@pytest.mark.parametrize("output_shape", [3, (0,), (2.0,), lambda shape: None, lambda shape: 3])
def test_bad_output_shapes(output_shape: Any) -> None:
    with pytest.raises(ValueError, match="output_shape must be a tuple of sizes above 0"):
        bp.Sequential([bp.Lambda(np.tanh, output_shape=output_shape)]).build((3,))


def test_arguments_must_be_functions() -> None:
    for arguments in ((None,), (3,), (np.tanh, 3)):
        with pytest.raises(TypeError, match="must be a function"):
            bp.Lambda(*arguments)
    with pytest.raises(TypeError, match="got an empty one"):
        bp.Lambda(np.add)([])


def test_functions_are_shown_by_their_names() -> None:
    layer = bp.Lambda(np.tanh, output_shape=(3,), name="squash")
    assert repr(layer) == "Lambda(forward=tanh, output_shape=(3,), name='squash')"
    assert (
        "Lambda(forward=<lambda>, backward=<lambda>)"
        in bp.Sequential([square()]).build((3,)).summary()
    )


def test_arrays_refuse_to_be_written_to(backend: str) -> None:
    def double(x: np.ndarray) -> np.ndarray:
        x *= 2
        return x

    with pytest.raises(ValueError, match="read-only"):
        bp.Sequential([bp.Lambda(double)]).predict(X)


def test_a_function_may_return_what_it_got_or_keeps(backend: str) -> None:
    kept = np.ones((6, 3), np.float32)
    net = bp.Sequential([bp.Lambda(lambda x: x), bp.Lambda(lambda x: kept), bp.ReLU()])
    y = net.predict(X)
    kept[...] = 5
    assert np.all(y == 1)


# ------------------------------------------------------------------------------------- CustomLayer


def test_a_custom_layer_is_the_layer_it_imitates(backend: str, dtype: str) -> None:
    mine = bp.Sequential([Dense(4), bp.Tanh(), Dense(2)], dtype=dtype)
    theirs = bp.Sequential([bp.Linear(4), bp.Tanh(), bp.Linear(2)], dtype=dtype)
    assert list(mine.build((3,)).params) == list(theirs.build((3,)).params)
    for name, array in theirs.params.items():
        np.testing.assert_array_equal(mine.params[name], array)  # drawn by the order of parameters
    for net in (mine, theirs):
        net.fit(X, Y, loss="mse", optimizer=bp.Adam(0.01), epochs=4, batch_size=4, verbose=0)
    check_close(mine.predict(X), theirs.predict(X), dtype, 24, TRAINING)


@pytest.mark.parametrize("optimizer", [bp.SGD(0.1), bp.SGD(0.1, momentum=0.9), bp.AdamW(0.01)])
@pytest.mark.parametrize("batch_size", [1, 6])
def test_optimisers_train_it(backend: str, optimizer: Any, batch_size: int) -> None:
    nets = []
    for layer in (Dense(2), bp.Linear(2)):
        net = bp.Sequential([layer], dtype="float64")
        net.fit(X, Y, loss="mse", optimizer=optimizer, epochs=3, batch_size=batch_size, verbose=0)
        nets.append(net)
    for name, array in nets[1].params.items():
        check_close(nets[0].params[name], array, "float64", 6 * 18, TRAINING, name)


def test_gradients_of_a_custom_layer(backend: str) -> None:
    check_gradients(bp.Sequential([Dense(4), bp.Tanh(), Dense(2)], dtype="float64"), X.copy())


def test_shared_use_adds_the_gradients(backend: str) -> None:
    shared = Dense(3)
    net = bp.Sequential([shared, bp.Tanh(), shared, bp.Tanh(), shared], dtype="float64")
    net.build((3,))
    assert list(net.params) == ["0.weight", "0.bias"]
    check_gradients(net, X.copy())


def test_a_custom_layer_of_two_values(backend: str) -> None:
    source = bp.Input((3,))
    hidden = bp.Linear(3)(source)
    net = bp.Model(inputs=[source], outputs=[Gate(0.7)([hidden, source])], dtype="float64")
    check_gradients(net, X.copy())
    with pytest.raises(TypeError, match="Gate takes a list of values"):
        Gate()(source)


def test_a_frozen_layer_gets_no_gradient(backend: str) -> None:
    net = bp.Sequential([Dense(4), bp.Tanh(), Dense(2)], dtype="float64").build((3,))
    net.trainable("0", False)
    before = net.params["0.weight"].copy()
    net.fit(X, Y, loss="mse", optimizer=bp.SGD(0.1), epochs=2, verbose=0)
    np.testing.assert_array_equal(net.params["0.weight"], before)
    assert np.any(net.params["2.bias"] != 0)


def test_the_name_is_the_last_argument() -> None:
    layer = Dense(4, bp.Zeros(), "mine")
    assert (layer.units, layer.name) == (4, "mine")
    assert repr(Dense(4, name="mine")) == "Dense(units=4, name='mine')"
    assert list(bp.Model(*_one(layer)).params) == ["mine.weight", "mine.bias"]


def _one(layer: Any) -> tuple[list[Any], list[Any]]:
    source = bp.Input((3,))
    return [source], [layer(source)]


def test_copies_and_pickles(backend: str) -> None:
    net = bp.Sequential([Dense(4), bp.Tanh(), Dense(2)]).build((3,))
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(twin.predict(X), net.predict(X))
    plain = bp.Sequential([bp.Lambda(np.tanh)]).build((3,))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(plain)).predict(X), plain.predict(X))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(bp.Sequential([bp.Lambda(lambda x: x)]))


class _Bare(bp.CustomLayer):
    pass


class _Returning(bp.CustomLayer):
    """A layer whose methods return what the test says."""

    made: Any = None
    found: Any = None

    def parameters(self, shape: Any) -> Any:
        return {"w": ((3,), bp.Zeros())} if self.made is None else self.made

    def forward(self, x: Any, params: Any) -> Any:
        return x + 0

    def backward(self, x: Any, y: Any, dy: Any, params: Any) -> Any:
        return self.found


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], "parameters must return a dictionary, got list"),
        ({"a.b": ((3,), bp.Zeros())}, "parameter 'a.b' must have a name without dots"),
        ({"w": (3,)}, r"parameter 'w' must be a pair \(shape, initialiser\)"),
        ({"w": (3, bp.Zeros())}, "parameter 'w': its shape must be a tuple of sizes above 0"),
        ({"w": ((3,), np.zeros(3))}, "parameter 'w' needs an initialiser such as bp.Zeros()"),
    ],
)
def test_what_parameters_must_return(made: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"layer 0 \(_Returning\): {message}"):
        bp.Sequential([_Returning(made)]).build((3,))


G = np.zeros(3, np.float32)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, r"backward must return \(dx, dict of gradients\), got None"),
        (X, r"backward must return \(dx, dict of gradients\), got ndarray"),
        ((X, G), "backward must return"),
        ((np.float32(X), {"v": G}), r"gradients of \['v'\], the parameters are \['w'\]"),
        ((np.float32(X), {}), r"gradient of w must return an array of shape \(3,\), .*got None"),
        ((np.float32(X), {"w": X}), r"gradient of w must .* got shape \(6, 3\), float64"),
        ((None, {"w": G}), "gradient of input 0 must return .* got None"),
    ],
)
def test_what_backward_of_a_layer_must_return(backend: str, found: Any, message: str) -> None:
    net = bp.Sequential([bp.Tanh(), _Returning(None, found)])
    net.forward(X)
    with pytest.raises(ValueError, match=rf"layer 1 \(_Returning\).*{message}"):
        net.backward(np.ones((6, 3)))


def test_methods_that_are_missing(backend: str) -> None:
    with pytest.raises(NotImplementedError, match="_Bare must have a method forward"):
        bp.Sequential([_Bare()]).predict(X)
    half = type("Half", (bp.CustomLayer,), {"forward": lambda self, x, params: x + 0})
    net = bp.Sequential([half()])
    net.forward(X)
    with pytest.raises(NotImplementedError, match="Half has no method backward"):
        net.backward(np.ones((6, 3)))


# --------------------------------------------------------------------------------------- sequences


def _cells(dtype: str) -> bp.Sequential:
    """Return a recurrent net whose cell and last layer are users' own."""
    x, h = bp.Input((3,)), bp.Input((3,))
    step = bp.Lambda(np.tanh, lambda dy, y, z: dy * (1 - y * y))(Gate()([x, h]))
    return bp.Sequential([bp.Recurrent(bp.Cell(x, h, step, step)), Dense(2)], dtype=dtype)


SEQUENCES = [RNG.normal(size=(steps, 3)) for steps in (4, 1, 5)]


def test_cells_of_own_layers(dtype: str) -> None:
    require_native()
    found = {}
    for name in ("numpy", "native"):
        net = _cells(dtype)
        net.backend = name
        y = net.forward(SEQUENCES)
        dx = net.backward([np.ones((len(x), 2)) for x in SEQUENCES])
        found[name] = [*y, *dx, *net.grads.values()]
    for mine, theirs in zip(found["native"], found["numpy"], strict=True):
        check_close(mine, theirs, dtype, 15, TRAINING)


def test_gradients_of_cells_of_own_layers(backend: str) -> None:
    net = _cells("float64")
    check_gradients(net, RNG.normal(size=(2, 4, 3)))


def test_time_steps_may_be_rows(backend: str) -> None:
    """Of sequences of any lengths: each is treated as it is alone."""
    shapes = []

    def forward(x: np.ndarray) -> np.ndarray:
        shapes.append(x.shape)
        return x * 2

    layer = bp.Lambda(forward, lambda dy, y, x: 2 * dy, each_step=True)
    net = bp.Sequential([bp.GRU(3), layer, bp.Linear(1)])
    whole = net.predict(SEQUENCES)
    assert shapes == [(10, 3)]
    for x, y in zip(SEQUENCES, whole, strict=True):
        check_close(net.predict([x])[0], y, "float32", 9, TRAINING)


def test_whole_samples_need_sequences_of_one_length(backend: str) -> None:
    net = bp.Sequential([bp.GRU(3), bp.Lambda(lambda x: x[:, ::-1] * 1)], dtype="float64")
    x = RNG.normal(size=(2, 4, 3))
    plain = bp.Sequential([bp.GRU(3)], dtype="float64")
    np.testing.assert_array_equal(net.predict(x), plain.predict(x)[:, ::-1])
    with pytest.raises(ValueError, match="needs sequences of one length"):
        bp.Sequential([bp.GRU(3), bp.Lambda(np.tanh)]).predict(SEQUENCES)
