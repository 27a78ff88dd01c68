"""The examples of bias and variance, of averages and of dropout: they run and say what is true."""

from __future__ import annotations

import re

import numpy as np
import pytest
from conftest import require_native
from example_scripts import load


@pytest.fixture(autouse=True)
def small_data(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let the examples use the small digits, except in slow tests."""
    if not request.node.get_closest_marker("slow"):
        monkeypatch.delenv("PYBP_DATA", raising=False)


def test_bias_variance(monkeypatch, tmp_path, capsys):
    """Bias falls with the size; the variance of polynomials grows as the theory says."""
    require_native()
    example = load("bias_variance")
    monkeypatch.setattr(example, "WIDTHS", (2, 16, 128))
    lines, digits = example.main(["--draws", "3"], path=tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    for degree, (bias, variance) in lines.items():
        assert variance == pytest.approx(0.01 * (degree + 1) / 100, rel=0.5)
        assert (bias < 1e-4) == (degree >= 2)
    biases, variances = np.array(list(digits.values())).T
    assert biases[0] > 2 * biases[1] > 2 * biases[2]
    assert variances[1] > variances[0]
    assert variances[1] > variances[2]
    out = capsys.readouterr().out
    shown = [[float(cell) for cell in line.split()] for line in out.splitlines() if line[:1] == " "]
    told = [(size, *parts, sum(parts)) for size, parts in (*lines.items(), *digits.items())]
    np.testing.assert_allclose(shown, told, atol=1e-5)


def test_averaging(capsys):
    """The average of some nets is better than they are on the average, in cross entropy."""
    require_native()
    rows = load("averaging").main(["--nets", "5", "--epochs", "40"])
    one, five = rows["one net"], rows["5 nets"]
    assert five[1] < one[1]
    assert five[0] > one[0] > 0.9
    assert rows["one with dropout"][0] > 0.9
    assert rows["one with mean weights"][0] > 0.9
    out = capsys.readouterr().out
    for name, (accuracy, loss) in rows.items():
        assert re.search(rf"^{name} +{accuracy:.2%} +{loss:.4f}$", out, re.M)


def test_dropout(tmp_path, capsys):
    """Without dropout the known digits are learned by heart sooner, and the gap is wider."""
    require_native()
    found = load("dropout").main(["--epochs", "40", "--starts", "2"], tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    plain, dropped = found[0.0], found[0.5]
    assert plain["train loss"][-1] < dropped["train loss"][-1]
    gap, gap_dropped = (c["test loss"] - c["train loss"] for c in (plain, dropped))
    assert gap_dropped[-1] < gap[-1]
    assert "least test loss" in capsys.readouterr().out


@pytest.mark.slow
def test_averaging_on_mnist():
    require_native()
    rows = load("averaging").main(["--nets", "5"])
    assert rows["5 nets"][1] < 0.95 * rows["one net"][1]
    assert rows["5 nets"][0] > rows["one net"][0]


@pytest.mark.slow
def test_dropout_on_mnist(tmp_path):
    require_native()
    found = load("dropout").main(["--starts", "1"], tmp_path / "picture.png")
    assert found[0.5]["test loss"].min() < 0.97 * found[0.0]["test loss"].min()
