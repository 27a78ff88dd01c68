"""S78: a small step along the signs of the input gradient."""

from __future__ import annotations

import numpy as np
import pytest
from golden.helpers import Kind, golden

import pybp as bp


def gradient_of(net, x, y):
    """Return dLoss/dx of the two-class cross entropy."""
    loss = bp.BCEWithLogits(reduction="sum")
    _, dy = loss.value_and_grad(net.forward(x), y)
    return net.backward(dy)


def test_the_logit_falls_by_epsilon_times_the_sum_of_the_weights(sequential, array, close):
    """S78: x + epsilon sign(dL/dx) lowers the logit by exactly epsilon |w|_1."""
    fig = golden("S78")
    net = sequential([bp.Linear(1)], (8,), {"0.weight": fig["w"][:, None], "0.bias": [fig["b"]]})
    x, y = array([fig["x"]]), array([[fig["y"]]])
    logit = net.predict(x)
    close(logit, [[fig["logit"]]], terms=8, scale=1.0)
    close(1 / (1 + np.exp(-logit.astype(np.float64))), [[fig["p"]]], Kind.SMOOTH, terms=8)
    slope = gradient_of(net, x, y)
    close(slope[0], fig["grad_x"], Kind.SMOOTH, terms=8)
    moved = x + array(fig["eps"]) * np.sign(slope)
    close(moved[0], fig["x_adv"])
    after = net.predict(moved)
    close(after, [[fig["logit_adv"]]], terms=8, scale=1.0)
    close(1 / (1 + np.exp(-after.astype(np.float64))), [[fig["p_adv"]]], Kind.SMOOTH, terms=8)
    close(logit - after, [[fig["logit_drop"]]], terms=8, scale=1.0)
    assert fig["logit_drop"] == pytest.approx(fig["eps_times_l1"], rel=1e-12)
    assert fig["eps_times_l1"] == pytest.approx(fig["eps"] * np.abs(fig["w"]).sum(), rel=1e-12)


def test_small_weights_suffice_where_pixels_are_many(sequential, array, close):
    """S78: 57.7 % one way becomes 99.3 % the other way, by 0.007 a pixel, at weights of 0.005."""
    fig = golden("S78")
    before, after = fig["printed_confidences"]
    pixels = 224 * 224 * 3
    signs = np.random.default_rng(0).choice([-1.0, 1.0], pixels)
    weights = fig["mean_abs_weight_for_224x224x3"] * signs
    assert np.abs(weights).sum() == pytest.approx(fig["l1_norm_needed"], rel=1e-9)
    x = np.full(pixels, 0.5)
    bias = np.log(before / (1 - before)) - x @ weights
    net = sequential([bp.Linear(1)], (pixels,), {"0.weight": weights[:, None], "0.bias": [bias]})
    x = array([x])
    slope = gradient_of(net, x, array([[1.0]]))
    moved = np.clip(x + array(fig["eps"]) * np.sign(slope), 0, 1)
    shift = net.predict(x) - net.predict(moved)
    close(shift, [[fig["binary_logit_shift_needed"]]], Kind.GRADIENT, terms=pixels, scale=1.0)
    p = 1 / (1 + np.exp(-net.predict(moved).astype(np.float64)[0, 0]))
    assert 1 - p == pytest.approx(after, abs=1e-4)
