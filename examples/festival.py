"""Shall we go to the festival? One neuron decides, and then learns to decide, in three ways.

    python examples/festival.py

Three yes/no facts: the weather is good, the partner comes along, the place is near public
transport. The rule is 6 weather + 2 partner + 2 transport > 5.
"""

from __future__ import annotations

import itertools

import numpy as np

import pybp as bp

FACTS = np.array(list(itertools.product([0.0, 1.0], repeat=3)))  # all 8 cases, 000 to 111


def neuron(*activation: bp.Identity) -> bp.Sequential:
    """Return one neuron with weights 0 on the three facts."""
    layers = [bp.Linear(1, weight_init=bp.Zeros()), *activation]
    return bp.Sequential(layers, dtype="float64").build((3,))


def decide() -> np.ndarray:
    """The forward problem: the weights are given, a threshold of 5 is a bias of -5."""
    net = neuron(bp.Heaviside())
    net.params["0.weight"] = [[6.0], [2.0], [2.0]]
    net.params["0.bias"] = [-5.0]
    return net.predict(FACTS)


def perceptron_rule(wanted: np.ndarray) -> tuple[bp.Sequential, list[int]]:
    """Learn by w += (y - y_hat) x after each case, until an epoch passes without a mistake."""
    net, mistakes = neuron(), []
    while not mistakes or mistakes[-1]:
        mistakes.append(0)
        for x, y in zip(FACTS, wanted, strict=True):
            y_hat = (net.forward(x[None]) > 0).astype(float)
            net.backward(y_hat - y)  # stands in for a gradient: the threshold has no slope
            bp.SGD(1.0).step(net)
            mistakes[-1] += int(y_hat.item() != y.item())
    return net, mistakes


def logistic_neuron(wanted: np.ndarray, steps: int = 2000) -> tuple[bp.Sequential, float]:
    """Learn by gradient descent on the cross entropy of a smooth neuron, all cases at once."""
    net = neuron(bp.Sigmoid())
    descent = bp.SGD(1.0)
    net.fit(FACTS, wanted, loss="bce", optimizer=descent, epochs=steps, batch_size=None, verbose=0)
    return net, net.evaluate(FACTS, wanted, loss="bce")["loss"]


def weights(net: bp.Sequential) -> str:
    w = " ".join(f"{value:.3g}" for value in net.params["0.weight"].ravel())
    return f"weights {w}, bias {net.params['0.bias'][0]:.3g}"


def main() -> None:
    wanted = decide()
    perceptron, mistakes = perceptron_rule(wanted)
    logistic, loss = logistic_neuron(wanted)
    print("weather partner transport   sum - 5   go?   perceptron   logistic neuron")
    learned = zip(perceptron.predict(FACTS), logistic.predict(FACTS), strict=True)
    for x, go, (z, p) in zip(FACTS, wanted, learned, strict=True):
        facts = "{:7.0f} {:7.0f} {:9.0f}".format(*x)
        print(f"{facts} {x @ [6, 2, 2] - 5:9.0f} {go[0]:5.0f} {int(z[0] > 0):12d} {p[0]:17.4f}")
    print(f"\nperceptron rule: {weights(perceptron)}; mistakes an epoch {mistakes}")
    print(f"logistic neuron: {weights(logistic)}; loss {loss:.6f}")
    print("Other weights than 6 2 2, the same decisions: only the weather matters.")


if __name__ == "__main__":
    main()
