"""Parts of the run report about data: what was landed, what the checks found, what was refused, how labels mix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

from tasks.checks.rejection_rates import ALL_RULES
from tasks.checks.verdicts import SEVERITIES, Check, read_checks
from tasks.errors import MatineeError
from tasks.reports.svg_plots import bars, spark, stacked
from tasks.runs.steps import BY_NAME
from tasks.store.partitions import read_manifests
from tasks.store.run_files import RunFiles, attempts, optional

if TYPE_CHECKING:
    from tasks.runs.run import Run

DAYS_SHOWN = 45
TREND_DAYS = 28
USUAL_DAYS = 7
LINES = {"landed": "Landed data", "features": "Features and examples", "predictions": "Predictions"}


def line_of(step: str) -> str:
    """Return the line of defense of a step's records that do not name theirs."""
    return BY_NAME[step].line or "features"


def landed(run: Run) -> list[dict[str, Any]]:
    """Return, for each landed table, a bar chart of rows by day, and the day beside the days before it."""
    folder = run.home.landing(run.spec.source_name)
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    first = run.as_of - timedelta(days=DAYS_SHOWN - 1)
    tables: list[dict[str, Any]] = []
    for name in names:
        if name.startswith("."):
            continue
        try:
            parts = read_manifests(run.home, run.spec.source_name, [name], first, run.as_of)
        except MatineeError as error:
            tables.append({"table": name, "problem": str(error)})
            continue
        if parts:
            tables.append(_volume(name, {part.ds: part.rows for part in parts}, run.as_of))
    return tables


def _volume(table: str, rows: Mapping[date, int], as_of: date) -> dict[str, Any]:
    """Return the volume of a table: every day from its first to the as-of day, those without a partition as gaps."""
    first = min(rows)
    days = [first + timedelta(days=n) for n in range((as_of - first).days + 1)]
    before = [rows[day] for day in days[:-1] if day in rows][-USUAL_DAYS:]
    usual, latest = (median(before) if before else None), rows.get(as_of)
    return {
        "table": table,
        "problem": None,
        "plot": bars([(day.isoformat(), rows.get(day)) for day in days]),
        "latest": latest,
        "usual": usual,
        "ratio": latest / usual if usual and latest is not None else None,
    }


def checks(run: RunFiles, steps: Sequence[str]) -> list[dict[str, Any]]:
    """Return the checks of each line of defence that ran, failed ones first.

    Args:
        run: whose files to read.
        steps: the steps that may have left `checks.json`.
    """
    rows: dict[str, list[dict[str, Any]]] = {line: [] for line in LINES}
    ran = set()
    for step in steps:
        verdicts = read_checks(run.step_dir(step))
        if verdicts is not None:
            ran.add(line_of(step))
            for check in verdicts:
                line = check.line or line_of(step)
                ran.add(line)
                rows.setdefault(line, []).append(_check_row(check, run.as_of))
    return [_line(line, found) for line, found in rows.items() if line in ran]


