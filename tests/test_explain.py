"""``explain``: every number it prints is checked against the net and finite differences."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from finite_difference import central_differences

import pybp as bp

RNG = np.random.default_rng(0)
NETS: list[tuple[Callable[[], bp.Sequential], object, object, object]] = [
    (lambda: bp.Sequential([bp.Linear(2), bp.Sigmoid(), bp.Linear(1)]), (2,), [0.5], "mse"),
    (
        lambda: bp.Sequential([bp.Linear(3), bp.ReLU(), bp.Linear(3)], dtype="float64"),
        (7,),
        2,
        "cross_entropy",
    ),
    (
        lambda: bp.Sequential(
            [
                bp.Flatten(),
                bp.Sequential([bp.Linear(4, bias=False), bp.GELU(), bp.Dropout()]),
                bp.Tanh(),
                bp.Linear(3),
                bp.LogSoftmax(),
            ]
        ),
        (2, 3),
        1,
        "nll",
    ),
    (
        lambda: bp.Sequential([bp.Linear(2), bp.Softmax(), bp.Linear(2)]),
        (2,),
        [1.0, -3.0],
        bp.SquaredError("sum", half=True),
    ),
    (
        lambda: bp.Sequential([bp.Linear(3), bp.Sigmoid(2.0), bp.Softplus()]),
        (3,),
        [0.2, 0.3, 0.4],
        bp.Huber(),
    ),
]


def _printed(text: str) -> dict[str, float]:
    """Return name -> last number of each equation."""
    joined = re.sub(r"\n {6,}", " ", text)
    return {
        name: float(value)
        for name, value in re.findall(r"^    (\S+) = .*?([-\d.e+]+)$", joined, re.M)
        if not name.startswith("=")
    }


@pytest.mark.parametrize(("make", "shape", "y", "loss"), NETS)
def test_each_printed_number_is_right(
    make: Callable[[], bp.Sequential],
    shape: tuple[int, ...],
    y: object,
    loss: object,
    backend: str,
) -> None:
    net, x = make().build(shape), RNG.normal(size=shape)
    double = bp.Sequential(net.layers, dtype="float64").build(shape)
    places: dict[str, int] = {}
    for mine, theirs in zip(double.params, net.params, strict=True):
        double.params[mine] = net.params[theirs]
        places[mine] = 1 + int(mine.split(".")[0])
    before = {name: array.copy() for name, array in net.params.items()}
    text = bp.explain(net, x, np.asarray(y), loss, rate=0.1)
    forward, backward, step = re.split(r"\n\n(?=Backward|Step)", text)
    target = np.asarray(y)[None]
    kind = {"mse": bp.MSE(), "cross_entropy": bp.CrossEntropy(), "nll": bp.NLL()}
    judge = kind.get(loss, loss) if isinstance(loss, str) else loss
    sample = x[None].copy()

    def value() -> float:
        return float(judge.value_and_grad(double.predict(sample), target)[0])

    def close(got: float, expected: float) -> bool:
        return abs(got - expected) <= 6e-5 * abs(expected) + 1e-8

    assert close(_printed(forward)["L"], value())
    last = len(net.layers)
    output = double.predict(sample)[0]
    if isinstance(net.layers[-1], bp.Linear | bp.Softmax | bp.LogSoftmax | bp.Softplus):
        for k, number in enumerate(output):
            assert close(_printed(forward)[f"h{last}[{k}]"], number)
    slopes, moved = _printed(backward), _printed(step)
    checked = 0
    arrays = {
        f"d{'W' if name.endswith('weight') else 'b'}{places[name]}": array
        for name, array in double.params.items()
    }
    for title, array in arrays.items():
        expected = central_differences(value, array)
        for index in np.ndindex(array.shape):
            name = f"{title}[{','.join(map(str, index))}]"
            assert close(slopes[name], expected[index]), name
            assert close(moved[name[1:]], array[index] - 0.1 * expected[index]), name
            checked += 1
    assert checked == sum(array.size for array in net.params.values()) == len(moved)
    expected = central_differences(value, sample)[0]
    if len(shape) == 1:
        for k in range(shape[0]):
            assert close(slopes[f"dx[{k}]"], expected[k])
    assert re.search(r"Finite differences agree: the worst differs by \d\.\de-\d\d$", text)
    for name, array in before.items():
        np.testing.assert_array_equal(net.params[name], array)


def test_the_text_of_the_smallest_net(backend: str) -> None:
    net = bp.Sequential([bp.Linear(1), bp.Tanh()]).build((2,))
    net.params["0.weight"] = np.array([[0.5], [-0.25]])
    text = bp.explain(net, np.array([1.0, 4.0]), np.array([1.0]), "mse")
    assert text.splitlines()[:-2] == [
        "x = [1, 4]",
        "y = [1]",
        "",
        "Forward",
        "  layer 0, Linear(units=1): h1 = x @ W1 + b1 with W1 = 0.weight, b1 = 0.bias",
        "    h1[0] = x[0] * W1[0,0] + x[1] * W1[1,0] + b1[0] = 1 * 0.5 + 4 * (-0.25) + 0 = -0.5",
        "  layer 1, Tanh()",
        "    h2[0] = tanh(h1[0]) = -0.46212",
        "  loss, MSE()",
        "    L = (h2[0] - y[0])^2 = (-0.46212 - 1)^2 = 2.1378",
        "",
        "Backward (dA stands for dL/dA, the derivative of the loss by A)",
        "  loss, MSE()",
        "    dh2[0] = 2 * (h2[0] - y[0]) = 2 * (-0.46212 - 1) = -2.9242",
        "  layer 1, Tanh()",
        "    dh1[0] = dh2[0] * (1 - h2[0]^2) = (-2.9242) * (1 - (-0.46212)^2) = (-2.9242) "
        "* 0.78645 = -2.2998",
        "  layer 0, Linear(units=1)",
        "    dW1[0,0] = x[0] * dh1[0] = 1 * (-2.2998) = -2.2998",
        "    dW1[1,0] = x[1] * dh1[0] = 4 * (-2.2998) = -9.199",
        "    db1[0] = dh1[0] = -2.2998",
        "    dx[0] = dh1[0] * W1[0,0] = (-2.2998) * 0.5 = -1.1499",
        "    dx[1] = dh1[0] * W1[1,0] = (-2.2998) * (-0.25) = 0.57494",
    ]


def test_lines_fit_a_page(backend: str) -> None:
    net = bp.Sequential([bp.Linear(9), bp.ReLU(), bp.Linear(9)])
    text = bp.explain(net, -RNG.normal(size=12), 3, "cross_entropy", rate=1e-3)
    assert max(map(len, text.splitlines())) <= 100


X = np.ones(3)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: bp.explain(bp.Sequential([bp.Conv2d(2, 3)]), np.ones((4, 4, 1)), 1, "mse"),
            TypeError,
            "explain knows Linear layers and activations, not layer 0: Conv2d",
        ),
        (lambda: bp.explain(bp.Linear(2), X, 1, "mse"), TypeError, "explain takes a Sequential"),
        (
            lambda: bp.explain(bp.Sequential([bp.Linear(200)]), X, np.ones(200), "mse"),
            ValueError,
            "up to 300 numbers, this has 800",
        ),
        (
            lambda: bp.explain(bp.Sequential([bp.Linear(2)]), X, [1, 2], bp.MSE("none")),
            ValueError,
            "a loss that is one number",
        ),
        (
            lambda: bp.explain(bp.Sequential([bp.Linear(2)]), X, [1, 2, 3], "mse"),
            ValueError,
            "y must have the shape",
        ),
        (
            lambda: bp.explain(bp.Sequential([bp.Linear(2)]), np.ones((2, 3)), [1, 2], "mse"),
            ValueError,
            "Linear layers of vectors",
        ),
        (
            lambda: bp.explain(bp.Sequential([bp.Linear(2)]), X, [1, 2], "mse", rate="a"),
            TypeError,
            "rate must be a real number",
        ),
    ],
)
def test_what_does_not_fit_is_said(
    call: Callable[[], object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        call()
