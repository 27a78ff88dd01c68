"""The one list of op cases: parity, gradients, ISA levels, threads and the op benchmarks use it.

A case is an op with the shapes of its buffers and the data in them. ``run`` executes it on either
backend and returns everything the op wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from tolerance import EXACT, LINEAR, TRANSCENDENTAL, check_close

from pybp import backends
from pybp.arrays import FLOAT_TYPES
from pybp.program import ops
from pybp.program.activations import ACTIVATIONS, slope_from_output
from pybp.program.ops import ELEMENTWISE_LOSSES, N, Op
from pybp.program.program import Program

Shape = tuple[int, ...]
Fill = Callable[[np.random.Generator, Shape], np.ndarray]


class Case(NamedTuple):
    """An op on data.

    ``shapes`` has an entry for each buffer that the op names; N stands for ``rows``. ``fills`` says
    how a buffer starts where that is not a standard normal draw. ``terms`` and ``amp`` go into the
    tolerance formula.
    """

    name: str
    op: Op
    rows: int
    shapes: dict[str, Shape]
    terms: int
    amp: float
    fills: dict[str, Fill] = {}  # noqa: RUF012 - never changed
    hyper: tuple[float, ...] = ()
    bench: bool = False


# ------------------------------------------------------------------------------ how to fill buffers


def normal(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.normal(size=shape)


def probabilities(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(0.05, 0.95, shape)


def distributions(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    raw = rng.uniform(0.1, 1, shape)
    return raw / raw.sum(axis=-1, keepdims=True)


def log_distributions(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return np.log(distributions(rng, shape))


def positive(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(0.5, 3, shape)


def counts(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.integers(0, 6, shape).astype(float)


def yes_or_no(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.integers(0, 2, shape).astype(float)


def some_zero(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(0.5, 2, shape) * (rng.uniform(size=shape) > 0.3)


def labels(classes: int, ignored: bool = False) -> Fill:
    def fill(rng: np.random.Generator, shape: Shape) -> np.ndarray:
        drawn = rng.integers(0, classes, shape)
        return np.where(rng.uniform(size=shape) < 0.3, -100, drawn) if ignored else drawn

    return fill


def away_from(*points: float) -> Fill:
    """Return normal numbers that keep a distance from kinks, so that differences make sense."""

    def fill(rng: np.random.Generator, shape: Shape) -> np.ndarray:
        x = rng.normal(size=shape) * 2
        for point in points:
            x = np.where(np.abs(x - point) < 0.05, x + 0.2, x)
        return x

    return fill


def not_a_number(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return np.full(shape, np.nan)


# ---------------------------------------------------------------------------------------- the cases


def dense_cases() -> Iterator[Case]:
    sizes = [
        (1, 1, 1),
        (1, 784, 40),
        (3, 7, 5),
        (8, 31, 17),
        (15, 257, 33),
        (32, 784, 40),
        (33, 64, 65),
        (100, 100, 10),
        (128, 512, 512),
        (300, 20, 1),
    ]
    for rows, inner, outer in sizes:
        x, w, y, b = (N, inner), (inner, outer), (N, outer), (outer,)
        name = f"{rows}x{inner}x{outer}"
        bench = rows * inner * outer >= 10_000
        for activation in (
            ("identity", "relu") if bench else ("identity", "relu", "tanh", "sigmoid")
        ):
            op = ops.Dense("x", "w", "y", "b", activation, 1.0)
            shapes = {"x": x, "w": w, "b": b, "y": y}
            yield Case(f"dense {activation} {name}", op, rows, shapes, inner, LINEAR, bench=bench)
        yield Case(
            f"dense_grad_weight {name}",
            ops.DenseGradWeight("x", "dy", "dw", "db"),
            rows,
            {"x": x, "dy": y, "dw": w, "db": b},
            rows,
            LINEAR,
            {"dw": not_a_number, "db": not_a_number},
            bench=bench,
        )
        yield Case(
            f"dense_grad_input {name}",
            ops.DenseGradInput("dy", "w", "dx"),
            rows,
            {"dy": y, "w": w, "dx": x},
            outer,
            LINEAR,
            bench=bench,
        )
    yield from _dense_variants()


def _dense_variants() -> Iterator[Case]:
    x, w, y, b = (N, 3, 6), (6, 5), (N, 3, 5), (5,)
    yield Case("dense no bias", ops.Dense("x", "w", "y"), 4, {"x": x, "w": w, "y": y}, 6, LINEAR)
    for activation, alpha in (
        ("leaky_relu", 0.1),
        ("sigmoid", 3.0),
        ("straight_through_relu", 0.0),
    ):
        op = ops.Dense("x", "w", "y", "b", activation, alpha)
        shapes = {"x": x, "w": w, "b": b, "y": y}
        yield Case(f"dense time steps {activation}", op, 4, shapes, 6, LINEAR)
    yield Case(
        "dense_grad_weight accumulate",
        ops.DenseGradWeight("x", "dy", "dw", "db", True),
        4,
        {"x": x, "dy": y, "dw": w, "db": b},
        12,
        LINEAR,
    )
    yield Case(
        "dense_grad_weight no bias",
        ops.DenseGradWeight("x", "dy", "dw"),
        4,
        {"x": x, "dy": y, "dw": w},
        12,
        LINEAR,
    )
    for activation in ("relu", "leaky_relu", "sigmoid", "tanh"):
        yield Case(
            f"dense_grad_input slope {activation}",
            ops.DenseGradInput("dy", "w", "dx", "x", activation, 0.5),
            7,
            {"dy": (N, 5), "w": w, "x": (N, 6), "dx": (N, 6)},
            5,
            LINEAR,
        )


PARAMETERS = {
    "leaky_relu": (0.1, 0.0),
    "sigmoid": (1.5, 0.0),
    "elu": (0.7, 0.0),
    "softplus": (2.0, 0.0),
    "hard_tanh": (-0.7, 1.2),
}
KINKS = {"hard_tanh": (-0.7, 1.2), "hard_sigmoid": (-3.0, 3.0)}


def activation_cases() -> Iterator[Case]:
    for function in ACTIVATIONS:
        alpha, beta = PARAMETERS.get(function, (0.0, 0.0))
        for rows, size, bench in ((3, 37, False), (256, 512, True)):
            yield Case(
                f"activate {function} {rows}x{size}",
                ops.Activate("x", "y", function, alpha, beta),
                rows,
                {"x": (N, size), "y": (N, size)},
                1,
                TRANSCENDENTAL,
                {"x": away_from(0.0, *KINKS.get(function, ()))},
                bench=bench,
            )
            saved = _outputs(function, alpha) if slope_from_output(function, alpha) else normal
            yield Case(
                f"activate_grad {function} {rows}x{size}",
                ops.ActivateGrad("dy", "saved", "dx", function, alpha, beta),
                rows,
                {"dy": (N, size), "saved": (N, size), "dx": (N, size)},
                1,
                TRANSCENDENTAL,
                {"saved": saved},
                bench=bench,
            )
    yield Case(
        "activate leaky_relu of negative slope",
        ops.Activate("x", "y", "leaky_relu", -0.5),
        3,
        {"x": (N, 19), "y": (N, 19)},
        1,
        EXACT,
        {"x": away_from(0.0)},
    )


def _outputs(function: str, alpha: float) -> Fill:
    """Return a fill with numbers that the activation can give."""
    if function in ("sigmoid", "heaviside"):
        return probabilities
    if function == "tanh":
        return lambda rng, shape: rng.uniform(-0.95, 0.95, shape)
    return normal


def row_cases() -> Iterator[Case]:
    axes: list[tuple[Shape, int, int, bool]] = [
        ((N, 10), 1, 64, False),
        ((N, 1), 1, 3, False),
        ((N, 4, 9), 2, 5, False),
        ((N, 4, 9), 1, 5, False),
        ((N, 2, 3, 4), 2, 3, False),
        ((N, 1000), 1, 64, True),
        ((N, 10), 1, 512, True),
    ]
    for shape, axis, rows, bench in axes:
        for log in (False, True):
            title = "log_softmax" if log else "softmax"
            size = shape[axis]
            yield Case(
                f"{title} {rows} {shape[1:]} axis {axis}",
                ops.Softmax("x", "y", axis, log),
                rows,
                {"x": shape, "y": shape},
                size,
                TRANSCENDENTAL,
                bench=bench,
            )
            yield Case(
                f"{title}_grad {rows} {shape[1:]} axis {axis}",
                ops.SoftmaxGrad("dy", "y", "dx", axis, log),
                rows,
                {"dy": shape, "y": shape, "dx": shape},
                size,
                TRANSCENDENTAL,
                {"y": log_distributions if log else distributions},
                bench=bench,
            )
    for p, rows, size in ((0.5, 3, 41), (0.0, 2, 5), (1.0, 2, 5), (0.2, 128, 512)):
        shapes = {"x": (N, size), "y": (N, size)}
        op = ops.Dropout("x", "y", p, 3)
        yield Case(f"dropout {p} {rows}x{size}", op, rows, shapes, 1, EXACT, bench=rows > 100)
    shapes = {"x": (N, 3, 4), "y": (N, 12)}
    yield Case("reshape", ops.Reshape("x", "y", (12,)), 5, shapes, 1, EXACT)


LOSS_FILLS: dict[str, tuple[Fill, Fill, float]] = {
    "squared": (normal, normal, 0.0),
    "absolute": (normal, normal, 0.0),
    "huber": (normal, normal, 0.8),
    "quantile": (normal, normal, 0.3),
    "bce": (probabilities, probabilities, 0.0),
    "kl_div": (log_distributions, distributions, 0.0),
    "kl_div_log": (log_distributions, log_distributions, 0.0),
    "poisson_log": (normal, counts, 1e-8),
    "poisson_rate": (positive, counts, 1e-8),
}


def loss_cases() -> Iterator[Case]:
    for function in ELEMENTWISE_LOSSES:
        prediction, target, parameter = LOSS_FILLS[function]
        fills = {"prediction": prediction, "target": target}
        for reduction in ("mean", "batch", "sum"):
            extra = {"function": function, "parameter": parameter}
            yield _loss(
                f"{function} {reduction}", ops.ElementwiseLoss, (5, (N, 7)), fills, reduction, extra
            )
        extra = {"function": function, "parameter": parameter, "full": True, "scale": 0.5}
        yield _loss(
            f"{function} weighted", ops.ElementwiseLoss, (6, (N, 3, 5)), fills, "mean", extra, (N,)
        )
        extra = {"function": function, "parameter": parameter}
        yield _loss(
            f"{function} large",
            ops.ElementwiseLoss,
            (256, (N, 128)),
            fills,
            "mean",
            extra,
            bench=True,
        )
    yield from _class_losses()


def _class_losses() -> Iterator[Case]:
    many = {"mean": (9, (N, 10)), "batch": (4, (N, 3, 17)), "sum": (3, (N, 1))}
    for reduction, (rows, plain) in many.items():
        shape, k = plain, plain[-1]
        logits, log_p = (
            {"target": labels(k)},
            {"prediction": log_distributions, "target": labels(k)},
        )
        size = (rows, shape)
        yield _loss(f"labels {reduction}", ops.LabelLoss, size, logits, reduction, {})
        yield _loss(f"nll {reduction}", ops.LabelLoss, size, log_p, reduction, {"logits": False})
        soft = {"target": distributions}
        yield _loss(f"distribution {reduction}", ops.DistributionLoss, size, soft, reduction, {})
        yield _loss(f"norm {reduction}", ops.NormLoss, size, {}, reduction, {})
        yes = {"target": yes_or_no}
        yield _loss(f"bce_logits {reduction}", ops.BCEWithLogitsLoss, size, yes, reduction, {})
        # With one class the gradient is a difference of equal terms: all rounding, no size to
        # measure it by. So the options are tried on at least two.
        shape = (*shape[:-1], max(k, 2))
        k, size = shape[-1], (rows, shape)
        weights: dict[str, Any] = {"class_weight": "class_weight", "label_smoothing": 0.1}
        ignored = {"target": labels(k, ignored=True), "class_weight": positive, "weight": some_zero}
        for extra in (weights, {**weights, "logits": False}):
            fills = {**ignored, "prediction": log_distributions if "logits" in extra else normal}
            name = f"labels all options {reduction} {'nll' if 'logits' in extra else 'logits'}"
            yield _loss(name, ops.LabelLoss, size, fills, reduction, extra, shape[:-1])
        fills = {"target": distributions, "class_weight": positive, "weight": some_zero}
        name = f"distribution all options {reduction}"
        yield _loss(name, ops.DistributionLoss, size, fills, reduction, weights, (N,))
        columns = {"column_weight": "column_weight", "positive_weight": "positive_weight"}
        fills = {"target": yes_or_no, "column_weight": positive, "positive_weight": positive}
        name = f"bce_logits all options {reduction}"
        yield _loss(name, ops.BCEWithLogitsLoss, size, fills, reduction, columns, (N,))
    large = (512, (N, 10))
    yield _loss(
        "labels large", ops.LabelLoss, large, {"target": labels(10)}, "mean", {}, bench=True
    )
    wide = (64, (N, 1000))
    yield _loss(
        "labels wide", ops.LabelLoss, wide, {"target": labels(1000)}, "mean", {}, bench=True
    )
    everything = {"target": lambda rng, shape: np.full(shape, -100)}
    yield _loss("labels all ignored", ops.LabelLoss, (3, (N, 4)), everything, "mean", {})


def _loss(
    name: str,
    kind: type[ops.Loss],
    size: tuple[int, Shape],
    fills: dict[str, Fill],
    reduction: str,
    extra: dict[str, Any],
    weight: Shape | None = None,
    bench: bool = False,
) -> Case:
    rows, shape = size
    positions = shape[:-1] if kind in (ops.LabelLoss, ops.DistributionLoss, ops.NormLoss) else shape
    shapes = {
        "prediction": shape,
        "target": shape[:-1] if kind is ops.LabelLoss else shape,
        "dy": shape,
        "losses": positions,
    }
    if weight is not None:
        shapes["weight"] = weight
        fills = {"weight": positive, **fills}
    for constant in ("class_weight", "column_weight", "positive_weight"):
        if constant in extra:
            shapes[constant] = (shape[-1],)
    op = kind(
        prediction="prediction",
        target="target",
        weight="" if weight is None else "weight",
        dy="dy",
        losses="losses",
        reduction=reduction,
        **extra,
    )
    elements = int(np.prod(shape[1:])) * rows
    return Case(f"loss {name}", op, rows, shapes, elements, TRANSCENDENTAL, fills, bench=bench)


def metric_cases() -> Iterator[Case]:
    shapes = {"prediction": (N, 10), "target": (N,)}
    op = ops.Accuracy("prediction", "target")
    yield Case("accuracy labels", op, 40, shapes, 40, EXACT, {"target": labels(10, ignored=True)})
    shapes = {"prediction": (N, 4), "target": (N, 4), "weight": (N,)}
    op = ops.Accuracy("prediction", "target", "weight")
    fills = {"target": distributions, "weight": positive}
    yield Case("accuracy distributions weighted", op, 40, shapes, 40, LINEAR, fills)
    shapes = {"prediction": (N, 3), "target": (N, 3)}
    op = ops.Accuracy("prediction", "target", binary=True, threshold=0.5)
    yield Case("accuracy binary", op, 40, shapes, 120, EXACT, {"target": yes_or_no})


def update_cases() -> Iterator[Case]:
    for size, bench in ((37, False), (400_000, True)):
        flat = {"w": (size,), "g": (size,)}
        plain = (0.1, 1.0, 0.01, 0.0, 1.0)
        yield Case(f"sgd {size}", ops.SGD("w", "g"), 1, flat, 2, LINEAR, {}, plain, bench)
        hyper = (0.1, -1.0, 0.01, 0.9, 0.8)
        for nesterov in (False, True):
            op = ops.SGD("w", "g", "v", nesterov)
            shapes = {**flat, "v": (size,)}
            name = f"sgd momentum{' nesterov' * nesterov} {size}"
            yield Case(name, op, 1, shapes, 3, LINEAR, {}, hyper, bench)
        yield from _fused_steps(64 if bench else 1)
        shapes = {**flat, "m": (size,), "v": (size,)}
        fills = {"v": positive, "vmax": positive}
        hyper = (1e-2, 1.0, 0.02, 0.9, 0.1, 0.999, 0.001, 1e-8, 0.19, 0.045)
        for decoupled in (False, True):
            op = ops.Adam("w", "g", "m", "v", "", decoupled)
            name = f"adam{' decoupled' * decoupled} {size}"
            yield Case(name, op, 1, shapes, 3, LINEAR, fills, hyper, bench)
        op = ops.Adam("w", "g", "m", "v", "vmax")
        shapes = {**shapes, "vmax": (size,)}
        yield Case(f"adam amsgrad {size}", op, 1, shapes, 3, LINEAR, fills, hyper, bench)


def _fused_steps(rows: int) -> Iterator[Case]:
    for inner, outer in ((784, 40), (7, 19)):
        for weight_decay, start in ((0.0, some_zero), (0.1, normal)):
            yield Case(
                f"sgd_dense {rows}x{inner}x{outer} decay {weight_decay}",
                ops.SGDDense("x", "dy", "w", "b"),
                rows,
                {"x": (N, inner), "dy": (N, outer), "w": (inner, outer), "b": (outer,)},
                rows,
                LINEAR,
                {"x": start},
                (0.1, 1.0, weight_decay, 0.0, 1.0),
                inner == 784,
            )


OP_CASES: list[Case] = [
    *dense_cases(),
    *activation_cases(),
    *row_cases(),
    *loss_cases(),
    *metric_cases(),
    *update_cases(),
]
BENCH_CASES = [case for case in OP_CASES if case.bench]


# -------------------------------------------------------------------------------------- running one


def make_program(case: Case, dtype: str) -> Program:
    """Return the program that holds just this op."""
    program = Program(case.name, dtype)
    for name, shape in case.shapes.items():
        kind = (
            "int32"
            if isinstance(case.op, ops.LabelLoss | ops.Accuracy)
            and (name == "target" and shape == case.shapes["prediction"][:-1])
            else "real"
        )
        written = name in case.op.outputs()
        role = "value" if shape[0] == N else "state" if written else "constant"
        program.add_buffer(name, shape, role, kind)
    if isinstance(case.op, ops.Loss | ops.Accuracy):
        program.add_result("result")
    program.append(case.op)
    program.verify()
    return program


def make_arrays(case: Case, dtype: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the arrays the case starts from, by buffer."""
    rng = np.random.default_rng([seed, len(case.name), *case.name.encode()])
    arrays = {}
    for name, shape in case.shapes.items():
        full = tuple(case.rows if extent == N else extent for extent in shape)
        array = case.fills.get(name, normal)(rng, full)
        arrays[name] = array if array.dtype.kind == "i" else array.astype(FLOAT_TYPES[dtype])
    return arrays


