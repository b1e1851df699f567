"""Files of mended rows, and which refused row each of them mends."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import SourceError, first_line
from tasks.quarantine.rejected_rows import Row
from tasks.sources.csv_files import LINE_NUMBER
from tasks.spec.yaml_lines import nearest
from tasks.store.database import memory
from tasks.store.sql import literal

MOST_SHOWN = 10
ID, TABLE, DAY, RULE, RUN, LINE, ERROR = DESCRIBING = (
    "refused_id", "refused_table", "refused_day", "refused_rule", "refused_run", "refused_line", "refused_error",
)  # fmt: skip
"""What `show` writes beside a row's own columns: it says which row it is, and is not taken over."""


@dataclass(frozen=True)
class Mended:
    """A row of a file of mended rows: its place in the file, and its values as text."""

    place: str
    values: dict[str, str | None]


def read_mended(path: Path) -> list[Mended]:
    """Read a file of mended rows: `.csv` (an empty field is a null), `.jsonl` or `.parquet`.

    Raises:
        SourceError: the file is absent, of another kind, empty, or not what its name says.
    """
    readers = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    if path.suffix not in readers:
        raise SourceError(f"{path}: found a name that ends in {path.suffix!r}, expected {', '.join(readers)}")
    if not path.is_file():
        raise SourceError(
            f"{path}: no such file; `matinee quarantine show … --out {path.name}` writes the rows to mend"
        )
    try:
        found = list(readers[path.suffix](path))
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    if not found:
        raise SourceError(f"{path}: found no rows, expected at least one mended row")
    return found


def _csv(path: Path) -> Iterator[Mended]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        try:
            for row in reader:
                place = f"{path}:{reader.line_num}"
                if None in row or None in row.values():
                    raise SourceError(
                        f"{place}: found other than {len(reader.fieldnames or ())} fields, as the header has"
                    )
                yield Mended(place, {name: value or None for name, value in row.items()})
        except csv.Error as error:
            raise SourceError(f"{path}:{reader.line_num}: not CSV ({error})") from None


def _jsonl(path: Path) -> Iterator[Mended]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise SourceError(f"{place}: not JSON ({error}); expected one object a line") from None
        if not isinstance(row, dict) or any(isinstance(value, dict | list) for value in row.values()):
            raise SourceError(f"{place}: expected one flat object: the columns of a row and their values")
        yield Mended(place, {name: _text(value) for name, value in row.items()})


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _parquet(path: Path) -> Iterator[Mended]:
    import duckdb

    with memory() as connection:
        try:
            cursor = connection.execute(f"select cast(columns(*) as varchar) from read_parquet({literal(str(path))})")
        except duckdb.Error as error:
            raise SourceError(f"{path}: not a parquet file ({first_line(error)})") from None
        names = [column[0] for column in cursor.description or ()]
        rows = cursor.fetchall()
    for number, row in enumerate(rows, 1):
        yield Mended(f"{path}, row {number}", dict(zip(names, row, strict=True)))


def pairs(mended: Sequence[Mended], rows: Sequence[Row], match: str | None) -> list[tuple[Row, Mended]]:
    """Return which refused row each mended one stands for.

    Args:
        mended: rows of a file.
        rows: refused rows that may be meant.
        match: the column that tells; `refused_id` or `line_number` if absent, whichever the file has.

    Raises:
        SourceError: the file has no such column, or a row of it is none of the refused rows, or several.
    """
    names = list(mended[0].values)
    column = match or next((name for name in (ID, LINE_NUMBER, LINE) if name in names), None)
    if column is None or column not in names:
        wanted = match or f"{ID} or {LINE_NUMBER}"
        raise SourceError(
            f"{mended[0].place}: found the columns {', '.join(names)}; expected {wanted} among them, to "
            "tell which refused row is meant; `matinee quarantine show … --out` writes it, or name a column "
            f"with --match{nearest(column or ID, names)}"
        )
    by_value: dict[str, list[Row]] = {}
    for row in rows:
        by_value.setdefault(_value(row, column) or "", []).append(row)
    found, problems, seen = [], [], set()
    for one in mended:
        value = one.values[column] or ""
        meant = [row for row in by_value.get(value, []) if _is_of(row, one)]
        if len(meant) != 1:
            many = f"{len(meant)} refused rows have it; give --table and --as-of, or the column {ID}"
            problems.append(f"{one.place}: {column} {value!r}: {many if meant else 'no row in quarantine has it'}")
        elif meant[0].id in seen:
            problems.append(f"{one.place}: {column} {value!r}: found twice, expected a row once")
        else:
            seen.add(meant[0].id)
            found.append((meant[0], one))
    if problems:
        more = [f"… and {len(problems) - MOST_SHOWN} more"] if len(problems) > MOST_SHOWN else []
        raise SourceError("\n".join([*problems[:MOST_SHOWN], *more, "Nothing was released."]))
    return found


def _value(row: Row, column: str) -> str | None:
    described = {ID: row.id, LINE: row.line, LINE_NUMBER: row.line}
    return _text(described[column] if column in described else row.content.get(column))


def _is_of(row: Row, one: Mended) -> bool:
    """Tell whether the file's own words on table and day, if it has any, are those of a refused row."""
    return one.values.get(TABLE, row.table) == row.table and one.values.get(DAY, str(row.ds)) == str(row.ds)
