"""The examples and the README's code: they run, and they say what is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import require_native
from example_scripts import EXAMPLES, ROOT, load

import pybp as bp


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


def test_every_example_is_tested():
    tests = sorted(Path(__file__).parent.glob("test_examples*.py"))
    source = "".join(path.read_text("utf-8") for path in tests)
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


def large_digits() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return scikit-learn's digits as pictures of 28 x 28 pixels, in the manner of MNIST."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = np.kron(x.reshape(-1, 8, 8), np.ones((3, 3))) * (255 / 16)
    x = np.pad(x, [(0, 0), (2, 2), (2, 2)]).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order].astype(np.uint8)
    return (x[:600], y[:600]), (x[600:900], y[600:900])


def test_lenet_and_look_inside(backend, monkeypatch, tmp_path, capsys):
    """The net learns small digits; what it has learned is drawn."""
    monkeypatch.setattr(bp.datasets, "mnist", large_digits)
    lenet, look_inside = load("lenet"), load("look_inside")
    accuracy = lenet.main(["--epochs", "3"], path=tmp_path / "net.safetensors")
    assert accuracy > 0.8
    assert f"test accuracy {100 * accuracy:.2f} %" in capsys.readouterr().out
    pictures = look_inside.main(tmp_path / "net.safetensors", tmp_path / "pictures")
    assert [path.name for path in pictures] == ["filters.png", "feature_maps.png", "most_wrong.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    with pytest.raises(SystemExit, match=r"run examples/lenet\.py first"):
        look_inside.main(tmp_path / "nothing")


def test_fashion_cnn(backend, monkeypatch, capsys):
    monkeypatch.setattr(bp.datasets, "fashion_mnist", large_digits)
    example = load("fashion_cnn")
    monkeypatch.setattr(example, "BATCH", 16)
    accuracy = example.main(["--epochs", "3", "--rows", "128"])
    out = capsys.readouterr().out
    first, _, last = [float(loss) for loss in re.findall(r"loss ([\d.]+)  accuracy", out)]
    assert last < 0.9 * first
    assert f"test accuracy {100 * accuracy:.2f} %" in out


def test_cifar_resnet(backend, monkeypatch, capsys):
    """Three kinds of photographs that differ in colour, noise all over."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 64)
    x = rng.integers(0, 100, (64, 32, 32, 3))
    x[np.arange(64), :, :, y] += 100
    photos = (x.astype(np.uint8), y)
    monkeypatch.setattr(bp.datasets, "cifar10", lambda: (photos, photos))
    example = load("cifar_resnet")
    monkeypatch.setattr(example, "BATCH", 16)
    accuracy = example.main(["--epochs", "3"])
    assert accuracy > 0.9
    assert "epoch  3/3  loss" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["lenet", "fashion_cnn", "cifar_resnet"])
def test_without_data_the_examples_say_what_to_set(name, monkeypatch):
    monkeypatch.delenv("PYBP_DATA", raising=False)
    with pytest.raises(SystemExit, match=r"no data: .*PYBP_DATA"):
        load(name).main([])


def test_filters(backend, tmp_path, capsys):
    """A uniform sky has no edges; each filter does to a photograph what its weights say."""
    filters = load("filters")
    pictures = filters.main(tmp_path / "filters.png", size=60)
    assert (tmp_path / "filters.png").read_bytes().startswith(b"\x89PNG")
    photo = pictures["photograph"].astype("f8")
    centre, inner = photo[1:-1, 1:-1], (slice(1, -1), slice(1, -1))
    around = photo[:-2, 1:-1] + photo[2:, 1:-1] + photo[1:-1, :-2] + photo[1:-1, 2:]
    laplacian = around - 4 * centre
    np.testing.assert_allclose(pictures["sharpen"][inner], centre - laplacian, atol=1e-5)
    np.testing.assert_allclose(pictures["Laplacian (0 is grey)"][inner], 0.5 + laplacian, atol=1e-5)
    flat = filters.filtered(np.full((9, 9, 3), 0.7, "f4"))
    for name, expected in (("blur", 0.7), ("sharpen", 0.7), ("Sobel, size of the slope", 0)):
        np.testing.assert_allclose(flat[name][2:-2, 2:-2], expected, atol=1e-6)
    assert "Sobel, size of the slope" in capsys.readouterr().out


def test_adversarial(backend, tmp_path, capsys):
    rows = load("adversarial").main(["--epochs", "3"], path=tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    (_, clean, same), *_, (epsilon, fooled, chance) = rows
    assert clean == same > 0.8
    assert epsilon == 0.3
    assert fooled < 0.2
    assert chance > fooled + 0.3
    assert len(table(capsys.readouterr().out.replace("%", ""))) == len(rows)


@pytest.mark.parametrize(
    "page",
    ["README.md", "docs/extending.md", "docs/files.md", "docs/sequences.md", "docs/training.md"],
)
def test_the_code_of_a_page_runs(page, backend, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.S)
    assert len(blocks) >= 2
    for block in blocks:
        names: dict[str, object] = {}
        exec(compile(block, page, "exec"), names)
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


@pytest.mark.slow
def test_lenet_on_mnist_reaches_99_percent(tmp_path):
    require_native()
    assert load("lenet").main([], path=tmp_path / "net.safetensors") >= 0.99


@pytest.mark.slow
def test_fashion_cnn_learns_from_a_part_of_the_pictures():
    """All of them for 18 epochs reach the figure of docs/status.md, which takes minutes."""
    require_native()
    assert load("fashion_cnn").main(["--epochs", "2", "--rows", "12000"]) >= 0.75
