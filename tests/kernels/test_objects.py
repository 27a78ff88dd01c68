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
    """Anything else could be merged with another level's copy, and run on a processor without it."""
    lines = tool_output("nm", "--defined-only", "--extern-only", str(kernel_object)).splitlines()
    names = [line.split()[-1] for line in lines]
    assert names == [f"pybp_{level_and_family(kernel_object)}"]


def test_no_cpp_library(kernel_object: Path) -> None:
    needed = tool_output("nm", "--undefined-only", str(kernel_object)).split()
    assert not [name for name in needed if name.startswith("_Z")]


class Instruction(NamedTuple):
    address: int
    text: str


def instructions(path: Path) -> list[Instruction]:
    found = re.findall(
        r"^\s*([0-9a-f]+):\t(.+)$",
        tool_output("objdump", "-d", "--no-show-raw-insn", str(path)),
        re.MULTILINE,
    )
    return [Instruction(int(address, 16), text) for address, text in found]


def innermost_loops(code: list[Instruction]) -> list[list[Instruction]]:
    """Return the instructions from each backward jump's target to the jump, without loops inside."""
    place = {instruction.address: i for i, instruction in enumerate(code)}
    loops = []
    last_start = -1
    for i, instruction in enumerate(code):
        jump = re.match(r"j\w+\s+([0-9a-f]+)", instruction.text)
        if not jump or int(jump.group(1), 16) not in place:
            continue
        start = place[int(jump.group(1), 16)]
        if last_start < start <= i:
            loops.append(code[start : i + 1])
            last_start = start
    return loops


def test_hot_loops_stay_in_registers(kernel_object: Path) -> None:
    if not kernel_object.name.startswith("gemm") or "neon" in str(kernel_object):
        pytest.skip("only the tiles of x86 are checked")
    hot = [
        loop
        for loop in innermost_loops(instructions(kernel_object))
        if sum(bool(re.match(r"vfmadd|mulp", line.text)) for line in loop) >= 4
    ]
    assert len(hot) > 10, "the tiles' loops were not found"
    spilled = [
        line.text for loop in hot for line in loop if re.search(r"\(%r[sb]p\b", line.text)
    ]
    # Loops whose frame pointer is an ordinary register would show up here; there are none.
    assert not spilled
