"""The same bits at any number of threads, for every op."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator

import op_cases
import pytest
from conftest import require_native
from op_cases import OP_CASES, Case, ids

import pybp as bp


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    before = bp.num_threads()
    yield
    bp.set_num_threads(before)


def _digest(case: Case, dtype: str) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(op_cases.run(case, dtype, "native").items()):
        digest.update(name.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("case", OP_CASES, ids=ids)
def test_threads_do_not_change_the_bits_of_an_op(case: Case, dtype: str) -> None:
    require_native()
    digests = set()
    for threads in (1, 2, 3, 4, 7):
        bp.set_num_threads(threads)
        digests.add(_digest(case, dtype))
    assert len(digests) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_starts_its_own_threads() -> None:
    """The child of a process whose team has run: the same bits, and an end within seconds."""
    require_native()
    bp.set_num_threads(4)
    case = next(case for case in OP_CASES if case.name == "dense relu 128x512x512")
    expected = _digest(case, "float32")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, _digest(case, "float32").encode())
        os._exit(0)
    os.close(writer)
    deadline = time.monotonic() + 15
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == expected
