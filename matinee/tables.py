"""Rows as Arrow tables: of parquet files, of records, and of the built tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import MatineeError, WrongArgument, first_line, quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.features.warehouse import Tables, Values, Warehouse

Query = Callable[[str, "Values"], "pa.Table"]
"""Queries the open tables, in DuckDB's SQL, with values of parameters."""
PATIENCE = 30
"""Seconds to wait for somebody who is building."""
MOST_SECONDS = 600
"""Of one query. A build waits for readers for half an hour, and fails after that: no query may come near it."""

COURTESY = 0.1


def table_of(columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> pa.Table:
    """Make a table of rows; its columns have their types also where there is no row.

    Args:
        columns: names, and Arrow's names of their types, such as `string`, `double`, `date32`.
        rows: of so many values each.
    """
    import pyarrow as pa

    schema = pa.schema([pa.field(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
    return pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows], schema=schema)


def read_parquet(paths: Sequence[Path]) -> pa.Table:
    """Read parquet files of one kind, in their order; a column that some of them lack is null there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # `partitioning=None`: a folder `ds=2026-02-25` is a place, not a column.
    return pa.concat_tables([pq.read_table(path, partitioning=None) for path in paths], promote_options="permissive")


@contextmanager
def reading(warehouse: Warehouse, seconds: int) -> Iterator[Query]:
    """Open the built tables of a pipeline, and yield what queries them; nobody builds until the block ends.

    Args:
        warehouse: the tables.
        seconds: after which a query is ended.

    Raises:
        WrongArgument: `seconds` is out of bounds, or a query is no query.
        MatineeError: nothing is built, somebody builds all the time, or a query took too long.
    """
    if not 1 <= seconds <= MOST_SECONDS:
        raise WrongArgument(f"seconds: found {seconds}, expected 1 to {MOST_SECONDS}: a build may be waiting meanwhile")
    if not warehouse.exists():  # `open` would make the folder of its lock
        raise MatineeError(
            f"{warehouse.location}: not built yet; run a day: `matinee run {warehouse.pipeline} --as-of …`"
        )
    try:
        with warehouse.open(PATIENCE) as tables:
            _close_doors(tables, seconds)
            yield lambda text, values: _fetch(tables, text, values, f"{warehouse.pipeline}: the query", seconds)
    finally:
        # A build that waits asks for the lock every 50 ms: one that is taken again at once, it would never see free.
        time.sleep(COURTESY)


def _fetch(tables: Tables, text: str, values: Values, what: str, seconds: int) -> pa.Table:
    import duckdb

    _require_one(text)
    try:
        return tables.arrow(text, values)
    except duckdb.InterruptException:
        raise MatineeError(
            f"{what} took longer than {seconds} s and was ended, as a build may be waiting for it. Ask for fewer rows "
            f"or columns, or pass `seconds=` (at most {MOST_SECONDS})"
        ) from None
    except (duckdb.ProgrammingError, duckdb.PermissionException) as error:
        raise WrongArgument(f"{what} is refused: {first_line(error)}") from None


def _require_one(text: str) -> None:
    """Refuse a text that is no query at all, or several.

    Raises:
        WrongArgument: saying which.
    """
    import duckdb

    try:
        number = len(duckdb.extract_statements(text))
    except duckdb.Error as error:
        raise WrongArgument(f"the query is refused: {first_line(error)}") from None
    if number != 1:
        raise WrongArgument(f"expected one query, found {number} in {quoted(text)}")


def _close_doors(tables: Tables, seconds: int) -> None:
    """Let a query read the tables and nothing else, and not for ever."""
    # The file itself is open read-only; this is about other files, which `copy` would write and `read_csv` would read.
    tables.rows("set enable_external_access = false")
    tables.rows(f"set max_execution_time = {seconds * 1000}")
    tables.rows("set lock_configuration = true")


def table_names(query: Query) -> list[str]:
    """Name the tables that are built, in order."""
    text = "select table_name from information_schema.tables where table_schema = 'main' order by all"
    names: list[str] = query(text, ())["table_name"].to_pylist()
    return names


def column_names(query: Query, table: str) -> list[str]:
    """Name the columns of a table that is built."""
    text = "select column_name from information_schema.columns where table_schema = 'main' and table_name = ?"
    names: list[str] = query(text, [table])["column_name"].to_pylist()
    return names
