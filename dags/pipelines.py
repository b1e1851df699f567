"""One Airflow DAG per pipeline file: which step follows which, and nothing else.

A run's data interval is `[D, D + 1 day)`, and every task gets `as_of = D`. Those that open the tables share a pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, TaskGroup, XComArg

from dags.alerts import notify
from dags.steps import AS_OF, populations_of, report, step
from dags.texts import page
from dags.timetable import DayTimetable
from tasks.operations.pools import pool_of, workers
from tasks.runs.steps import GROUPS, Step, steps_of
from tasks.spec.load import load_shape
from tasks.spec.project import pipeline_path, take_environment
from tasks.spec.windows import first_as_of

DEFAULTS = {
    # For a task that is killed several times: a step's own error is tried again once (dags/steps.py).
    "retries": 5,
    "retry_delay": timedelta(seconds=10),
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": notify,
}


def pipeline_dag(name: str) -> DAG:
    """Build the DAG of `pipelines/<name>.yaml`; a SpecError becomes the DAG's import error."""
    take_environment()
    spec = load_shape(pipeline_path(name))
    with DAG(
        dag_id=spec.name,
        description=spec.description,
        # A history (schedule: null) has days to backfill: nothing starts by itself.
        schedule=DayTimetable(spec.name, spec.schedule, first_as_of(spec), spec.end, spec.catch_up),
        # No start and end here: a run outside of them would have no task, and be green. The timetable has them.
        catchup=False,
        max_active_runs=2,
        default_args={**DEFAULTS, "owner": spec.owner},
        owner_links={spec.owner: next(iter(spec.links.values()))} if spec.links else {},
        on_failure_callback=notify,  # a task that is killed cannot call its own
        tags=["matinee", spec.source.type],
        doc_md=page(spec),
    ) as dag:
        _wire(spec.name, steps_of(spec))
    return dag


def _wire(name: str, steps: Sequence[Step]) -> None:
    tasks: dict[str, XComArg] = {}
    # Task ids stay the names of the steps, by which the report and the alerts know them.
    groups = {group: TaskGroup(group, prefix_group_id=False, tooltip=text) for group, text in GROUPS.items()}
    for each in steps:
        with groups[each.group] if each.group else nullcontext():
            tasks[each.name] = _task(name, each, tasks)
        tasks[each.name].set_upstream([tasks[before] for before in each.after])


def _task(pipeline: str, each: Step, before: Mapping[str, XComArg]) -> XComArg:
    """Create the task of a step; a mapped one depends on the list it is mapped over."""
    options: dict[str, Any] = {"task_id": each.name, "doc_md": each.does, "trigger_rule": each.runs}
    options |= {"pool": pool} if (pool := pool_of(pipeline, each)) else {}
    options |= {"outlets": [Asset(f"matinee://{pipeline}/{each.asset}")]} if each.asset else {}
    if each.runs == "all_done":
        return report.override(**options)(pipeline, AS_OF)
    if each.shared or each.mapped_over:
        over = {"worker": workers()} if each.shared else {"population": before[each.mapped_over]}
        one = step.override(**options, map_index_template=f"{{{{ {next(iter(over))} }}}}")
        return one.partial(pipeline=pipeline, what=each.name, as_of=AS_OF).expand(**over)
    if not each.has_result:
        return populations_of.override(**options)(pipeline, AS_OF)
    return step.override(**options)(pipeline, each.name, AS_OF)
