"""What the compiler made of the kernels: exported symbols, and hot loops that stay in registers.

Needs the object files of a build (``PYBP_BUILD_DIR``, else the ``build`` folder) and binutils.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


def find_objects() -> list[Path]:
    folder = Path(os.environ.get("PYBP_BUILD_DIR", ROOT / "build"))
    return sorted(folder.glob("**/pybp_kernels_*.dir/csrc/kernels/*.o"))


OBJECTS = find_objects()


@pytest.fixture(params=OBJECTS or [None], ids=lambda path: path and level_and_family(path))
def kernel_object(request: pytest.FixtureRequest) -> Path:
    if request.param is None:
        pytest.skip("no object files of a build at hand")
    return request.param


def level_and_family(path: Path) -> str:
    level = re.search(r"pybp_kernels_(\w+)\.dir", str(path)).group(1)
    return f"{path.name.split('.')[0]}_{level}"


def tool_output(tool: str, *arguments: str) -> str:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=True).stdout


def test_one_exported_symbol(kernel_object: Path) -> None:
    """Anything else could be merged with another level's copy and reach an older processor."""
    lines = tool_output("nm", "--defined-only", "--extern-only", str(kernel_object)).splitlines()
    names = [line.split()[-1] for line in lines]
    assert names == [f"pybp_{level_and_family(kernel_object)}"]


def test_no_cpp_library(kernel_object: Path) -> None:
    needed = tool_output("nm", "--undefined-only", str(kernel_object)).split()
    assert not [name for name in needed if name.startswith("_Z")]


class Instruction(NamedTuple):
    address: int
    text: str


def tiles(path: Path) -> dict[str, list[Instruction]]:
    """Return the instructions of each tile (csrc/kernels/gemm_tile.h) by symbol."""
    functions = {}
    for block in tool_output("objdump", "-d", "--no-show-raw-insn", str(path)).split("\n\n"):
        name = re.match(r"[0-9a-f]+ <([\w.]*4tileI[\w.]*)>:", block)
        if name:
            lines = re.findall(r"^\s*([0-9a-f]+):\t(.+)$", block, re.MULTILINE)
            functions[name[1]] = [Instruction(int(at, 16), text) for at, text in lines]
    return functions


def loops(code: list[Instruction]) -> list[list[Instruction]]:
    """Return the instructions from each backward jump's target to the jump."""
    place = {instruction.address: i for i, instruction in enumerate(code)}
    found = []
    for i, instruction in enumerate(code):
        jump = re.match(r"j\w+\s+([0-9a-f]+)", instruction.text)
        start = place.get(int(jump[1], 16), len(code)) if jump else len(code)
        if start <= i:
            found.append(code[start : i + 1])
    return found


def innermost(found: list[list[Instruction]]) -> list[list[Instruction]]:
    """Return the loops without another inside; round them goes the loop over the runs of A."""
    spans = [(loop[0].address, loop[-1].address) for loop in found]
    return [
        loop
        for loop, (first, last) in zip(found, spans, strict=True)
        if not any(first <= a and b <= last and (a, b) != (first, last) for a, b in spans)
    ]


def test_the_loops_of_the_tiles_stay_in_registers(kernel_object: Path) -> None:
    name = level_and_family(kernel_object)
    if not name.startswith("gemm_v"):
        pytest.skip("only the tiles of x86 are checked")
    if re.search("__(asan|tsan|ubsan)", tool_output("nm", "--undefined-only", str(kernel_object))):
        pytest.skip("a build with a sanitizer has other loops")
    functions = tiles(kernel_object)
    assert len(functions) >= 30, "the tiles were not found"
    for symbol, code in functions.items():
        sums = innermost([loop for loop in loops(code) if re.search("vfmadd|mulp", str(loop))])
        assert sums, f"{symbol}: no loop of multiply-adds found"
        spilled = [line.text for loop in sums for line in loop if "(%rsp" in line.text]
        assert not spilled, symbol
