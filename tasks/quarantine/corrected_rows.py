"""Files of corrected rows, and which rejected row each of them stands for."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import SourceError, first_line, quoted
from tasks.quarantine.rejected_rows import RejectedRow
from tasks.quarantine.spreadsheet_cells import from_cell
from tasks.sources.rejects import LINE_NUMBER
from tasks.spec.yaml_lines import nearest
from tasks.store.database import memory
from tasks.store.sql import literal

MOST_SHOWN = 10
ID, TABLE, DAY, RULE, RUN, LINE, ERROR = DESCRIBING = (
    "rejected_id", "rejected_table", "rejected_day", "rejected_rule", "rejected_run", "rejected_line", "rejected_error",
)  # fmt: skip
"""Columns that `show` writes beside a row's own: they say which row it is, and are not copied into the landing."""


@dataclass(frozen=True)
class CorrectedRow:
    """A row of a file of corrected rows: its place in the file, and its values as text."""

    place: str
    values: dict[str, str | None]


def read_corrected_rows(path: Path) -> list[CorrectedRow]:
    """Read a file of corrected rows: `.csv` (an empty field is a null), `.jsonl` or `.parquet`.

    Raises:
        SourceError: the file is absent, empty, or not of the kind that its name says.
    """
    readers = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    if path.suffix not in readers:
        raise SourceError(f"{path}: found a name that ends in {path.suffix!r}, expected {', '.join(readers)}")
    if not path.is_file():
        raise SourceError(
            f"{path}: no such file; `matinee quarantine show … --out {path.name}` writes the rows to correct"
        )
    try:
        rows = list(readers[path.suffix](path))
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    if not rows:
        raise SourceError(f"{path}: found no rows, expected at least one corrected row")
    return [CorrectedRow(row.place, {_current_name(name): text for name, text in row.values.items()}) for row in rows]


def _current_name(column: str) -> str:
    """Accept the columns of files that were written when they were called `refused_id`, `refused_table` …"""
    renamed = column.replace("refused_", "rejected_", 1)
    return renamed if renamed in DESCRIBING else column


def _csv(path: Path) -> Iterator[CorrectedRow]:
    with path.open(encoding="utf-8-sig", newline="") as stream:  # spreadsheets begin UTF-8 files with a BOM
        reader = csv.DictReader(stream, strict=True)  # strict: else an open quote swallows the rest of the file
        try:
            for row in reader:
                place = f"{path}:{reader.line_num}"
                # DictReader keeps surplus fields under the key None, and fills absent ones with the value None.
                if None in row or None in row.values():
                    raise SourceError(f"{place}: expected {len(reader.fieldnames or ())} fields, as in the header")
                yield CorrectedRow(place, {name: from_cell(value) or None for name, value in row.items()})
        except csv.Error as error:
            raise SourceError(f"{path}:{reader.line_num}: not CSV ({error})") from None


def _jsonl(path: Path) -> Iterator[CorrectedRow]:
    with path.open(encoding="utf-8") as stream:
        # Not splitlines: U+2028 and its like stand in JSON as they are, and would end a line there.
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield _json_row(f"{path}:{number}", line)


def _json_row(place: str, line: str) -> CorrectedRow:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise SourceError(f"{place}: not JSON ({error}); expected one object per line") from None
    if not isinstance(row, dict) or any(isinstance(value, dict | list) for value in row.values()):
        raise SourceError(f"{place}: expected one flat object: the columns of a row and their values")
    return CorrectedRow(place, {name: _text(value) for name, value in row.items()})


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _parquet(path: Path) -> Iterator[CorrectedRow]:
    import duckdb

    with memory() as connection:
        try:
            # All as text, like the other kinds of files: the landing's types decide, in one place (corrections.py).
            cursor = connection.execute(f"select cast(columns(*) as varchar) from read_parquet({literal(str(path))})")
        except duckdb.Error as error:
            raise SourceError(f"{path}: not a parquet file ({first_line(error)})") from None
        names = [column[0] for column in cursor.description or ()]
        rows = cursor.fetchall()
    for number, row in enumerate(rows, 1):
        yield CorrectedRow(f"{path}, row {number}", dict(zip(names, row, strict=True)))


@dataclass(frozen=True)
class Match:
    """A rejected row, and what it is corrected to."""

    rejected: RejectedRow
    corrected: CorrectedRow


def match_rows(corrected: Sequence[CorrectedRow], rejected: Sequence[RejectedRow], by: str | None) -> list[Match]:
    """Find the rejected row that each corrected one stands for.

    Args:
        corrected: rows of a file.
        rejected: rows that may be meant.
        by: the column that identifies a row; `rejected_id` or `line_number` if absent, whichever the file has.

    Raises:
        SourceError: the file has no such column, or one of its rows matches no rejected row, or several.
    """
    column = _identifying_column(corrected[0], by)
    by_value: dict[str, list[RejectedRow]] = {}
    for row in rejected:
        by_value.setdefault(_value(row, column) or "", []).append(row)
    matches: list[Match] = []
    problems: list[str] = []
    matched: set[str] = set()
    for one in corrected:
        value = one.values[column] or ""
        candidates = [row for row in by_value.get(value, []) if _may_mean(one, row)]
        if not candidates:
            problems.append(f"{one.place}: {column} {quoted(value)}: no row in quarantine has it")
        elif len(candidates) > 1:
            problems.append(
                f"{one.place}: {column} {quoted(value)}: {len(candidates)} rejected rows have it; give --table and "
                f"--as-of, or the column {ID}"
            )
        elif candidates[0].id in matched:
            problems.append(f"{one.place}: {column} {quoted(value)}: found twice, expected each row once")
        else:
            matched.add(candidates[0].id)
            matches.append(Match(candidates[0], one))
    if problems:
        more = [f"… and {len(problems) - MOST_SHOWN} more"] if len(problems) > MOST_SHOWN else []
        raise SourceError("\n".join([*problems[:MOST_SHOWN], *more, "Nothing was released."]))
    return matches


def _identifying_column(first: CorrectedRow, by: str | None) -> str:
    names = list(first.values)
    by = by and _current_name(by)
    column = by or next((name for name in (ID, LINE_NUMBER, LINE) if name in names), None)
    if column is None or column not in names:
        expected = by or f"{ID} or {LINE_NUMBER}"
        raise SourceError(
            f"{first.place}: found no column {expected}, expected it to know which "
            "rejected row each one stands for; `matinee quarantine show … --out` writes it, or name a column with "
            f"--match{nearest(column or ID, names)}"
        )
    return column


def _value(row: RejectedRow, column: str) -> str | None:
    describing = {ID: row.id, LINE: row.line, LINE_NUMBER: row.line}
    return _text(describing[column] if column in describing else row.content.get(column))


def _may_mean(corrected: CorrectedRow, row: RejectedRow) -> bool:
    """Whether the table and the day that a corrected row names, if it names any, are those of a rejected row."""
    values = corrected.values
    return values.get(TABLE, row.table) == row.table and values.get(DAY, str(row.ds)) == str(row.ds)
