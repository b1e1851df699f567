"""Checks of features and examples: the second line of defense.

SQL measures (`tasks.checks.profile`), Great Expectations evaluates (`tasks.checks.gx`), the suites lie in
`expectations/`. What a check step leaves: `tasks.checks.verdicts`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.checks.feature_coverage import active_items, active_users, days_until, labels_by_cut
from tasks.checks.gx import evaluate_suite, run_parameters
from tasks.checks.profile import Relation, measure_relation, parquet, profile_file
from tasks.checks.profile_row import measured
from tasks.checks.rejection_rates import RejectedCount, reject_profiles, warn_of_rejected_rows
from tasks.checks.suites import Suite, load_suite, suite_for
from tasks.checks.trailing import with_trailing
from tasks.checks.verdicts import Check, CheckResult, finish
from tasks.errors import CheckFailed
from tasks.examples.positives import positives_notices
from tasks.examples.sample import SampleResult
from tasks.features.declared_kinds import absence, absent_kinds
from tasks.features.engines import warehouse_of
from tasks.features.warehouse import Tables
from tasks.quarantine.rejected_rows import quarantine_rows
from tasks.runs.narration import counted, say, warn_each
from tasks.spec.feature_catalog import MARTS, ON_DEMAND_MARTS
from tasks.spec.resolved_features import CategoryFeature, MatchFeature, NumberFeature
from tasks.store.database import memory
from tasks.store.sql import identifier, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.runs.run import Run

PARTS = ("train", "validation", "test")
FEATURE_DAYS = 15
"""As-of days of a mart that are measured: the run's and two weeks of cuts before it."""


class FeatureCheckResult(CheckResult):
    """What the check of the features leaves."""

    rejects: tuple[RejectedCount, ...]
    quarantine: dict[str, int]
    """Rejected rows of the day in quarantine, by table."""
    quarantine_files: dict[str, str]
    """Names of the files that have them, by table."""


def check_features(run: Run) -> FeatureCheckResult:
    """Check the features as of the day and the rows that staging rejected; put those into quarantine.

    Raises:
        CheckFailed: a critical check failed or could not run.
        BuildError: the warehouse has not been built.
    """
    checks: list[Check] = []
    suite = suite_for(run.spec.staging, "rejected_rows", "default.rejected_rows")
    with warehouse_of(run.home, run.spec.name).open() as tables:
        rejected_rows = relation_name(tables, "rejected_rows")
        rejects = reject_profiles(tables, run, rejected_rows, suite.meta.trailing)
        # Before anything can fail: rejected rows are kept whatever the verdict on them.
        quarantined = quarantine_rows(tables, run, rejected_rows)
        for mart in counted(MARTS, "marts"):
            checks += _check_mart(tables, run, mart)
        checks += _check_coverage(tables, run)
        _warn_of_absent_kinds(tables, run)
    checks += evaluate_suite(suite, rejects, run_parameters(run))
    counts = tuple(map(RejectedCount.of, rejects))
    warn_of_rejected_rows(run, counts)
    return finish(
        run, "check_features", checks, FeatureCheckResult,
        rejects=counts,
        quarantine={table: kept.rows for table, kept in quarantined.items()},
        quarantine_files={table: kept.file for table, kept in quarantined.items()},
    )  # fmt: skip


def _warn_of_absent_kinds(tables: Tables, run: Run) -> None:
    """Warn of kinds that the pipeline file declares and staging never gives: a misspelled one counts nothing."""
    declared = run.spec.interactions.kinds
    if declared:
        absent = absent_kinds(tables, declared, relation_name(tables, "interactions"), run.as_of)
        warn_each([absence(run.spec, [kind], f"up to {run.as_of}") for kind in absent], "interactions.kinds")


