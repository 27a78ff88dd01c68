"""The one list of op cases: parity, gradients, ISA levels, threads and the op benchmarks use it.

A case is an op with the shapes of its buffers and the data in them. ``run`` executes it on either
backend and returns everything the op wrote.
"""

from __future__ import annotations

from collections.abc import Iterator

from op_cases.call import call_cases
from op_cases.case import Case, ids
from op_cases.conv import conv_cases
from op_cases.dense import dense_cases
from op_cases.elementwise import activation_cases, row_cases
from op_cases.embedding import embedding_cases
from op_cases.loop import loop_cases
from op_cases.losses import loss_cases, metric_cases
from op_cases.norm import channel_cases, norm_cases
from op_cases.pool import pool_cases
from op_cases.recurrent import recurrent_cases
from op_cases.regularize import regularize_cases
from op_cases.running import BoundCase, check_case, make_arrays, run
from op_cases.sequence import sequence_cases
from op_cases.sizes import resized_cases
from op_cases.updates import update_cases

__all__ = [
    "BENCH_CASES",
    "OP_CASES",
    "BoundCase",
    "Case",
    "check_case",
    "ids",
    "make_arrays",
    "run",
    "sized_cases",
]

OP_CASES: list[Case] = [
    *dense_cases(),
    *activation_cases(),
    *row_cases(),
    *channel_cases(),
    *conv_cases(),
    *pool_cases(),
    *norm_cases(),
    *recurrent_cases(),
    *sequence_cases(),
    *loop_cases(),
    *embedding_cases(),
    *call_cases(),
    *loss_cases(),
    *metric_cases(),
    *update_cases(),
    *regularize_cases(),
]
BENCH_CASES = [case for case in OP_CASES if case.bench]


def sized_cases(size: int, rows: int = 0) -> Iterator[Case]:
    """Yield a case of every kind of op with one inner size, and as many rows as given."""
    return resized_cases(OP_CASES, size, rows)
