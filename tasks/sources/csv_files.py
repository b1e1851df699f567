"""Reading a CSV file so that every line of it is accounted for: landed, or rejected with its reason and raw text.

A record is a line. DuckDB parses and types the lines (declared columns, `store_rejects`); before it sees them,
the lines that would confuse it are taken out: a quote that is never closed swallows everything up to the next
one, a stray carriage return ends a line that is none, and rows after a byte that is no UTF-8 may be lost. At the
end, lines = rows + rejects, or nothing of the file is used.

Times are UTC: one without an offset is taken as it stands, one with an offset or a zone is brought to UTC.
"""

from __future__ import annotations

import csv
import difflib
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.errors import SourceError, first_line
from tasks.store.sql import literal

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

# Well below DuckDB's own limit of 2 MB, so that this one decides.
LONGEST_LINE = 1_000_000
LONGEST_RAW = 65_536
MOST_NAMED = 5
LINE_NUMBER = "line_number"
REJECTS = "_rejects"
"""Landed beside a source's tables: the lines of its files that could not be read."""
# Excel's UTF-8 files begin with it, and the first column would have another name; DuckDB skips it by itself.
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Layout:
    """How a file is written: its header, and the landed name and DuckDB type of each column, in order."""

    header: tuple[str, ...]
    names: tuple[str, ...]
    types: tuple[str, ...]
    delimiter: str = ","
    timestamp_format: str | None = None


@dataclass(frozen=True)
class Reject:
    """A line that could not be read; `line` counts from 1, the header being line 1."""

    line: int
    column: str | None
    error: str
    raw: str


def read_csv(path: Path, layout: Layout, connection: DuckDBPyConnection) -> tuple[pa.Table, list[Reject]]:
    """Read a CSV file.

    Args:
        path: UTF-8 text with a header line; a record per line, quoted with `"` where need be.
        layout: what the file must look like.
        connection: DuckDB to parse with, from `tasks.store.database.connect`: its time zone is UTC.

    Returns:
        The declared columns and `line_number`, a row per readable line, in the file's order; and the others.

    Raises:
        SourceError: the file is absent, empty, has another header, or its lines don't add up.
    """
    _check_header(path, layout)
    lines, odd, plain = _scan(path, layout)
    if not odd and plain:
        rows, refused = _parse(path, layout, connection)
    else:
        with tempfile.TemporaryDirectory(prefix="matinee-") as folder:
            copy = Path(folder) / "readable.csv"
            _copy_without(path, copy, odd)
            rows, refused = _parse(copy, layout, connection)
    # DuckDB counts the lines of the copy; `numbers` has the line of the file for each of them.
    numbers = np.delete(np.arange(2, lines + 2), np.asarray(sorted(odd), dtype=np.int64) - 2)
    if refused and (max(refused) - 2 >= len(numbers) or min(refused) < 2):
        raise SourceError(f"{path}: DuckDB names a line that the file does not have; is the file being written?")
    bad = np.asarray(sorted(refused), dtype=np.int64) - 2
    errors = odd | {int(numbers[line - 2]): problem for line, problem in refused.items()}
    numbers = np.delete(numbers, bad)
    if rows.num_rows != len(numbers):
        raise SourceError(
            f"{path}: {lines} lines below the header, but {rows.num_rows} rows and {len(errors)} rejects; "
            "expected them to add up, so nothing of the file is used; look for line breaks within quotes"
        )
    rows = rows.append_column(LINE_NUMBER, [numbers])
    endless = _endless(rows)
    if endless:
        rows = rows.filter(~np.isin(numbers, list(endless)))
    return rows, with_raw(path, errors | endless)


def _check_header(path: Path, layout: Layout) -> None:
    try:
        with path.open("rb") as stream:
            first = stream.readline(LONGEST_LINE)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); expected a CSV file") from None
    expected = layout.delimiter.join(layout.header)
    if not first:
        raise SourceError(f"{path}: the file is empty (0 bytes); expected at least the header {expected}")
    line = first.removeprefix(_BOM)
    if problem := _no_text(line):
        raise SourceError(f"{path}: not UTF-8 text: {problem} of line 1; expected the header {expected}")
    try:
        header = tuple(next(csv.reader([line.decode("utf-8").rstrip("\r\n")], delimiter=layout.delimiter), []))
    except csv.Error:
        header = ()
    if header != layout.header:
        raise SourceError(
            f"{path}: line 1 is not the header {expected!r} ({_difference(header, layout)}); "
            "correct the file, or its declaration in transforms/datasets/"
        )


def _no_text(line: bytes) -> str | None:
    """Say which byte is no text; None if all are."""
    try:
        place = line.decode("utf-8").find("\0")
    except UnicodeDecodeError as error:
        return f"byte {line[error.start]:#04x} at column {error.start + 1}"
    return f"byte 0x00 at column {place + 1}" if place >= 0 else None


def _difference(header: Sequence[str], layout: Layout) -> str:
    """Compare a header with the declared one by what is declared: other fields may be anything, a password say."""
    missing = [name for name in layout.header if name not in header]
    extra = [number for number, name in enumerate(header, start=1) if name not in layout.header]
    if not missing and not extra:
        return "the order differs" if len(header) == len(layout.header) else "a column stands twice"
    parts = [f"missing: {', '.join(missing)}"] * bool(missing)
    for number in extra[:MOST_NAMED]:
        near = difflib.get_close_matches(header[number - 1], missing, n=1, cutoff=0.7)
        parts.append(f"field {number} is {f'almost {near[0]}' if near else 'not declared'}")
    if len(extra) > MOST_NAMED:
        parts.append(f"{len(extra) - MOST_NAMED} more fields are not declared")
    if len(header) == 1 and (other := next((mark for mark in ",;\t|" if mark in header[0]), None)):
        parts.append(f"it has the delimiter {other!r}, declared is {layout.delimiter!r}")
    return "; ".join(parts)


