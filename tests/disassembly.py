"""Functions, loops and accesses to the stack in the disassembly of an object file."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

# A jump with its target: x86's j.., AArch64's b, b.cond, cbz, tbnz.
JUMP = re.compile(r"(?:j\w+|b(?:\.\w+)?|cbn?z|tbn?z)\s+(?:\w+, )?(?:#\d+, )?([0-9a-f]+) <")
# After these the next instruction is not reached.
LEAVES = re.compile(r"(?:jmp|b)\s|(?:(?:notrack )?jmp\s+\*|br\s|repz ret|ret|ud2|brk)")
# Arithmetic on whole vectors: x86's packed operations, AArch64's on v registers.
ARITHMETIC = re.compile(
    r"v?(?:add|sub|mul|div|min|max|sqrt)p[sd]\b|vfn?m(?:add|sub)\w*p[sd]\b"
    r"|(?:fadd|fsub|fmul|fdiv|fmla|fmls|fsqrt)\s+v"
)
STACK = re.compile(r"\(%rsp\b|\[sp\b")
FRAME = re.compile(r"\(%rbp\b")
MAKES_FRAME = "mov    %rsp,%rbp"
# Writes: x86's last operand (not of a comparison), AArch64's stores.
X86_WRITE = re.compile(
    r"(?!v?u?cmp|v?test|v?u?comis|push)\S+\s.*\(%r[sb]p[^)]*\)(?:\{[^}]*\})?\s*$"
)
ARM_WRITE = re.compile(r"st\w+\s")


class Instruction(NamedTuple):
    """One line of a disassembly."""

    address: int
    text: str


Code = list[Instruction]


def tool_output(tool: str, *arguments: str) -> str:
    """Return what a program of binutils prints; skip the test where it is not installed."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=True).stdout


def functions(objdump: str, path: Path) -> dict[str, Code]:
    """Return the instructions of each function by symbol."""
    found = {}
    for block in tool_output(objdump, "-d", "--no-show-raw-insn", str(path)).split("\n\n"):
        name = re.match(r"[0-9a-f]+ <([\w.]*)>:", block)
        if name:
            lines = re.findall(r"^\s*([0-9a-f]+):\t(.+)$", block, re.MULTILINE)
            found[name[1]] = [Instruction(int(at, 16), text) for at, text in lines]
    return found


def blocks(code: Code) -> tuple[list[Code], list[list[int]]]:
    """Return the basic blocks of a function, and for each the blocks that may come next."""
    place = {instruction.address: i for i, instruction in enumerate(code)}
    jumps = {}
    for i, instruction in enumerate(code):
        match = JUMP.match(instruction.text)
        if match:
            jumps[i] = place.get(int(match[1], 16), -1)  # -1: another function
    starts = {0} | {i + 1 for i in jumps} | {to for to in jumps.values() if to >= 0}
    starts |= {i + 1 for i, instruction in enumerate(code) if LEAVES.match(instruction.text)}
    order = sorted(start for start in starts if start < len(code))
    number = {start: n for n, start in enumerate(order)}
    ends = [*order[1:], len(code)]
    after = []
    for end in ends:
        next_ones = [] if LEAVES.match(code[end - 1].text) or end == len(code) else [number[end]]
        if jumps.get(end - 1, -1) >= 0:
            next_ones.append(number[jumps[end - 1]])
        after.append(next_ones)
    return [code[first:end] for first, end in zip(order, ends, strict=True)], after


def dominators(after: list[list[int]]) -> list[int]:
    """Return for each block, as bits of a number, the blocks through which all ways to it lead."""
    before: list[list[int]] = [[] for _ in after]
    for block, next_ones in enumerate(after):
        for other in next_ones:
            before[other].append(block)
    every = (1 << len(after)) - 1
    found = [1] + [every] * (len(after) - 1)
    changed = True
    while changed:
        changed = False
        for block in range(1, len(after)):
            common = every
            for other in before[block]:
                common &= found[other]
            # A block behind a table of jumps seems to have no way to it: it depends on none.
            common = (common if before[block] else 0) | 1 << block
            changed |= common != found[block]
            found[block] = common
    return found


def loops(code: Code) -> list[set[int]]:
    """Return the natural loops of a function as sets of blocks."""
    _, after = blocks(code)
    over = dominators(after)
    before: list[list[int]] = [[] for _ in after]
    for block, next_ones in enumerate(after):
        for other in next_ones:
            before[other].append(block)
    bodies: dict[int, set[int]] = {}
    for block, next_ones in enumerate(after):
        for head in next_ones:
            if not over[block] >> head & 1:
                continue
            body = bodies.setdefault(head, {head})
            waiting = [block]
            while waiting:
                inside = waiting.pop()
                if inside not in body:
                    body.add(inside)
                    waiting += before[inside]
    return list(bodies.values())


def arithmetic_loops(code: Code) -> list[Code]:
    """Return the innermost among the loops that compute with whole vectors."""
    parts, _ = blocks(code)
    computing = {
        n for n, part in enumerate(parts) if any(ARITHMETIC.match(line.text) for line in part)
    }
    found = [body for body in loops(code) if body & computing]
    inner = [body for body in found if not any(other < body for other in found)]
    return [[line for n in sorted(body) for line in parts[n]] for body in inner]


class StackUse(NamedTuple):
    """The instructions of a loop that read the stack, and those that write it."""

    reads: list[str]
    writes: list[str]


def stack_use(code: Code, loop: Code) -> StackUse:
    """Return how a loop of a function uses the stack."""
    framed = any(line.text.startswith(MAKES_FRAME) for line in code)
    use = StackUse([], [])
    for _, text in loop:
        if text.startswith("lea") or not (STACK.search(text) or (framed and FRAME.search(text))):
            continue
        writes = ARM_WRITE.match(text) if "[sp" in text else X86_WRITE.match(text)
        (use.writes if writes else use.reads).append(text)
    return use
