"""The columns of tables that were found: their names in the landing, and their types by the reader's own patterns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tasks.operations.own_data.found_files import UNTYPED, FoundTable
from tasks.sources.layout import ColumnType, Dialect, Layout
from tasks.sources.typed_values import typed_values
from tasks.store.database import memory

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

JUDGED_ROWS = 5_000
FITS = 0.995
"""Of the values that are there, those that a type must be able to hold; the others' rows are rejected."""
CANDIDATES: tuple[ColumnType, ...] = ("BIGINT", "DOUBLE", "DATE", "TIMESTAMP")
TIMES = tuple(
    f"{day} {time}"
    for day in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%d-%b-%Y")
    for time in ("%H:%M:%S", "%H:%M")
)
DATES = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%d-%b-%Y", "%Y%m%d")
FORMS: tuple[tuple[str, ColumnType, tuple[str, ...]], ...] = (
    ("timestamps", "TIMESTAMP", TIMES),
    ("dates", "DATE", DATES),
)
"""Of times and of days: the key of the dialect, the type, and how they may be written besides ISO."""
OF_KINDS: dict[str, ColumnType] = {
    "boolean": "BOOLEAN", "whole": "BIGINT", "float": "DOUBLE", "decimal": "DOUBLE", "day": "DATE", "time": "TIMESTAMP",
    "zoned": "TIMESTAMP",
}  # fmt: skip
"""Types of columns by their kinds in a database; other kinds are texts."""
_RESERVED = {"ds", "line_number", "rule", "row", "fault", "copy", "version", "sent_before", "acted_at", "who"}


@dataclass(frozen=True)
class Column:
    """A column of a table: its number, its name in the file and in the landing, and its type."""

    number: int
    header: str
    name: str
    type: ColumnType


@dataclass(frozen=True)
class TypedTable:
    """A table that was found, with what its columns are.

    Attributes:
        found: the files and their texts.
        name: in the landing.
        columns: in the files' order.
        dialect: how its text is written, where that is not as usual.
    """

    found: FoundTable
    name: str
    columns: tuple[Column, ...]
    dialect: Mapping[str, Any]

    def __getitem__(self, name: str) -> Column:
        """The column of a landed name."""
        return next(column for column in self.columns if column.name == name)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Landed names of its columns."""
        return tuple(column.name for column in self.columns)

    def texts(self, name: str) -> pa.ChunkedArray:
        """The texts of a column."""
        return self.found.rows[f"c{self[name].number}"]

    def renamed(self, names: Mapping[str, str]) -> TypedTable:
        """Give columns other names, where those are free."""
        free = {old: new for old, new in names.items() if new not in self.names}
        columns = tuple(replace(column, name=free.get(column.name, column.name)) for column in self.columns)
        return replace(self, columns=columns)


def landed_name(text: str, taken: Sequence[str], number: int) -> str:
    """Make a name of a header: `CustomerID` is customer_id, `Gebühr (€)` gebuhr."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", plain.replace("ß", "ss"))
    name = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:50]
    name = name if re.match(r"[a-z]", name) else f"column_{name or number + 1}"
    name = f"{name}_of_file" if name in _RESERVED else name  # the macros of staging add columns of these names
    return name if name not in taken else f"{name}_{number + 1}"


