"""Build the SQL features: find out which days are not built from the current landing, and build that range.

The warehouse keeps a ledger: for every feature day, label cut and loaded partition, the digest of everything it
was made from. A day whose digest differs is stale. Its ledger row is taken out before dbt starts and written
when dbt has ended well, so a build that was killed is simply not built.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import version as library_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.catalog import TRANSFORMS
from tasks.errors import BuildError
from tasks.home import Home, digest, sha256_file, write_json
from tasks.predicates import canonical
from tasks.spec import Spec
from tasks.warehouse import limits, locked, writer
from tasks.windows import lookback

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.land import Partition
    from tasks.run import Run


LIBRARIES = ("dbt-core", "dbt-duckdb", "duckdb", "implicit", "lightgbm", "numba", "numpy", "pyarrow", "scipy")


@dataclass(frozen=True)
class Plan:
    """What a build has to do; digests by day."""

    partitions: tuple[Partition, ...]
    changed: frozenset[tuple[str, date]]
    features: dict[date, str]
    labels: dict[date, str]

    @property
    def empty(self) -> bool:
        """Whether everything is built already."""
        return not (self.changed or self.features or self.labels)


@cache
def transforms_digest() -> str:
    """Return the digest of the SQL project; another one makes everything stale."""
    files = sorted(p for p in TRANSFORMS.rglob("*") if p.suffix in {".sql", ".yml"} and "target" not in p.parts)
    return digest({str(path.relative_to(TRANSFORMS)): sha256_file(path) for path in files})


@cache
def libraries() -> dict[str, str]:
    """Return the versions of what computes; with others, nothing that was made before counts as made."""
    return {"python": platform.python_version(), **{name: library_version(name) for name in LIBRARIES}}


def dbt_vars(spec: Spec) -> dict[str, Any]:
    """Return the variables of a pipeline; they don't vary from run to run, so dbt's parse cache holds."""
    return {
        "pipeline": spec.name,
        "staging": spec.staging,
        "grades": [{"grade": rule.grade, "when": canonical(rule.when)} for rule in spec.label.grades],
        "horizon_days": spec.label.horizon,
        "lateness_days": spec.label.lateness,
    }


def partitions_of(run: Run) -> list[Partition]:
    """Return the current landing of every day the run depends on, ordered by table and day."""
    from tasks.land import landed_for, open_source

    source = open_source(run.spec, run.home, run.data)
    return landed_for(source, run.home, run.landing_start, run.as_of)


def landing_digest(partitions: Iterable[Partition]) -> str:
    """Return the digest of landed data."""
    return digest([[p.table, p.ds, p.sha256] for p in partitions])


@dataclass(frozen=True)
class Needed:
    """What a run depends on: the landing it sees, and the digest behind each feature day and label cut."""

    partitions: list[Partition]
    features: dict[date, str]
    labels: dict[date, str]


def needed(run: Run) -> Needed:
    """Read the landing once, and say what the run needs of it."""
    from tasks.land import open_source

    partitions = partitions_of(run)
    return Needed(partitions, *wanted(run, partitions, open_source(run.spec, run.home, run.data).entities))


def wanted(
    run: Run, partitions: Sequence[Partition], entities: frozenset[str]
) -> tuple[dict[date, str], dict[date, str]]:
    """Return the digest that each feature day and each label cut of the run must have been built from.

    Args:
        run: the run.
        partitions: the landing it sees.
        entities: tables whose every row counts, however old.
    """
    cuts = run.windows.refit
    features = {}
    for day in sorted({*cuts, run.as_of}):
        since = day - lookback(run.spec)
        features[day] = landing_digest(p for p in partitions if p.ds <= day and (p.ds > since or p.table in entities))
    labels = {cut: landing_digest(p for p in partitions if cut < p.ds <= cut + run.spec.lag) for cut in cuts}
    return features, labels


def make_plan(run: Run, connection: DuckDBPyConnection) -> Plan:
    """Compare what the run needs with what the ledger says is built."""
    return _compare(run, _ledger(connection, _code(run.spec)))


def require_built(run: Run, connection: DuckDBPyConnection) -> None:
    """Refuse a warehouse that was not built from the landing as it is now.

    Raises:
        BuildError: something was landed since, by another run or by hand.
    """
    rows = connection.execute("select kind, day, digest from control.ledger").fetchall()
    built = {(kind, day): value for kind, day, value in rows}
    if built.get(("code", date(1970, 1, 1))) != _code(run.spec) or not _compare(run, built).empty:
        raise BuildError(
            f"{run.spec.name} {run.as_of}: the landing or the code has changed since the tables were built; run the "
            "steps again from `build` on"
        )


def _code(spec: Spec) -> str:
    return digest([transforms_digest(), dbt_vars(spec), libraries()])


def _compare(run: Run, built: dict[tuple[str, date], str]) -> Plan:
    need = needed(run)
    return Plan(
        tuple(need.partitions),
        frozenset((p.table, p.ds) for p in need.partitions if built.get((f"partition {p.table}", p.ds)) != p.sha256),
        {day: value for day, value in need.features.items() if built.get(("features", day)) != value},
        {day: value for day, value in need.labels.items() if built.get(("labels", day)) != value},
    )


def _ledger(connection: DuckDBPyConnection, code: str) -> dict[tuple[str, date], str]:
    """Return the ledger; when it was written by other code, forget it and everything that was built."""
    connection.execute("create schema if not exists control")
    connection.execute(
        "create table if not exists control.ledger (kind varchar, day date, digest varchar, primary key (kind, day))"
    )
    found = connection.execute("select digest from control.ledger where kind = 'code'").fetchone()
    if found is None or found[0] != code:
        _drop_everything(connection)
        connection.execute("insert into control.ledger values ('code', '1970-01-01', ?)", [code])
    rows = connection.execute("select kind, day, digest from control.ledger").fetchall()
    return {(kind, day): value for kind, day, value in rows}


def _drop_everything(connection: DuckDBPyConnection) -> None:
    connection.execute("delete from control.ledger")  # first: killed below, nothing counts as built
    tables = connection.execute(
        "select table_schema, table_name, table_type from information_schema.tables where table_schema <> 'control'"
    ).fetchall()
    for schema, name, kind in tables:
        what = "view" if kind == "VIEW" else "table"
        connection.execute(f'drop {what} if exists "{schema}"."{name}" cascade')


def _write_control(connection: DuckDBPyConnection, plan: Plan) -> None:
    """Tell dbt, in the schema `control`, what to build; take the ledger rows of those days out."""
    connection.execute("begin")
    connection.execute(
        "create or replace table control.partitions"
        " (table_name varchar, ds date, path varchar, sha256 varchar, changed boolean)"
    )
    connection.executemany(
        "insert into control.partitions values (?, ?, ?, ?, ?)",
        [(p.table, p.ds, str(p.path), p.sha256, (p.table, p.ds) in plan.changed) for p in plan.partitions],
    )
    for table, column, days in (("as_of_days", "as_of", plan.features), ("cuts", "cut", plan.labels)):
        connection.execute(f"create or replace table control.{table} ({column} date)")
        if days:
            connection.executemany(f"insert into control.{table} values (?)", [(day,) for day in sorted(days)])
    stale = _ledger_rows(plan)
    if stale:
        connection.executemany(
            "delete from control.ledger where kind = ? and day = ?", [(kind, day) for kind, day, _ in stale]
        )
    if plan.changed:  # the models forget whole days, also of tables that this run does not need that far back
        connection.executemany(
            "delete from control.ledger where kind like 'partition %' and day = ?",
            [(day,) for day in sorted({day for _, day in plan.changed})],
        )
    connection.execute("commit")


def _ledger_rows(plan: Plan) -> list[tuple[str, date, str]]:
    days = {day for _, day in plan.changed}
    return (
        [(f"partition {p.table}", p.ds, p.sha256) for p in plan.partitions if p.ds in days]
        + [("features", day, value) for day, value in sorted(plan.features.items())]
        + [("labels", day, value) for day, value in sorted(plan.labels.items())]
    )


@contextmanager
def _environment(home: Home, pipeline: str) -> Iterator[None]:
    values = {
        "MATINEE_WAREHOUSE": str(home.warehouse(pipeline)),
        "MATINEE_THREADS": limits()["threads"],
        "MATINEE_MEMORY_LIMIT": limits()["memory_limit"],
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def run_dbt(run: Run, log: Path) -> list[dict[str, Any]]:
    """Run one `dbt build` and return what it says of each model and test.

    Raises:
        BuildError: a model or test failed, or nothing was selected; names each with dbt's message.
    """
    from dbt.cli.main import dbtRunner

    folder = run.home.root / "dbt" / run.spec.name
    command = [
        "--warn-error-options", json.dumps({"error": ["NoNodesForSelectionCriteria", "NothingToDo"]}),
        "--quiet", "--no-use-colors", "build",
        "--project-dir", str(TRANSFORMS), "--profiles-dir", str(TRANSFORMS),
        "--target-path", str(folder / "target"), "--log-path", str(folder / "logs"),
        "--exclude-resource-type", "unit_test", "--vars", json.dumps(dbt_vars(run.spec), sort_keys=True),
    ]  # fmt: skip
    with _environment(run.home, run.spec.name), log.open("w", encoding="utf-8") as out, redirect_stdout(out):
        outcome = dbtRunner().invoke(command)
    results = [_describe(result) for result in getattr(outcome.result, "results", [])]
    failed = [r for r in results if r["status"] not in {"success", "pass", "warn"}]
    if outcome.exception is not None or not outcome.success or failed or not results:
        lines = [f"  {r['name']}: {r['status']}: {r['message']}" for r in failed]
        lines += [f"  {outcome.exception}"] if outcome.exception is not None else []
        lines += [] if results else ["  dbt selected nothing"]
        raise BuildError(
            f"the SQL build of {run.spec.name} for {run.as_of} failed (dbt's log: {folder}/logs/dbt.log):\n"
            + "\n".join(lines)
        )
    return results


def _describe(result: Any) -> dict[str, Any]:
    rows = (result.adapter_response or {}).get("rows_affected")
    return {
        "name": result.node.name,
        "kind": str(result.node.resource_type),
        "status": str(result.status),
        "seconds": round(result.execution_time, 3),
        "rows": rows,
        "message": " ".join(str(result.message or "").split()),
    }


def build_step(run: Run) -> dict[str, Any]:
    """Bring the warehouse up to date for the run: at most one dbt invocation.

    Raises:
        BuildError: dbt failed; nothing is marked as built.
    """
    with locked(run.home, run.spec.name):
        with writer(run.home, run.spec.name) as connection:
            plan = make_plan(run, connection)
            if not plan.empty:
                _write_control(connection, plan)
        with run.step("build", _result(plan)) as folder:
            if plan.empty:
                write_json(folder / "models.json", [])
                return _result(plan)
            write_json(folder / "models.json", run_dbt(run, folder / "dbt.log"))
            with writer(run.home, run.spec.name) as connection:
                connection.executemany("insert into control.ledger values (?, ?, ?)", _ledger_rows(plan))
    return _result(plan)


def _result(plan: Plan) -> dict[str, Any]:
    def days(found: Sequence[date]) -> dict[str, Any]:
        return {"days": len(found), **({"from": str(found[0]), "to": str(found[-1])} if found else {})}

    return {
        "partitions_loaded": days(sorted({day for _, day in plan.changed})),
        "features_built": days(sorted(plan.features)),
        "labels_built": days(sorted(plan.labels)),
        "up_to_date": plan.empty,
    }
