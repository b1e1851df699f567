"""Reading a parquet file by the same rules as text: a value is of the declared type as it is, or its row is refused.

Columns are found by their names. The file's own type of a column must be of the declared type's kind; a day whose
file has another one is an error that says so, before any of it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import SourceError, first_line
from tasks.sources.layout import Layout
from tasks.sources.rejects import Judge, Reject
from tasks.sources.typed_values import SQL, TAKES, typed_rows
from tasks.store.sql import render

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_AT_A_TIME = 200_000


def read_parquet(
    path: Path, layout: Layout, connection: DuckDBPyConnection, judge: Judge | None = None
) -> tuple[pa.Table, list[Reject]]:
    """Read a parquet file.

    Args:
        path: the file.
        layout: its columns, as `header`, and what they become.
        connection: DuckDB to cast with, from `tasks.store.database.connect`.
        judge: finds further rows to reject.

    Returns:
        The declared columns and `line_number`, the row's number from 1, in the file's order; and the rows refused.

    Raises:
        SourceError: the file is absent or damaged, or has not the declared columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path}: cannot be read as parquet: {first_line(error)}") from None
    with file:
        kinds = _checked_columns(path, file.schema_arrow, layout)
        plain = layout.without_dialect()
        query = render(SQL, "texts", parts=list(zip(kinds, layout.header, layout.names, strict=True)))
        tables, rejects, start = list["pa.Table"](), list[Reject](), 1
        try:
            for batch in file.iter_batches(_AT_A_TIME, columns=list(layout.header)):
                connection.register("batch", pa.table(batch))
                texts = connection.sql(query).to_arrow_table().drop_columns(["is_row"])
                connection.unregister("batch")
                rows, refused = typed_rows(texts, start, plain, connection, judge)
                tables.append(rows)
                rejects += refused
                start += batch.num_rows
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{path}: row {start} and after cannot be read: {first_line(error)}") from None
    if not tables:
        texts = pa.table({name: pa.array([], pa.string()) for name in layout.names})
        tables = [typed_rows(texts, 1, plain, connection, None)[0]]
    return pa.concat_tables(tables), rejects


def _checked_columns(path: Path, schema: pa.Schema, layout: Layout) -> list[str]:
    """Tell the kind of each declared column."""
    found = list(schema.names)
    missing = [name for name in layout.header if name not in found]
    others = [name for name in found if name not in layout.header]
    twice = [name for name in layout.header if found.count(name) > 1]
    if missing or twice or (others and layout.dialect.others == "refuse"):
        parts = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"twice: {', '.join(twice)}"] * bool(twice)
        parts += [f"{len(others)} more are not declared; `dialect: {{others: ignore}}` leaves them out"] * bool(others)
        raise SourceError(f"{path}: has other columns than its data set declares ({'; '.join(parts)})")
    kinds = [_kind(schema.field(name).type) for name in layout.header]
    for name, kind, declared in zip(layout.header, kinds, layout.types, strict=True):
        if kind not in TAKES[declared]:
            raise SourceError(
                f"{path}: column {name}: found {schema.field(name).type}, expected {declared} as is declared; "
                "correct the declaration in transforms/datasets/, or the file if its other days have that type"
            )
    return kinds


def _kind(kind: Any) -> str:
    """Name the kind of an Arrow type."""
    import pyarrow.types as is_

    if is_.is_dictionary(kind):
        return _kind(kind.value_type)
    tests = {
        "text": (is_.is_string, is_.is_large_string, is_.is_string_view), "boolean": (is_.is_boolean,),
        "whole": (is_.is_integer,), "decimal": (is_.is_decimal,), "float": (is_.is_floating,),
        "day": (is_.is_date,), "list": (is_.is_list, is_.is_large_list),
    }  # fmt: skip
    if is_.is_timestamp(kind):
        return "zoned" if kind.tz else "time"
    return next((name for name, holds in tests.items() if any(test(kind) for test in holds)), "other")
