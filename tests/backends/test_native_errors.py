"""The native executor refuses what does not fit: programs, memory, arrays, rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from native_programs import (
    DENSE,
    ROWS,
    bind,
    copier,
    dense,
    dense_buffers,
    loss_fields,
    make,
    numbers,
    read_only,
    run,
    squared_error,
)

from pybp.arrays import aligned_zeros

# -------------------------------------------------------------------------------- wrong programs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "float16"}, "dtype: expected 'float32' or 'float64', got 'float16'"),
        ({"max_rows": 0}, "max_rows must be at least 1, got 0"),
        ({"kind": "tense"}, r"op 0 \(tense\): there is no such kind"),
        ({"fields": {"w": 4}}, r"op 0 \(dense\), field w: expected .* one of 4 buffers, got 4"),
        ({"fields": {"w": -1}}, r"op 0 \(dense\), field w: .* got -1"),
        ({"fields": {"b": -2}}, r"op 0 \(dense\), field b: .* got -2"),
        ({"fields": {"w": "W"}}, r"op 0 \(dense\), field w: .* index of a buffer, got 'W'"),
        ({"fields": {"alpha": "a"}}, r"op 0 \(dense\), field alpha: expected float, got 'a'"),
        ({"fields": {"gamma": 1}}, r"op 0 \(dense\): has 6 fields, got .*'gamma'"),
        ({"fields": {"activation": "rely"}}, "activation: expected one of .*relu.* got 'rely'"),
        ({"buffers": {"w": (0, 0, "real", (3, 2))}}, r"field w: .*\(4, 2\), got \(3, 2\)"),
        ({"buffers": {"y": (2, 0, "real", (-1, 3))}}, r"field y: .*\(n, 2\), got \(n, 3\)"),
        ({"buffers": {"b": (0, 32, "real", (2, 1))}}, r"field b: .*\(2,\), got \(2, 1\)"),
        ({"buffers": {"b": (0, 32, "int32", (2,))}}, "field b: expected dtype real, got int32"),
        ({"buffers": {"b": (0, 32, "int8", (2,))}}, "buffer 3: expected dtype .*, got 'int8'"),
        ({"buffers": {"b": (0, 32, "real", (0,))}}, "buffer 3: expected extents of at least 1"),
        ({"buffers": {"b": (0, 32, "real", (2, -1))}}, r"buffer 3: .* \(less only as the first\)"),
        ({"buffers": {"b": (0, 32, "real")}}, r"buffer 3: expected \(slot, offset, dtype, shape\)"),
        ({"buffers": {"b": ("0", 32, "real", (2,))}}, "buffer 3: an entry has the wrong type"),
        ({"data": [(0, 0, 64, False), (4, 0, 0, True)]}, "data slot 1: .* 4 buffers, got 4"),
        ({"data": [(1, 0, 64, False)]}, "data slot 0: expected a buffer with one row a sample"),
    ],
)
def test_a_wrong_program_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dense(**changes)


def test_a_missing_field_is_named() -> None:
    fields = {name: value for name, value in DENSE.items() if name != "alpha"}
    with pytest.raises(ValueError, match=r"op 0 \(dense\): misses the field alpha"):
        make("float32", dense_buffers(), [(0, 0, 64, False), (2, 0, 0, True)], [("dense", fields)])


def test_labels_must_be_int32() -> None:
    fields = loss_fields()
    for unused in ("function", "parameter", "full"):
        del fields[unused]
    fields |= {"class_weight": -1, "ignore_index": -100, "label_smoothing": 0.0, "logits": True}
    with pytest.raises(ValueError, match=r"label_loss\), field target: expected dtype int32"):
        make(
            "float32",
            [(0, 0, "real", (-1, 4)), (0, 0, "real", (-1,))],
            [],
            [("label_loss", fields)],
        )


# ------------------------------------------------------------------------------ wrong memory


@pytest.mark.parametrize(
    ("changes", "sizes", "message"),
    [
        ({}, (39 + 64,), r"data slot 0: .* within the 103 bytes of segment 0, got 64 ... 192"),
        ({"buffers": {"w": (0, 200, "real", (4, 2))}}, (224,), "buffer 1: .* got 200 ... 232"),
        ({"buffers": {"w": (0, -4, "real", (4, 2))}}, (224,), "buffer 1: .* got -4 ... 28"),
        ({"buffers": {"w": (0, 2, "real", (4, 2))}}, (224,), "buffer 1: offset 2 is not aligned"),
        ({"buffers": {"w": (3, 0, "real", (4, 2))}}, (224,), r"buffer 1: .* 3 slots .* slot 3"),
        ({"buffers": {"w": (-1, 0, "real", (4, 2))}}, (224,), r"buffer 1: .* got slot -1"),
        ({"buffers": {"w": (1, 0, "real", (4, 2))}}, (224,), "buffer 1: .* same size as buffer 0"),
        ({"data": [(0, 1, 64, False), (2, 0, 0, True)]}, (224,), "staging in one of 1 segments"),
        ({}, (224, 8), "data slot 0: expected its buffer in slot 2, got 1"),
    ],
)
def test_memory_that_does_not_fit_is_refused(
    changes: dict[str, Any], sizes: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bind(dense(**changes), *sizes)


def test_segments_are_writable_contiguous_arrays() -> None:
    executor = dense()
    scratch = aligned_zeros(executor.scratch_bytes, np.uint8)
    for wrong in (np.zeros(448, np.uint8)[::2], read_only(np.zeros(224, np.uint8))):
        with pytest.raises(ValueError, match="segment 0: expected a writable C-contiguous array"):
            executor.bind([wrong], scratch)
    with pytest.raises(ValueError, match="segment 0: expected a NumPy array"):
        executor.bind([bytearray(224)], scratch)


def test_scratch_has_the_size_asked_for_and_is_aligned() -> None:
    executor = squared_error(4)
    assert executor.scratch_bytes > 0
    scratch = aligned_zeros(executor.scratch_bytes + 64, np.uint8)
    segments = [np.zeros(ROWS * 16, np.uint8)]
    for wrong in (scratch[: executor.scratch_bytes - 1], scratch[8:]):
        with pytest.raises(ValueError, match=rf"scratch: expected {executor.scratch_bytes} bytes"):
            executor.bind(segments, wrong)


def test_run_needs_bind() -> None:
    executor = make("float32", [], [], [])
    with pytest.raises(RuntimeError, match=r"run\(\) before bind\(\)"):
        run(executor, [], [0, 1], ops=(0, 0))


# ----------------------------------------------------------------------------------- wrong runs

F4 = np.float32


@pytest.mark.parametrize(
    ("x", "out", "message"),
    [
        (np.zeros((4, 2), F4), np.zeros((4, 3), F4), r"data 0: .* \(n, 3\), got \(4, 2\)"),
        (np.zeros((4, 3, 1), F4), np.zeros((4, 3), F4), r"data 0: .* got \(4, 3, 1\)"),
        (np.zeros(3, F4), np.zeros((4, 3), F4), r"data 0: .* got \(3,\)"),
        (np.array(1, F4), np.zeros((4, 3), F4), r"data 0: .* got \(\)"),
        (np.zeros((3, 4), F4).T, np.zeros((4, 3), F4), "data 0: .* side by side"),
        (np.zeros((4, 3), np.complex64), np.zeros((4, 3), F4), "data 0: .* got complex64"),
        (np.zeros((4, 3), np.float16), np.zeros((4, 3), F4), "data 0: .* got float16"),
        (np.zeros((4, 3), ">f4"), np.zeros((4, 3), F4), "data 0: .* native byte order, got >f4"),
        (np.zeros((4, 3), object), np.zeros((4, 3), F4), "data 0: .* got object"),
        ([[1.0, 2, 3]], np.zeros((4, 3), F4), r"data 0: expected a NumPy array, got \[\["),
        (np.zeros((3, 3), F4), np.zeros((4, 3), F4), "data 0: has 3 rows, .* rows 0 ... 3"),
        (np.zeros((4, 3), F4), np.zeros((3, 3), F4), "data 1: has 3 rows, .* rows 0 ... 3"),
        (np.zeros((4, 3), F4), np.zeros((4, 3)), "data 1: an output must be .* float32"),
        (np.zeros((4, 3), F4), np.zeros((8, 3), F4)[::2], "data 1: an output must be .*contig"),
        (np.zeros((4, 3), F4), read_only(np.zeros((4, 3), F4)), "data 1: .* writable"),
    ],
)
def test_a_wrong_data_array_is_refused(x: Any, out: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(copier("float32"), [x, out], [0, 4])


@pytest.mark.parametrize(
    ("starts", "order", "message"),
    [
        ([0], None, "starts: expected at least 2 entries, got 1"),
        ([0, 0], None, "starts: .* step 0 from 0 to 0"),
        ([0, 2, 1], None, "starts: .* step 1 from 2 to 1"),
        ([0, 9], None, "starts: expected steps of 1 ... 8 rows, got step 0 from 0 to 9"),
        ([-1, 1], None, "starts: expected rows from 0 on, got -1"),
        ([0, 4], [0, 1, 2], "order: expected at least 4 entries, got 3"),
        ([0, 3], [0, 1, 9], "data 0: has 9 rows, but the steps use rows 0 ... 9"),
        ([0, 3], [0, -1, 2], "data 0: has 9 rows, but the steps use rows -1 ... 2"),
    ],
)
def test_wrong_rows_are_refused_before_anything_is_written(
    starts: list[int], order: list[int] | None, message: str
) -> None:
    out = np.full((9, 3), 99, F4)
    with pytest.raises(ValueError, match=message):
        run(copier("float32"), [numbers("f4", 9), out], starts, order)
    assert np.all(out == 99)


def test_wrong_scalars_and_results_are_refused() -> None:
    update = {"w": 0, "g": 1, "v": -1, "nesterov": False, "rows": -1, "count": 0}
    update["scale"] = 1.0
    executor = make("float32", [(0, 0, "real", (4,)), (0, 16, "real", (4,))], [], [("sgd", update)])
    bind(executor, 32)
    with pytest.raises(ValueError, match="hyper: op 0 takes 5 columns, got 4"):
        run(executor, [], [0, 1], hyper=np.zeros((1, 4)))
    with pytest.raises(ValueError, match="one row for each of 1 steps, got 2 and 1"):
        run(executor, [], [0, 1], hyper=np.zeros((2, 5)))
    with pytest.raises(ValueError, match="hyper: expected a C-contiguous float64 array of 2 axes"):
        run(executor, [], [0, 1], hyper=np.zeros((1, 5), F4))
    p = numbers("f4", 2)
    with pytest.raises(ValueError, match="results: op 0 writes column 1, got 1 columns"):
        run(squared_error(3), [p, p], [0, 2], columns=1)


def test_wrong_numbers_of_arrays_and_ops_are_refused() -> None:
    executor = copier("float32")
    with pytest.raises(ValueError, match="data: expected 2 arrays, got 1"):
        run(executor, [numbers("f4", 2)], [0, 2])
    x, out = numbers("f4", 2), np.zeros((2, 3), F4)
    for wrong in ((0, 2), (-1, 1), (1, 0)):
        with pytest.raises(ValueError, match="ops: expected 0 <= begin <= end <= 1"):
            run(executor, [x, out], [0, 2], ops=wrong)
    with pytest.raises(ValueError, match="order: expected a NumPy array or None"):
        executor.run(
            [x, out], [0, 1], np.array([0, 2]), np.zeros((1, 0)), np.zeros((1, 0)), 0, 0, 0, 1
        )


def test_an_int32_buffer_takes_no_floats() -> None:
    executor = make(
        "float32",
        [(1, 0, "real", (-1, 2)), (2, 0, "int32", (-1,))],
        [(0, 0, 0, False), (1, 0, 0, False)],
        [
            (
                "accuracy",
                {
                    "prediction": 0,
                    "target": 1,
                    "weight": -1,
                    "binary": False,
                    "threshold": 0.0,
                    "ignore_index": -100,
                    "result": 0,
                },
            )
        ],
    )
    bind(executor, 512)
    with pytest.raises(ValueError, match="data 1: expected an integer dtype, got a float dtype"):
        run(executor, [np.zeros((2, 2), F4), np.zeros(2, F4)], [0, 2], columns=2)
