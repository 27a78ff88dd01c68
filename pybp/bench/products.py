"""Matrix products in the three forms that backpropagation needs, one line each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pybp import _core
from pybp.arrays import FLOAT_TYPES, Array
from pybp.bench.costs import Cost

SIZES = (
    *((n, n, n) for n in (64, 128, 256, 512, 1024, 2048, 4096)),
    (128, 512, 512),
)
FORMS = {"xw": "x @ w", "xtdy": "x.T @ dy", "dywt": "dy @ w.T"}


class Gemm(NamedTuple):
    """A product for x (rows, inputs), w (inputs, units) and dy (rows, units)."""

    name: str
    title: str
    form: str  # of FORMS
    rows: int
    inputs: int
    units: int
    dtype: str
    way: str = "gemm"

    @property
    def transposed(self) -> tuple[bool, bool]:
        """Which of the two factors is transposed."""
        return self.form == "xtdy", self.form == "dywt"

    def factors(self) -> tuple[Array, Array]:
        """Return the two arrays as they lie, before they are transposed."""
        rng = np.random.default_rng(1)
        shapes = {
            "xw": ((self.rows, self.inputs), (self.inputs, self.units)),
            "xtdy": ((self.rows, self.inputs), (self.rows, self.units)),
            "dywt": ((self.rows, self.units), (self.inputs, self.units)),
        }[self.form]
        a, b = (rng.random(shape, np.float32) - 0.5 for shape in shapes)
        return a.astype(FLOAT_TYPES[self.dtype]), b.astype(FLOAT_TYPES[self.dtype])

    def output(self) -> Array:
        """Return the memory of the result."""
        shape = {
            "xw": (self.rows, self.units),
            "xtdy": (self.inputs, self.units),
            "dywt": (self.rows, self.inputs),
        }[self.form]
        return np.zeros(shape, FLOAT_TYPES[self.dtype])

    def cost(self) -> Cost:
        """Return the arithmetic and the bytes."""
        item = 4 if self.dtype == "float32" else 8
        sides = self.rows * self.inputs + self.inputs * self.units + self.rows * self.units
        return Cost(2.0 * self.rows * self.inputs * self.units, item * sides, item * sides)


class GemmSide:
    """A product done by pybp."""

    label, steps = "", 1

    def __init__(self, gemm: Gemm) -> None:
        self.a, self.b = gemm.factors()
        self.c = gemm.output()
        self.flags = gemm.transposed

    def call(self) -> None:
        """Do it once."""
        _core.gemm(self.a, self.b, self.c, *self.flags)

    def results(self) -> list[Array]:
        """Return the product."""
        self.call()
        return [self.c]


def _gemms() -> list[Gemm]:
    found = []
    for rows, inputs, units in SIZES:
        size = str(rows) if rows == inputs == units else f"{rows}x{inputs}x{units}"
        for dtype in FLOAT_TYPES:
            for form, text in FORMS.items():
                name = f"gemm:{size}:{form}:{dtype}"
                found.append(
                    Gemm(name, f"{text}, {size}, {dtype}", form, rows, inputs, units, dtype)
                )
    return found


GEMMS = tuple(_gemms())