def _check_mart(tables: Tables, run: Run, mart: str) -> list[Check]:
    """Check the features as of the day; those that are kept for every day, against the run's earlier cuts too."""
    # An on-demand mart has rows of the day alone.
    days = [run.as_of] if mart in ON_DEMAND_MARTS else days_until(run)[-FEATURE_DAYS:]
    with tempfile.TemporaryDirectory(prefix="matinee-") as folder, memory() as connection:
        path = Path(folder) / f"{mart}.parquet"
        # Measuring scans its rows several times, and an on-demand mart would be computed anew for each scan.
        tables.write(f"select * from {relation_name(tables, mart)} where as_of in ({literals(days)})", path)
        name = parquet([path])
        relations = [Relation(f"{name} where as_of = {literal(day)}", {"run_day": day}) for day in days]
        suite = load_suite(f"features.{mart}").for_columns(Relation(name, {}).columns(connection))
        declared, columns = suite.meta.measure, suite.measured_columns
        *past, today = [
            measured(mart, day, mart, measure_relation(connection, relation, declared, columns))
            for day, relation in zip(days, relations, strict=True)
        ]
    checks = evaluate_suite(suite, [with_trailing(suite, today, past)], run_parameters(run))
    say(
        "{mart}: {rows:,} rows as of {day}, {days:,} days before it; {checks:,} checks",
        mart=mart, rows=today.rows or 0, day=run.as_of, days=len(past), checks=len(checks),
    )  # fmt: skip
    return checks


def _check_coverage(tables: Tables, run: Run) -> list[Check]:
    """Check whether those who are active have features, who they are, and the labels of the newest cut."""

    def relation(table: str) -> str:
        return relation_name(tables, table)

    checks: list[Check] = []
    for measure in (active_users, active_items, labels_by_cut):
        profiles = measure(tables, run, relation)
        if profiles:
            *past, today = profiles
            suite = load_suite(f"features.{today.table}").for_columns(dict.fromkeys(today.mixes, "VARCHAR"))
            checks += evaluate_suite(suite, [with_trailing(suite, today, past)], run_parameters(run))
    return checks


def relation_name(tables: Tables, table: str) -> str:
    """The quoted name of a table of the warehouse, whichever schema the build put it in.

    Raises:
        CheckFailed: there is none, or more than one.
    """
    schemas = tables.schemas_of(table)
    if len(schemas) != 1:
        where = f"in the schemas {', '.join(schemas)}" if schemas else "nowhere"
        raise CheckFailed(
            f"the warehouse: expected one table {table!r}, found it {where}; has the build step run for this day?"
        )
    return f"{identifier(schemas[0])}.{identifier(table)}"


def check_examples(run: Run) -> CheckResult:
    """Check the sample on which a model is about to be trained and evaluated.

    Raises:
        CheckFailed: a critical check failed or could not run.
    """
    checks: list[Check] = []
    with memory() as connection:
        for part in PARTS:
            if part == "validation" and not run.windows.validation:
                continue
            verdicts = _check_part(connection, run, load_suite(f"examples.{part}"), part)
            say("{part}: {checks:,} checks of the examples", part=part, checks=len(verdicts))
            checks += verdicts
    positives = run.read("sample", SampleResult).positives
    warn_each(positives_notices(positives, len(run.spec.features)), "the run's report has them, too")
    return finish(run, "check_examples", checks, CheckResult)


def _check_part(connection: DuckDBPyConnection, run: Run, suite: Suite, part: str) -> list[Check]:
    # An attribute may be unknown; every other feature has a value, or its default.
    of_attributes = NumberFeature | CategoryFeature | MatchFeature
    attributes = tuple(f.name for f in run.spec.resolved_features if isinstance(f, of_attributes))
    features = tuple(name for name in run.spec.features if name not in attributes)
    families = {"features": features, "attributes": attributes}
    suite = suite.without_families([name for name, members in families.items() if not members])
    declared = suite.meta.measure
    measure = declared.model_copy(
        update={
            # The type in the marts' contracts; a feature of any other type counts as not measured.
            "columns": {**declared.columns, **dict.fromkeys(run.spec.features, "FLOAT")},
            "families": {**declared.families, **families},
        }
    )
    name = f"{part}.parquet"
    if not (run.step_dir("sample") / name).exists():
        path = run.step_dir("sample") / name
        raise CheckFailed(f"{path}: no such examples; run `matinee sample {run.spec.name} --as-of …` first")
    path = run.file("sample", name)
    days = {"run_day": run.as_of, "last_complete_cut": run.as_of - run.spec.lag}
    measures = profile_file(connection, path, days, measure, suite.measured_columns)
    return evaluate_suite(suite, [measured(part, run.as_of, path, measures)], run_parameters(run))
