"""Every row of the table of bad input, and docs/errors.md, which lists them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from errors import rows_of_arguments, rows_of_data, rows_of_files, rows_of_sequences
from errors.table import Row, check_refused, ids

PARTS = [rows_of_data, rows_of_sequences, rows_of_arguments, rows_of_files]
ROWS = [row for part in PARTS for row in part.ROWS]
PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_row(row: Row, backend: str) -> None:
    check_refused(row, backend)


def test_the_page_lists_the_rows_and_their_errors() -> None:
    tested: dict[str, set[str]] = {}
    for row in ROWS:
        tested.setdefault(row.given, set()).add(row.error.__name__)
    section = PAGE.read_text("utf-8").split("## The table\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| (.+?) \| (\w+(?:, \w+)*) \|$", section, re.M)
    documented = {given: set(errors.split(", ")) for given, errors in lines[1:]}  # of the head
    assert len(documented) == len(lines) - 1
    assert documented == tested
