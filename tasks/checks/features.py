"""Checks of features and examples: the second line of defence, and what the checks of every line share.

SQL measures (`tasks.checks.profile`), Great Expectations judges (`tasks.checks.gx`), the suites lie in `expectations/`.
Each step writes `checks.json`, whatever the verdict; a critical failure raises, so that nothing which depends
on the data runs, and a step that failed has no `result.json`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.checks.feature_coverage import active_items, active_users, days_until, labels_by_cut
from tasks.checks.gx import judge
from tasks.checks.profile import Relation, profile, profile_file
from tasks.checks.rejection_rates import reject_profiles
from tasks.checks.suites import Suite, load_suite, suite_for
from tasks.checks.trailing import compare_with_trailing
from tasks.checks.verdicts import Check, CheckResult, finish
from tasks.errors import CheckFailed
from tasks.features.warehouse import reader
from tasks.quarantine.rejected_rows import put_aside
from tasks.spec.feature_catalog import MARTS, ON_DEMAND_MARTS
from tasks.store.database import memory
from tasks.store.records import Record
from tasks.store.sql import identifier, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.runs.run import Run


class RejectedCount(Record):
    """Rejected rows of a day, of one table and rule."""

    table: str
    """`<table>: <rule>`; the rule is `any rule` for all of them together."""
    rejected: int
    rows: int | None
    """Rows that the table had to offer, None if that is not known."""
    rate: float | None


class FeatureCheckResult(CheckResult):
    """What the check of the features leaves."""

    rejects: tuple[RejectedCount, ...]
    quarantine: dict[str, int]
    """Rejected rows of the day in quarantine, by table."""
    quarantine_files: dict[str, str]
    """Names of the files that have them, by table."""


PARTS = ("train", "validation", "test")
FEATURE_DAYS = 15
"""As-of days of a mart that are measured: the run's and two weeks of cuts before it."""


def check_features(run: Run) -> FeatureCheckResult:
    """Check the features as of the day and the rows that staging refused; put those into quarantine.

    Raises:
        CheckFailed: a critical check failed or could not run.
        BuildError: the warehouse has not been built.
    """
    checks: list[Check] = []
    refused = suite_for(run.spec.staging, "rejected_rows", "default.rejected_rows")
    with reader(run.home, run.spec.name) as connection:
        rejected_rows = relation_name(connection, "rejected_rows")
        rejects = reject_profiles(connection, run, rejected_rows, refused.meta.trailing)
        kept = put_aside(connection, run, rejected_rows)
        for mart in MARTS:
            checks += _check_mart(connection, run, mart)
        checks += _check_coverage(connection, run)
    checks += judge(refused, rejects, parameters(run))
    return finish(
        run, "check_features", "features", checks, FeatureCheckResult,
        rejects=tuple(RejectedCount(**{name: row[name] for name in RejectedCount.model_fields}) for row in rejects),
        quarantine={table: held["rows"] for table, held in kept.items()},
        quarantine_files={table: held["file"] for table, held in kept.items()},
    )  # fmt: skip


def _check_mart(connection: DuckDBPyConnection, run: Run, mart: str) -> list[Check]:
    """Check the features as of the day; those that are kept for every day, against the run's earlier cuts too."""
    name = relation_name(connection, mart)
    days = [run.as_of] if mart in ON_DEMAND_MARTS else days_until(run)[-FEATURE_DAYS:]
    relations = [Relation(f"{name} where as_of = {literal(day)}", {"run_day": day}) for day in days]
    suite = load_suite(f"features.{mart}").for_columns(Relation(name, {}).columns(connection))
    *past, today = [
        {**place(mart, day, mart), **profile(connection, relation, suite.meta.measure, suite.measured)}
        for day, relation in zip(days, relations, strict=True)
    ]
    return judge(suite, [{**today, **compare_with_trailing(suite, today, past)}], parameters(run))


def _check_coverage(connection: DuckDBPyConnection, run: Run) -> list[Check]:
    """Check whether those who are active have features, who they are, and the labels of the newest cut."""

    def relation(table: str) -> str:
        return relation_name(connection, table)

    found = {
        "active_users": active_users(connection, run, relation),
        "active_items": active_items(connection, run, relation),
        "labels": labels_by_cut(connection, run, relation),
    }
    checks: list[Check] = []
    for table, profiles in found.items():
        if profiles:
            *past, today = [{"table": table, "place": table, **row} for row in profiles]
            mixed = [name.removesuffix("__mix") for name in today if name.endswith("__mix")]
            suite = load_suite(f"features.{table}").for_columns(dict.fromkeys(mixed, "VARCHAR"))
            checks += judge(suite, [{**today, **compare_with_trailing(suite, today, past)}], parameters(run))
    return checks


def relation_name(connection: DuckDBPyConnection, table: str) -> str:
    """Return the quoted name of a table of the warehouse, whichever schema the build put it in.

    Raises:
        CheckFailed: there is none, or more than one.
    """
    query = "select table_schema from information_schema.tables where table_name = ? order by all"
    schemas = [name for (name,) in connection.execute(query, [table]).fetchall()]
    if len(schemas) != 1:
        found = f"in the schemas {', '.join(schemas)}" if schemas else "nowhere"
        raise CheckFailed(
            f"the warehouse: expected one table {table!r}, found it {found}; has the build step run for this day?"
        )
    return f"{identifier(schemas[0])}.{identifier(table)}"


def check_examples(run: Run) -> CheckResult:
    """Check the sample that is about to be learned from and judged on.

    Raises:
        CheckFailed: a critical check failed or could not run.
    """
    checks: list[Check] = []
    with memory() as connection:
        for part in PARTS:
            if part == "validation" and not run.windows.validation:
                continue
            path = run.step_dir("sample") / f"{part}.parquet"
            checks += _check_part(connection, run, load_suite(f"examples.{part}"), part, path)
    return finish(run, "check_examples", "examples", checks, CheckResult)


def _check_part(connection: DuckDBPyConnection, run: Run, suite: Suite, part: str, path: Path) -> list[Check]:
    features = run.spec.features
    declared = suite.meta.measure
    measure = declared.model_copy(
        update={
            "columns": {**declared.columns, **dict.fromkeys(features, "FLOAT")},
            "families": {**declared.families, "features": features},
        }
    )
    if not path.exists():
        raise CheckFailed(f"{path}: no such examples; run `matinee sample {run.spec.name} --as-of …` first")
    days = {"run_day": run.as_of, "last_complete_cut": run.as_of - run.spec.lag}
    measured = profile_file(connection, path, days, measure, suite.measured)
    return judge(suite, [{**place(part, run.as_of, path), **measured}], parameters(run))


def parameters(run: Run) -> dict[str, Any]:
    """Values that suites may name as `{"$PARAMETER": …}`."""
    return {
        "highest_grade": max(rule.grade for rule in run.spec.label.grades),
        "horizon_days": run.spec.label.horizon,
        "lateness_days": run.spec.label.lateness,
    }


def place(table: str, day: date, where: Path | str) -> dict[str, str]:
    """Return what says where a profile was measured."""
    return {"table": table, "day": day.isoformat(), "place": str(where)}
