"""Data files in a folder, read as text: which of them are tables, how they are written, and what stands in them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import SpecError

if TYPE_CHECKING:
    import pyarrow as pa

MOST_BYTES = 1 << 30
"""Of one file, unpacked: its last day and its ids are needed, so that a beginning would not do."""
MOST_OF_DAYS = 256 << 20
MOST_FILES = 400
"""Bytes and files that are read of a table with a file per day, evenly spread."""
HEAD_LINES = 200
UNTYPED = "untyped"
"""Kind of a database's column that is declared without a type: what it holds is told by its values."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NO_DATA = {
    ".md", ".pdf", ".zip", ".html", ".htm", ".py", ".sql", ".yaml", ".yml", ".xlsx", ".xls", ".png", ".jpg", ".log",
    ".toml", ".ini", ".sh", ".pl", ".lock", ".rst", ".7z", ".tar", ".json", ".ipynb",
}  # fmt: skip
_PACKED = {".gz", ".zst"}
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_PARQUET, _JSON_LINES = {".parquet"}, {".jsonl", ".ndjson"}


@dataclass(frozen=True)
class FoundTable:
    """A table as its files have it.

    Attributes:
        file: its name in a dataset file, below the folder; of a database's table, that of the table.
        rows: a column of text per column of the file, in its order, named by number; null is no value.
        header: name of each column in the file; empty texts if the file has no names.
        dialect: the keys in which it differs from the usual dialect.
        days: of a table with a file per day, its files' days.
        whole: whether all of it was read.
        kinds: of a database's table, the kinds of its columns.
        key: of a database's table, the columns of its primary key.
        nested: columns of lists or objects, which are not read.
    """

    file: str
    rows: pa.Table
    header: tuple[str, ...]
    dialect: Mapping[str, Any]
    days: tuple[date, ...] = ()
    whole: bool = True
    kinds: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()

    @property
    def daily(self) -> bool:
        """Whether there is a file per day."""
        return "{ds}" in self.file


def find_tables(place: Path) -> tuple[Path, list[FoundTable]]:
    """Read the tables in a folder and those below it, or the one in a file.

    Returns:
        The folder that the files' names are relative to, and the tables, by name.

    Raises:
        SpecError: there is no such place, or no table in it.
    """
    if not place.exists():
        # A URL without its scheme, or one that was pasted with something before it, has a password in it.
        shown = re.sub(r"[^/]*:.*@", "***@", str(place))
        raise SpecError(f"{shown}: no such file or folder; expected CSV, JSON lines or parquet files")
    folder = place if place.is_dir() else place.parent
    groups: dict[str, list[tuple[date | None, Path]]] = {}
    for path in _files(place):
        name = path.relative_to(folder).as_posix()
        days = set(_DAY.findall(name))
        day = _calendar_day(days.pop()) if len(days) == 1 else None
        groups.setdefault(name if day is None else _DAY.sub("{ds}", name), []).append((day, path))
    tables = [table for file, members in sorted(groups.items()) if (table := _table(file, members)) is not None]
    if not tables:
        raise SpecError(
            f"{place}: found no table; expected CSV, JSON lines or parquet files with two columns or more "
            "(an Excel workbook is given by its own name)"
        )
    return folder, tables


def is_json_lines(file: str) -> bool:
    """Tell a file of JSON lines, packed or not, by its name."""
    return any(suffix in _JSON_LINES for suffix in Path(file.lower()).suffixes)


def _files(place: Path) -> Iterable[Path]:
    if place.is_file():
        return [place]
    found = (path for path in place.rglob("*") if path.is_file() and not path.name.startswith((".", "_")))
    return sorted(path for path in found if path.suffix.lower() not in _NO_DATA and "readme" not in path.name.lower())


