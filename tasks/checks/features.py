"""Checks of features and examples: the second line of defence, and what the checks of every line share.

SQL measures (`tasks.checks.profile`), Great Expectations judges (`tasks.checks.gx`), the suites lie in `expectations/`.
Each step writes `checks.json`, whatever the verdict; a critical failure raises, so that nothing which depends
on the data runs, and a step that failed has no `result.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.checks.feature_coverage import active_items, active_users, days_until, labels_by_cut
from tasks.checks.gx import Check, judge
from tasks.checks.profile import Relation, profile, profile_file
from tasks.checks.rejection_rates import reject_profiles
from tasks.checks.suites import Suite, load_suite, suite_for
from tasks.checks.trailing import compare_with_trailing
from tasks.errors import CheckFailed
from tasks.features.warehouse import reader
from tasks.quarantine.rejected_rows import put_aside
from tasks.runs.steps import BY_NAME
from tasks.spec.feature_catalog import MARTS, ON_DEMAND_MARTS
from tasks.store.database import memory
from tasks.store.files import atomic_dir, write_json
from tasks.store.sql import identifier, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.runs.run import Run

PARTS = ("train", "validation", "test")
MAX_SHOWN = 20
FEATURE_DAYS = 15
"""As-of days of a mart that are measured: the run's and two weeks of cuts before it."""


def check_features(run: Run) -> dict[str, Any]:
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
    counts = [{name: row[name] for name in ("table", "rejected", "rows", "rate")} for row in rejects]
    rows, files = ({table: held[key] for table, held in kept.items()} for key in ("rows", "file"))
    extra = {"rejects": counts, "quarantine": rows, "quarantine_files": files}
    return finish(run, "check_features", "features", checks, extra)


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


def check_examples(run: Run) -> dict[str, Any]:
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
    return finish(run, "check_examples", "examples", checks, {})


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


def finish(run: Run, step: str, what: str, checks: Sequence[Check], extra: dict[str, Any]) -> dict[str, Any]:
    """Write `checks.json` (always) and `result.json` (only if nothing critical failed)."""
    failed = [check for check in checks if not check.success]
    critical = [check for check in failed if check.severity == "critical"]
    result = {
        "checked": len(checks),
        "failed_critical": len(critical),
        "failed_warning": sum(check.severity == "warning" for check in failed),
        "failed_info": sum(check.severity == "info" for check in failed),
        "suites": sorted({check.suite for check in checks}),
        "warnings": [check.words() for check in failed if check.severity == "warning"],
        **extra,
    }
    with atomic_dir(run.step_dir(step)) as folder:
        line = BY_NAME[step].line
        write_json(folder / "checks.json", [{**check.record(), "line": line} for check in checks])
        if not critical:
            write_json(folder / "made_by.json", run.made_by)
            write_json(folder / "result.json", result)
    if critical:
        raise CheckFailed(_failure_text(run, step, what, critical, len(checks)))
    return result


def _failure_text(run: Run, step: str, what: str, critical: Sequence[Check], total: int) -> str:
    lines = [
        f"{run.spec.name} as of {run.as_of}: {len(critical)} of {total} checks of the {what} failed critically; "
        "nothing that depends on it was run."
    ]
    for number, check in enumerate(critical[:MAX_SHOWN], 1):
        lines += [f"{number}. {check.words()}.", f"   Why it matters: {check.why}"]
        lines += [f"   Where: {check.place}"] if check.place else []
    if len(critical) > MAX_SHOWN:
        lines.append(f"… and {len(critical) - MAX_SHOWN} more.")
    steps = dict.fromkeys(check.next for check in critical)
    lines += [f"What to do: {step}" for step in steps]
    lines.append(f"All results: {run.step_dir(step) / 'checks.json'}")
    return "\n".join(lines)
