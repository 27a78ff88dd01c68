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


# layers, shape of a sample -> a part of the message; docs/errors.md has the same rows
PICTURES: list[tuple[list[bp.layers.Layer], tuple[int, ...], str]] = [
    ([bp.Conv2d(4, 3)], (8, 8), r"layer 0 \(Conv2d\) needs samples of shape \(height, width, chan"),
    ([bp.Conv2d(4, 3)], (2, 8, 8, 3), r"\(height, width, channels\), got \(2, 8, 8, 3\)"),
    (
        [bp.Conv1d(4, 3)],
        (8, 8, 3),
        r"layer 0 \(Conv1d\) needs samples of shape \(length, channels\)",
    ),
    ([bp.MaxPool1d(2)], (8,), r"\(length, channels\), got \(8,\); is an axis missing"),
    ([bp.GlobalAvgPool2d()], (8, 3), r"layer 0 \(GlobalAvgPool2d\) needs samples"),
    ([bp.Upsample2d(2)], (8, 3), r"layer 0 \(Upsample2d\) needs samples"),
    ([bp.BatchNorm()], (), r"layer 0 \(BatchNorm\) needs samples of shape \(\.\.\., channels\)"),
    ([bp.SpatialDropout()], (3,), r"layer 0 \(SpatialDropout\) needs .* axes of space"),
    ([bp.LayerNorm(axes=1)], (8, 3), r"layer 0 \(LayerNorm\): axes must be the last"),
    ([bp.LayerNorm(axes=(0, 1))], (8,), "without the batch axis 0"),
    ([bp.LayerNorm(axes=(2, 2))], (8, 3), "axes must be the last"),
    ([bp.LayerNorm()], (), "axes must be the last"),
    (
        [bp.Conv2d(4, 3), bp.Conv2d(4, 7)],
        (8, 8, 3),
        r"layer 1 \(Conv2d\): the window is larger than",
    ),
    ([bp.Conv2d(4, 3, dilation=4)], (8, 8, 3), r"it spans 9, got 8 \+ 0 \+ 0"),
    ([bp.MaxPool2d(2), bp.MaxPool2d(5)], (8, 8, 3), r"layer 1 \(MaxPool2d\): the window is larger"),
    ([bp.ConvTranspose2d(4, 3, padding=5)], (2, 2, 3), r"would have the size \(-6, -6\)"),
    ([bp.Conv2d(4, 3, groups=2)], (8, 8, 3), "groups must divide the 3 channels .* got 2"),
    ([bp.Conv2d(4, 3, groups=3)], (8, 8, 3), "and the 4 of the output, got 3"),
    ([bp.ConvTranspose2d(4, 3, groups=3)], (8, 8, 3), "and the 4 of the output, got 3"),
    ([bp.MaxPool2d(2, padding=2)], (8, 8, 3), "padding is at most half a window of 2"),
    ([bp.AvgPool1d(3, padding=(0, 2))], (8, 3), "padding is at most half a window of 3"),
    ([bp.MaxPool1d(2, 1, 1, dilation=2)], (1, 3), "window 0 of axis 1 lies only in padding"),
    ([bp.Conv2d(4, 3)], (1, 8, 8), 'bp.Input.*layout="channels_first"'),
    ([bp.Conv2d(4, 3, padding="same")], (3, 32, 32), 'bp.Input.*layout="channels_first"'),
    (
        [bp.Conv2d(4, 3, padding="same"), bp.MaxPool2d(4)],
        (3, 20, 30),
        r'layer 1 \(MaxPool2d\).*bp.Input.*layout="channels_first"',
    ),
    ([bp.Input((8, 8, 3)), bp.Conv2d(4, 3)], (8, 8, 4), r"takes samples of shape \(8, 8, 3\), got"),
    ([bp.Input((8,), dtype="float64")], (8,), "has dtype float64, the net has float32"),
    ([bp.Add()], (8,), r"layer 0 \(Add\) adds two or more values.*bp.Model"),
    ([bp.Upsample2d(2**30), bp.Upsample2d(2**30)], (8, 8, 3), "is larger than any memory"),
    ([bp.Conv2d(2**60, 3)], (8, 8, 3), "is larger than any memory"),
    ([bp.Conv2d(1, 2**29, padding="same")], (8, 8, 3), "0.weight of shape .* larger than any"),
    ([bp.Conv2d(1, 2**30, padding="same")], (8, 8, 3), r"kernel must be below 2\*\*30"),
    ([bp.MaxPool2d(2**62, padding=2**61)], (8, 8, 3), r"kernel must be below 2\*\*30"),
    ([bp.AvgPool2d(3, dilation=2**29)], (8, 8, 3), "span less than"),
    ([bp.Conv2d(1, 3, padding=2**61)], (8, 8, 3), "is larger than any memory"),
    ([], (2**40, 2**40), "the input: a sample of shape"),
]


