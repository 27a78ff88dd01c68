"""Rows of the table: arrays that can't be taken."""

from __future__ import annotations

import numpy as np
from errors.table import Row

import pybp as bp

MASKED = np.ma.masked_array(np.ones((8, 4)), mask=np.eye(8, 4) > 0)
KINDS = {
    "object": (np.ones((8, 4), object), "object"),
    "text": (np.full((8, 4), "1"), "<U1"),
    "bytes": (np.full((8, 4), b"1"), r"\|S1"),
    "complex": (np.ones((8, 4), complex), "complex128"),
    "date": (np.zeros((8, 4), "datetime64[s]"), "datetime64"),
    "duration": (np.zeros((8, 4), "timedelta64[s]"), "timedelta64"),
    "struct": (np.zeros((8, 4), [("a", "f4"), ("b", "i4")]), "'a'"),
    "masked array": (MASKED, "masked"),
    "None": (None, "None"),
    "text alone": ("data", "str|<U4"),
}


def _kinds() -> list[Row]:
    rows = []
    for name, (value, shown) in KINDS.items():
        given = "arrays of objects, texts, complex numbers, dates, structs; masked arrays; None"
        labels = value[:, 0] if isinstance(value, np.ndarray) else value
        column = value[:, :3] if isinstance(value, np.ndarray) else value
        calls = [
            lambda s, v=value: s.net.predict(s.watch(v)),
            lambda s, v=value: s.net.forward(s.watch(v), training=True),
            lambda s, v=value: s.fit(x=s.watch(v)) if v is not None else s.net.fit(
                v, s.y, loss="cross_entropy", optimizer="sgd", epochs=1
            ),
            lambda s, v=labels: s.net.fit(
                s.x, s.watch(v), loss="cross_entropy", optimizer="sgd", epochs=1
            ),
            lambda s, v=value: s.net.evaluate(v, s.y, loss="cross_entropy"),
            lambda s, v=value: s.trainer().step(v, s.y),
            lambda s, v=column: s.net.backward(v),
            lambda s, v=column: bp.MSE().value_and_grad(np.ones((8, 3)), v),
            lambda s, v=column: bp.MSE().value_and_grad(v, np.ones((8, 3))),
        ]  # fmt: skip
        if name != "None":
            calls.append(lambda s, v=labels: s.fit(sample_weight=s.watch(v)))
            calls.append(lambda s, v=labels: s.fit(class_weight=v))
            calls.append(lambda s, v=value: s.net.params.__setitem__("0.weight", v))
            calls.append(lambda s, v=value: s.net.grads.__setitem__("0.weight", v))
        rows += [Row(given, call, TypeError, shown) for call in calls]
    return rows


def _set(name: str, key: str, value: np.ndarray) -> object:
    return lambda s: getattr(s.net, name).__setitem__(key, s.watch(value))


X, Y = np.ones((8, 4)), np.arange(8) % 3

