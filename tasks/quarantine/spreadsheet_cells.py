"""Texts in CSV files that people open in a spreadsheet: none is run as a formula, and all come back as they were.

A spreadsheet takes a cell that begins with one of = + - @ for a formula, which can start programs and send data away. A
quote before it makes it a text (https://owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")


def cells(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write a row; values that are no texts stay what they are."""
    return {name: to_cell(value) if isinstance(value, str) else value for name, value in row.items()}


def to_cell(text: str) -> str:
    """Write a text so that a spreadsheet shows it; numbers stay numbers."""
    return f"'{text}" if _is_formula(text) else text


def from_cell(cell: str) -> str:
    """Read what `to_cell` wrote."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell[1:]) else cell


def _is_formula(text: str) -> bool:
    return _FORMULA.match(text) is not None and _NUMBER.fullmatch(text) is None
