"""The code base itself: versions, who imports whom, sizes, and what an import loads."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pybp

ROOT = Path(__file__).resolve().parents[1]
LINE_BUDGET = 400

FOUNDATION = {"record", "random", "arrays", "by_name"}
DESCRIPTIONS = {"layers", "activations", "losses", "optimizers", "schedules", "initializers"}
DESCRIPTIONS |= {"metrics"}
OUTSIDE_THE_CORE = {"text", "interop", "plot", "explanation", "seq2seq", "datasets", "augment"}
OUTSIDE_THE_CORE |= {"functional", "gradient_check", "bench"}
ABOVE_NETS = {"__init__", "training", "files"} | OUTSIDE_THE_CORE
# Who may import whom, from the bottom to the top: a part imports those above it in this list.
PARTS = {
    "data": {"program", "backends", "losses"},
    "graphs": {"program", "layers", "data"},
    "cell": {"program", "layers", "activations", "graphs", "initializers"},
    "callbacks": {"program", "data"},
    "files": {"data", "graphs", "nets", "program", "cell"} | DESCRIPTIONS,
}
# Methods that users expect low down and that do their work higher up, `net.fit` for one. They
# import it when called; these are all of them.
UPWARD_CALLS = {
    ("pybp.losses.base", "pybp.loss_value"),
    ("pybp.nets.network", "pybp.training.evaluation"),
    ("pybp.nets.network", "pybp.files"),
    ("pybp.nets.network", "pybp.training.trainer"),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / "pybp").rglob("*.py"))}


def part_of(module: str) -> str:
    """Return the part of the package a module belongs to: pybp.program.ops -> program."""
    return module.split(".")[1] if "." in module else "__init__"


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def import_nodes(node: ast.AST) -> list[ast.Import | ast.ImportFrom]:
    """Return all imports under a node, inside functions too, but not those for types only."""
    found: list[ast.Import | ast.ImportFrom] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            found.append(child)
        elif not is_for_types_only(child):
            found += import_nodes(child)
        else:
            for statement in child.orelse:
                found += import_nodes(ast.Module([statement], []))
    return found


def imported_modules(source: str, module: str, is_package: bool) -> set[str]:
    """Return the dotted names that a source imports, those of `pybp` down to the module."""
    names: set[str] = set()
    for node in import_nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
            continue
        base = node.module or ""
        if node.level:
            parents = module.split(".")
            parents = parents[: len(parents) - node.level + is_package]
            base = ".".join([*parents, base]) if base else ".".join(parents)
        for alias in node.names:
            full = f"{base}.{alias.name}"
            is_module = full in MODULES or full in {"pybp._core", "pybp.text._counting"}
            names.add(full if is_module else base)
    return names


ALL_IMPORTS = {
    module: imported_modules(path.read_text("utf-8"), module, path.name == "__init__.py")
    for module, path in MODULES.items()
}
IMPORTS = {
    module: {name for name in names if (module, name) not in UPWARD_CALLS}
    for module, names in ALL_IMPORTS.items()
}


def parts_imported(module: str) -> set[str]:
    """Return the other parts of `pybp` that a module imports."""
    own = {name for name in IMPORTS[module] if name.split(".")[0] == "pybp"}
    return {part_of(name) for name in own} - {part_of(module)}


def modules_of(parts: set[str]) -> list[str]:
    return [module for module in MODULES if part_of(module) in parts]


def test_versions_are_equal() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert pybp.__version__ == project["version"]
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert project["version"] in headings


def test_the_import_reader_finds_what_is_there() -> None:
    source = (
        "from __future__ import annotations\nimport numpy as np\nfrom pybp import record\n"
        "from . import plan\nfrom ..record import Record\nfrom .ops import Op\n"
        "if TYPE_CHECKING:\n    import torch\nelse:\n    import json\n"
        "def f():\n    import pybp.training.trainer\n"
    )
    found = imported_modules(source, "pybp.program.program", is_package=False)
    expected = {"__future__", "numpy", "json", "pybp.record", "pybp.training.trainer"}
    assert found == expected | {"pybp.program.ops", "pybp.program.plan"}


def test_all_parts_that_the_rules_name_first_are_there() -> None:
    parts = {part_of(module) for module in MODULES}
    assert {"layers", "losses", "optimizers", "initializers", "program", "backends"} <= parts
    assert {"data", "graphs", "nets", "training", "text"} <= parts


@pytest.mark.parametrize("module", modules_of({"program"}))
def test_program_imports_numpy_records_and_random_only(module: str) -> None:
    assert parts_imported(module) <= {"record", "random"}
    foreign = {name.split(".")[0] for name in IMPORTS[module]} - set(sys.stdlib_module_names)
    assert foreign <= {"numpy", "pybp"}


@pytest.mark.parametrize("module", modules_of(DESCRIPTIONS))
def test_descriptions_import_program_and_each_other_only(module: str) -> None:
    assert parts_imported(module) <= {"program"} | FOUNDATION | DESCRIPTIONS


@pytest.mark.parametrize("module", modules_of({"backends"}))
def test_backends_know_programs_but_no_layers_and_no_network(module: str) -> None:
    assert parts_imported(module) <= {"program", "_core"} | FOUNDATION


@pytest.mark.parametrize("module", MODULES)
def test_only_what_stands_above_nets_imports_them(module: str) -> None:
    if part_of(module) not in ABOVE_NETS:
        assert not parts_imported(module) & {"nets", "training"}


@pytest.mark.parametrize("module", modules_of(set(PARTS)))
def test_parts_import_those_below_them_only(module: str) -> None:
    assert parts_imported(module) <= PARTS[part_of(module)] | FOUNDATION


@pytest.mark.parametrize("module", MODULES)
def test_the_core_imports_nothing_outside_it(module: str) -> None:
    if part_of(module) not in OUTSIDE_THE_CORE:
        assert not parts_imported(module) & OUTSIDE_THE_CORE


def test_the_upward_calls_are_all_in_use() -> None:
    assert {(module, name) for module, name in UPWARD_CALLS if name in ALL_IMPORTS[module]} == (
        UPWARD_CALLS
    )


def test_imports_have_no_cycle() -> None:
    graph = {module: IMPORTS[module] & MODULES.keys() - {module} for module in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def test_files_stay_within_the_line_budget() -> None:
    sources = [
        path
        for folder in ("pybp", "csrc")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".pyi", ".pyx", ".cpp", ".h"}
    ]
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in sources
    }
    assert len(lengths) > len(MODULES)
    assert {path: length for path, length in lengths.items() if length > LINE_BUDGET} == {}


def test_import_loads_numpy_and_nothing_else_of_others(tmp_path: Path) -> None:
    code = (
        "import json, sys, numpy; before = set(sys.modules)\n"
        "import pybp; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    result = subprocess.run(  # elsewhere, so that the source folder is not what gets imported
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = json.loads(result.stdout)
    assert "pybp" in loaded
    roots = {name.split(".")[0] for name in loaded}
    assert roots - set(sys.stdlib_module_names) <= {"numpy", "pybp"}
    assert [name for name in loaded if part_of(name) in OUTSIDE_THE_CORE] == []
