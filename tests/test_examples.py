"""The examples and the README's code: they run, and they say what is true."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from conftest import require_native

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
NEEDS = {"digits": ["sklearn"], "overfitting": ["sklearn", "matplotlib"]}


def load(name: str) -> ModuleType:
    """Import an example; skip the test where a library that only examples need is missing."""
    for library in NEEDS.get(name, []):
        pytest.importorskip(library, reason=f'{library} is missing: pip install ".[examples]"')
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def small_data(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let the examples use the small data sets, except in slow tests."""
    if not request.node.get_closest_marker("slow"):
        monkeypatch.delenv("PYBP_DATA", raising=False)


def table(text: str) -> list[list[float]]:
    """Return the lines that hold numbers only, as numbers."""
    rows = [line.split() for line in text.splitlines()]
    return [[float(cell) for cell in row] for row in rows if row and all(map(is_number, row))]


def is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def test_every_example_is_tested_here():
    source = Path(__file__).read_text("utf-8")
    untested = [name for name in EXAMPLES if f'load("{name}")' not in source]
    assert EXAMPLES
    assert untested == []


def test_festival(backend, capsys):
    load("festival").main()
    out = capsys.readouterr().out
    rows = table(out)
    assert [row[:3] for row in rows] == [[i >> 2, i >> 1 & 1, i & 1] for i in range(8)]
    assert [row[3] for row in rows] == [-5, -3, -3, -1, 1, 3, 3, 5]
    assert [row[4] for row in rows] == [row[5] for row in rows] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert [row[6] > 0.5 for row in rows] == [row[0] == 1 for row in rows]
    assert "weights 1 0 0, bias 0; mistakes an epoch [1, 1, 0]" in out
    assert "weights 12.1 -0.41 -0.41, bias -5.43; loss 0.0025" in out


def test_descent_tables(backend, capsys):
    """The numbers as the lecture prints them, to two decimals."""
    load("descent_tables").main()
    rows = table(capsys.readouterr().out)
    one, two = rows[:7], rows[7:]
    assert [row[1:] for row in one] == [
        [0.29, 0.66, 2.20], [0.11, 0.54, 1.09], [0.05, 0.50, 0.71], [0.03, 0.48, 0.57],
        [0.02, 0.48, 0.53], [0.02, 0.48, 0.51], [0.02, 0.48, 0.50],
    ]  # fmt: skip
    assert [row[2:] for row in two] == [
        [0.55, 0.26, 0.64, 0.35], [0.58, 0.25, 0.63, 0.41], [0.60, 0.24, 0.63, 0.45],
        [0.61, 0.24, 0.63, 0.47], [0.61, 0.24, 0.63, 0.48], [0.61, 0.24, 0.63, 0.49],
        [0.62, 0.24, 0.63, 0.49], [0.62, 0.24, 0.63, 0.50],
    ]  # fmt: skip


def test_streetlights(backend, capsys):
    errors = load("streetlights").main()
    known = [0.634231160, 0.358384077, 0.0830183113, 0.00646705496, 0.000329266900, 1.50556227e-05]
    assert errors[9::10] == pytest.approx(known, rel=1e-6)
    out = capsys.readouterr().out
    assert "best linear net: 1.000" in out
    assert [row[3:] for row in table(out)] == [[1, 1], [1, 0.99855], [0, 0.00263], [0, 0]]


def test_digits(capsys):
    require_native()
    accuracy = load("digits").main(["--epochs", "2"])
    out = capsys.readouterr().out
    assert accuracy > 0.85
    assert f"test accuracy {100 * accuracy:.2f} %" in out
    assert re.search(r"native is \d+\.\d times as fast", out)


def test_digits_comparison_notices_other_weights(monkeypatch):
    require_native()
    digits = load("digits")
    right = digits.make_net

    def wrong(task, backend=None):
        net = right(task, backend)
        if backend == "native":
            net.params["0.weight"] = 1.01 * net.params["0.weight"]
        return net

    monkeypatch.setattr(digits, "make_net", wrong)
    with pytest.raises(SystemExit, match="disagree"):
        digits.compare_backends(digits.small_digits()._replace(timed_steps=20), rounds=1)


def test_overfitting(backend, tmp_path, capsys):
    overfitting = load("overfitting")
    picture = tmp_path / "curves.png"
    overfitting.main(rounds=12, path=picture)
    out = capsys.readouterr().out
    accuracies = [float(share) for share in re.findall(r"accuracy ([\d.]+)%", out)]
    assert len(accuracies) == 4
    assert min(accuracies) > 85
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000


def test_early_stopping_goes_back_along_the_long_run(backend):
    """Up to where it stops, the stopped training is the long one."""
    import pybp as bp

    overfitting = load("overfitting")
    data = overfitting.read_data()._replace(rate=0.04)  # soon too much
    on_test, early = overfitting.OnTest(data.test), bp.EarlyStopping(patience=3)
    _, seen = overfitting.train(data, 40, on_test)
    stopped, short = overfitting.train(data, 40, early)
    rounds = len(short["loss"])
    assert rounds == early.best_epoch + 1 + early.patience < 40
    assert short["loss"] == seen["loss"][:rounds]
    figures = stopped.evaluate(*data.test, loss=bp.SquaredError("batch"))
    assert figures["loss"] == on_test.curves["loss"][early.best_epoch]


def test_a_script_runs_from_the_repository():
    """As the README's commands do: with the installed package, not the source folder."""
    require_native()
    command = [sys.executable, "examples/festival.py"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "only the weather matters" in result.stdout
    assert result.stderr == ""


def readme_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)


def test_the_code_of_the_readme_runs(backend, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = readme_blocks()
    assert len(blocks) >= 2
    for block in blocks:
        names: dict[str, object] = {}
        exec(compile(block, "README.md", "exec"), names)
        shown = re.findall(r"^assert .*", block, re.M)
        assert shown, "each block checks its own result"


@pytest.mark.slow
def test_digits_on_mnist_reach_98_percent():
    require_native()
    assert load("digits").main([]) >= 0.98


@pytest.mark.slow
def test_overfitting_on_mnist(tmp_path, capsys):
    """The figures of the 784-40-10 net: all but perfect on 1000 digits, 83 % on 10 000 others."""
    require_native()
    load("overfitting").main(path=tmp_path / "curves.png")
    found = re.findall(r"(train|test) +error ([\d.]+) +accuracy ([\d.]+)%", capsys.readouterr().out)
    long_train, long_test, short_train, short_test = [float(share) for *_, share in found]
    assert long_train > 99.5
    assert abs(long_test - 83) < 1.5
    assert short_test > long_test + 2
    assert np.isfinite(short_train)
