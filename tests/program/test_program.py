"""The program: what its verifier refuses, how it prints, what the builder fuses."""

from __future__ import annotations

import numpy as np
import pytest

import pybp as bp
from pybp.backends import make_executor
from pybp.program import ops
from pybp.program.gradient import add_gradient
from pybp.program.ops import N, OpError
from pybp.program.program import Program


def _program() -> Program:
    program = Program("test", "float32")
    program.add_buffer("x", (N, 4), "input")
    program.add_buffer("w", (4, 3), "param")
    program.add_buffer("b", (3,), "param")
    return program


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (ops.Dense("x", "v", "y"), "w='v' names no buffer"),
        (ops.Dense("x", "b", "y"), r"x \[..., in\] and w \[in, out\] must agree"),
        (ops.Dense("x", "w", "y", "w"), r"b must be \(3,\), got \(4, 3\)"),
        (ops.Dense("x", "w", "y", "b", "cube"), "activation is one of"),
        (ops.Dense("x", "w", "y", "b", "gelu"), "can't be fused"),
        (ops.Dense("x", "w", "x"), r"y must have shape \(n, 4\)|x must have shape|must have shape"),
        (ops.Activate("x", "y", "cube"), "activation is one of"),
        (ops.Softmax("x", "y", 0), r"axis must be 1 \.\.\. 1, got 0"),
        (ops.Dropout("x", "y", 2.0, 1), r"p must lie in \[0, 1\], got 2.0"),
        (ops.Reshape("x", "y", (5,)), "other element count"),
        (ops.ElementwiseLoss("x", "b", dy="dy"), r"target must be \(-1, 4\), got \(3,\)"),
        (ops.ElementwiseLoss("x", "x", reduction="none"), "reduction is one of mean, batch"),
        (ops.ElementwiseLoss("x", "x", function="cubed"), "function is one of"),
        (ops.LabelLoss("x", "x"), r"target must be \(-1,\)"),
        (ops.ElementwiseLoss("x", "x", "w"), "weight must be"),
        (ops.Accuracy("x", "b"), "target must be one of"),
        (ops.DenseGradInput("x", "w", "dx"), r"dy \[..., out\] and w"),
        (ops.DenseGradWeight("x", "b", "dw"), "the same rows"),
    ],
)
def test_a_broken_shape_rule_names_the_op_and_what_was_found(op: ops.Op, message: str) -> None:
    with pytest.raises(OpError, match=message) as caught:
        _program().append(op)
    assert str(caught.value).startswith(f"{op.kind}: ")


def test_reading_before_writing_is_refused() -> None:
    program = _program()
    program.append(ops.Dense("x", "w", "y", "b"))
    program.append(ops.Activate("y", "z", "tanh"))
    program.ops.reverse()
    with pytest.raises(OpError, match="activate: reads 'y' before anything has written it"):
        program.verify()


def test_writing_an_input_is_refused() -> None:
    program = _program()
    program.append(ops.Activate("x", "x", "tanh"))
    with pytest.raises(OpError, match="writes 'x', which belongs to the caller"):
        program.verify()


def test_a_result_column_out_of_range_is_refused() -> None:
    program = _program()
    program.append(ops.ElementwiseLoss("x", "x", result=2))
    program.add_result("loss")
    with pytest.raises(OpError, match="result column 2 of 2"):
        program.verify()


def test_buffers_are_declared_once_and_with_a_role() -> None:
    program = _program()
    with pytest.raises(OpError, match="'x' is declared twice"):
        program.add_buffer("x", (N, 1), "input")
    with pytest.raises(OpError, match="role of buffer 'q'"):
        program.add_buffer("q", (N, 1), "guest")


def _kinds(*layers: bp.layers.Layer) -> list[str]:
    program = bp.Sequential(layers).build((4,)).program
    return [op.kind for op in program.ops[: program.backward_start]]


def test_an_activation_is_fused_into_the_dense_op_before_it() -> None:
    assert _kinds(bp.Linear(3), bp.ReLU()) == ["dense"]
    assert _kinds(bp.Linear(3), bp.Sigmoid(slope=2.0)) == ["dense"]


