"""Bad input: a clear error before anything is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pybp as bp

X = np.random.default_rng(0).normal(size=(6, 4))
Y = np.arange(6) % 3
WEIGHT = np.ones(6)
MASKED = np.ma.masked_array(np.ones(5), mask=[True, False, False, False, False])


def _net() -> bp.Sequential:
    return bp.Sequential([bp.Linear(5), bp.ReLU(), bp.Linear(3)], dtype="float64").build((4,))


def _fit(**changes: Any) -> None:
    arguments = {"x": X, "y": Y, "loss": "cross_entropy", "optimizer": "sgd", "epochs": 1}
    arguments |= {"verbose": 0, **changes}
    net = arguments.pop("net", None) or _net()
    net.fit(arguments.pop("x"), arguments.pop("y"), **arguments)


# what is given instead -> error, a part of its message
FITS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"x": X[:, :3]}, ValueError, r"x must have shape \(n, 4\), got \(6, 3\)"),
    ({"x": X[0]}, ValueError, "x must have shape"),
    ({"x": X[:0], "y": Y[:0]}, ValueError, "no rows"),
    ({"x": X[:5]}, ValueError, "x has 5 rows and y has 6"),
    ({"x": X.tolist()}, TypeError, "numpy.asarray"),
    ({"x": None}, TypeError, "must be an array"),
    ({"x": X.astype(object)}, TypeError, "object"),
    ({"x": X.astype(str)}, TypeError, "<U"),
    ({"x": X.astype(complex)}, TypeError, "complex128"),
    ({"x": X.astype("datetime64[s]")}, TypeError, "datetime64"),
    ({"x": np.ma.masked_array(X)}, TypeError, "masked"),
    ({"y": Y + 1}, IndexError, r"labels must lie in 0 \.\.\. 2"),
    ({"y": Y - 1}, IndexError, "got -1 at"),
    ({"y": Y.astype(float)}, TypeError, "integer dtype, got float64"),
    ({"y": Y[:, None]}, ValueError, "y must be labels"),
    ({"y": np.ones((6, 4))}, ValueError, "distributions of the logits' shape"),
    ({"y": X, "loss": "mse"}, ValueError, "shape of the predictions"),
    ({"y": X[:, :1], "loss": "mse"}, ValueError, r"\(n, 3\), got \(6, 1\)"),
    ({"y": Y.astype(float), "loss": "nll"}, TypeError, "integer"),
    ({"loss": "mean_error"}, ValueError, "there is no loss 'mean_error'; known names: "),
    ({"loss": None}, TypeError, "loss must be"),
    ({"loss": bp.MSE("none")}, ValueError, "one number"),
    ({"optimizer": "adamm"}, ValueError, "there is no optimizer 'adamm'"),
    ({"metrics": "accuracy"}, TypeError, r"\['accuracy'\]"),
    ({"metrics": ["f1"]}, ValueError, "there is no metric 'f1'"),
    ({"epochs": 0}, ValueError, "epochs must be >= 1, got 0"),
    ({"epochs": 1.5}, TypeError, "epochs must be a whole number, got 1.5"),
    ({"batch_size": 0}, ValueError, "batch_size must be >= 1"),
    ({"batch_size": True}, TypeError, "batch_size"),
    ({"stop_loss": "low"}, TypeError, "stop_loss"),
    ({"sample_weight": WEIGHT[:5]}, ValueError, "sample_weight must have shape"),
    ({"sample_weight": -WEIGHT}, ValueError, "sample_weight must be >= 0"),
    ({"sample_weight": WEIGHT * np.nan}, ValueError, "sample_weight must be >= 0"),
    ({"sample_weight": WEIGHT * np.inf}, ValueError, "finite everywhere"),
    ({"class_weight": np.ones(2)}, ValueError, r"class_weight must have shape \(3,\)"),
    ({"class_weight": {-1: 2.0}}, ValueError, "class in class_weight"),
    ({"class_weight": {3: 2.0}}, ValueError, r"must lie in 0 \.\.\. 2, got 3"),
    ({"validation_data": X}, ValueError, r"tuple \(x, y\)"),
    ({"validation_data": (X[:, :3], Y)}, ValueError, "x must have shape"),
    ({"callbacks": bp.EarlyStopping()}, TypeError, "list of callbacks"),
    ({"callbacks": [print]}, TypeError, "pybp.Callback"),
    ({"callbacks": [bp.EarlyStopping()]}, ValueError, "monitors 'val_loss'.*validation_data"),
    ({"net": bp.Sequential([bp.ReLU()])}, ValueError, "x must have|no parameters|logits"),
]


@pytest.mark.parametrize(("changes", "error", "message"), FITS)
def test_a_bad_fit_is_refused(
    changes: dict[str, Any], error: type[Exception], message: str, backend: str
) -> None:
    net = changes.get("net") or _net()
    before = net.params.flat.copy() if net.is_built else None
    given = {
        name: np.array(value) for name, value in changes.items() if isinstance(value, np.ndarray)
    }
    with pytest.raises(error, match=message):
        _fit(**{**changes, "net": net})
    if before is not None:
        np.testing.assert_array_equal(net.params.flat, before)
        assert (net.state.steps, net.state.epochs) == (0, 0)
    for name, array in given.items():
        np.testing.assert_array_equal(changes[name], array)


def test_a_refused_fit_leaves_the_net_unbuilt() -> None:
    net = bp.Sequential([bp.Linear(3)])
    with pytest.raises(TypeError):
        _fit(net=net, x=X[:, :3], y=Y.astype(float))
    _fit(net=net)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda n: n.backward(X[:, :3]), RuntimeError, "forward pass before"),
        (lambda n: (n.forward(X), n.backward(X)), ValueError, r"dy must have shape \(n, 3\)"),
        (lambda n: (n.forward(X), n.backward(X[:2, :3])), ValueError, "the 6 rows"),
        (lambda n: n.grads["0.weight"], RuntimeError, "no gradients yet"),
        (lambda n: bp.SGD(0.1).step(n), RuntimeError, "no gradients to step"),
        (lambda n: n.params["weight"], KeyError, "0.weight, 0.bias"),
        (
            lambda n: n.params.__setitem__("0.bias", np.ones(4)),
            ValueError,
            r"\(5,\), got .* \(4,\)",
        ),
        (lambda n: n.params.__setitem__("0.bias", ["a"] * 5), TypeError, "real numbers"),
        (lambda n: n.grads.__setitem__("0.bias", np.ones(4)), ValueError, r"\(5,\)"),
        (lambda n: n.params.__setitem__("0.bias", MASKED), TypeError, "no masked array"),
        (lambda n: n.grads.__setitem__("0.bias", MASKED), TypeError, "no masked array"),
        (lambda n: n.evaluate(X, X[:, :3], loss=bp.MSE("none")), ValueError, "one number"),
        (lambda n: n.build((5,)), ValueError, r"is built for samples of shape \(4,\), got \(5,\)"),
        (lambda n: n.predict(X[0]), ValueError, "x must have shape"),
        (lambda n: n.predict(np.float64(1.0)), ValueError, "batch axis"),
    ],
)
def test_bad_calls_by_hand(
    call: object, error: type[Exception], message: str, backend: str
) -> None:
    with pytest.raises(error, match=message):
        call(_net())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: bp.Linear(0), ValueError, "units must be >= 1"),
        (lambda: bp.Linear(2.5), TypeError, "units must be a whole number"),
        (lambda: bp.Linear(4, 8), TypeError, "bias must be True or False, got 8"),
        (lambda: bp.Linear(4, colour=1), TypeError, "no argument 'colour'; its arguments: units"),
        (bp.Linear, TypeError, "misses the argument 'units'"),
        (lambda: bp.Linear(4, units=4), TypeError, "twice"),
        (lambda: bp.Linear(4, weight_init="he"), TypeError, "initialiser"),
        (lambda: bp.Dropout(1.5), ValueError, "p must lie in"),
        (lambda: bp.Dropout(float("nan")), ValueError, "p must lie in"),
        (lambda: bp.Dropout("a"), TypeError, "p must be a real number"),
        (lambda: bp.Reshape((2, -1, -1)), ValueError, "at most one -1"),
        (lambda: bp.Reshape([2]), TypeError, "tuple"),
        (lambda: bp.Softplus(0.0), ValueError, "beta"),
        (lambda: bp.HardTanh(1.0, -1.0), ValueError, "min_val"),
        (lambda: bp.GELU("quick"), ValueError, "approximate"),
        (lambda: bp.Huber(delta=0.0), ValueError, "delta"),
        (lambda: bp.Quantile(1.0), ValueError, "q must lie"),
        (lambda: bp.CrossEntropy(label_smoothing=1.5), ValueError, "label_smoothing"),
        (lambda: bp.MSE("average"), ValueError, "reduction is one of"),
        (lambda: bp.Uniform(1.0, 0.0), ValueError, "low <= high"),
        (lambda: bp.Normal(0.0, -1.0), ValueError, "std"),
        (lambda: bp.EarlyStopping(patience=-1), ValueError, "patience"),
        (lambda: bp.EarlyStopping(mode="best"), ValueError, "mode"),
        (lambda: bp.EarlyStopping(min_delta=-1.0), ValueError, "min_delta"),
        (lambda: bp.Sequential([3]), TypeError, "layer 0 must be a pybp layer"),
        (lambda: bp.Sequential([bp.ReLU(name="a"), bp.Tanh(name="a")]), ValueError, "'a'"),
        (lambda: bp.Sequential([], dtype="int8"), ValueError, "float32"),
        (lambda: bp.Sequential([], seed=-1), ValueError, "seed"),
        (lambda: bp.Sequential([], seed=2**64), ValueError, "seed"),
        (lambda: bp.Sequential([], backend="torch"), ValueError, "backend must be one of"),
        (lambda: bp.Sequential([]).build((0,)), ValueError, "sizes must be >= 1"),
        (lambda: bp.Sequential([]).build(3), TypeError, r"tuple such as \(3,\)"),
        (lambda: bp.Sequential([]).params, RuntimeError, "not built yet"),
        (lambda: bp.Sequential([bp.Linear(3)]).build(()), ValueError, "batch axis"),
        (lambda: bp.Sequential([bp.Reshape((4,))]).build((3,)), ValueError, "can't become"),
        (lambda: bp.Sequential([bp.Softmax(axis=0)]).build((3,)), ValueError, "batch axis 0"),
        (lambda: bp.Trainer(3, "mse", "sgd"), TypeError, "net must be"),
        (lambda: bp.CrossEntropy(np.ones(2)).value_and_grad(X, Y), ValueError, "reduction|one of"),
        (lambda: bp.CrossEntropy(weight=np.ones(2)).value_and_grad(X, Y), ValueError, r"\(4,\)"),
        (lambda: bp.MSE().value_and_grad(X, X[:3]), ValueError, "rows"),
        (lambda: bp.set_num_threads(0), ValueError, "threads must be >= 1"),
        (lambda: bp.set_num_threads(1.5), TypeError, "threads"),
        (lambda: bp.use_backend("cuda"), ValueError, "backend must be one of native, numpy"),
    ],
)
def test_bad_descriptions(make: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_descriptions_do_not_change() -> None:
    layer = bp.Linear(3)
    with pytest.raises(AttributeError, match="can't be changed"):
        layer.units = 4
    assert layer.replace(units=4).units == 4


def test_nan_travels_through(backend: str, dtype: str) -> None:
    x = X.astype(dtype)
    x[2, 1] = np.nan
    net = bp.Sequential([bp.Linear(5), bp.ReLU(), bp.Linear(3), bp.Softmax()], dtype=dtype)
    y = net.predict(x)
    assert np.isnan(y[2]).all()
    assert np.isfinite(np.delete(y, 2, axis=0)).all()
