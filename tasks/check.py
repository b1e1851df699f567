"""Checks: the lines of defence before anything is built, before anything is learned, and before training.

SQL measures (`tasks.profile`), Great Expectations judges (`tasks.judge`), the suites lie in `expectations/`.
Each step writes `checks.json`, whatever the verdict; a critical failure raises, so that nothing which depends
on the data runs, and a step that failed has no `result.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.catalog import MARTS
from tasks.errors import CheckFailed, LandingError
from tasks.home import atomic_dir, write_json
from tasks.judge import Check, judge
from tasks.partitions import Partition, read_manifests
from tasks.profile import (
    Relation,
    footers,
    identifier,
    literal,
    missing_days,
    profile,
    profile_file,
    rows_vs_trailing,
    schema_measures,
)
from tasks.rejects import quarantine, reject_profiles
from tasks.suites import Suite, load_suite, own_tables, suite_for, suite_names
from tasks.warehouse import memory, reader

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.run import Run

PARTS = ("train", "validation", "test")
MAX_SHOWN = 20


def check_landed(run: Run) -> dict[str, Any]:
    """Check what was landed: the as-of day in full, its volume against the days before, those by their footers.

    Raises:
        CheckFailed: a critical check failed or could not run.
        LandingError: a partition is missing, torn, or not what its manifest says.
    """
    source, staging = run.spec.source_name, run.spec.staging
    checks: list[Check] = []
    with memory() as connection:
        for table in _landed_tables(run):
            suite = suite_for(staging, table, "default.landed")
            partitions = _partitions(run, table)
            latest = _latest(run, table, partitions)
            read_manifests(run.home, source, [table], latest.ds, latest.ds, verify=True)
            earlier = partitions[: partitions.index(latest)]
            today = _landed_profile(connection, suite, latest, earlier)
            history = _footer_profiles(connection, suite, earlier)
            checks += judge(suite, [today], _parameters(run), earlier=history)
    return _finish(run, "check_landed", "landed data", checks, {})


def _landed_tables(run: Run) -> list[str]:
    folder = run.home.landing(run.spec.source_name)
    landed = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    tables = {name for name in landed if not name.startswith(("_", "."))}
    declared = own_tables(run.spec.staging, suite_names())
    tables |= {name for name in declared if name != "rejected_rows"}
    if not landed or not tables:
        raise LandingError(f"{folder}: nothing is landed there; run `matinee land {run.spec.name}` first")
    return sorted(tables)


def _partitions(run: Run, table: str) -> list[Partition]:
    """Return the landed days of the run in order; of a table landed once, long before, that one."""
    source = run.spec.source_name
    found = read_manifests(run.home, source, [table], run.landing_start, run.as_of)
    return sorted(found or read_manifests(run.home, source, [table], None, run.as_of), key=lambda part: part.ds)


def _latest(run: Run, table: str, partitions: Sequence[Partition]) -> Partition:
    """Return the partition of the as-of day, or the only one of a table that is landed once and for all."""
    if partitions and (partitions[-1].ds == run.as_of or len(partitions) == 1):
        return partitions[-1]
    last = f"the last one is of {partitions[-1].ds}" if partitions else "there is none at all"
    raise LandingError(
        f"{run.home.landing(run.spec.source_name) / table}: expected a partition of {run.as_of}, {last}; "
        f"run `matinee land {run.spec.name} --as-of {run.as_of}`"
    )


def _landed_profile(
    connection: DuckDBPyConnection, suite: Suite, partition: Partition, earlier: Sequence[Partition]
) -> dict[str, Any]:
    days = {"run_day": partition.ds}
    measured = profile_file(connection, partition.path, days, suite.meta.measure, suite.asked)
    rows, rejects = int(measured["rows"]), partition.rejects
    return {
        **_place(partition.table, partition.ds, partition.path),
        **measured,
        "rows_vs_manifest": rows - partition.rows,
        "missing_days": missing_days([part.ds for part in (*earlier, partition)]),
        "rows_vs_trailing": rows_vs_trailing(rows, [part.rows for part in earlier]),
        "unparsed__rate": rejects / (rows + rejects) if rows + rejects else 0.0,
    }


def _footer_profiles(
    connection: DuckDBPyConnection, suite: Suite, partitions: Sequence[Partition]
) -> list[dict[str, Any]]:
    found = footers(connection, [part.path for part in partitions])
    return [
        {
            **_place(part.table, part.ds, part.path),
            "rows": found[part.path][0],
            "rows_vs_manifest": found[part.path][0] - part.rows,
            **schema_measures(suite.meta.measure.columns, found[part.path][1]),
        }
        for part in partitions
    ]


def check_features(run: Run) -> dict[str, Any]:
    """Check the features as of the day and the rows that staging refused; put those into quarantine.

    Raises:
        CheckFailed: a critical check failed or could not run.
        BuildError: the warehouse has not been built.
    """
    parameters, checks = _parameters(run), []
    refused = suite_for(run.spec.staging, "rejected_rows", "default.rejected_rows")
    with reader(run.home, run.spec.name) as connection:
        rejects = reject_profiles(connection, run)
        kept = quarantine(connection, run)
        for mart in MARTS:
            suite = load_suite(f"features.{mart}")
            source = f"{relation_name(connection, mart)} where as_of = {literal(run.as_of)}"
            measured = profile(connection, Relation(source, {"run_day": run.as_of}), suite.meta.measure, suite.asked)
            checks += judge(suite, [{**_place(mart, run.as_of, mart), **measured}], parameters)
    checks += judge(refused, rejects, parameters)
    counts = [{name: row[name] for name in ("table", "rejected", "rows", "rate")} for row in rejects]
    return _finish(run, "check_features", "features", checks, {"rejects": counts, "quarantine": kept})


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
    return _finish(run, "check_examples", "examples", checks, {})


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
    measured = profile_file(connection, path, days, measure, suite.asked)
    return judge(suite, [{**_place(part, run.as_of, path), **measured}], _parameters(run))


def _parameters(run: Run) -> dict[str, Any]:
    """Values that suites may name as `{"$PARAMETER": …}`."""
    return {
        "highest_grade": max(rule.grade for rule in run.spec.label.grades),
        "horizon_days": run.spec.label.horizon,
        "lateness_days": run.spec.label.lateness,
    }


def _place(table: str, day: date, place: Path | str) -> dict[str, str]:
    return {"table": table, "day": day.isoformat(), "place": str(place)}


def _finish(run: Run, step: str, what: str, checks: Sequence[Check], extra: dict[str, Any]) -> dict[str, Any]:
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
        write_json(folder / "checks.json", [check.record() for check in checks])
        if not critical:
            write_json(folder / "made_by.json", run.made_by)
            write_json(folder / "result.json", result)
    if critical:
        raise CheckFailed(_words(run, step, what, critical, len(checks)))
    return result


def _words(run: Run, step: str, what: str, critical: Sequence[Check], total: int) -> str:
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
