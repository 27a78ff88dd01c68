"""The examples of sequences: they run, and they say what is true."""

from __future__ import annotations

import gzip
import importlib.util
import re

import numpy as np
import pytest
from conftest import require_native
from example_scripts import load


@pytest.mark.parametrize("name", ["names", "forecast"])
def test_without_data_the_examples_say_what_to_set(name, monkeypatch):
    monkeypatch.delenv("PYBP_DATA", raising=False)
    with pytest.raises(SystemExit, match=r"no data: .*PYBP_DATA"):
        load(name).main([])


def test_names(backend, monkeypatch, tmp_path, capsys):
    """Names that differ in their endings; the test part is never seen in training."""
    rng = np.random.default_rng(0)
    (tmp_path / "names-by-language").mkdir()
    for language, ending in (("Italian", "ini"), ("Russian", "ov"), ("Serbian", "i\u0107")):
        names = ["".join(rng.choice(list("abdgiklmnortu"), rng.integers(2, 9))) for _ in range(150)]
        text = "".join(f"{name.title()}{ending}\n" for name in names)
        (tmp_path / "names-by-language" / f"{language}.txt").write_text(text, "utf-8")
    monkeypatch.setenv("PYBP_DATA", str(tmp_path))
    accuracy = load("names").main(["--epochs", "5"])
    out = capsys.readouterr().out
    assert accuracy > 0.9
    assert f"45 names kept for the test: accuracy {accuracy:.1%}" in out
    assert re.search(r"^Ivanov +Russian \d+%, ", out, re.M)


def test_names_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PYBP_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match=r"no data: .*names-by-language holds no text files"):
        load("names").main([])


def test_forecast(backend, monkeypatch, tmp_path, capsys):
    """A growing series with a season, and a noisy one with holes: the net beats both rules."""
    example = load("forecast")
    rng = np.random.default_rng(0)
    t = np.arange(240)
    growing = np.exp(0.01 * t + np.sin(t * np.pi / 6) + 0.05 * rng.normal(size=240))
    noisy = ["NA" if i % 50 == 7 else f"{10 + rng.normal():.3f}" for i in t]
    (tmp_path / "made").mkdir()
    for name, values, opened in (("a.csv", growing, open), ("b.csv.gz", noisy, gzip.open)):
        with opened(tmp_path / "made" / name, "wt", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in ("v", *values))
    monkeypatch.setenv("PYBP_DATA", str(tmp_path))
    series = [
        example.Series("growing", "made/a.csv", "v", 12, 30, log=True),
        example.Series("noisy", "made/b.csv.gz", "v", 7, 10),
    ]
    monkeypatch.setattr(example, "ALL", series)
    errors = example.main(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    for name, (last, season, net) in errors.items():
        assert net < 0.95 * min(last, season)
        assert re.search(rf"^{name} +48 +{last:.3f} +{season:.3f} +{net:.3f}$", out, re.M)


def test_vanishing(backend, tmp_path, capsys):
    """The number of 12 steps ago is learned, where the gradient becomes 1."""
    panels, errors = load("vanishing").main(12, 1000, 6, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    start, learned = panels["at the start"], panels["after learning"]
    for name in ("LSTM", "GRU"):
        assert start[name][-1] < 0.05 * start[name][0]
        assert abs(learned[name][-1] - 1) < 0.2
        assert errors[name] < 0.02
    assert start["GRU"][-1] < start["LSTM"][-1]
    assert "squared error of the number" in capsys.readouterr().out


def test_happy(capsys):
    """No miss and no false alarm, in streams and in a text of its own."""
    require_native()
    example = load("happy")
    for words, found, alarms in example.main():
        assert found == words > 0
        assert alarms == 0
    *_, text, marks = capsys.readouterr().out.splitlines()
    ends = [match.end() - 1 for match in re.finditer("happy", text)]
    assert len(ends) == 5
    assert [place for place, mark in enumerate(marks) if mark == "^"] == ends


def test_oscillator(backend, tmp_path, capsys):
    """Whole runs teach the weights, single steps between noisy values do not."""
    picture = tmp_path / "oscillator.png"
    errors = load("oscillator").main(path=picture)
    assert errors["decay"]["through time"] < 0.001 < 0.02 < errors["decay"]["single steps"]
    assert errors["oscillator"]["through time"] < 0.01 < 0.7 < errors["oscillator"]["single steps"]
    found = re.findall(r"through time +(.*)  ", capsys.readouterr().out)
    decay, oscillator = ([float(weight) for weight in line.split()] for line in found)
    assert decay == pytest.approx([np.exp(-0.07)], abs=0.0002)
    assert oscillator == pytest.approx([2 * np.cos(0.2), -1], abs=0.0005)
    if importlib.util.find_spec("matplotlib"):
        assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_names_of_18_languages():
    require_native()
    assert load("names").main([]) > 0.82


@pytest.mark.slow
def test_forecast_beats_both_rules_on_every_series(tmp_path):
    require_native()
    errors = load("forecast").main(tmp_path / "forecast.png")
    assert len(errors) == 10
    assert [name for name, (last, season, net) in errors.items() if net >= min(last, season)] == []


@pytest.mark.slow
def test_vanishing_over_50_steps(tmp_path):
    """The gradient of the tanh net vanishes, and it remembers next to nothing."""
    require_native()
    panels, errors = load("vanishing").main(path=tmp_path / "vanishing.png")
    learned = panels["after learning"]
    assert learned["tanh"][-1] < 1e-6
    assert errors["tanh"] > 0.03
    for name in ("LSTM", "GRU"):
        assert abs(learned[name][-1] - 1) < 0.1
        assert errors[name] < 0.01