@pytest.mark.parametrize(
    "layers",
    [
        (bp.Linear(3), bp.GELU()),  # the slope needs the input
        (bp.Linear(3), bp.LeakyReLU(-0.5)),  # the output doesn't tell the input's sign
        (bp.Linear(3), bp.Tanh(), bp.Tanh()),  # there is one already
        (bp.Tanh(), bp.Linear(3)),
    ],
)
def test_an_activation_that_cannot_be_fused_is_an_op(layers: tuple[bp.layers.Layer, ...]) -> None:
    assert _kinds(*layers).count("activate") == 1


def test_layers_that_do_nothing_lower_to_nothing() -> None:
    assert _kinds(bp.Linear(3), bp.Identity(), bp.Dropout(0.0)) == ["dense"]


def _backward(*layers: bp.layers.Layer) -> list[ops.Op]:
    program = bp.Sequential(layers).build((4,)).program
    return program.ops[program.backward_start :]


def test_the_slope_below_is_taken_along_with_the_input_gradient() -> None:
    backward = _backward(bp.Linear(3), bp.Sigmoid(), bp.Linear(2))
    assert not any(isinstance(op, ops.ActivateGrad) for op in backward)
    first = next(op for op in backward if isinstance(op, ops.DenseGradInput))
    assert (first.activation, first.x) == ("sigmoid", "0.y")


def test_a_shared_weight_adds_its_gradients() -> None:
    twice = bp.Linear(4)
    weights = [op for op in _backward(twice, twice) if isinstance(op, ops.DenseGradWeight)]
    assert [op.accumulate for op in weights] == [False, True]
    assert weights[0].dw == weights[1].dw


def test_training_computes_no_gradient_of_its_input() -> None:
    net = bp.Sequential([bp.Flatten(), bp.Linear(3), bp.Tanh(), bp.Linear(2)]).build((2, 2))
    trainer = bp.Trainer(net, "mse", "adam")
    program = trainer.program(np.zeros((3, 2, 2)), np.zeros((3, 2)))
    assert "d(x)" not in program.buffers
    assert sum(isinstance(op, ops.DenseGradInput) for op in program.ops) == 1


def test_the_gradients_of_a_value_with_two_readers_are_summed() -> None:
    """For a = tanh(y) and s = 2y: dy = da * (1 - a * a) + ds + ds."""
    program = Program("two readers", "float64")
    program.add_buffer("y", (N, 3), "value")
    program.append(ops.Activate("y", "a", "tanh"))
    program.append(ops.Add("y", "y", "s"))
    program.backward_start = 2
    for name in ("da", "ds"):
        program.add_buffer(name, (N, 3), "value")
    gradients = add_gradient(program, {"a": "da", "s": "ds"}, inputs=("y",))
    program.verify()
    executor = make_executor("numpy", program, {}, 2, keep_forward=True)
    y, da, ds = np.random.default_rng(0).normal(size=(3, 2, 3))
    for name, array in (("y", y), ("da", da), ("ds", ds)):
        executor.write(name, array)
    starts, nothing = np.array([0, 2]), np.zeros((1, 0))
    executor.run([], None, starts, nothing, nothing, 0, 0, 0, len(program.ops))
    expected = da * (1 - np.tanh(y) ** 2) + 2 * ds
    np.testing.assert_allclose(executor.read(gradients["y"], 2), expected, rtol=1e-13)


def _image() -> Program:
    program = Program("test", "float32")
    program.add_buffer("x", (N, 5, 4, 6), "input")
    program.add_buffer("row", (N, 4, 6), "input")
    program.add_buffer("w", (3, 3, 3, 8), "param")
    program.add_buffer("k", (3, 3, 6, 4), "param")
    program.add_buffer("b", (6,), "param")
    program.add_buffer("dy", (N, 2, 2, 6), "value")
    program.add_buffer("argmax", (N, 2, 2, 6), "value", "uint8")
    return program


