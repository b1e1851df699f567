"""Parts of the run report about data: what the checks found, rejected rows, how labels mix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeGuard

from tasks.checks.features import FeatureCheckResult
from tasks.checks.rejection_rates import ALL_RULES, RejectedCount
from tasks.checks.verdicts import SEVERITIES, Check, Severity, read_checks
from tasks.errors import MatineeError
from tasks.reports.svg_plots import Spark, Stack, plot_spark, plot_stack
from tasks.runs.steps import BESIDE, BY_NAME, CHECKS
from tasks.store.records import warn_of_damage
from tasks.store.run_files import RunFiles, attempts

if TYPE_CHECKING:
    from tasks.runs.run import Run

TREND_DAYS = 28
NOT_CHECKED = "not checked"
"""How a check begins what it expects where there are too few earlier days to know."""
LINES = {"landed": "Landed data", "features": "Features and examples", "predictions": "Predictions"}
"""Lines of defense, in order, with their headings."""
STEPS_WITH_CHECKS = (*(step.name for step in CHECKS), *sorted(BESIDE))
"""Names of the steps that may leave `checks.json`, in order."""


@dataclass(frozen=True)
class CheckRow:
    """A verdict, how loudly it is shown, its day if that is not the run's, and its trend."""

    check: Check
    level: Literal["ok", "unmeasured", "noted", "warning", "critical"]
    other_day: str | None
    spark: Spark | None


@dataclass(frozen=True)
class DefenseLine:
    """The checks of one line of defense."""

    title: str
    counts: tuple[SeverityCount, ...]
    failed: tuple[CheckRow, ...]
    noted: tuple[CheckRow, ...]
    unmeasured: tuple[CheckRow, ...]
    passed: tuple[CheckRow, ...]


@dataclass(frozen=True)
class RejectedRow:
    """Rejected rows of one table and rule, with their share on the days before.

    Attributes:
        count: what the check of the features counted.
        table: the table.
        rule: the rule; for all rules together, `any rule`.
        width: length of its bar, at most 1.
        spark: its share by day.
    """

    count: RejectedCount
    table: str
    rule: str
    width: float
    spark: Spark | None

    @property
    def is_total(self) -> bool:
        """Whether it counts all rules of the table together."""
        return self.rule in ("", ALL_RULES)


@dataclass(frozen=True)
class LabelMix:
    """The share of each grade above 0 by cut, weighted back to the population.

    Attributes:
        plot: a column for each cut.
        top: the largest share of positive examples.
        grades: the grades, from the bottom of a column.
        last_rate: the share of positive examples at the last cut.
    """

    plot: Stack
    top: float
    grades: tuple[int, ...]
    last_rate: float


class SeverityCount(NamedTuple):
    """Checks of one severity: how many there were, how many failed, and how many had nothing to be held against."""

    severity: Severity
    failed: int
    total: int
    unmeasured: int = 0

    @property
    def passed(self) -> int:
        """Checks that something was measured for, and that passed."""
        return self.total - self.failed - self.unmeasured


def line_of(step: str, check: Check | None = None) -> str:
    """Name the line of defense of a check, or of a step's checks that do not name theirs."""
    # The monitor is on no line; what it compares are features.
    return (check.line if check else None) or BY_NAME[step].line or "features"


def defense_lines(run: RunFiles) -> tuple[DefenseLine, ...]:
    """Read the checks of each line of defense that ran, failed ones first."""
    rows: dict[str, list[CheckRow]] = {line: [] for line in LINES}
    ran = set()
    for step in STEPS_WITH_CHECKS:
        checks = read_checks(run.step_dir(step))
        if checks is not None:
            ran |= {line_of(step), *(line_of(step, check) for check in checks)}
            for check in checks:
                rows.setdefault(line_of(step, check), []).append(_check_row(check, run.as_of))
    return tuple(_line(line, members) for line, members in rows.items() if line in ran)


def _check_row(check: Check, as_of: date) -> CheckRow:
    trend = [(day, float(value)) for day, value in check.trend]
    # The trend ends on the day before the check's; where it does not, the day must not be drawn twice.
    if trend and _is_finite(check.observed) and trend[-1][0] != check.day:
        trend.append((check.day, float(check.observed)))
    return CheckRow(
        check=check,
        level=_level(check),
        other_day=None if check.day == as_of.isoformat() else check.day,
        spark=plot_spark(trend, low=check.low, high=check.high),
    )


def _level(check: Check) -> Literal["ok", "unmeasured", "noted", "warning", "critical"]:
    if check.success:
        return "unmeasured" if is_unmeasured(check) else "ok"
    return "noted" if check.severity == "info" else check.severity


def is_unmeasured(check: Check) -> bool:
    """Whether a check let pass what it could not measure, or had no earlier days to hold it against."""
    return check.success and (check.observed is None or check.expected.startswith(NOT_CHECKED))


