"""How many rows of a day were refused, by which rule, and how that compares with the days before."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tasks.checks.trailing import history
from tasks.store.partitions import read_manifests
from tasks.store.sql import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.checks.suite_parts import Trailing
    from tasks.runs.run import Run

ALL_RULES = "any rule"


def reject_profiles(connection: DuckDBPyConnection, run: Run, source: str, trailing: Trailing) -> list[dict[str, Any]]:
    """Count refused rows of the as-of day, a row for each table and rule and one for all rules of a table.

    `rows` is what the table had to offer that day (kept and refused), `rate` the share that was refused; a row
    counts once, however many rules name it. Without any refused row: one profile that says so.

    Args:
        connection: the warehouse.
        run: the run.
        source: the table of refused rows.
        trailing: which earlier days the shares are compared with.
    """
    day, first = run.as_of, run.as_of - timedelta(days=trailing.days)
    counts = connection.execute(
        f"""
        select table_name, coalesce(rule, {literal(ALL_RULES)}), ds, count(*)
        from {source} where ds between {literal(first)} and {literal(day)}
        group by grouping sets ((table_name, rule, ds), (table_name, ds)) order by all
        """
    ).fetchall()
    if not any(ds == day for _, _, ds, _ in counts):
        nothing = {"table": "all tables", "day": day.isoformat(), "rejected": 0, "rows": None, "rate": 0.0}
        return [{**nothing, "rate_vs_trailing": None}]
    offered = {table: _offered(run, table, first) for table in sorted({table for table, _, _, _ in counts})}
    by_rule: dict[tuple[str, str], dict[date, int]] = {}
    for table, rule, ds, count in counts:
        by_rule.setdefault((table, rule), {})[ds] = count
    return [
        _profile(day, f"{table}: {rule}", count, offered[table], trailing)
        for (table, rule), count in by_rule.items()
        if day in count
    ]


def _offered(run: Run, table: str, first: date) -> dict[date, int]:
    """Return, by day, the rows that lay in front of staging: those landed, and lines that could not be read."""
    parts = read_manifests(run.home, run.spec.source_name, [table], first, run.as_of)
    return {part.ds: part.rows + part.rejects for part in parts if part.rows + part.rejects}


def _profile(
    day: date, what: str, count: dict[date, int], offered: dict[date, int], trailing: Trailing
) -> dict[str, Any]:
    rows = offered.get(day)
    rate = min(1.0, count[day] / rows) if rows else None
    earlier = [
        {"day": ds.isoformat(), "rows": n, "rate": min(1.0, count.get(ds, 0) / n)}
        for ds, n in sorted(offered.items())
        if ds < day
    ]
    rates = history("rate", earlier, day, rows or 0, trailing)
    usual = sum(point.value for point in rates.points) / len(rates.points) if len(earlier) >= trailing.least else None
    return {
        "table": what,
        "day": day.isoformat(),
        "rejected": count[day],
        "rows": rows,
        "rate": rate,
        "rate_vs_trailing": rate / usual if rate is not None and usual else None,
        "trailing": {"rate": rates},
        "place": "rejected_rows",
    }
