"""Gradient descent step by step: one linear layer, then two, as tables to check by hand.

    python examples/descent_tables.py

Each layer is y = w x + b with one number in and one out; the error is (output - target)^2 and the
rate 0.1. Rows show the parameters AFTER update k. The two tables differ in their last column: with
one layer the output is the one that led to the update, so it belongs to the row before; with two
layers it is the output of the parameters in its own row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import pybp as bp

X, TARGET, RATE = np.array([[1.5]]), np.array([[0.5]]), 0.1


class Row(NamedTuple):
    parameters: dict[str, float]
    before: float  # the output that the update was made from
    after: float  # the output of the new parameters


def descend(layers: int, updates: int) -> list[Row]:
    """Train layers that start with w = 0.8 and b = 1 on one example; return a row an update."""
    layer = {"weight_init": bp.Constant(0.8), "bias_init": bp.Constant(1.0)}
    net = bp.Sequential([bp.Linear(1, **layer) for _ in range(layers)], dtype="float64")
    loss, descent, rows = bp.SquaredError("sum"), bp.SGD(RATE), []
    for _ in range(updates):
        output = net.forward(X)
        _, slope = loss.value_and_grad(output, TARGET)
        net.backward(slope)
        descent.step(net)
        parameters = {name: value.item() for name, value in net.params.items()}
        rows.append(Row(parameters, output.item(), net.predict(X).item()))
    return rows


def one_layer(updates: int = 7) -> None:
    print("one layer: start w = 0.8, b = 1, output 2.2; x = 1.5, target 0.5")
    print("   k       w       b   output before the update")
    for k, row in enumerate(descend(1, updates), 1):
        print(f"{k:4d} {row.parameters['0.weight']:7.2f} {row.parameters['0.bias']:7.2f}"
              f" {row.before:8.2f}")  # fmt: skip
    print("each update shrinks output - target by the factor 1 - 2 * 0.1 * (1.5^2 + 1) = 0.35\n")


def two_layers(updates: int = 8) -> None:
    print("two layers: start w1 = w2 = 0.8, b1 = b2 = 1, output 2.76; x = 1.5, target 0.5")
    print("   k      w2      b2      w1      b1   output after the update")
    for k, row in enumerate(descend(2, updates), 1):
        names = ("1.weight", "1.bias", "0.weight", "0.bias")
        print(f"{k:4d}", *(f"{row.parameters[name]:7.2f}" for name in names), f"{row.after:8.2f}")


def main() -> None:
    one_layer()
    two_layers()


if __name__ == "__main__":
    main()