class BoundCase:
    """A case bound to one backend, ready to run again and again."""

    def __init__(self, case: Case, dtype: str, backend: str, arrays: dict[str, np.ndarray]) -> None:
        self.case, self.program = case, make_program(case, dtype)
        self.fixed = {
            buffer.name: np.ascontiguousarray(arrays[buffer.name], FLOAT_TYPES[dtype]).copy()
            for buffer in self.program.of_role("state", "constant")
        }
        self.executor = backends.make_executor(backend, self.program, self.fixed, case.rows)
        for buffer in self.program.of_role("value"):
            if buffer.name in case.op.inputs():
                self.executor.write(buffer.name, arrays[buffer.name])
        self.results = np.zeros((1, 2 * len(self.program.results)))
        self._starts = np.array([0, case.rows])
        self._hyper = np.array([case.hyper], np.float64).reshape(1, -1)

    def run(self) -> None:
        """Run the op once."""
        self.executor.run([], None, self._starts, self._hyper, self.results, 7, 5, 0, 1)

    def outputs(self) -> dict[str, np.ndarray]:
        """Return all that the op has written, and its results."""
        written = {
            name: self.fixed[name].copy()
            if name in self.fixed
            else self.executor.read(name, self.case.rows)
            for name in self.case.op.outputs()
        }
        if self.results.size:
            written["results"] = self.results.copy()
        return written


