"""The same bits at any number of threads, for every op."""

from __future__ import annotations

import hashlib
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
