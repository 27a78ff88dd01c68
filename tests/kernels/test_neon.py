"""The kernels for AArch64, cross-compiled and run under an emulator: products, maths, the rest.

Needs ``aarch64-linux-gnu-g++``, ``qemu-aarch64`` and the C library for AArch64; skipped without.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from disassembly import arithmetic_loops, functions, stack_use
from tolerance import check_close
from vector_maths import BOUNDS, SPECIAL, cases, error_in_ulps

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
LIBRARIES = Path("/usr/aarch64-linux-gnu")
RUNTIME = ["gemm", "kernels", "cpu", "threads"]
# As in CMakeLists.txt, whose warnings are errors here.
COMMON = ["-std=c++17", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
KERNEL_FLAGS = ["-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
KERNEL_FLAGS += ["-fno-exceptions", "-fno-rtti", "-DPYBP_ISA_NAME=neon"]


def kernel_families() -> list[str]:
    text = (ROOT / "CMakeLists.txt").read_text()
    return re.search(r"set\(KERNEL_FILES ([^)]*)\)", text)[1].split()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sample program; its folder also keeps the object files."""
    absent = [tool for tool in (COMPILER, EMULATOR) if shutil.which(tool) is None]
    if absent or not LIBRARIES.is_dir():
        pytest.skip(f"not installed: {', '.join(absent) or LIBRARIES}")
    folder = tmp_path_factory.mktemp("neon")
    csrc = ROOT / "csrc"
    sources = {csrc / "kernels" / f"{name}.cpp": KERNEL_FLAGS for name in kernel_families()}
    sources |= {csrc / "runtime" / f"{name}.cpp": ["-O2"] for name in RUNTIME}
    sources[ROOT / "tests/kernels/neon/sample.cpp"] = ["-O1", "-ffp-contract=off"]

    def compile_one(source: Path) -> Path:
        target = folder / f"{source.parent.name}_{source.stem}.o"
        command = [COMPILER, *COMMON, *sources[source], f"-I{csrc}", "-c", source, "-o", target]
        subprocess.run(command, check=True)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, sources))
    subprocess.run([COMPILER, *objects, "-pthread", "-o", folder / "sample"], check=True)
    return folder


def emulate(program: Path, *words: str, stdin: bytes = b"") -> bytes:
    command = [EMULATOR, "-L", str(LIBRARIES), str(program), *words]
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


def records(output: bytes) -> Iterator[tuple[str, str, int, int, np.ndarray, np.ndarray]]:
    """Yield name, type, terms, kind, result and expected result (tests/kernels/neon/record.h)."""
    place = 0
    while place < len(output):
        end = output.index(b"\n", place)
        name, dtype, terms, kind, count = output[place:end].decode().split()
        got = np.frombuffer(output, dtype, int(count), end + 1)
        place = end + 1 + got.nbytes
        expected = np.frombuffer(output, np.float64, int(count), place)
        place += expected.nbytes
        yield name, dtype, int(terms), int(kind), got, expected


def test_every_family_agrees_with_plain_loops(built: Path) -> None:
    seen = set()
    for name, dtype, terms, kind, got, expected in records(emulate(built / "sample")):
        what = f"{name} {dtype}"
        seen.add(name)
        if kind == 0:
            np.testing.assert_array_equal(got, expected.astype(dtype), err_msg=what)
        else:
            check_close(got, expected, dtype, terms, kind, what)
    assert len(seen) > 150


@pytest.mark.parametrize("name", BOUNDS)
def test_vector_maths_keep_their_bounds(built: Path, dtype: str, name: str) -> None:
    x, exact = cases(name, dtype)
    got = np.frombuffer(emulate(built / "sample", name, dtype, stdin=x.tobytes()), dtype)
    errors = error_in_ulps(got, exact)
    worst = int(errors.argmax())
    assert errors[worst] <= BOUNDS[name], f"{name}({x[worst]!r}): {errors[worst]:.2f} ulp off"
    special, expected = (np.array(column, dtype) for column in zip(*SPECIAL[name], strict=True))
    got = np.frombuffer(emulate(built / "sample", name, dtype, stdin=special.tobytes()), dtype)
    np.testing.assert_array_equal(got, expected)


def test_the_tiles_stay_in_registers(built: Path) -> None:
    found = functions("aarch64-linux-gnu-objdump", built / "kernels_gemm.o")
    tiles = {name: code for name, code in found.items() if "4tileI" in name}
    assert len(tiles) >= 30, "the tiles were not found"
    for name, code in tiles.items():
        loops = arithmetic_loops(code)
        assert loops, f"{name}: no loop of multiply-adds found"
        for loop in loops:
            assert stack_use(code, loop) == ([], []), name