def run(case: Case, dtype: str, backend: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Run a case once on a backend and return all that it wrote."""
    bound = BoundCase(case, dtype, backend, make_arrays(case, dtype, seed))
    bound.run()
    return bound.outputs()


def check_case(case: Case, dtype: str, backend: str) -> None:
    """Fail unless a backend's outputs are those of NumPy in float64 on the same inputs."""
    arrays = make_arrays(case, dtype)
    bound = BoundCase(case, dtype, backend, arrays)
    bound.run()
    exact = BoundCase(case, "float64", "numpy", arrays)
    exact.run()
    expected = exact.outputs()
    for name, array in bound.outputs().items():
        if name != "results":
            assert array.dtype == FLOAT_TYPES[dtype]
        check_close(array, expected[name], dtype, case.terms, case.amp, f"{case.name}: {name}")


def ids(case: Case) -> str:
    """Return the name of a case, for test ids."""
    return case.name


def sized_cases(size: int) -> Iterator[Case]:
    """Yield a case of every kind of op with one inner size."""
    rows = 1 + size % 9
    yield from _dense_sized(size, rows)
    for case in OP_CASES:
        if not case.bench and _resizable(case) and (size > 1 or "all options" not in case.name):
            shapes = {name: _resize(shape, size) for name, shape in case.shapes.items()}
            fills = dict(case.fills)
            if isinstance(case.op, ops.LabelLoss) and "ignored" not in case.name:
                fills["target"] = labels(size, ignored="options" in case.name)
            yield case._replace(
                name=f"{case.name} at {size}",
                shapes=shapes,
                rows=rows if case.rows > 1 else 1,
                fills=fills,
                terms=max(size * rows, 1),
            )


def _resizable(case: Case) -> bool:
    """Tell whether all shapes are (size,), (n,) or (n, size)."""
    if isinstance(case.op, ops.Dense | ops.DenseGradInput | ops.DenseGradWeight | ops.Reshape):
        return False
    if isinstance(case.op, ops.Accuracy | ops.SGDDense):
        return False
    return all(len(shape) <= 2 for shape in case.shapes.values())


def _resize(shape: Shape, size: int) -> Shape:
    if shape == (N,):
        return shape
    return (N, size) if shape[0] == N else (size,)


def _dense_sized(size: int, rows: int) -> Iterator[Case]:
    for inner, outer in ((size, 7), (7, size), (size, size)):
        x, w, y, b = (N, inner), (inner, outer), (N, outer), (outer,)
        name = f"{rows}x{inner}x{outer}"
        op: Op = ops.Dense("x", "w", "y", "b", "tanh")
        yield Case(f"dense {name}", op, rows, {"x": x, "w": w, "b": b, "y": y}, inner, LINEAR)
        op = ops.DenseGradWeight("x", "dy", "dw", "db")
        shapes = {"x": x, "dy": y, "dw": w, "db": b}
        yield Case(f"dense_grad_weight {name}", op, rows, shapes, rows, LINEAR)
        op = ops.DenseGradInput("dy", "w", "dx", "x", "sigmoid", 1.0)
        shapes = {"dy": y, "w": w, "x": x, "dx": x}
        yield Case(f"dense_grad_input {name}", op, rows, shapes, outer, LINEAR)
        op = ops.SGDDense("x", "dy", "w", "b")
        shapes = {"x": x, "dy": y, "w": w, "b": b}
        hyper = (0.1, 1.0, 0.01, 0.0, 1.0)
        yield Case(f"sgd_dense {name}", op, rows, shapes, rows, LINEAR, {}, hyper)
