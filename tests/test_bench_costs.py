"""The arithmetic and the bytes of the workloads against figures worked out by hand."""

from __future__ import annotations

import pytest
from conftest import require_native

import pybp as bp
from pybp.bench import costs
from pybp.bench.workloads import WORKLOADS

WORK = {work.name: work for work in WORKLOADS}


def flops(name: str) -> float:
    require_native()
    return WORK[name].cost().flops


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("b", 12.8),  # 100 * (784 * 40 * 4 + 40 * 10 * 6)
        ("c", 411),
        ("d", 13_326),
        ("f", 145),
        ("g", 10_093),
        ("h1", 3 * 3_699),  # each pass
        ("h2", 3 * 3_699),
    ],
)
def test_known_figures(name: str, millions: float) -> None:
    assert 1e-6 * flops(name) == pytest.approx(millions, rel=5e-3)


def test_one_row() -> None:
    assert flops("a:step") == flops("a:fit") == 784 * 40 * 4 + 40 * 10 * 6
    assert flops("n") == 2 * (784 * 40 + 40 * 10)
    assert 100 * flops("a:step") == flops("b")


def recurrent(layer: bp.layers.Layer, inputs: int, steps: int) -> int:
    """Return the arithmetic of a layer forward, and back to weights and inputs, without a head."""
    require_native()
    net = bp.Sequential([layer], backend="native").build((None, inputs))
    return costs.of_net(net, "gradients", 1, steps).flops


def test_known_figures_of_cells() -> None:
    assert 1e-6 * recurrent(bp.RNN(128), 128, 100 * 32) == pytest.approx(629, rel=1e-3)
    assert 1e-6 * recurrent(bp.GRU(256), 256, 100 * 64) == pytest.approx(15_099, rel=1e-3)
    assert 1e-6 * recurrent(bp.LSTM(64), 64, 20) == pytest.approx(3.9, rel=1e-2)


def test_the_first_layer_of_a_training_step_has_no_input_gradient() -> None:
    """An LSTM: 6400 time steps, gates 512 wide, a head of 65."""
    assert flops("p") == 6400 * (4 * 65 * 512 + 6 * (128 * 512 + 128 * 65))


def test_padding_is_no_work() -> None:
    work = WORK["r"]
    lengths = work.data().lengths
    assert lengths is not None
    full = WORK["p"]
    share = lengths.sum() / (work.rows * work.shape[0])
    assert flops("r") == pytest.approx(share * flops(full.name))


def test_least_bytes() -> None:
    require_native()
    weights = 784 * 40 + 40 + 40 * 10 + 10
    between = 40 + 10
    plain = WORK["a:step"].cost()
    assert plain.moved == 4 * (2 * weights + 784 + 2 * between)
    assert plain.footprint == 4 * (weights + 784 + between)
    assert WORK["n"].cost().moved == 4 * (weights + 784 + between)
    adam = WORK["c"].cost()
    count = 784 * 512 + 512 + 512 * 512 + 512 + 5120 + 10
    assert adam.moved == pytest.approx(24 * count, rel=0.2)
    bag = WORK["m"].cost()  # the rows of the ids, not the table
    assert bag.moved == pytest.approx(2 * 6400 * 100 * 4, rel=0.02)