Problem = tuple[str | None, str]
"""The column, if it is one column's fault, and what is wrong."""


def _scan(path: Path, layout: Layout) -> tuple[int, dict[int, Problem], bool]:
    """Count the lines below the header; find the unreadable ones, and whether all end in a plain \\n."""
    well_quoted = _well_quoted(layout.delimiter).fullmatch
    odd: dict[int, Problem] = {}
    number, plain = 0, True
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            body = line.rstrip(b"\r\n")
            if number == 1:
                plain = not line.endswith(b"\r\n")
            elif problem := _problem(body, well_quoted):
                odd[number] = (None, problem)
            elif b"\r" in line:
                plain = False
    return number - 1, odd, plain


def _problem(line: bytes, well_quoted: Callable[[bytes], object]) -> str | None:
    if not line.strip():
        return "The line is empty."
    if len(line) > LONGEST_LINE:
        return f"The line has {len(line)} bytes, more than {LONGEST_LINE}."
    if b"\0" in line or b"\r" in line:
        return "The line holds control bytes (NUL or a carriage return): binary data?"
    if not line.isascii():
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            return f"The line is not UTF-8: byte {line[error.start]:#04x} at column {error.start + 1}."
    if b'"' in line and not well_quoted(line):
        return "A quoted field is not closed, or text stands beside its quotes."
    return None


def _well_quoted(delimiter: str) -> re.Pattern[bytes]:
    """Make a pattern of lines in which each field is quoted properly or does not begin with a quote."""
    # Possessive quantifiers (*+): a long line that does not match fails at once instead of after exponential time.
    mark = re.escape(delimiter)
    field = rf'(?:"(?:[^"]|"")*+"|(?![ \t]*")[^{mark}]*+)'
    return re.compile(rf"{field}(?:{mark}{field})*+".encode())


def _copy_without(path: Path, copy: Path, odd: dict[int, Problem]) -> None:
    with path.open("rb") as stream, copy.open("wb") as target:
        for number, line in enumerate(stream, 1):
            if number not in odd:
                target.write(line.rstrip(b"\r\n") + b"\n")


def _parse(path: Path, layout: Layout, connection: DuckDBPyConnection) -> tuple[pa.Table, dict[int, Problem]]:
    """Let DuckDB read a file; return its rows and, by line, why others are none."""
    import duckdb

    form = layout.timestamp_format
    # TIMESTAMP would drop an offset in silence; TIMESTAMPTZ honours it, but knows no format (whose %z is honoured).
    zoned = [] if form else [n for n, t in zip(layout.names, layout.types, strict=True) if t == "TIMESTAMP"]
    types = ["TIMESTAMPTZ" if name in zoned else kind for name, kind in zip(layout.names, layout.types, strict=True)]
    columns = ", ".join(f"{literal(n)}: {literal(t)}" for n, t in zip(layout.names, types, strict=True))
    in_utc = ", ".join(f'"{name}" at time zone \'UTC\' as "{name}"' for name in zoned)
    chosen = f"select * replace ({in_utc})" if zoned else "select *"
    options = f", timestampformat = {literal(form)}" if form else ""
    # read_csv takes a glob; a folder may have these characters in its name.
    pattern = "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
    query = (
        # Nothing is left to the sniffer: it reads a malformed file as one column of text, without an error.
        f"{chosen} from read_csv({literal(pattern)}, auto_detect = false, header = true, parallel = false, "
        f"delim = {literal(layout.delimiter)}, quote = '\"', escape = '\"', nullstr = '', strict_mode = true, "
        f"columns = {{{columns}}}, store_rejects = true, rejects_table = 'refused', rejects_scan = 'scans'{options})"
    )
    try:
        # DuckDB appends to the tables of rejects of an earlier file of the connection.
        connection.execute("drop table if exists refused; drop table if exists scans")
        rows = connection.sql(query).to_arrow_table()
        refused = connection.execute(
            # A line can have an error in each of its columns, and is one reject.
            "select line, any_value(column_name order by column_idx), "
            "string_agg(error_message, ' ' order by column_idx) from refused group by line"
        ).fetchall()
    except duckdb.Error as error:
        raise SourceError(f"{path}: DuckDB cannot read the file: {first_line(error)}") from None
    return rows, {int(line): (column, message) for line, column, message in refused}


def _endless(rows: pa.Table) -> dict[int, Problem]:
    """Find the lines with `infinity` for a time: DuckDB takes it for one, but it is on no day."""
    import pyarrow as pa
    import pyarrow.compute as pc

    problems: dict[int, Problem] = {}
    for name in rows.column_names:
        if pa.types.is_temporal(rows[name].type):
            whole = pa.int32() if pa.types.is_date32(rows[name].type) else pa.int64()
            far = pc.greater_equal(pc.abs(pc.cast(rows[name], whole)), np.iinfo(whole.to_pandas_dtype()).max)
            for line in rows[LINE_NUMBER].filter(far).to_pylist():
                problems.setdefault(line, (name, f"The value of {name} is no day."))
    return problems


def with_raw(path: Path, errors: dict[int, Problem]) -> list[Reject]:
    """Add the text of their lines to problems, in the file's order; bytes that are no UTF-8 are escaped."""
    if not errors:
        return []
    with path.open("rb") as stream:
        raw = {n: line.rstrip(b"\r\n")[:LONGEST_RAW] for n, line in enumerate(stream, 1) if n in errors}
    return [
        Reject(n, *errors[n], raw[n].decode("utf-8", "backslashreplace").replace("\0", r"\x00")) for n in sorted(errors)
    ]