def _check_row(check: Check, as_of: date) -> dict[str, Any]:
    level = "ok" if check.success else "noted" if check.severity == "info" else check.severity
    trend = [(day, float(value)) for day, value in check.trend]
    if trend and _number(check.observed) and trend[-1][0] != check.day:
        trend.append((check.day, float(check.observed or 0)))
    return {
        **check.to_json(),
        "level": level,
        "other_day": None if check.day == as_of.isoformat() else check.day,
        "title": check.title,
        "rate": check.is_rate,
        "observed": check.shown_value,
        "spark": spark(trend, low=check.low, high=check.high),
    }


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _line(line: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    rows.sort(key=lambda row: (row["success"], SEVERITIES.index(row["severity"])))
    counts = {
        severity: (
            sum(row["severity"] == severity and not row["success"] for row in rows),
            sum(row["severity"] == severity for row in rows),
        )
        for severity in SEVERITIES
    }
    return {
        "line": line,
        "title": LINES.get(line, line),
        "counts": counts,
        "failed": [row for row in rows if row["level"] in ("critical", "warning")],
        "noted": [row for row in rows if row["level"] == "noted"],
        "passed": [row for row in rows if row["success"]],
    }


def rejects(run: Run) -> list[dict[str, Any]] | None:
    """Return the refused rows of the day by table and rule, each rule with its share on the days before."""
    found = refused(run)
    if found is None:
        return None
    trends = _refused_before(run)
    top = max((row["rate"] or 0.0 for row in found), default=0.0) or 1.0
    rows = []
    for row in found:
        trend = [(day, rates.get(row["table"], 0.0)) for day, rates in trends] + [(str(run.as_of), row["rate"] or 0.0)]
        table, _, rule = str(row["table"]).partition(": ")
        rows.append(
            {**row, "of": table, "rule": rule, "whole": rule in ("", ALL_RULES),
             "width": (row["rate"] or 0.0) / top, "spark": spark(trend)}
        )  # fmt: skip
    return rows


def refused(run: RunFiles) -> list[dict[str, Any]] | None:
    """Return the counts of refused rows that the features' check has left."""
    found = (optional(run.step_dir("check_features") / "result.json") or {}).get("rejects")
    return found if isinstance(found, list) else None


def _refused_before(run: Run) -> list[tuple[str, dict[str, float]]]:
    """Return the share of each rule on the earlier days that have run, by the latest attempt of each."""
    found = []
    for n in range(TREND_DAYS, 0, -1):
        day = run.as_of - timedelta(days=n)
        for attempt in attempts(run.home, run.spec.name, day):
            rows = refused(attempt)
            if rows is not None:
                found.append((day.isoformat(), {row["table"]: row["rate"] or 0.0 for row in rows}))
                break
    return found


def refused_share(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the share of all rows of the day that were refused, by whatever rule."""
    whole = [row for row in rows if str(row["table"]).endswith(f": {ALL_RULES}")]
    offered = sum(row["rows"] or 0 for row in whole)
    if not whole:
        return 0.0
    return sum(row["rejected"] for row in whole) / offered if offered else None


def label_mix(run: Run) -> dict[str, Any] | None:
    """Return the share of each grade above 0 by cut, weighted back to the population, as stacked columns."""
    import duckdb

    from tasks.checks.profile import parquet
    from tasks.store.database import memory
    from tasks.store.sql import literal

    paths = {part: run.step_dir("sample") / f"{part}.parquet" for part in ("train", "validation", "test")}
    scans = [
        f"select {literal(part)} as part, cut, grade, weight from {parquet([path])}"
        for part, path in paths.items()
        if path.exists()
    ]
    if not scans:
        return None
    query = f"select cut, part, grade, sum(weight) from ({' union all '.join(scans)}) group by all order by all"
    try:
        with memory() as connection:
            found = connection.execute(query).fetchall()
    except (duckdb.Error, MatineeError):
        return None
    return _mix([(str(cut), part, int(grade), float(weight)) for cut, part, grade, weight in found])


def _mix(rows: Sequence[tuple[str, str, int, float]]) -> dict[str, Any] | None:
    """Return columns for (cut, part, grade, weight) in order of the cuts."""
    cuts = list(dict.fromkeys((cut, part) for cut, part, _, _ in rows))
    grades = sorted({grade for _, _, grade, _ in rows if grade > 0})
    weights = {(cut, part, grade): weight for cut, part, grade, weight in rows}
    totals = {pair: sum(weight for cut, part, _, weight in rows if (cut, part) == pair) for pair in cuts}
    if not grades or not all(totals.values()):
        return None
    shares = [[weights.get((*pair, grade), 0.0) / totals[pair] for grade in grades] for pair in cuts]
    top = max(sum(parts) for parts in shares)
    named = [(f"{cut} ({part})", parts) for (cut, part), parts in zip(cuts, shares, strict=True)]
    return {**stacked(named, top * 1.05), "top": top, "grades": grades, "last_rate": sum(shares[-1])}
