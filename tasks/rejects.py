"""Refused rows: how many of a day, by which rule, and the rows themselves put into quarantine.

quarantine/<pipeline>/<table>/ds=YYYY-MM-DD/rejected.parquet   table_name, rule, row (JSON text), ds
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.home import atomic_file, safe_name
from tasks.partitions import read_manifests
from tasks.profile import literal

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from tasks.run import Run

ALL_RULES = "any rule"


def reject_profiles(connection: DuckDBPyConnection, run: Run) -> list[dict[str, Any]]:
    """Count refused rows of the as-of day, a row for each table and rule and one for all rules of a table.

    `rows` is what the table had to offer that day (kept and refused), `rate` the share that was refused; a row
    counts once, however many rules name it. Without any refused row: one profile that says so.
    """
    day = run.as_of.isoformat()
    counts = connection.execute(
        f"""
        select table_name, coalesce(rule, {literal(ALL_RULES)}), count(*)
        from {_rejected_rows(connection)} where ds = {literal(run.as_of)}
        group by grouping sets ((table_name, rule), (table_name)) order by all
        """
    ).fetchall()
    if not counts:
        return [{"table": "all tables", "day": day, "rejected": 0, "rows": None, "rate": 0.0}]
    offered = {table: _offered(run, table) for table, _, _ in counts}
    return [
        {
            "table": f"{table}: {rule}",
            "day": day,
            "rejected": count,
            "rows": offered[table],
            "rate": min(1.0, count / offered[table]) if offered[table] else None,
            "place": "rejected_rows",
        }
        for table, rule, count in counts
    ]


def _rejected_rows(connection: DuckDBPyConnection) -> str:
    from tasks.check import relation_name

    return relation_name(connection, "rejected_rows")


def _offered(run: Run, table: str) -> int | None:
    """Return the rows that lay in front of staging: those landed, and lines that could not be read."""
    parts = read_manifests(run.home, run.spec.source_name, [table], run.as_of, run.as_of)
    return sum(part.rows + part.rejects for part in parts) or None


def quarantine(connection: DuckDBPyConnection, run: Run) -> dict[str, int]:
    """Write the refused rows of the as-of day, a file for each table; return how many each holds.

    A table without refused rows has no file, also when an earlier landing of the day had some.
    """
    source = _rejected_rows(connection)
    day = literal(run.as_of)
    counts = connection.execute(
        f"select table_name, count(*) from {source} where ds = {day} group by all order by all"
    ).fetchall()
    root = run.home.quarantine(run.spec.name)
    for old in root.glob(f"*/ds={run.as_of}/rejected.parquet"):
        if old.parent.parent.name not in dict(counts):
            old.unlink()
    for table, _ in counts:
        target = root / safe_name(table) / f"ds={run.as_of}" / "rejected.parquet"
        _write(connection, f'{source} where ds = {day} and table_name = {literal(table)} order by rule, "row"', target)
    return dict(counts)


def _write(connection: DuckDBPyConnection, source: str, target: Path) -> None:
    query = f'select table_name, rule, "row", ds from {source}'
    with atomic_file(target) as temporary:
        connection.execute(f"copy ({query}) to {literal(str(temporary))} (format parquet, compression zstd)")