def typed_table(found: FoundTable) -> TypedTable:
    """Name the columns of a table, and find their types and how their times are written."""
    import pyarrow as pa

    rows = found.rows
    step = max(1, -(-rows.num_rows // JUDGED_ROWS))
    sample = rows.take(pa.array(range(0, rows.num_rows, step), pa.int64())).combine_chunks()
    dialect = dict(found.dialect)
    if found.kinds:
        return _of_database(found, sample)
    with memory() as connection:
        if _has_decimal_commas(sample, dialect.get("delimiter", ",")):
            dialect["decimal"] = ","
        types = _types(sample, Dialect(**_text_keys(dialect)), CANDIDATES, connection)
        for key, kind, forms in FORMS:
            form, written_so = _form(sample, types, key, kind, forms, connection)
            if form:
                dialect[key] = ["iso", form] if kind in types.values() else [form]
                types |= dict.fromkeys(written_so, kind)
    return TypedTable(found, _table_name(found.file), _columns(found, types), dialect)


def _of_database(found: FoundTable, sample: pa.Table) -> TypedTable:
    """Take the types that a database's columns have; SQLite's texts may be times, and its untyped columns anything."""
    untyped = [f"c{n}" for n, kind in enumerate(found.kinds) if kind == UNTYPED]
    with memory() as connection:
        times = _types(sample, Dialect(), ("DATE", "TIMESTAMP"), connection)
        by_values = _types(sample.select(untyped), Dialect(), CANDIDATES, connection)
    types: dict[str, ColumnType] = {f"c{n}": OF_KINDS[kind] for n, kind in enumerate(found.kinds) if kind in OF_KINDS}
    types |= {f"c{n}": times[f"c{n}"] for n, kind in enumerate(found.kinds) if kind == "iso" and f"c{n}" in times}
    types |= by_values
    name = landed_name(found.file.rpartition(".")[2], (), 0)
    return TypedTable(found, name, _columns(found, types), {})


def _columns(found: FoundTable, types: Mapping[str, ColumnType]) -> tuple[Column, ...]:
    names: list[str] = []
    for number, header in enumerate(found.header):
        names.append(landed_name(header, names, number))
    return tuple(
        Column(number, header, name, types.get(f"c{number}", "VARCHAR"))
        for number, (header, name) in enumerate(zip(found.header, names, strict=True))
    )


def _table_name(file: str) -> str:
    """Make a table's name of its file's: `u.data` is u_data, `{ds}.csv` rows."""
    name = re.sub(r"\.(csv|tsv|txt|jsonl|ndjson|parquet|gz|zst)\b", "", file.replace("{ds}", ""))
    name = re.sub(r"[^A-Za-z0-9]+", "_", name.split("/")[-1] or name).strip("_")
    return landed_name(name, (), 0) if name else "rows"


def _text_keys(dialect: Mapping[str, Any]) -> dict[str, Any]:
    return {key: dialect[key] for key in ("decimal",) if key in dialect}


def _has_decimal_commas(sample: pa.Table, delimiter: str) -> bool:
    import pyarrow.compute as pc

    def share(column: pa.ChunkedArray) -> float:
        there = column.drop_null()
        return pc.mean(pc.match_substring_regex(there, r"^-?\d+,\d{1,2}$")).as_py() or 0.0 if len(there) else 0.0

    return delimiter != "," and any(share(column) >= FITS for column in sample.columns)


def _types(
    sample: pa.Table, dialect: Dialect, kinds: Sequence[ColumnType], connection: DuckDBPyConnection
) -> dict[str, ColumnType]:
    """Map columns to the first type that holds their values; those that none does are left out."""
    import pyarrow as pa

    # One column per column and type, so that the reader's patterns are asked once.
    pairs = [(name, kind) for name in sample.column_names for kind in kinds]
    if not pairs or not sample.num_rows:
        return {}
    names = [f"{name}_{kind}" for name, kind in pairs]
    texts = pa.table([sample[name] for name, _ in pairs], names=names)
    layout = Layout(tuple(names), tuple(names), tuple(kind for _, kind in pairs), dialect)
    typed, _ = typed_values(texts, layout, connection)
    found: dict[str, ColumnType] = {}
    for (name, kind), wide in zip(pairs, names, strict=True):
        there = sample.num_rows - sample[name].null_count
        held = sample.num_rows - typed[wide].null_count
        if name not in found and there and held >= FITS * there:
            found[name] = kind
    return found


def _form(
    sample: pa.Table,
    types: Mapping[str, ColumnType],
    key: str,
    kind: ColumnType,
    forms: Sequence[str],
    connection: DuckDBPyConnection,
) -> tuple[str | None, list[str]]:
    """Find the form by which most of the columns that are texts so far are times or days."""
    dated = [
        name
        for name in sample.column_names
        if name not in types
        and (first := next((text for text in sample[name].to_pylist() if text), None))
        and re.search(r"\d{1,4}[/.\-].+[/.\-]\d{2,4}", first)
    ]
    best: tuple[str | None, list[str]] = (None, [])
    for form in forms if dated else ():
        fitting = _types(sample.select(dated), Dialect.model_validate({key: [form]}), [kind], connection)
        if len(fitting) > len(best[1]):
            best = (form, list(fitting))
    return best
