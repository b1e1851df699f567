"""How many rows of a day were rejected, by which rule, and how that compares with the days before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tasks.checks.profile_columns import ProfileColumn
from tasks.checks.profile_row import Profile
from tasks.checks.trailing import history
from tasks.features.warehouse import Tables
from tasks.quarantine.rejection_rules import explain_rule
from tasks.runs.narration import warn
from tasks.store.partitions import read_manifests
from tasks.store.records import Record
from tasks.store.sql import literal

if TYPE_CHECKING:
    from tasks.checks.suite_parts import Trailing
    from tasks.runs.run import Run

ALL_RULES = "any rule"
RATE = ProfileColumn.parse("rate")


class RejectedCount(Record):
    """Rejected rows of a day, of one table and rule."""

    table: str
    """`<table>: <rule>`; the rule is `any rule` for all of them together."""
    rejected: int
    rows: int | None
    """Rows that the table had to offer, None if that is not known."""
    rate: float | None

    @classmethod
    def of(cls, profile: Profile) -> RejectedCount:
        """Take the counts of a profile."""
        counts = {name: profile.measures[name] for name in ("rejected", "rows", "rate")}
        return cls(table=profile.table, **counts)


def reject_profiles(tables: Tables, run: Run, source: str, trailing: Trailing) -> list[Profile]:
    """Count rejected rows of the as-of day, a profile for each table and rule and one for all rules of a table.

    `rows` is what the table had to offer that day (kept and rejected), `rate` the share that was rejected; a row
    counts once, however many rules name it. Without any rejected row: one profile that says so.

    Args:
        tables: of the warehouse.
        run: the run.
        source: the table of rejected rows.
        trailing: which earlier days the shares are compared with.
    """
    day, first = run.as_of, run.as_of - timedelta(days=trailing.days)
    counts = tables.rows(
        # In the grouping set without `rule` it is NULL: that row counts all rules together.
        f"select table_name, coalesce(rule, {literal(ALL_RULES)}), ds, count(*) "
        f"from {source} where ds between {literal(first)} and {literal(day)} "
        "group by grouping sets ((table_name, rule, ds), (table_name, ds)) order by all"
    )
    if not any(ds == day for _, _, ds, _ in counts):
        nothing = {"rejected": 0, "rows": None, "rate": 0.0, "rate_vs_trailing": None}
        return [Profile("all tables", day, nothing)]
    offered = {table: _offered(run, table, first) for table in sorted({table for table, _, _, _ in counts})}
    by_rule: dict[tuple[str, str], dict[date, int]] = {}
    for table, rule, ds, count in counts:
        by_rule.setdefault((table, rule), {})[ds] = count
    return [
        _profile(day, f"{table}: {rule}", count, offered[table], trailing)
        for (table, rule), count in by_rule.items()
        if day in count
    ]


def warn_of_rejected_rows(run: Run, counts: Iterable[RejectedCount]) -> None:
    """Say of each table how many rows of the as-of day staging rejected, by which rules, and why those reject."""
    by_table: dict[str, list[str]] = {}
    totals: dict[str, RejectedCount] = {}
    for count in counts:
        table, _, rule = count.table.partition(": ")
        if rule == ALL_RULES:
            totals[table] = count
        elif rule:
            reason = explain_rule(run.spec.staging, rule).rstrip(".")
            by_table.setdefault(table, []).append(f"{rule} {count.rejected:,} ({reason})")
    for table, total in totals.items():
        warn(
            "{table}: {rejected:,} of {offered} rows of {day} are kept out, in quarantine{_share}: {rules}. "
            "`matinee quarantine show {pipeline} --as-of {day}` shows them",
            table=table, rejected=total.rejected, day=run.as_of, pipeline=run.spec.name,
            offered="?" if total.rows is None else f"{total.rows:,}", rules="; ".join(by_table.get(table, [])),
            _share="" if total.rate is None else f" ({100 * total.rate:.2g} %)",
        )  # fmt: skip


def _offered(run: Run, table: str, first: date) -> dict[date, int]:
    """By day, the rows that lay in front of staging: those landed, and lines that could not be read."""
    parts = read_manifests(run.home, run.spec.source_name, [table], first, run.as_of)
    return {part.ds: part.rows + part.rejects for part in parts if part.rows + part.rejects}


def _profile(
    day: date, table: str, count: Mapping[date, int], offered: Mapping[date, int], trailing: Trailing
) -> Profile:
    rows = offered.get(day)
    rate = min(1.0, count[day] / rows) if rows else None
    # Days without a rejected row count too: their rate of 0 is part of what is usual.
    earlier = [
        Profile(table, ds, {"rows": n, "rate": min(1.0, count.get(ds, 0) / n)})
        for ds, n in sorted(offered.items())
        if ds < day
    ]
    rates = history(RATE, earlier, day, rows or 0, trailing)
    usual = sum(point.value for point in rates.points) / len(rates.points) if len(earlier) >= trailing.least else None
    measures = {
        "rejected": count[day],
        "rows": rows,
        "rate": rate,
        "rate_vs_trailing": rate / usual if rate is not None and usual else None,
    }
    return Profile(table, day, measures, "rejected_rows", histories={RATE.name: rates})
