"""One dbt invocation in this process: its variables, its environment, and what it says of each model and test."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from tasks.errors import BuildError, quoted
from tasks.features import parse_cache
from tasks.features.dbt_messages import ModelOutcome, problems_of
from tasks.features.engines import warehouse_of
from tasks.features.warehouse import Warehouse
from tasks.runs.narration import Count, counting, say, warn_each
from tasks.runs.sql_lineage import PipelineSql
from tasks.runs.staging_defaults import MADE
from tasks.spec.attributes import RELATIONS
from tasks.spec.spec import Spec
from tasks.store.files import Home

SLOWEST = 3  # models that the log names
LONGEST = 60  # characters of a value in a row that breaks a test
RESULTS = frozenset({"LogModelResult", "LogTestResult"})


class _Progress:
    """Follows dbt's events, which come from its threads: what has begun, and what has ended."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._ended: set[str] = set()

    def __call__(self, event: Any) -> None:
        """Note an event."""
        if event.info.name == "LogStartLine":  # the first event that knows how many there are
            self._count.total, self._count.at = event.data.total, event.data.node_info.node_name
        elif event.info.name in RESULTS:
            self._ended.add(event.data.node_info.unique_id)
            self._count.done = len(self._ended)


def dbt_vars(spec: Spec) -> dict[str, Any]:
    """The variables of a pipeline; they don't vary from run to run, so dbt's parse cache holds."""
    return {
        "pipeline": spec.name,
        "staging": spec.staging,
        "own_kinds": {name: f"{measure}s" for name, measure in spec.interactions.own.items()},
        "grades": [rule.variables(spec.interactions.names) for rule in spec.label.grades],
        "attribution_minutes": spec.label.attribution_minutes,
        "horizon_days": spec.label.horizon,
        "lateness_days": spec.label.lateness,
        "attributes": {
            entity: [
                {"name": attribute.name, "type": attribute.data_type}
                for attribute in spec.attributes
                if attribute.declared and attribute.entity == entity
            ]
            for entity in RELATIONS
        },
    }


