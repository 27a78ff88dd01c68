"""What the compiler made of the kernels: exported symbols, and hot loops that stay in registers.

Needs the object files of a build (``PYBP_BUILD_DIR``, else the ``build`` folder) and binutils.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from disassembly import arithmetic_loops, functions, stack_use, tool_output

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


def family(path: Path) -> str:
    return path.name.split(".")[0]


def level_and_family(path: Path) -> str:
    level = re.search(r"pybp_kernels_(\w+)\.dir", str(path)).group(1)
    return f"{family(path)}_{level}"


def test_one_exported_symbol(kernel_object: Path) -> None:
    """Anything else could be merged with another level's copy and reach an older processor."""
    lines = tool_output("nm", "--defined-only", "--extern-only", str(kernel_object)).splitlines()
    names = [line.split()[-1] for line in lines]
    assert names == [f"pybp_{level_and_family(kernel_object)}"]


def test_no_cpp_library(kernel_object: Path) -> None:
    needed = tool_output("nm", "--undefined-only", str(kernel_object)).split()
    assert not [name for name in needed if name.startswith("_Z")]


# v2 has too few registers for the parts of the exact GELU.
ACTIVATED = ["activate", "add", "batch_norm"]
# The slope of any activation but ReLU's and none is a function of its own.
ANY_SLOPE = ["batch_norm_grad", "batch_norm_sums", "spread_maxima"]
# By family, the functions of which a loop may write to the stack.
ON_THE_STACK = {
    # A slope along a middle axis asks in each vector whether it is that of the logarithm.
    "elementwise": [*ACTIVATED, "softmax_grad"],
    # A square of a transposed B is turned in what the sums leave of the registers. Half as many
    # columns would fit and take 1.3 to 1.8 times as long for two rows (docs/kernels.md). Without
    # fused multiply-adds (v2) 12 sums, 3 vectors and a product are one too many.
    "gemm": ["transposed_tile", "transposed_edge", "few_rows_tile"],
    # v2 has 16 registers and no fused multiply-adds.
    "loss": ["elementwise"],
    "regularize": ["sum_squares"],
    # The last, partial vector of a row, once for all rows.
    "norm": [*ACTIVATED, *ANY_SLOPE, "layer_norm_sums"],
    # Pointers and counters of the windows, not numbers: the taps of a window are few.
    "pool": [*ANY_SLOPE, "spread_averages", "spread_squares"],
    # One of nine inputs of a step.
    "recurrent": ["backward"],
}


def plain_name(symbol: str) -> str:
    """Return the name of a function without namespaces, template arguments and parameters."""
    full = tool_output("c++filt", symbol).replace("(anonymous namespace)", "unnamed")
    return re.split(r"[<(]", full.split("unnamed::", 1)[-1])[0]


def is_sanitized(path: Path) -> bool:
    """Say whether a build has a sanitizer, which makes other loops."""
    symbols = tool_output("nm", "--undefined-only", str(path))
    return re.search("__(asan|tsan|ubsan)", symbols) is not None


def test_the_loops_of_the_tiles_stay_in_registers(kernel_object: Path) -> None:
    name = level_and_family(kernel_object)
    if not name.startswith(("gemm_v", "lanes_v")) or is_sanitized(kernel_object):
        pytest.skip("only the tiles of x86 are checked")
    found = functions("objdump", kernel_object)
    tiles = {symbol: code for symbol, code in found.items() if re.search(r"\d4tileI", symbol)}
    sums = {symbol: arithmetic_loops(code) for symbol, code in tiles.items()}
    assert sum(map(bool, sums.values())) >= 30, "the tiles were not found"
    for symbol, loops in sums.items():
        for loop in loops:
            assert stack_use(tiles[symbol], loop) == ([], []), symbol


def test_no_loop_writes_to_the_stack(kernel_object: Path) -> None:
    """Check the innermost loops with arithmetic on vectors, of every family and level.

    What a loop only reads there are constants beyond the number of registers: they cost no more
    than constants in memory do.
    """
    if is_sanitized(kernel_object):
        pytest.skip("a build with a sanitizer has other loops")
    spilled = {}
    for symbol, code in functions("objdump", kernel_object).items():
        writes = [text for loop in arithmetic_loops(code) for text in stack_use(code, loop).writes]
        if writes and plain_name(symbol) not in ON_THE_STACK.get(family(kernel_object), ()):
            spilled[plain_name(symbol)] = writes
    assert not spilled