def _calendar_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _table(file: str, members: Sequence[tuple[date | None, Path]]) -> FoundTable | None:
    """Read a table; none if its first file is no table, or its files have other columns than the first."""
    import pyarrow as pa

    members = sorted(members, key=lambda member: (member[0] or date.min, member[1]))
    size = sum(path.stat().st_size for _, path in members)
    step = max(1, -(-len(members) // MOST_FILES), -(-size // MOST_OF_DAYS)) if len(members) > 1 else 1
    read = [_read(path) for _, path in members[::step]]
    first = read[0]
    if first is None:
        return None
    alike = [table for table in read if table is not None and table.header == first.header]
    rows = pa.concat_tables([table.rows for table in alike])
    days = tuple(day for day, _ in members if day)
    return FoundTable(file, rows, first.header, first.dialect, days, whole=step == 1, nested=first.nested)


def _read(path: Path) -> FoundTable | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = next((suffix for suffix in reversed(suffixes) if suffix not in _PACKED), "")
    if kind in _PARQUET:
        return _parquet(path)
    content = _unpacked(path)
    _check_utf16(path, content, declarable=kind not in _JSON_LINES)
    return _json_lines(content) if kind in _JSON_LINES else _csv(content)


def _check_utf16(path: Path, content: bytes, *, declarable: bool) -> None:
    """Refuse UTF-16 that is not read: JSON lines, and text whose beginning does not say what it is.

    Raises:
        SpecError: the file is such a one.
    """
    head = content[:200]
    marked = head.startswith(_UTF16_MARKS)
    # Of Latin letters every other byte is zero; a picture has some, too, but not all of a side.
    bare = len(head) >= 8 and any(not any(head[n::2]) and all(head[1 - n :: 2]) for n in (0, 1))
    name = "utf-16" if marked else "utf-16le" if head[:1] != b"\0" else "utf-16be"
    if (marked and not declarable) or bare:
        found = "begins as UTF-16 does" if marked else "looks like UTF-16 without a mark at its beginning"
        raise SpecError(f"{path}: {found}; convert it, like `iconv -f {name} -t utf-8`")


def _unpacked(path: Path) -> bytes:
    import pyarrow as pa

    try:
        with pa.input_stream(path, compression="detect") as stream:
            content = bytes(stream.read(MOST_BYTES + 1))
    except (OSError, pa.ArrowException) as error:
        raise SpecError(f"{path}: cannot be read ({error}); correct it, or take it out of the folder") from None
    if len(content) > MOST_BYTES:
        raise SpecError(
            f"{path}: has more than {MOST_BYTES:,} bytes, more than is looked at; give a part of it with all of its "
            "days, then put the whole file in its place"
        )
    return content


def _parquet(path: Path) -> FoundTable:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise SpecError(f"{path}: is no parquet file ({error}); correct it, or take it out of the folder") from None
    nested = tuple(name for name in table.column_names if pa.types.is_nested(table.schema.field(name).type))
    plain = tuple(name for name in table.column_names if name not in nested)
    columns = [table[name].cast(pa.string()) for name in plain]
    return FoundTable(path.name, pa.table(columns, names=_numbered(len(columns))), plain, {}, nested=nested)


def _json_lines(content: bytes) -> FoundTable | None:
    import pyarrow as pa

    records: list[dict[str, Any]] = []
    for line in content.decode("utf-8", "replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the reader rejects it by its line
        if isinstance(record, dict):
            records.append(record)
    items = [item for record in records for item in record.items() if item[1] is not None]
    plain = {key for key, value in items if not _is_nested(value)}
    nested = tuple(dict.fromkeys(key for key, value in items if _is_nested(value) and key not in plain))
    keys = tuple(dict.fromkeys(key for record in records for key in record if key not in nested))
    if len(keys) < 2:
        return None
    columns = [pa.array([_as_text(record.get(key)) for record in records], pa.string()) for key in keys]
    return FoundTable("", pa.table(columns, names=_numbered(len(keys))), keys, {}, nested=nested)


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def _as_text(value: Any) -> str | None:
    return None if value is None or _is_nested(value) else value if isinstance(value, str) else json.dumps(value)


def _csv(content: bytes) -> FoundTable | None:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    encoding = _encoding(content)
    text = content.decode(encoding, "replace").removeprefix("\ufeff")
    head = "\n".join(text[: 1 << 20].splitlines()[:HEAD_LINES])
    best = _delimiter_and_quote(head)
    if best is None:
        return None
    delimiter, quote = best
    lines = list(csv.reader(io.StringIO(head), delimiter=delimiter, **_quoting(quote)))
    has_names = _has_names(lines)
    usual = {"delimiter": ",", "quote": '"', "encoding": "utf-8", "header": True}
    found = {"delimiter": delimiter, "quote": quote, "encoding": encoding, "header": has_names}
    dialect = {key: value for key, value in found.items() if value != usual[key]}
    names = _numbered(len(lines[0]))
    rows = arrow_csv.read_csv(
        pa.BufferReader(text.encode("utf-8")),
        read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=int(has_names)),
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter, quote_char=quote or False, newlines_in_values=True,
            invalid_row_handler=lambda row: "skip",  # the reader rejects it by its line
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    )  # fmt: skip
    return FoundTable("", rows, tuple(lines[0]) if has_names else ("",) * len(names), dialect)


def _encoding(content: bytes) -> str:
    if content.startswith(_UTF16_MARKS):
        return "utf-16"
    try:
        # Of the first megabyte a character may be cut in two.
        content[: content.rfind(b"\n") + 1].decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252" if re.search(rb"[\x80-\x9f]", content) else "latin-1"
    return "utf-8"


def _delimiter_and_quote(head: str) -> tuple[str, str | None] | None:
    """The marks by which most lines have the same number of fields, two or more."""
    best: tuple[float, int, str, str | None] | None = None
    for quote in ('"', None):
        for delimiter in (",", "\t", ";", "|"):
            counts = Counter(
                len(line) for line in csv.reader(io.StringIO(head), delimiter=delimiter, **_quoting(quote)) if line
            )
            if not counts:
                return None
            fields, lines = counts.most_common(1)[0]
            share = lines / sum(counts.values())
            if fields > 1 and share > 0.9 and (best is None or (share, fields) > best[:2]):
                best = (share, fields, delimiter, quote)
    return best and (best[2], best[3])


def _quoting(quote: str | None) -> dict[str, Any]:
    return {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}


def _has_names(lines: Sequence[Sequence[str]]) -> bool:
    """Whether the first line has the names: it has no number, and no value that stands below it, too."""
    first, below = lines[0], lines[1:]
    if any(re.fullmatch(r"[\s\d.,:/+\-]*\d[\s\d.,:/+\-]*", text) for text in first):
        return False
    repeated = sum(any(line[n : n + 1] == [text] for line in below) for n, text in enumerate(first) if text)
    return len(set(first)) == len(first) and not repeated


def _numbered(count: int) -> list[str]:
    return [f"c{n}" for n in range(count)]
