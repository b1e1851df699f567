"""Rows as Arrow tables: of parquet files, of records, and of the built tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.arguments import as_names, as_number, expect, one_of
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
LAST_DAYS = 3
"""Of the days that are built, how many of the last are named."""
DAY_COLUMNS = ("as_of", "cut", "ds")
"""What the rows of a table are of, where they are of a day: features, labels, and what arrived."""


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
    seconds = as_number("seconds", seconds)
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

    _require_one(expect("query", text, str, "a text in DuckDB's SQL"))
    if isinstance(values, (str, bytes)):  # sequences to Python
        raise WrongArgument(f"values: found {quoted(values)}, expected a list of values")
    expect("values", values, (Sequence, Mapping), "a list of values, or values by name")
    try:
        return tables.arrow(text, values)
    except duckdb.InterruptException:
        raise MatineeError(
            f"{what} took longer than {seconds} s and was ended, as a build may be waiting for it. Ask for fewer rows "
            f"or columns, or pass `seconds=` (at most {MOST_SECONDS})"
        ) from None
    # What is wrong with a query, also on its way over the rows: a text that is no number, an overflow, a value that
    # has no type in SQL. Not what is wrong with the file, which DuckDB calls an operational or an internal error.
    except (
        duckdb.ProgrammingError, duckdb.PermissionException, duckdb.DataError, duckdb.NotSupportedError,
        TypeError, ValueError, OverflowError,
    ) as error:  # fmt: skip
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


def rows_of(query: Query, table: str, day: date | None, columns: Sequence[str] | None) -> pa.Table:
    """Read a table that is built: all its rows or those of a day, all its columns or some.

    Raises:
        WrongArgument: there is no such column, its rows are of no day, or this day is not built.
    """
    from tasks.store.sql import identifier

    known = column_names(query, table)
    names = known if columns is None else as_names("columns", columns)
    if not names:
        raise WrongArgument(f"columns: found an empty list, expected some of: {', '.join(known)}")
    chosen = ", ".join(identifier(one_of(f"column of {table}", name, known)) for name in names)
    text = f"select {chosen} from {identifier(table)}"
    if day is None:
        return query(text, ())
    column = next((name for name in DAY_COLUMNS if name in known), None)
    if column is None:
        raise WrongArgument(f"day: the rows of {table} are of no day; it has the columns {', '.join(known)}")
    rows = query(f"{text} where {column} = ?", [day])
    if rows.num_rows == 0:
        _require_built(query, table, column, day)
    return rows


def _require_built(query: Query, table: str, column: str, day: date) -> None:
    """Tell a day that is not built from one that has no rows.

    Raises:
        WrongArgument: it is not built; names the days that are.
    """
    days = _built_days(query, table, column)
    if day in days:
        return
    there = "no day is"
    if days:
        ends = f"{days[0]}" if len(days) == 1 else f"{days[0]} … {', '.join(map(str, days[1:][-LAST_DAYS:]))}"
        there = f"{len(days):,} {'day is' if len(days) == 1 else 'days are'}: {ends}"
    raise WrongArgument(
        f"day: {table} is not built for {column} {day}; {there}. `pipeline.run(day)` builds the days that a run needs"
    )


def _built_days(query: Query, table: str, column: str) -> list[date]:
    """List the days in the ledger, in order: the table's, and, as a view has none of its own, all of its grain."""
    from tasks.features.ledger import tests_of

    text = "select distinct day from control.ledger where model in (?, ?) order by all"
    days: list[date] = query(text, [table, tests_of(column)])["day"].to_pylist()
    return days