@contextmanager
def _environment(warehouse: Warehouse) -> Iterator[None]:
    """Set what dbt reads, and put back what was there: dbt runs in this process."""
    values = {**warehouse.dbt_environment(), "DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
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


def run_dbt(spec: Spec, home: Home, sql: PipelineSql, log: Path, select: str | None = None) -> list[ModelOutcome]:
    """Run one `dbt build` of what `control` tells, and return what it says of each model and test.

    Args:
        spec: the pipeline.
        home: where its warehouse is.
        sql: its SQL; dbt sees no other file.
        log: gets what dbt says.
        select: only these models, without tests.

    Raises:
        BuildError: a model or test failed, or nothing was selected; names each with dbt's message.
    """
    target, warehouse = parse_cache.target_of(home, spec.name), warehouse_of(home, spec.name)
    logs = target.with_name("logs")
    parse_cache.drop_if_changed(target)
    project = _project(home, spec)
    if project.exists():
        shutil.rmtree(project)  # what was left there would be built, and the digest would not say so
    sql.write(project)
    command = [
        # By default, dbt reports success when it selects nothing.
        "--warn-error-options", json.dumps({"error": ["NoNodesForSelectionCriteria", "NothingToDo"]}),
        "--quiet", "--no-use-colors", "build",
        "--project-dir", str(project), "--profiles-dir", str(project), "--target", warehouse.DBT_TARGET,
        "--target-path", str(target), "--log-path", str(logs),
        # Unit tests bring their own rows and say nothing about these; tests/transforms runs them.
        "--exclude-resource-type", "unit_test", "--vars", json.dumps(dbt_vars(spec), sort_keys=True),
        *(["--exclude-resource-type", "test", "--select", select] if select else []),
    ]  # fmt: skip
    outcome = _invoke(command, warehouse, log)
    parse_cache.note(target)
    # If dbt cannot parse the project, there is no list of results.
    results = [_outcome(result, warehouse) for result in getattr(outcome.result, "results", [])]
    lines = problems_of(spec, results, outcome.exception)
    if lines or not outcome.success:
        damage = warehouse.damage("\n".join(lines))
        lines += [] if damage is None else [damage]
        raise BuildError(f"the SQL build of {spec.name} failed (dbt's log: {logs}/dbt.log):\n" + "\n".join(lines))
    _say_what_was_slow(results, f"{logs}/dbt.log")
    return results


def _invoke(command: list[str], warehouse: Warehouse, log: Path) -> Any:
    with counting("models and tests", None) as count:
        count.at = "dbt reads its project"
        from dbt.cli.main import dbtRunner  # takes seconds, so it is counted

        parse_cache.hold_in_every_home()
        with _environment(warehouse), log.open("w", encoding="utf-8") as out, redirect_stdout(out):
            return dbtRunner(callbacks=[_Progress(count)]).invoke(command)


def _say_what_was_slow(results: list[ModelOutcome], log: str) -> None:
    models = sorted((result for result in results if result.kind == "model"), key=lambda model: -model.seconds)
    rows = {
        model.name: f", {model.rows:,} rows" if model.rows is not None and model.rows >= 0 else "" for model in models
    }
    say(
        "{models:,} models and {tests:,} tests ended well; the slowest: {slowest}",
        models=len(models), tests=len(results) - len(models),
        slowest=[f"{model.name} {model.seconds:.1f} s{rows[model.name]}" for model in models[:SLOWEST]],
    )  # fmt: skip
    warned = [result for result in results if result.status == "warn"]
    warn_each([f"the test {result.name} warns: {result.message}" for result in warned], log)


def _project(home: Home, spec: Spec) -> Path:
    """Folder of the SQL that dbt was given last."""
    return home.root / "dbt" / spec.name / "project"


def edited_since(home: Home, spec: Spec, sql: PipelineSql) -> list[str]:
    """Name the files that are not what dbt was given last; empty if that was nothing yet."""
    project = _project(home, spec)
    try:
        before = {
            path.relative_to(project).as_posix(): path.read_bytes() for path in project.rglob("*") if path.is_file()
        }
    except FileNotFoundError:
        return []  # somebody has begun to build, which replaces the folder
    now = {name: sql.content(name) for name in sql.files}
    changed = {_edited(spec, name) for name in {*before, *now} if before.get(name) != now.get(name)}
    return sorted(f"transforms/{name}" for name in changed) if before else []


def _edited(spec: Spec, name: str) -> str:
    """Name the file that somebody edits: what is made from a dataset file changes with it."""
    return f"datasets/{spec.source_name}.yaml" if Path(name).stem == MADE else name


def _outcome(result: Any, warehouse: Warehouse) -> ModelOutcome:
    kind, status = str(result.node.resource_type), str(result.status)
    message = " ".join(str(result.message or "").split())
    if (kind, status) == ("test", "fail"):
        message += broken_by(result.node, warehouse)
    return ModelOutcome(
        name=result.node.name,
        kind=kind,
        status=status,
        seconds=round(result.execution_time, 3),
        rows=(result.adapter_response or {}).get("rows_affected"),
        message=message,
    )


def broken_by(node: Any, warehouse: Warehouse) -> str:
    """Say what a test that failed expects, and name one of the rows that break it.

    Args:
        node: dbt's test.
        warehouse: what it read; its lock is held.
    """
    asked = getattr(node.test_metadata, "kwargs", {}).get("expression")
    row = warehouse.first_row(node.compiled_code) if node.compiled_code else {}
    values = ", ".join(f"{name} = {quoted(str(value), LONGEST)}" for name, value in row.items())
    return (f"; expected {asked}" if asked else "") + (f"; found, for example: {values}" if values else "")