def _is_finite(value: Any) -> TypeGuard[float]:
    # A bool is an int to Python, and no point of a trend.
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _line(line: str, rows: Sequence[CheckRow]) -> DefenseLine:
    rows = sorted(rows, key=lambda row: (row.check.success, SEVERITIES.index(row.check.severity)))
    return DefenseLine(
        title=LINES.get(line, line),
        counts=tuple(_count(severity, [row.check for row in rows]) for severity in SEVERITIES),
        failed=tuple(row for row in rows if row.level in ("critical", "warning")),
        noted=tuple(row for row in rows if row.level == "noted"),
        unmeasured=tuple(row for row in rows if row.level == "unmeasured"),
        passed=tuple(row for row in rows if row.level == "ok"),
    )


def _count(severity: Severity, checks: Sequence[Check]) -> SeverityCount:
    of_severity = [check for check in checks if check.severity == severity]
    failed = sum(not check.success for check in of_severity)
    return SeverityCount(severity, failed, len(of_severity), sum(map(is_unmeasured, of_severity)))


def rejected_rows(run: Run) -> tuple[RejectedRow, ...] | None:
    """Read the rejected rows of the day by table and rule; None if the check of the features has not run."""
    counts = rejected_counts(run)
    if counts is None:
        return None
    trends = _rejected_before(run)
    # Bars of nothing but zeros have no length, whatever they are divided by.
    top = max((count.rate or 0.0 for count in counts), default=0.0) or 1.0
    rows = []
    for count in counts:
        trend = [(day, rates.get(count.table, 0.0)) for day, rates in trends] + [(str(run.as_of), count.rate or 0.0)]
        table, _, rule = count.table.partition(": ")
        rows.append(RejectedRow(count, table, rule, (count.rate or 0.0) / top, plot_spark(trend)))
    return tuple(rows)


def rejected_counts(run: RunFiles) -> tuple[RejectedCount, ...] | None:
    """Read the counts of rejected rows that the check of the features left."""
    result = FeatureCheckResult.read_if_valid(run.step_dir("check_features") / "result.json")
    return None if result is None else result.rejects


def _rejected_before(run: Run) -> list[tuple[str, dict[str, float]]]:
    """The share of each rule on the earlier days that have run, by the latest attempt of each that got so far."""
    shares = []
    for n in range(TREND_DAYS, 0, -1):
        day = run.as_of - timedelta(days=n)
        for attempt in attempts(run.home, run.spec.name, day):
            counts = rejected_counts(attempt)
            if counts is not None:
                shares.append((day.isoformat(), {count.table: count.rate or 0.0 for count in counts}))
                break
    return shares


def rejected_share(counts: Sequence[RejectedCount]) -> float | None:
    """The share of all rows of the day that were rejected, by whatever rule; None if no row is known."""
    totals = [count for count in counts if count.table.endswith(f": {ALL_RULES}")]
    offered = sum(count.rows or 0 for count in totals)
    if not totals:
        return 0.0
    return sum(count.rejected for count in totals) / offered if offered else None


def label_mix(run: Run) -> LabelMix | None:
    """Read the share of each grade above 0 by cut; None without a sample, or if it has no positive example."""
    import duckdb

    from tasks.checks.profile import parquet
    from tasks.store.database import memory
    from tasks.store.sql import literal

    folder, parts = run.step_dir("sample"), ("train", "validation", "test")
    present = [part for part in parts if (folder / f"{part}.parquet").exists()]
    if not present:
        return None
    try:
        paths = {part: run.file("sample", f"{part}.parquet") for part in present}
        scans = [
            f"select {literal(part)} as part, cut, grade, weight from {parquet([path])}" for part, path in paths.items()
        ]
        query = f"select cut, part, grade, sum(weight) from ({' union all '.join(scans)}) group by all order by all"
        with memory() as connection:
            rows = connection.execute(query).fetchall()
    # A torn file costs the page this section, not the page.
    except (duckdb.Error, MatineeError) as error:
        warn_of_damage(error)
        return None
    return _mix([(str(cut), part, int(grade), float(weight)) for cut, part, grade, weight in rows])


def _mix(rows: Sequence[tuple[str, str, int, float]]) -> LabelMix | None:
    """Arrange (cut, part, grade, weight) in columns, in order of the cuts."""
    cuts = list(dict.fromkeys((cut, part) for cut, part, _, _ in rows))
    grades = sorted({grade for _, _, grade, _ in rows if grade > 0})
    weights = {(cut, part, grade): weight for cut, part, grade, weight in rows}
    totals = {pair: sum(weight for cut, part, _, weight in rows if (cut, part) == pair) for pair in cuts}
    if not grades or not all(totals.values()):
        return None
    shares = [[weights.get((*pair, grade), 0.0) / totals[pair] for grade in grades] for pair in cuts]
    top = max(sum(parts) for parts in shares)
    columns = [(f"{cut} ({part})", parts) for (cut, part), parts in zip(cuts, shares, strict=True)]
    # A twentieth of air, so that the highest column does not end at the edge.
    return LabelMix(plot_stack(columns, top * 1.05), top, tuple(grades), sum(shares[-1]))
