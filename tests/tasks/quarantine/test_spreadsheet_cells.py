"""No formula in a file that people open in a spreadsheet, and no text that comes back as another one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.quarantine.spreadsheet_cells import from_cell, to_cell

CELLS = {
    '=HYPERLINK("http://x","y")': '\'=HYPERLINK("http://x","y")',
    "+cmd|' /C calc'!A0": "'+cmd|' /C calc'!A0",
    "@SUM(A1)": "'@SUM(A1)",
    "-2+3": "'-2+3",
    "\t=1": "'\t=1",
    "'=1": "''=1",
    "-3": "-3",
    "+4.5e-3": "+4.5e-3",
    "'tis": "'tis",
    "plain": "plain",
    "": "",
}


@pytest.mark.parametrize(("text", "cell"), list(CELLS.items()))
def test_formulas_become_texts(text: str, cell: str) -> None:
    assert to_cell(text) == cell
    assert from_cell(cell) == text


@given(st.text(alphabet="'=+-@\t\r\n 1.eA", max_size=6) | st.text())
def test_every_text_comes_back(text: str) -> None:
    assert from_cell(to_cell(text)) == text
    assert to_cell(text)[:1] not in {"=", "@", "\t", "\r", "\n"}
