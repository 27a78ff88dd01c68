"""``python -m pybp.bench``: what it prints and writes, and its errors."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import require_native

PEER = """
NAME, PAUSE = "Echo", 0.0
def version(): return "1.0"
def set_threads(count): pass
class Side:
    label, steps = "as pybp", 1
    def __init__(self, work):
        from pybp.bench.table import own_side
        self.own = own_side(work)
        self.call = self.own.call
    def results(self): return [scale * result for result in self.own.results()]
def sides(work, *, quick): return [Side(work)] if work.name.startswith("gemm") else []
scale = 1
"""
QUICK = ("--quick", "--pairs", "1", "--threads", "1")
ROW = {"name", "title", "threads", "seconds", "flops", "intensity", "share", "bound", "against"}
AGAINST = {"peer", "setting", "seconds", "ratio", "lowest", "highest"}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the command, with a machine that is measured at once."""
    require_native()
    command = importlib.import_module("pybp.bench.command")
    monkeypatch.setitem(command.ROOF_SECONDS, True, 0.001)
    roof = importlib.import_module("pybp.bench.roof")
    sizes = {"L1": 2**15, "L2": 2**17, "L3": 2**18, "DRAM": 2**20}
    monkeypatch.setattr(roof, "working_sets", lambda threads: sizes)
    return command.main


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    """Yield a folder with the file of a peer; what was imported from it is forgotten."""
    (tmp_path / "peer_echo.py").write_text(PEER, "utf-8")
    yield tmp_path
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path.resolve())]
    sys.modules.pop("peer_echo", None)


def test_it_prints_a_row_for_each_work(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench([*QUICK, "--only", "a,l,conv8,op:tanh,gemm:64:xw", "--with", "none"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:9]] == [
        *("processor", "system", "pybp", "python", "peers", "load", "peak", "memory", "call")
    ]
    names = [line.split()[0] for line in lines[10:-2]]
    gemms = ["gemm:64:xw:float32", "gemm:64:xw:float64"]
    assert names == ["op:tanh", *gemms, "a:fit", "a:step", "conv8", "l"]
    assert lines[-2].startswith("load at the end")


def test_json_has_the_documented_fields(bench: Any, folder: Path) -> None:
    file = folder / "out.json"
    bench([*QUICK, "--only", "gemm:64:dywt:float32,n", "--peers", str(folder), "--json", str(file)])
    (run,) = json.loads(file.read_text("utf-8"))["runs"]
    assert set(run) == {"about", "threads", "load", "stolen", "roof", "rows"}
    assert set(run["about"]) == {"processor", "system", "pybp", "python", "peers"}
    assert set(run["roof"]["flops"]) == {"float32", "float64"}
    assert set(run["roof"]["read"]) == {"L1", "L2", "L3", "DRAM"}
    product, prediction = run["rows"]
    assert set(product) == set(prediction) == ROW
    assert prediction["against"] == []
    (against,) = product["against"]
    assert set(against) == AGAINST
    assert against["peer"] == "Echo"
    assert product["flops"] == pytest.approx(2 * 64**3 / product["seconds"])


def test_nothing_is_timed_where_a_peer_finds_other_numbers(bench: Any, folder: Path) -> None:
    (folder / "peer_echo.py").write_text(PEER.replace("scale = 1", "scale = 1.01"), "utf-8")
    with pytest.raises(RuntimeError, match=r"Echo \(as pybp\) and of pybp differ by 0.01"):
        bench([*QUICK, "--only", "gemm:64:xw", "--peers", str(folder)])


def test_a_peer_that_is_not_installed_is_left_out(
    bench: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = PEER.replace('return "1.0"', "import a_module_that_nobody_has")
    (folder / "peer_echo.py").write_text(absent, "utf-8")
    bench([*QUICK, "--only", "n", "--peers", str(folder)])
    out = capsys.readouterr().out
    assert "Echo is left out: No module named 'a_module_that_nobody_has'" in out
    assert "peers      none" in out


def test_each_number_of_threads_has_a_process(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes are replaced by calls here."""
    command = importlib.import_module("pybp.bench.command")
    monkeypatch.setattr(command, "_cpus", lambda: {0, 1})
    seen: list[list[str]] = []

    def run(arguments: list[str], *, check: bool) -> None:
        seen.append(arguments)
        file = next(one for one in arguments if one.startswith("--json=")).removeprefix("--json=")
        Path(file).write_text(json.dumps({"runs": [{"rows": [], "threads": len(seen)}]}), "utf-8")

    monkeypatch.setattr(subprocess, "run", run)
    file = tmp_path / "both.json"
    bench(["--quick", "--only=n", "--threads", "1,2", "--json", str(file)])
    assert [run["threads"] for run in json.loads(file.read_text("utf-8"))["runs"]] == [1, 2]
    assert all({"-m", "pybp.bench", "--quick", "--only=n"} <= set(one) for one in seen)
    assert [one[-2] for one in seen] == ["--threads=1", "--threads=2"]
    assert not any(str(file) in argument for arguments in seen for argument in arguments)


def test_the_picture_is_drawn(bench: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "roof.png"
    bench([*QUICK, "--only", "n,gemm:64:xw", "--with", "none", "--plot", str(file)])
    assert file.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_error_says_what_to_install(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"--plot needs matplotlib.*\[plot\]"):
        bench([*QUICK, "--only", "n", "--plot", str(tmp_path / "roof.png")])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "zz"], "--only takes some of op, gemm, a, b"),
        (["--only", ""], "--only takes some of"),
        (["--threads", "0"], "--threads takes numbers from 1 to"),
        (["--threads", "two"], "--threads takes numbers from 1 to"),
        (["--threads", "4096"], "--threads takes numbers from 1 to"),
        (["--pairs", "0"], "--pairs must be at least 1"),
        (["--pairs", "x"], "invalid int value"),
    ],
)
def test_wrong_options(
    bench: Any, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        bench(options)
    assert message in capsys.readouterr().err


def test_a_folder_without_peers(bench: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no file peer_"):
        bench([*QUICK, "--only", "n", "--peers", str(tmp_path)])


def test_a_peer_that_is_not_there(bench: Any, folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no peer_other\.py"):
        bench([*QUICK, "--only", "n", "--peers", str(folder), "--with", "echo,other"])


def test_the_bench_loads_no_peer(tmp_path: Path) -> None:
    require_native()
    code = (
        "import sys, pybp.bench.command, pybp.bench.__main__; "
        "print(*{'torch', 'jax', 'sklearn', 'matplotlib'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == ""