ROWS = [
    *_kinds(),
    Row("samples of another shape, or without the batch axis",
        lambda s: s.net.predict(s.watch(X[:, :3].copy())), ValueError, r"\(n, 4\), got \(8, 3\)"),
    Row("samples of another shape, or without the batch axis",
        lambda s: s.net.forward(X[0]), ValueError, r"\(n, 4\), got \(4,\)"),
    Row("samples of another shape, or without the batch axis",
        lambda s: s.fit(x=X[..., None]), ValueError, r"\(n, 4\), got \(8, 4, 1\)"),
    Row("samples of another shape, or without the batch axis",
        lambda s: s.net.predict(np.float64(1)), ValueError, "batch axis"),
    Row("samples of another shape, or without the batch axis",
        lambda s: s.net.predict(np.ones((8, 0))), ValueError, r"\(n, 4\), got \(8, 0\)"),
    Row("no rows", lambda s: s.net.predict(X[:0]), ValueError, r"no rows: its shape is \(0, 4\)"),
    Row("no rows", lambda s: s.net.forward(X[:0]), ValueError, "no rows"),
    Row("no rows", lambda s: s.fit(x=X[:0], y=Y[:0]), ValueError, "no rows"),
    Row("no rows", lambda s: s.trainer().step(X[:0], Y[:0]), ValueError, "no rows"),
    Row("no rows", lambda s: s.net.evaluate(X[:0], Y[:0], loss="mse"), ValueError, "no rows"),
    Row("no rows", lambda s: bp.MSE().value_and_grad(X[:0], X[:0]), ValueError, "no rows"),
    Row("other numbers of rows in samples, targets and weights",
        lambda s: s.fit(x=X[:7]), ValueError, "x has 7 rows and y has 8"),
    Row("other numbers of rows in samples, targets and weights",
        lambda s: s.trainer().step(X, Y[:7]), ValueError, "x has 8 rows and y has 7"),
    Row("other numbers of rows in samples, targets and weights",
        lambda s: s.fit(sample_weight=np.ones(7)), ValueError, r"\(8,\).*got \(7,\)"),
    Row("other numbers of rows in samples, targets and weights",
        lambda s: s.fit(sample_weight=np.ones((8, 1))), ValueError, r"got \(8, 1\)"),
    Row("other numbers of rows in samples, targets and weights",
        lambda s: s.fit(validation_data=(X, Y[:5])), ValueError, "x has 8 rows and y has 5"),
    Row("targets that would only broadcast", lambda s: s.net.fit(
        s.x, np.ones((8, 1)), loss="mse", optimizer="sgd", epochs=1), ValueError, r"\(8, 1\)"),
    Row("targets that would only broadcast", lambda s: s.net.fit(
        s.x, np.ones(8), loss="mse", optimizer="sgd", epochs=1), ValueError, r"\(8,\)"),
    Row("targets that would only broadcast",
        lambda s: bp.MSE().value_and_grad(X, X[:, :1]), ValueError, r"\(8, 1\)"),
    Row("targets that would only broadcast",
        lambda s: bp.BCE().value_and_grad(X, X[0]), ValueError, r"\(4,\)|rows"),
    Row("a gradient of another shape than the output, which would only broadcast",
        lambda s: s.net.backward(s.watch(np.ones((8, 1)))), ValueError,
        r"dy must have shape \(n, 3\)"),
    Row("a gradient of another shape than the output, which would only broadcast",
        lambda s: s.net.backward(np.ones(3)), ValueError, r"dy must have shape \(n, 3\), got"),
    Row("a gradient of another shape than the output, which would only broadcast",
        lambda s: s.net.backward(np.float64(1)), ValueError, "batch axis"),
    Row("a parameter, gradient or statistic of another shape",
        _set("params", "0.weight", np.ones((5, 4))), ValueError, r"\(4, 5\).*\(5, 4\)"),
    Row("a parameter, gradient or statistic of another shape",
        _set("params", "0.bias", np.ones(1)), ValueError, r"\(5,\).*\(1,\)"),
    Row("a parameter, gradient or statistic of another shape",
        _set("params", "0.bias", np.float64(1)), ValueError, r"\(5,\).*\(\)"),
    Row("a parameter, gradient or statistic of another shape",
        _set("grads", "4.bias", np.ones(5)), ValueError, r"\(3,\).*\(5,\)"),
    Row("a parameter, gradient or statistic of another shape",
        _set("buffers", "1.running_mean", np.ones((1, 5))), ValueError, r"\(5,\).*\(1, 5\)"),
    Row("a name that no parameter has",
        _set("params", "0.weights", np.ones((4, 5))), KeyError, "0.weights.*0.weight"),
    Row("a name that no parameter has",
        lambda s: s.net.buffers["1.mean"], KeyError, "1.running_mean"),
    Row("weights below 0, NaN or infinite",
        lambda s: s.fit(sample_weight=-s.weight), ValueError, "sample_weight must be >= 0"),
    Row("weights below 0, NaN or infinite",
        lambda s: s.fit(sample_weight=s.weight * np.nan), ValueError, "finite"),
    Row("weights below 0, NaN or infinite",
        lambda s: s.fit(sample_weight=s.weight * np.inf), ValueError, "finite"),
    Row("weights below 0, NaN or infinite",
        lambda s: s.fit(class_weight=np.array([1.0, -1.0, 1.0])), ValueError, "class_weight"),
    Row("weights of classes of another length, or for a class that is not there",
        lambda s: s.fit(class_weight=np.ones(2)), ValueError, r"class_weight.*\(3,\).*\(2,\)"),
    Row("weights of classes of another length, or for a class that is not there",
        lambda s: s.fit(class_weight={5: 1.0}), ValueError, "class_weight.*5"),
    Row("weights of classes of another length, or for a class that is not there",
        lambda s: s.fit(loss=bp.CrossEntropy(weight=np.ones(2))), ValueError, r"\(3,\)"),
    Row("labels below 0 or beyond the classes",
        lambda s: s.fit(y=s.y + 1), IndexError, r"0 \.\.\. 2.*got 3 at"),
    Row("labels below 0 or beyond the classes",
        lambda s: s.fit(y=s.y - 1), IndexError, r"0 \.\.\. 2.*got -1 at"),
    Row("labels below 0 or beyond the classes",
        lambda s: s.trainer().step(s.x, s.y + 2**62), IndexError, r"0 \.\.\. 2"),
    Row("labels below 0 or beyond the classes",
        lambda s: s.trainer().step(s.x, np.full(8, 2**64 - 1, "u8")), IndexError, r"0 \.\.\. 2"),
    Row("labels below 0 or beyond the classes",
        lambda s: s.net.evaluate(s.x, s.y - 5, loss="cross_entropy"), IndexError, r"0 \.\.\. 2"),
    Row("labels below 0 or beyond the classes",
        lambda s: bp.NLL().value_and_grad(X, s.y - 7), IndexError, r"0 \.\.\. 3"),
    Row("labels of a float or bool dtype",
        lambda s: s.fit(y=s.y.astype("f8")), TypeError, "integer dtype, got float64"),
    Row("labels of a float or bool dtype",
        lambda s: s.fit(y=s.y > 0), TypeError, "bool"),
    Row("labels of another shape",
        lambda s: s.fit(y=s.y[:, None]), ValueError, r"got .*\(8, 1\)"),
    Row("labels of another shape",
        lambda s: s.fit(y=np.ones((8, 4))), ValueError, r"\(8, 4\)"),
    Row("validation data that are no pair",
        lambda s: s.fit(validation_data=(s.x,)), ValueError, r"\(x, y\)"),
    Row("validation data that are no pair",
        lambda s: s.fit(validation_data=s.x), ValueError, r"\(x, y\)"),
    Row("labels of a float or bool dtype",
        lambda s: s.fit(validation_data=(s.x, s.y.astype(float))), TypeError, "integer"),
    Row("lengths for a net that takes no sequences",
        lambda s: s.net.predict(s.x, lengths=np.ones(8, int)), ValueError, "lengths|sequences"),
]  # fmt: skip
