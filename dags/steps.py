"""The bodies of an Airflow DAG's tasks: find the step's function, call it, pass on what it says."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from typing import Any

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.tell import tell
from tasks.attempts import attempt_of
from tasks.errors import (
    CheckFailed,
    GateFailed,
    LandingError,
    MatineeError,
    SourceError,
    SpecError,
    TrainingError,
)

FUNCTIONS = {
    "land": "tasks.land:land_step",
    "check_landed": "tasks.check_landed:check_landed",
    "build": "tasks.build:build_step",
    "check_features": "tasks.check:check_features",
    "retrieve": "tasks.retrieve:retrieve_step",
    "sample": "tasks.sample:sample_step",
    "check_examples": "tasks.check:check_examples",
    "populations": "tasks.train:populations",
    "train": "tasks.train:train_step",
    "evaluate": "tasks.evaluate:evaluate_step",
    "check_predictions": "tasks.check_predictions:check_predictions",
    "gate": "tasks.gate:gate_step",
    "publish": "tasks.publish:publish_step",
    "monitor": "tasks.monitor:monitor_step",
    "report": "tasks.report:report_step",
}
# The same inputs would fail again: no retry.
FINAL = (SpecError, SourceError, LandingError, CheckFailed, TrainingError, GateFailed)
# An argument that Airflow renders, so that the UI shows it; `call` takes the day from the interval itself.
AS_OF = "{{ data_interval_start | ds if data_interval_start else '' }}"

MONTH = 31

log = logging.getLogger("matinee")


def call(pipeline: str, what: str, *args: Any) -> Any:
    """Call the function of a step for the day of the running DAG run.

    Raises:
        AirflowFailException: with the step's own words; the same inputs would fail again.
        AirflowException: with the step's own words; another try may help.
    """
    context: Any = get_current_context()
    as_of = day_of(context)
    try:
        from dags.pipelines import folder
        from tasks.failures import call_step
        from tasks.run import Run

        module, name = FUNCTIONS[what].split(":")
        function: Callable[..., Any] = getattr(import_module(module), name)
        run = Run.create(str(folder() / f"{pipeline}.yaml"), as_of, attempt_of(context["run_id"]))
        return call_step(run, what, function, *args)
    except MatineeError as error:
        log.error("%s", error)
        kind = AirflowFailException if isinstance(error, FINAL) else AirflowException
        raise kind(f"{type(error).__name__}: {error}") from None


def day_of(context: dict[str, Any]) -> date:
    """Return the as-of day of a run: the first day of its data interval.

    Raises:
        AirflowFailException: it has none.
    """
    start = context.get("data_interval_start")
    if start is None:
        raise AirflowFailException(
            f"run {context['run_id']} has no data interval, so it has no as-of day; "
            "start it with a logical date (a backfill, the schedule, or Trigger with a date)"
        )
    day: date = start.astimezone(UTC).date()
    return day


def waiting_days(context: dict[str, Any]) -> list[date]:
    """Return the as-of days of the DAG's other runs that are queued or running, within a month of the running one."""
    # A plain datetime: Airflow's own loses datetime.UTC when days are added to it.
    own = datetime.fromtimestamp(context["data_interval_start"].timestamp(), UTC)
    dag = context["dag"].dag_id

    def waiting(starts: list[datetime]) -> list[datetime]:
        """Airflow counts runs, and has at most one for a date: halve until all of them, or none, are there."""
        count = context["ti"].get_dr_count(dag_id=dag, logical_dates=starts, states=["queued", "running"])
        if count in (0, len(starts)):
            return starts if count else []
        middle = len(starts) // 2
        return [*waiting(starts[:middle]), *waiting(starts[middle:])]

    return [start.date() for start in waiting([own + timedelta(days=n) for n in range(-MONTH, MONTH + 1) if n])]


@task
def step(pipeline: str, what: str, as_of: str, population: str | None = None) -> dict[str, Any]:
    """Run one step; its result (paths, counts, digests) becomes the XCom and the asset event's extra."""
    context: Any = get_current_context()
    if population is not None:
        context["population"] = population
    began = time.monotonic()
    args: list[Any] = [] if population is None else [population]
    if what == "build":
        args = [waiting_days(context)]  # one dbt invocation for a whole backfill, in whatever order it runs
    result: dict[str, Any] = call(pipeline, what, *args)
    for asset in context["task"].outlets:
        seconds = round(time.monotonic() - began, 2)
        context["outlet_events"][asset].extra = {**result, "as_of": as_of, "seconds": seconds}
    return result


@task
def populations_of(pipeline: str, as_of: str) -> list[str]:
    """List the populations to train: they depend on the data, so Airflow maps over them at run time."""
    names: list[str] = call(pipeline, "populations")
    return names


@task
def report(pipeline: str, as_of: str) -> dict[str, Any]:
    """Write the run's page whatever happened, then fail if any other task failed."""
    context: Any = get_current_context()
    states = context["ti"].get_task_states(dag_id=pipeline, run_ids=[context["run_id"]])[context["run_id"]]
    try:
        result: dict[str, Any] = call(pipeline, "report")
    finally:
        tell(context, finished=True)
        raise_if_red(states)
    return result


def raise_if_red(states: dict[str, str]) -> None:
    """Fail if a task of the run failed.

    Raises:
        AirflowFailException: naming the tasks that failed and the tasks that could not start because of them.
    """
    failed = sorted(name for name, state in states.items() if state == "failed")
    stopped = sorted(name for name, state in states.items() if state == "upstream_failed" and name != "report")
    if failed or stopped:
        raise AirflowFailException(f"failed: {', '.join(failed) or 'none'}; not run: {', '.join(stopped) or 'none'}")
