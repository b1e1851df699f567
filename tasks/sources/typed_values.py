"""Texts of files as values of their declared types: taken as they are, or refused, never altered.

What a whole number, a number, a day or a time looks like is decided by strict patterns before DuckDB casts anything.
Times are UTC: one without an offset is taken as it stands, one with an offset or a zone is brought to UTC; digits
beyond microseconds are cut off.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.runs.provenance import room_digest
from tasks.sources.layout import Dialect, Layout
from tasks.sources.rejects import LINE_NUMBER, LONGEST_RAW, Judge, Problem, Reject
from tasks.store.files import digest, sha256_file
from tasks.store.sql import render

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

SQL = Path(__file__).parent / "sql"
# A year of two digits that a format took for one of four, or a slip of the pen; items may be old books.
YEARS = (1000, 2999)
_LONGEST_QUOTED = 60
_EXPECTED = {
    "BOOLEAN": "true or false",
    "INTEGER": "a whole number from -2147483648 to 2147483647",
    "BIGINT": "a whole number from -9223372036854775808 to 9223372036854775807",
    "DOUBLE": "a finite number",
    "DATE": f"a day from the year {YEARS[0]} to {YEARS[1]}",
    "TIMESTAMP": f"a time from the year {YEARS[0]} to {YEARS[1]}",
}
TAKES = {
    "VARCHAR": {"text", "whole", "list"},
    "BOOLEAN": {"boolean", "text"},
    "INTEGER": {"whole", "decimal", "float", "text"},
    "BIGINT": {"whole", "decimal", "float", "text"},
    "DOUBLE": {"whole", "decimal", "float", "text"},
    "DATE": {"day", "text"},
    "TIMESTAMP": {"time", "zoned", "day", "text"},
}
"""Kinds of columns that hold values of a declared type."""
_DAY = r"\d{4}-\d{2}-\d{2}"
# DuckDB takes 24:00 for midnight of the next day: that is another day than the one that is written.
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
_INSTANT = rf"{_DAY}(?:[T ]{_TIME}(?: ?(?:Z|UTC|[+-]\d{{2}}(?::?\d{{2}})?)| [A-Za-z_+\-/0-9]+)?)?"


def typed_values(
    texts: pa.Table, layout: Layout, connection: DuckDBPyConnection
) -> tuple[pa.Table, dict[int, Problem]]:
    """Turn columns of text into columns of the declared types.

    Args:
        texts: a column of text per declared column, under its landed name; null is no value.
        layout: types and dialect.
        connection: from `tasks.store.database.connect`: its time zone is UTC.

    Returns:
        The typed rows in the same order, null where a text is no value; and, by index of the row, what is wrong with
        the first such text of it.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    dialect = layout.dialect
    query = render(
        SQL, "typed", fields=list(zip(layout.names, layout.types, strict=True)), patterns=_patterns(dialect),
        decimal=dialect.decimal, thousands=dialect.thousands, timestamps=dialect.timestamps, dates=dialect.dates,
        years=YEARS,
    )  # fmt: skip
    connection.register("texts", texts.append_column("_row", pa.array(range(texts.num_rows), pa.int64())))
    try:
        typed = connection.sql(query).to_arrow_table()
    finally:
        connection.unregister("texts")
    problem = typed["problem"].combine_chunks()
    rows = pc.indices_nonzero(problem.is_valid()).to_pylist()
    problems = {}
    for row, column in zip(rows, problem.drop_null().to_pylist(), strict=True):
        name, kind = layout.names[column], layout.types[column]
        text = texts[name][row].as_py()
        shown = text if len(text) <= _LONGEST_QUOTED else text[:_LONGEST_QUOTED] + "…"
        problems[row] = (name, f"Found {shown!r}, expected {_expected(kind, dialect)}.")
    return typed.drop_columns(["problem"]), problems


def _expected(kind: str, dialect: Dialect) -> str:
    forms = {"DATE": dialect.dates, "TIMESTAMP": dialect.timestamps}.get(kind, ())
    written = " or ".join("YYYY-MM-DD…" if form == "iso" else form for form in forms)
    return f"{_EXPECTED[kind]}{f', written as {written}' if written else ''}"


def _patterns(dialect: Dialect) -> dict[str, str]:
    digits = r"\d+"
    if dialect.thousands:
        digits = rf"(?:\d+|\d{{1,3}}(?:{re.escape(dialect.thousands)}\d{{3}})+)"
    mark = re.escape(dialect.decimal)
    return {
        "whole": rf"\s*[+-]?{digits}(?:{mark}0*)?\s*",
        "number": rf"\s*[+-]?(?:{digits}(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?\s*",
        "day": _DAY,
        "instant": _INSTANT,
    }


def typed_rows(
    texts: pa.Table, start: int, layout: Layout, connection: DuckDBPyConnection, judge: Judge | None
) -> tuple[pa.Table, list[Reject]]:
    """Turn rows of text into typed rows with their `line_number`, counted from `start`, and those refused, as JSON."""
    import pyarrow as pa

    typed, wrong = typed_values(texts, layout, connection)
    numbers = range(start, start + texts.num_rows)
    typed = typed.append_column(LINE_NUMBER, pa.array(numbers, pa.int64()))
    problems = (judge(typed) if judge else {}) | {start + row: problem for row, problem in wrong.items()}
    if not problems:
        return typed, []
    rejects = [Reject(n, *problems[n], _row(texts, n - start, layout)) for n in sorted(problems)]
    return typed.filter(pa.array([number not in problems for number in numbers], pa.bool_())), rejects


def _row(texts: pa.Table, row: int, layout: Layout) -> str:
    values = texts.slice(row, 1).to_pylist()[0].values()
    return json.dumps(dict(zip(layout.header, values, strict=True)), ensure_ascii=False)[:LONGEST_RAW]


@cache
def reader_digest(module: str) -> str:
    """Digest the code by which a source is read: its module, what that imports of this room, and the room's SQL.

    Args:
        module: dotted name below `tasks`.
    """
    return digest([room_digest(module), {path.name: sha256_file(path) for path in sorted(SQL.glob("*.sql"))}])