@pytest.mark.parametrize(("layers", "shape", "message"), PICTURES)
def test_layers_refuse_what_they_cannot_take(
    layers: list[bp.layers.Layer], shape: tuple[int, ...], message: str
) -> None:
    net = bp.Sequential(layers)
    with pytest.raises(ValueError, match=message):
        net.build(shape)
    assert not net._bound
    assert not net.is_built


def test_pictures_that_only_look_channels_first_are_taken_on_request() -> None:
    for layout in ("channels_last", None):
        x = bp.Input((3, 32, 32), layout=layout)
        layer = bp.Conv2d(4, 3, padding="same")
        if layout is None:
            with pytest.raises(ValueError, match="channels came first"):
                bp.Model(x, layer(x))
        else:
            assert bp.Model(x, layer(x)).output_shape == (3, 32, 4)


def test_parameters_beyond_the_memory_are_refused() -> None:
    with pytest.raises(MemoryError, match="GiB"):
        bp.Sequential([bp.Flatten(), bp.Linear(1000)]).build((100_000, 100_000))
    net = bp.Sequential([bp.Upsample2d(2**15)])
    with pytest.raises(MemoryError):
        net.predict(np.ones((8, 8, 8, 3)))


_IN = bp.Input((4,))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: bp.Conv2d(0, 3), ValueError, "channels must be >= 1"),
        (lambda: bp.Conv2d(4, 0), ValueError, "kernel_size must be >= 1"),
        (lambda: bp.Conv2d(4, 1.5), TypeError, "kernel_size must be a whole number"),
        (lambda: bp.Conv2d(4, (3, 3, 3)), ValueError, "kernel_size must be one number or 2"),
        (lambda: bp.Conv1d(4, (3, 3)), ValueError, "kernel_size must be one number or 1"),
        (lambda: bp.Conv2d(4, 3, 0), ValueError, "stride must be >= 1"),
        (lambda: bp.Conv2d(4, 3, None), TypeError, "stride must be a whole number"),
        (lambda: bp.Conv2d(4, 3, dilation=0), ValueError, "dilation must be >= 1"),
        (lambda: bp.Conv2d(4, 3, groups=0), ValueError, "groups must be >= 1"),
        (lambda: bp.Conv2d(4, 3, padding=-1), ValueError, "padding must be >= 0"),
        (lambda: bp.Conv2d(4, 3, padding=True), TypeError, "padding must be a whole number"),
        (lambda: bp.Conv2d(4, 3, padding=(1, 2, 3)), ValueError, "for each of 2 axes"),
        (lambda: bp.Conv2d(4, 3, padding=((1, 2, 3), 1)), ValueError, "padding must be"),
        (lambda: bp.Conv2d(4, 3, padding="full"), ValueError, '"valid" or "same", got .full'),
        (lambda: bp.Conv2d(4, 3, flip=1), TypeError, "flip must be True or False"),
        (lambda: bp.Conv2d(4, 3, weight_init="he"), TypeError, "initialiser"),
        (lambda: bp.Conv2d(4, 3, in_channels=3), TypeError, "no argument 'in_channels'"),
        (lambda: bp.ConvTranspose2d(4, 3, padding="same"), ValueError, "padding is given in"),
        (lambda: bp.ConvTranspose2d(4, 3, output_padding=1), ValueError, "smaller than the stride"),
        (lambda: bp.Upsample2d(0), ValueError, "scale_factor must be >= 1"),
        (lambda: bp.Upsample2d(1.5), TypeError, "scale_factor must be a whole number"),
        (lambda: bp.Upsample2d(2, "bilinear"), ValueError, 'mode is "nearest", got .bilinear'),
        (lambda: bp.MaxPool2d(2, 0), ValueError, "stride must be >= 1"),
        (lambda: bp.MaxPool2d(2, ceil_mode=1), TypeError, "ceil_mode must be True or False"),
        (lambda: bp.AvgPool2d(2, divisor_override=0), ValueError, "divisor_override must be >= 1"),
        (lambda: bp.AvgPool2d(2, divisor_override=0.5), TypeError, "divisor_override must be a wh"),
        (lambda: bp.BatchNorm(eps=0.0), ValueError, "eps must lie between 0 and 1"),
        (lambda: bp.BatchNorm(16), ValueError, "sizes are not given, they follow from the input"),
        (lambda: bp.Add()(bp.Input((2,)), bp.Input((2,))), TypeError, r"a list of values: Add"),
        (lambda: bp.BatchNorm(momentum=1.5), ValueError, r"momentum must lie in \[0, 1\]"),
        (lambda: bp.BatchNorm(momentum=None), TypeError, "momentum must be a real number"),
        (lambda: bp.LayerNorm(eps=float("nan")), ValueError, "eps must lie between 0 and 1"),
        (lambda: bp.LayerNorm(axes=()), TypeError, "axes must be whole numbers"),
        (lambda: bp.LayerNorm(axes="last"), TypeError, "axes must be whole numbers"),
        (lambda: bp.SpatialDropout(1.5), ValueError, "p must lie in"),
        (lambda: bp.Input(4), TypeError, r"tuple such as \(28, 28, 1\)"),
        (lambda: bp.Input((4, 0)), ValueError, "sizes must be >= 1"),
        (lambda: bp.Input((4.0,)), TypeError, "whole numbers"),
        (lambda: bp.Input((4,), dtype="int8"), ValueError, "dtype is one of float32"),
        (lambda: bp.Input((4, 4), layout="nchw"), ValueError, "layout is one of channels_last"),
        (lambda: bp.Input((4,), layout="channels_first"), ValueError, r"\(channels, \.\.\.\)"),
        (lambda: bp.Sequential([bp.ReLU(), _IN]), ValueError, "can only stand first"),
        (lambda: bp.Linear(2)(X), TypeError, "called on a bp.Input.*net.predict takes arrays"),
        (lambda: bp.Linear(2)(bp.ReLU()), TypeError, "called on a bp.Input"),
        (lambda: bp.Linear(2)([_IN]), TypeError, "Linear takes one value"),
        (lambda: bp.Add()(_IN), TypeError, "Add takes a list of values"),
        (lambda: bp.Model(_IN, bp.Add()([_IN])), ValueError, "adds two or more values"),
        (
            lambda: bp.Model(_IN, bp.Add()([_IN, bp.Linear(3)(_IN)])),
            ValueError,
            r"layer 1 \(Add\) needs samples of one shape, got \(4,\), \(3,\)",
        ),
        (lambda: bp.Model([_IN, bp.Input((2,))], _IN), ValueError, "does not depend on the input"),
        (lambda: bp.Model([_IN, _IN], _IN), ValueError, "given twice"),
        (lambda: bp.Model([], _IN), ValueError, "at least one input"),
        (lambda: bp.Model({"a": _IN}, _IN), TypeError, "lists of them"),
        (lambda: bp.Model((4,), _IN), TypeError, "inputs must be a bp.Input"),
        (lambda: bp.Model(_IN, bp.Linear(3)), TypeError, "outputs must be what layers"),
        (
            lambda: bp.Model(_IN, bp.Linear(2)(bp.Input((3,)))),
            ValueError,
            r"depends on Input\(shape=\(3,\)\), which is not among the inputs",
        ),
        (
            lambda: bp.Model(_IN, bp.ReLU(name="a")(bp.Tanh(name="a")(_IN))),
            ValueError,
            "two layers have the name 'a'",
        ),
        (lambda: bp.functional.filter_image(np.ones(3), np.eye(2)), ValueError, "image must be"),
        (lambda: bp.functional.filter_image(np.eye(3), np.ones(2)), ValueError, "kernel must be"),
        (
            lambda: bp.functional.filter_image(np.eye(3), np.eye(4), "valid"),
            ValueError,
            "filter_image: the window is larger than the padded input",
        ),
        (lambda: bp.functional.filter_image(X, np.eye(2), "full"), ValueError, "filter_image: pad"),
        (lambda: bp.functional.im2col(X, 3), ValueError, "x must be .n, height, width, channels"),
        (lambda: bp.functional.im2col(X[None], 0), ValueError, "im2col: kernel_size must be >= 1"),
        (lambda: bp.functional.im2col(X[None], 7), ValueError, "im2col: the window is larger"),
        (
            lambda: bp.functional.col2im(X[None], 6, 3),
            ValueError,
            r"columns must have the windows \(4,\), as the size is \(6,\), got \(6,\)",
        ),
        (lambda: bp.functional.col2im(X[None], 8, 3), ValueError, "a multiple of 3 columns"),
    ],
)
def test_bad_layers_graphs_and_functions(
    make: object, error: type[Exception], message: str
) -> None:
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
