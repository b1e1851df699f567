"""`make run`: land the history, run consecutive days through the real scheduler, show progress, sum up.

All days but the last run as a backfill, the last one as a run of its own. One run at a time: a day's gate compares
with the champion as of that day, which the day before may have published. Days of which one failed go on one by one
where they stopped (`restarts`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as Bar
from rich.text import Text

from tasks.errors import StackError, count_of
from tasks.operations.airflow_answers import ENDED, Dag, DagRun
from tasks.operations.local_airflow import stack
from tasks.operations.local_airflow.airflow_api import Airflow
from tasks.operations.local_airflow.data_folders import data_environment, require_same_data
from tasks.operations.local_airflow.interrupted import driven
from tasks.operations.local_airflow.restarts import Restart, restarts, whole_day
from tasks.operations.local_airflow.run_days import days_to_run, published_days
from tasks.operations.progress import Progress, cells
from tasks.operations.summary import DaySummary, failure, summary
from tasks.runs.attempts import attempt_of
from tasks.runs.run import Run
from tasks.sources.land import land
from tasks.spec.load import load_spec
from tasks.spec.project import pipelines_folder
from tasks.spec.spec import Spec
from tasks.spec.windows import landing_start
from tasks.store.files import Home

POLL = 1.0
RESTART = 300.0  # seconds that a component, or all of them, may take to come back on a busy machine


@dataclass(frozen=True)
class RunRequest:
    """What to run.

    Attributes:
        pipeline: name of the pipeline.
        days: how many consecutive days.
        as_of: the last day; None: the next one.
        data: folder of a `files` source.
        port: port of the UI, if Airflow is to be started.
        parallel: days of the backfill that run at once.
    """

    pipeline: str
    days: int = 3
    as_of: date | None = None
    data: Path | None = None
    port: int | None = None
    parallel: int = 1


def pipeline_file(name: str) -> Path:
    """Locate the file of a pipeline, which must be in the folder that the DAGs are made from."""
    return pipelines_folder() / f"{name}.yaml"


def run_days(request: RunRequest, home: Home, console: Console) -> bool:
    """Do what `make run` promises, and say whether every run succeeded.

    Raises:
        MatineeError: nothing could be run.
    """
    started = time.monotonic()
    spec = load_spec(pipeline_file(request.pipeline))
    days = days_to_run(spec, request.days, request.as_of, published_days(home, spec.name))
    # Before the landing, which can take minutes.
    environment = data_environment(spec, request.data)
    require_same_data(spec, home.root, request.data)
    console.print(Text.assemble((spec.name, "bold"), f": {spec.description}"))
    console.print(f"{count_of(len(days), 'day')}, {days[0]} to {days[-1]}; state in {home.root}", highlight=False)
    _land(spec, home, days, request.data, console)
    with _stack(request.port, environment, home, console) as running:
        api = Airflow(running.home, running.port, patience=RESTART)
        try:
            # An Airflow that was not running has no live runs: what is unfinished in its database was interrupted.
            ran = _through_airflow(api, _runs(spec, home, days, request.data), request.parallel, running.home, console)
            for day in (day for day in ran if not day.succeeded):
                console.print(failure(day, _errors(api, spec.name, day)), soft_wrap=True)
        finally:
            api.close()
        console.print(summary(spec, home, ran, time.monotonic() - started, running), soft_wrap=True)
    return len(ran) == len(days) and all(day.succeeded for day in ran)


def _land(spec: Spec, home: Home, days: Sequence[date], data: Path | None, console: Console) -> None:
    start = landing_start(spec, days[0])
    console.print(f"landing {start} to {days[-1]} …", highlight=False)
    started = time.monotonic()
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task("landing", total=None)
        result = land(
            spec,
            home,
            start,
            days[-1],
            data=data,
            progress=lambda done, total, day: bar.update(line, completed=done, total=total, description=str(day)),
        )
    rows = ", ".join(f"{count:,} {table}" for table, count in sorted(result.rows.items()) if count)
    seconds = time.monotonic() - started
    console.print(f"landed {rows or 'nothing new'} in {seconds:.1f} s", highlight=False)


@contextmanager
def _stack(port: int | None, environment: dict[str, str], home: Home, console: Console) -> Iterator[stack.Stack]:
    """Find Airflow running, or start it and stop it again."""
    running = stack.up(
        home.root, port, scheduled=False, extra=environment, say=lambda text: console.print(text, highlight=False)
    )
    try:
        yield running
    finally:
        if running.started:
            stack.down(running.home)


def _runs(spec: Spec, home: Home, days: Sequence[date], data: Path | None) -> list[Run]:
    return [Run(spec, home, day, "", data) for day in days]


def _through_airflow(
    api: Airflow, runs: Sequence[Run], parallel: int, home: Path, console: Console
) -> list[DaySummary]:
    """Run the days."""
    pipeline, days = runs[0].spec.name, [run.as_of for run in runs]
    _wait_for_dag(api, pipeline)
    planned = restarts(api, runs)
    for restart in planned:
        console.print(restart.text, highlight=False, soft_wrap=True)
    with driven(api, home, pipeline, (days[0], days[-1])), Progress(console, days) as progress:
        if planned:
            return _again(api, pipeline, planned, progress)
        ran: list[DaySummary] = []
        if days[:-1]:
            _wait_for_backfills(api, pipeline)
            api.backfill(pipeline, days[0], days[-2], parallel=parallel)
            ran = _follow(api, pipeline, days[:-1], ran, progress)
        # Else its gate would compare with a champion that a failed day never published.
        if all(day.succeeded for day in ran):
            whole_day(api, pipeline, days[-1]).begin(api, pipeline)
            ran = _follow(api, pipeline, days[-1:], ran, progress)
    return ran


def _again(api: Airflow, pipeline: str, planned: Sequence[Restart], progress: Progress) -> list[DaySummary]:
    """Run days again one by one, up to the first that fails."""
    ran: list[DaySummary] = []
    for restart in planned:
        if all(day.succeeded for day in ran):
            restart.begin(api, pipeline)
            ran = _follow(api, pipeline, [restart.day], ran, progress)
    return ran


def _wait_for_backfills(api: Airflow, pipeline: str, timeout: float = 60) -> None:
    """Wait for backfills whose runs are over: Airflow notices in half a minute, and takes no other one before."""
    limit = time.monotonic() + timeout
    while api.open_backfills(pipeline) and time.monotonic() < limit:
        time.sleep(POLL)


def _wait_for_dag(api: Airflow, pipeline: str, timeout: float = 60) -> Dag:
    """Wait until the DAG processor has read the pipeline."""
    limit = time.monotonic() + timeout
    while True:
        dag, errors = api.dag(pipeline), api.import_errors()
        # The DAG bundle writes a file of this name for each pipeline file (dags/bundle.py).
        if f"{pipeline}.py" in errors:
            raise StackError(f"Airflow cannot load the pipeline {pipeline}:\n{errors[f'{pipeline}.py']}")
        if dag is not None and not dag.is_stale:
            return dag
        if time.monotonic() > limit:
            raise StackError(
                f"Airflow does not know a DAG {pipeline!r} after {timeout:.0f} s; see logs/dag-processor.log"
            )
        time.sleep(0.5)


def _follow(
    api: Airflow, pipeline: str, days: Sequence[date], before: Sequence[DaySummary], progress: Progress
) -> list[DaySummary]:
    """Poll until the runs of `days` have ended."""
    done: dict[date, DaySummary] = {day.as_of: day for day in before}
    while True:
        for run in api.runs(pipeline, days[0], days[-1]):
            if run.data_interval_start is None:
                continue
            as_of = run.data_interval_start.date()
            if as_of not in done or done[as_of].state not in ENDED:
                done[as_of] = _summarize(api, pipeline, run, as_of)
        progress.show({as_of: dict(day.steps) for as_of, day in done.items()})
        if all(day in done and done[day].state in ENDED for day in days):
            return [done[day] for day in sorted(done)]
        time.sleep(POLL)


def _summarize(api: Airflow, pipeline: str, run: DagRun, as_of: date) -> DaySummary:
    tasks = api.tasks(pipeline, run.dag_run_id)
    steps = cells(tasks, datetime.now(UTC))
    failed = tuple(task for task in tasks if task.state == "failed")
    return DaySummary(as_of, run.dag_run_id, attempt_of(run.dag_run_id), run.state, steps, failed)


def _errors(api: Airflow, pipeline: str, day: DaySummary) -> dict[str, str]:
    """Quote the first error message of every failed task. The report only repeats the others', so it is left out."""
    tasks = [task for task in day.failed if task.task_id != "report"] or list(day.failed)
    quoted = {}
    for task in tasks:
        errors = api.errors(pipeline, day.run_id, task)
        quoted[task.name] = errors[0] if errors else f"no message; its log is under logs/tasks/dag_id={pipeline}"
    return quoted
