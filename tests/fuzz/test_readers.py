"""A small part of the campaign in ``readers.py``, always the same files."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from fuzz.readers import READERS, Trial

COUNT = 300


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_value_errors(tmp_path: Path, name: str) -> None:
    trial = Trial(name, 1, tmp_path)
    tracemalloc.start()
    try:
        wrong = {number: trial.run(number) for number in range(COUNT)}
    finally:
        tracemalloc.stop()
    assert {number: text for number, text in wrong.items() if text} == {}
    assert trial.worst.refused > COUNT // 4


@pytest.mark.parametrize("name", READERS)
def test_the_files_are_valid_before(tmp_path: Path, name: str) -> None:
    trial = Trial(name, 1, tmp_path)
    for data in trial.files:
        trial.path.write_bytes(data)
        trial.reader.read(trial.path)
