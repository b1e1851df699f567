"""Checks of landed data: the first line of defense, before anything is built.

The as-of day is measured in one scan; the trailing days were measured when they were landed, and their profiles are
kept (`tasks.checks.profile_cache`). Earlier days are also checked by their manifests and the footers of their files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tasks.checks.gx import evaluate_suite, run_parameters
from tasks.checks.profile import (
    Relation,
    footers,
    missing_days,
    parquet,
    rows_vs_trailing,
    schema_measures,
    torn,
)
from tasks.checks.profile_cache import kept_profile
from tasks.checks.profile_row import Profile, measured
from tasks.checks.suites import Suite, suite_for, suite_names, tables_with_suites
from tasks.checks.trailing import with_trailing
from tasks.checks.verdicts import Check, CheckResult, finish
from tasks.errors import LandingError
from tasks.runs.narration import counted, say
from tasks.sources.datasets import load_dataset
from tasks.spec.parts import DatasetSource, Source
from tasks.store.database import memory
from tasks.store.partitions import Partition, read_manifests

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.runs.run import Run


def check_landed(run: Run) -> CheckResult:
    """Check what was landed: the as-of day in full and against the trailing days, those by their footers.

    Raises:
        CheckFailed: a critical check failed or could not run.
        LandingError: a partition is missing, torn, or not what its manifest says.
    """
    source, staging = run.spec.source_name, run.spec.staging
    checks: list[Check] = []
    with memory() as connection:
        for table in counted(_landed_tables(run), "tables"):
            partitions = _partitions(run, table)
            latest = _latest(run, table, partitions)
            read_manifests(run.home, source, [table], latest.ds, latest.ds, verify=True)
            earlier = partitions[: partitions.index(latest)]
            suite = suite_for(staging, table, "default.landed").for_columns(_columns(connection, latest))
            before = _footer_profiles(connection, suite, earlier)
            today = _profile(connection, run, suite, latest, earlier)
            verdicts = evaluate_suite(suite, [today], run_parameters(run), earlier=before)
            say(
                "{table}: {rows:,} rows on {day}, {days:,} days before it; {checks:,} checks by {suite}",
                table=table, rows=latest.rows, day=latest.ds, days=len(earlier), checks=len(verdicts), suite=suite.name,
            )  # fmt: skip
            checks += verdicts
    return finish(run, "check_landed", checks, CheckResult)


def _landed_tables(run: Run) -> list[str]:
    folder = run.home.landing(run.spec.source_name)
    landed = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    # `_rejects` and `_releases` lie beside the tables but are not tables of the source.
    tables = {name for name in landed if not name.startswith(("_", "."))}
    declared = tables_with_suites(run.spec.staging, suite_names())
    # A table that has a suite but never landed must be noticed, so the folder alone does not decide.
    tables |= {name for name in declared if name != "rejected_rows"}
    if not landed or not tables:
        raise LandingError(f"{folder}: nothing is landed there; run `matinee land {run.spec.name}` first")
    return sorted(tables)


def _partitions(run: Run, table: str) -> list[Partition]:
    """The landed days of the run in order; of a table landed once, long before, that one."""
    source = run.spec.source_name
    landed = read_manifests(run.home, source, [table], run.landing_start, run.as_of)
    return sorted(landed or read_manifests(run.home, source, [table], None, run.as_of), key=lambda part: part.ds)


def _latest(run: Run, table: str, partitions: Sequence[Partition]) -> Partition:
    """The partition of the as-of day, or the only one of a table that is landed once and for all."""
    if partitions and (partitions[-1].ds == run.as_of or len(partitions) == 1):
        return partitions[-1]
    last = f"the last one is of {partitions[-1].ds}" if partitions else "there is none at all"
    raise LandingError(
        f"{run.home.landing(run.spec.source_name) / table}: expected a partition of {run.as_of}, {last}; "
        f"run `matinee land {run.spec.name} --as-of {run.as_of}`"
    )


def _columns(connection: DuckDBPyConnection, partition: Partition) -> dict[str, str]:
    import duckdb

    try:
        return Relation(parquet([partition.path]), {}).columns(connection)
    except duckdb.Error as error:
        raise torn(partition.path, error) from None


def _profile(
    connection: DuckDBPyConnection, run: Run, suite: Suite, partition: Partition, earlier: Sequence[Partition]
) -> Profile:
    """The profile of the as-of day with what the manifests and the trailing days add to it."""
    since = partition.ds - timedelta(days=suite.meta.trailing.days)
    # A day that was not measured before costs a scan: only where the suite compares.
    trailing = [part for part in earlier if part.ds >= since] if _back(suite) else []
    past = [_measured(connection, run, suite, part) for part in counted(trailing, "days measured")]
    today = _measured(connection, run, suite, partition)
    rows = today.rows or 0
    today = today.with_measures(
        {
            "rows_vs_manifest": rows - partition.rows,
            "missing_days": missing_days([part.ds for part in (*earlier, partition)]),
            "rows_vs_trailing": rows_vs_trailing(rows, [part.rows for part in earlier]),
            "unexpectedly_empty": "yes" if not rows and _open(run.spec.source, partition) else "no",
        }
    )
    today = replace(today, closed=not rows and _closed(run.spec.source, partition))
    return with_trailing(suite, today, past)


def _closed(source: Source, partition: Partition) -> bool:
    """Whether the day is declared closed."""
    return isinstance(source, DatasetSource) and load_dataset(source.dataset).closed.on(partition.ds)


def _open(source: Source, partition: Partition) -> bool:
    """Whether each day of a table is sent by itself, and this day is not declared closed: then it has rows."""
    if not isinstance(source, DatasetSource):
        return False
    dataset = load_dataset(source.dataset)
    table = dataset.tables.get(partition.table)
    return table is not None and table.by_day and not dataset.closed.on(partition.ds)


def _back(suite: Suite) -> bool:
    return any(expectation.looks_back for expectation in suite.expectations)


def _measured(connection: DuckDBPyConnection, run: Run, suite: Suite, partition: Partition) -> Profile:
    """What a partition's rows and its manifest say."""
    measures = kept_profile(connection, run.home, run.spec.source_name, suite, partition)
    profile = measured(partition.table, partition.ds, partition.path, measures)
    # From the manifest, so not in the cache: lines that cannot be read may change while the rows stay the same.
    lines = (profile.rows or 0) + partition.rejects
    return profile.with_measures({"unparsed__rate": partition.rejects / lines if lines else 0.0})


def _footer_profiles(connection: DuckDBPyConnection, suite: Suite, partitions: Sequence[Partition]) -> list[Profile]:
    by_path = footers(connection, [part.path for part in partitions])
    profiles = []
    for part in partitions:
        footer = by_path[part.path]
        measures = {"rows": footer.rows, "rows_vs_manifest": footer.rows - part.rows}
        schema = schema_measures(suite.meta.measure.columns, footer.types)
        profiles.append(measured(part.table, part.ds, part.path, {**measures, **schema}))
    return profiles
