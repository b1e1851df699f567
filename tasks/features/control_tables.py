"""The schema `control` of a DuckDB warehouse: what dbt is to build, and the ledger of what was built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.features.ledger import CODE, BuildPlan, Entry, tests_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def read_ledger(connection: DuckDBPyConnection) -> dict[Entry, str]:
    """All entries; none of a warehouse that has no ledger yet."""
    tables = connection.execute(
        "select count(*) from information_schema.tables where table_schema = 'control' and table_name = 'ledger'"
    ).fetchone()
    if tables == (0,):
        return {}
    rows = connection.execute("select model, part, day, digest from control.ledger").fetchall()
    return {(model, part, day): value for model, part, day, value in rows}


def prepare(connection: DuckDBPyConnection, code: str) -> dict[Entry, str]:
    """Make the ledger if there is none, and return it.

    When it was written by other code, it and everything that was built is forgotten.
    """
    connection.execute("create schema if not exists control")
    connection.execute(
        "create table if not exists control.ledger (model varchar, part varchar, day date, digest varchar)"
    )
    # The code's entry is written last, so after a kill halfway the next build drops everything again.
    if read_ledger(connection).get(CODE) != code:
        _drop_everything(connection)
        connection.execute("insert into control.ledger values (?, ?, ?, ?)", [*CODE, code])
    return read_ledger(connection)


def _drop_everything(connection: DuckDBPyConnection) -> None:
    connection.execute("delete from control.ledger")  # first: killed below, nothing counts as built
    tables = connection.execute(
        "select table_schema, table_name, table_type from information_schema.tables where table_schema <> 'control'"
    ).fetchall()
    for schema, name, kind in tables:
        # `drop table` on a view is an error in DuckDB, even with `if exists`.
        what = "view" if kind == "VIEW" else "table"
        connection.execute(f'drop {what} if exists "{schema}"."{name}" cascade')


def write_control_tables(connection: DuckDBPyConnection, plan: BuildPlan) -> None:
    """Tell dbt, in the schema `control`, what to build and what the models have to enter in the ledger."""
    connection.execute("begin")
    connection.execute(
        "create or replace table control.partitions"
        " (table_name varchar, ds date, path varchar, sha256 varchar, changed boolean)"
    )
    # executemany() with an empty list is an error in DuckDB.
    if plan.partitions:
        connection.executemany(
            "insert into control.partitions values (?, ?, ?, ?, ?)",
            [(p.table, p.ds, str(p.path), p.sha256, (p.table, p.ds) in plan.changed) for p in plan.partitions],
        )
    for table, column, days in (("as_of_days", "as_of", plan.features), ("cuts", "cut", plan.labels)):
        connection.execute(f"create or replace table control.{table} ({column} date, digest varchar)")
        if days:
            connection.executemany(f"insert into control.{table} values (?, ?)", sorted(days.items()))
    connection.execute("commit")


def record_tested(connection: DuckDBPyConnection) -> None:
    """Enter that all that was just built, as `control` tells, has passed its tests."""
    changed = "select ds from control.partitions where changed"
    by_grain = {
        "ds": (changed, f"select table_name, ds, sha256 from control.partitions where ds in ({changed})"),
        "as_of": ("select as_of from control.as_of_days", "select '', as_of, digest from control.as_of_days"),
        "cut": ("select cut from control.cuts", "select '', cut, digest from control.cuts"),
    }
    connection.execute("begin")
    # Deleted first: the ledger has no primary key, so an older entry would stay beside the new one.
    for grain, (days, entries) in by_grain.items():
        connection.execute(f"delete from control.ledger where model = ? and day in ({days})", [tests_of(grain)])
        connection.execute(f"insert into control.ledger select ?, * from ({entries})", [tests_of(grain)])
    connection.execute("commit")