ONE = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1)}
TWO = {**ONE, "stride": (2, 2), "kernel": (2, 2), "ceil": False}
GROUPS = {**ONE, "groups": 2, "flip": False}
MEAN = {**TWO, "divisor": 0, "count_padding": True}


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (ops.Conv(**GROUPS, x="row", w="w", y="y"), r"w must be \(\*kernel, in / groups, out\)"),
        (ops.Conv(**{**GROUPS, "groups": 4}, x="x", w="w", y="y"), "groups must divide"),
        (ops.Conv(**{**GROUPS, "groups": 0}, x="x", w="w", y="y"), "groups must divide"),
        (ops.Conv(**GROUPS, x="x", w="k", y="y"), "w must have 3 inputs a group, got 6"),
        (ops.Conv(**GROUPS, x="x", w="w", y="y", b="b"), r"b must be \(8,\), got \(6,\)"),
        (
            ops.Conv(**GROUPS, x="x", w="w", y="y", activation="gelu"),
            "gelu can't be fused: its slope needs the input",
        ),
        (
            ops.Conv(**{**GROUPS, "dilation": (1, 2)}, x="x", w="w", y="y"),
            r"larger than the padded input along axis 2: it spans 5, got 4 \+ 0 \+ 0",
        ),
        (
            ops.Conv(**{**GROUPS, "stride": (1, 0)}, x="x", w="w", y="y"),
            "stride must have 2 entries >= 1",
        ),
        (
            ops.Conv(**{**GROUPS, "padding": (1, 1)}, x="x", w="w", y="y"),
            "padding must have 4 entries >= 0",
        ),
        (
            ops.ConvGradInput(**{**GROUPS, "groups": 1}, size=(5, 4), dy="x", w="k", dx="dx"),
            r"dy must have the space \(3, 2\), got \(5, 4\)",
        ),
        (
            ops.ConvGradInput(**{**GROUPS, "groups": 1}, size=(4, 4), dy="dy", w="k", dx="dx"),
            "dy must have 4 channels, got 6",
        ),
        (
            ops.ConvGradWeight(**GROUPS, kernel=(3, 3), x="x", dy="dy", dw="dw"),
            r"dy must have the space \(3, 2\), got \(2, 2\)",
        ),
        (
            ops.Col2Im(**ONE, kernel=(2, 2), size=(6, 5), x="x", y="y"),
            "x must have a multiple of 4 columns, got 6",
        ),
        (
            ops.MaxPool(**{**TWO, "padding": (0, 2, 0, 0)}, x="x", y="y"),
            "padding is at most half a window of 2, got 0, 2",
        ),
        (
            ops.MaxPool((1, 1), (0, 0, 1, 1), (1, 5), (1, 2), False, "x", "y"),
            r"window 0 of axis 2 lies only in padding: .* the window reads 2 cells from -1 to 4",
        ),
        (ops.AvgPool(**{**MEAN, "kernel": (6, 1)}, x="x", y="y"), "larger than the padded input"),
        (
            ops.MaxPoolGrad(**TWO, size=(7, 4), dy="dy", argmax="argmax", dx="dx"),
            r"dy must have the space \(3, 2\), got \(2, 2\)",
        ),
        (
            ops.MaxPoolGrad(**TWO, size=(5, 4), dy="dy", argmax="x", dx="dx"),
            r"argmax must be \(-1, 2, 2, 6\)",
        ),
        (
            ops.AvgPoolGrad(**MEAN, size=(6, 4), dy="dy", dx="dx"),
            r"dy must have the space \(3, 2\), got \(2, 2\)",
        ),
        (ops.BatchNorm("x", "b", "w", "y"), r"var must be \(6,\), got \(3, 3, 3, 8\)"),
        (ops.BatchNormGrad("dy", "x", "b", "b", dx="dx"), r"dy must be \(-1, 5, 4, 6\)"),
        (ops.LayerNorm("x", "y", "m", "r", axes=4), r"axes must be 1 \.\.\. 3, got 4"),
        (ops.LayerNorm("x", "y", "m", "r", "b", axes=2), r"gamma must be \(4, 6\), got \(6,\)"),
        (ops.Add("x", "row", "y"), "a and b must have one shape"),
        (ops.Bias("row", "w", "y"), r"b must be \(6,\)"),
        (ops.MoveChannels("w", "y", True), "x must have channels and at least one more axis"),
    ],
)
def test_a_broken_rule_of_images_names_the_op_and_what_was_found(op: ops.Op, message: str) -> None:
    with pytest.raises(OpError, match=message) as caught:
        _image().append(op)
    assert str(caught.value).startswith(f"{op.kind}: ")


def test_the_print_names_every_buffer_of_the_caller() -> None:
    text = str(bp.Sequential([bp.Linear(3), bp.Tanh()]).build((4,)).program)
    for line in ("value    x (n, 4)", "input    dy (n, 3)", "param    0.weight (4, 3)"):
        assert line in text
    assert "-- backward --" in text
