"""Reading a CSV file so that every record of it is accounted for: landed, or rejected with its reason and raw text.

`csv_lines` finds the records, pyarrow parses their fields as text, and `typed_values` decides what is a value of the
declared type. At the end, records = rows + rejects, or nothing of the file is used.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.errors import SourceError, first_line
from tasks.sources.files.csv_lines import LONGEST_RECORD, Records, scan, without_bom
from tasks.sources.layout import Layout
from tasks.sources.rejects import LINE_NUMBER, LONGEST_RAW, Judge, Problem, Reject
from tasks.sources.typed_values import typed_values

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

MOST_NAMED = 5
_CHUNK = 1 << 20


def read_csv(
    path: Path, layout: Layout, connection: DuckDBPyConnection, judge: Judge | None = None
) -> tuple[pa.Table, list[Reject]]:
    """Read a CSV file.

    Args:
        path: text with a record per line, or per lines of a quoted field.
        layout: what the file must look like.
        connection: DuckDB to cast with, from `tasks.store.database.connect`: its time zone is UTC.
        judge: finds further rows to reject.

    Returns:
        The declared columns and `line_number`, a row per readable record, in the file's order; and the others.

    Raises:
        SourceError: the file is absent, empty, has another header, or its records don't add up.
    """
    with _utf8(path, layout) as text:
        width, places = _checked_header(path, text, layout)
        records, fields = _parsed(path, text, layout, width)
        texts = fields.select(places).rename_columns(list(layout.names))
        rows, wrong = typed_values(texts, layout, connection)
        starts = np.asarray(records.starts, dtype=np.int64)
        problems = records.problems | {int(starts[row]): problem for row, problem in wrong.items()}
        rows = rows.append_column(LINE_NUMBER, [starts])
        further = judge(rows) if judge else {}
        problems = further | problems
        if problems:
            rows = rows.filter(~np.isin(starts, list(problems)))
        return rows, _with_raw(text, records, problems)


@contextmanager
def _utf8(path: Path, layout: Layout) -> Iterator[Path]:
    """Yield the file as UTF-8 text; bytes that are none in its own encoding are none in UTF-8."""
    encoding = layout.dialect.encoding
    if encoding in ("utf-8", "ascii"):
        yield path
        return
    # UTF-16 has no byte that stands for nothing; the error names where it ends.
    errors = "strict" if encoding == "utf-16" else "surrogateescape"
    with tempfile.TemporaryDirectory(prefix="matinee-") as folder:
        copy = Path(folder) / "utf8.csv"
        try:
            with path.open("rb") as stream, copy.open("wb") as target:
                decoder = codecs.getincrementaldecoder(encoding)(errors)
                while chunk := stream.read(_CHUNK):
                    target.write(decoder.decode(chunk).encode("utf-8", "surrogateescape"))
                target.write(decoder.decode(b"", final=True).encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise SourceError(f"{path}: cannot be read ({error.strerror}); expected a CSV file") from None
        except UnicodeError as error:
            raise SourceError(f"{path}: not {encoding} text, as its data set declares: {first_line(error)}") from None
        yield copy


def _checked_header(path: Path, text: Path, layout: Layout) -> tuple[int, list[int]]:
    """Count the fields of a record, and find the places of the declared columns among them."""
    line = _first_line(path, text, layout)
    declared = len(layout.header)
    if not layout.dialect.header and layout.dialect.others == "refuse":
        return declared, list(range(declared))
    expected = layout.dialect.delimiter.join(layout.header)
    if problem := _no_text(line):
        raise SourceError(f"{path}: not UTF-8 text: {problem} of line 1; expected the header {expected}")
    try:
        reader = csv.reader([line.decode("utf-8").rstrip("\r\n")], **_csv_options(layout))
        header = tuple(next(reader, []))
    except csv.Error:
        header = ()
    if not layout.dialect.header and len(header) >= declared:
        return len(header), list(range(declared))
    # Case and blanks around a name are no other name, as long as they leave one field for each column.
    plain = [name.strip().casefold() for name in header]
    wanted = [name.strip().casefold() for name in layout.header]
    if header == layout.header or (plain == wanted and len(set(plain)) == declared):
        return declared, list(range(declared))
    if layout.dialect.others == "ignore" and all(plain.count(name) == 1 for name in wanted):
        return len(header), [plain.index(name) for name in wanted]
    raise SourceError(
        f"{path}: line 1 is not the header {expected!r} ({_difference(header, layout)}); "
        "correct the file, or its declaration in transforms/datasets/"
    )


def _first_line(path: Path, text: Path, layout: Layout) -> bytes:
    try:
        with text.open("rb") as stream:
            first = stream.readline(LONGEST_RECORD)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); expected a CSV file") from None
    if not first and layout.dialect.header:
        expected = layout.dialect.delimiter.join(layout.header)
        raise SourceError(f"{path}: the file is empty (0 bytes); expected at least the header {expected}")
    if first.startswith(b"\x1f\x8b") or first.startswith(b"\x28\xb5\x2f\xfd"):
        raise SourceError(f"{path}: compressed; declare it by its name, which must end in .gz or .zst, or unpack it")
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SourceError(f"{path}: begins as UTF-16 does; declare `dialect: {{encoding: utf-16}}`, or convert it")
    if b"\r" in first.rstrip(b"\r\n") and b"\0" not in first:
        raise SourceError(
            f"{path}: line 1 has carriage returns within it: lines seem to end in CR alone, as on an old Mac; convert "
            "them to LF"
        )
    return without_bom(first, layout)


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
        told = f"almost {near[0]}" if near else "not declared"
        if not header[number - 1].strip():
            told = "without a name (a delimiter at the line's end?)"
        parts.append(f"field {number} is {told}")
    if len(extra) > MOST_NAMED:
        parts.append(f"{len(extra) - MOST_NAMED} more fields are not declared")
    if extra and not missing:
        parts.append("`dialect: {others: ignore}` leaves them out")
    delimiter = layout.dialect.delimiter
    if len(header) == 1 and (other := next((mark for mark in ",;\t|" if mark in header[0]), None)):
        parts.append(f"it has the delimiter {other!r}, declared is {delimiter!r}")
    return "; ".join(parts)


def _csv_options(layout: Layout) -> dict[str, Any]:
    quote = layout.dialect.quote
    quoting: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE, "quotechar": None}
    return {"delimiter": layout.dialect.delimiter, **quoting}


def _parsed(path: Path, text: Path, layout: Layout, width: int) -> tuple[Records, pa.Table]:
    """Parse the records into fields of text, a column per field of the file; others join the problems."""
    with tempfile.TemporaryDirectory(prefix="matinee-") as folder:
        copy = Path(folder) / "readable.csv"
        records = scan(text, layout, copy)
        skip = 0 if copy.exists() else int(layout.dialect.header)
        table = _fields(copy if copy.exists() else text, layout, records, width, skip)
    if table.num_rows != len(records.starts):
        raise SourceError(
            f"{path}: {len(records.starts)} records, but {table.num_rows} rows; expected them to add up, so nothing "
            "of the file is used; is it being written?"
        )
    return records, table


def _fields(text: Path, layout: Layout, records: Records, width: int, skip: int) -> pa.Table:
    """Parse the fields of records; those with another number of fields leave `records` and join its problems."""
    import pyarrow as pa
    import pyarrow.csv as arrow

    dialect = layout.dialect
    names = [str(place) for place in range(width)]
    if not records.starts:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    refused: dict[int, Problem] = {}

    def refuse(row: Any) -> str:
        # The first column that is missing, where the file's columns are the declared ones.
        short = row.actual_columns < width == len(layout.names)
        column = layout.names[row.actual_columns] if short else None
        refused[row.number - 1 - skip] = (column, f"Found {row.actual_columns} fields, expected {width}.")
        return "skip"

    try:
        table = arrow.read_csv(
            text,
            # One thread, because only then a refused row has a number.
            arrow.ReadOptions(
                use_threads=False, block_size=8 * LONGEST_RECORD, skip_rows=skip,
                column_names=names,
            ),
            arrow.ParseOptions(
                delimiter=dialect.delimiter, quote_char=dialect.quote or False, newlines_in_values=True,
                ignore_empty_lines=False, invalid_row_handler=refuse,
            ),
            arrow.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), check_utf8=False,
                strings_can_be_null=True, null_values=list(dialect.null_values),
            ),
        )  # fmt: skip
    except pa.ArrowInvalid as error:
        raise SourceError(f"{text}: cannot be read as CSV: {first_line(error)}") from None
    for place, why in refused.items():
        records.problems[records.starts[place]] = why
    records.starts = [start for place, start in enumerate(records.starts) if place not in refused]
    return table


def _with_raw(text: Path, records: Records, problems: dict[int, Problem]) -> list[Reject]:
    """Add their texts to problems, in the file's order; bytes that are no UTF-8 are escaped."""
    if not problems:
        return []
    wanted = {start + n: start for start in problems for n in range(records.spans.get(start, 1))}
    raw = dict.fromkeys(problems, b"")
    with text.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if (start := wanted.get(number)) is not None:
                raw[start] += line[:LONGEST_RAW]
    texts = {start: record.rstrip(b"\r\n")[:LONGEST_RAW] for start, record in raw.items()}
    return [
        Reject(n, *problems[n], texts[n].decode("utf-8", "backslashreplace").replace("\0", r"\x00"))
        for n in sorted(problems)
    ]
