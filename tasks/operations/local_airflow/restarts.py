"""How `make run` runs days again of which one failed: from where it stopped, as `matinee run` does.

A task that succeeded is kept while all that it was made from is what it was: pipeline file, code, SQL, landed rows,
tables, and every byte that it left. Otherwise its day begins anew, and the reason is said. What compares with the
champion runs again in any case, since an earlier day may publish another one meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tasks.errors import MatineeError
from tasks.operations.airflow_answers import DagRun, Task
from tasks.operations.local_airflow.airflow_api import Airflow, TaskId
from tasks.operations.plan import plan_run
from tasks.runs.attempts import attempt_of
from tasks.runs.made_by import changed_since
from tasks.runs.narration import named
from tasks.runs.run import NAMED, Run
from tasks.runs.steps import BY_NAME, WITH_RESULT
from tasks.sources.land import LandResult, landing_digest
from tasks.spec.populations import slug
from tasks.store.damage import damage_of

MADE_BY_STEP = {"land": "land", "load": "build", "features": "build", "labels": "build", "candidates": "retrieve"}
"""The step that makes what a plan names by the first word of its reasons."""


@dataclass(frozen=True)
class Restart:
    """How a day is run again.

    Attributes:
        day: which.
        run_id: of its DAG run; None if it has none yet.
        tasks: those that run again, with all that waits for them.
        anew: why all of its tasks run; None if some are kept.
        held: whether Airflow would not start its run, because the backfill that it belongs to was canceled.
    """

    day: date
    run_id: str | None = None
    tasks: tuple[TaskId, ...] = ()
    anew: str | None = None
    held: bool = False

    @property
    def text(self) -> str:
        """What is said before it starts."""
        if self.run_id is None:
            return f"{self.day} has not run yet"
        if self.anew is not None:
            return f"{self.day} begins anew: {self.anew}"
        if not self.tasks:
            return f"{self.day} is kept: it succeeded, and nothing that it was made from has changed"
        names = dict.fromkeys(task if isinstance(task, str) else task[0] for task in self.tasks)
        return f"{self.day} goes on with {', '.join(names)}; what succeeded before is kept"

    def begin(self, api: Airflow, pipeline: str) -> None:
        """Let Airflow run what is to run."""
        if self.run_id is None:
            api.trigger(pipeline, self.day)
        elif self.held:
            api.backfill(pipeline, self.day, self.day, parallel=1)
        elif self.anew is not None:
            api.clear(pipeline, self.run_id)
        elif self.tasks:
            api.clear_tasks(pipeline, self.run_id, self.tasks)


def restarts(api: Airflow, days: Sequence[Run]) -> tuple[Restart, ...]:
    """Plan how days are run again; nothing is planned if none of them has failed.

    Args:
        api: the running Airflow.
        days: consecutive days, oldest first, each with any attempt.
    """
    pipeline = days[0].spec.name
    runs = {
        run.data_interval_start.date(): run
        for run in api.runs(pipeline, days[0].as_of, days[-1].as_of)
        if run.data_interval_start is not None
    }
    if not any(run.state == "failed" for run in runs.values()):
        return ()
    planned: list[Restart] = []
    for day in days:
        # A day that succeeded is kept only behind days that are: else its champion may become another one.
        kept = all(not (one.run_id is None or one.anew or one.tasks) for one in planned)
        planned.append(_restart(api, day, runs.get(day.as_of), keep_success=kept))
    return tuple(planned)


def _restart(api: Airflow, day: Run, run: DagRun | None, *, keep_success: bool) -> Restart:
    if run is None:
        return Restart(day.as_of)
    if _is_held(api, day.spec.name, run, day.as_of):
        return Restart(day.as_of, run.dag_run_id, anew="the backfill that it belongs to was canceled", held=True)
    tasks = api.tasks(day.spec.name, run.dag_run_id)
    attempt = Run(day.spec, day.home, day.as_of, attempt_of(run.dag_run_id), day.data)
    anew = why_anew(attempt, [task for task in tasks if task.state == "success"])
    if anew is None and keep_success and run.state == "success":
        return Restart(day.as_of, run.dag_run_id)
    return Restart(day.as_of, run.dag_run_id, () if anew else tuple(to_clear(tasks)), anew)


def whole_day(api: Airflow, pipeline: str, day: date) -> Restart:
    """Plan that all of a day runs, whatever has run of it."""
    # Airflow has at most one run of a DAG for a logical date; a second one would be refused.
    existing = api.runs(pipeline, day, day)
    if not existing:
        return Restart(day)
    run = existing[0]
    return Restart(day, run.dag_run_id, anew="all of it was asked for", held=_is_held(api, pipeline, run, day))


def _is_held(api: Airflow, pipeline: str, run: DagRun, day: date) -> bool:
    return run.run_type == "backfill" and api.was_canceled(pipeline, day)


def to_clear(tasks: Sequence[Task]) -> Iterator[TaskId]:
    """Name the tasks of a run that run again: those that did not succeed, and those that compare with the champion."""
    for task in sorted(tasks, key=lambda task: (list(BY_NAME).index(task.task_id), task.map_index)):
        # `removed` are tasks of a mapped step that its list has no entry for any more.
        if BY_NAME[task.task_id].needs_champion or task.state not in ("success", "removed"):
            yield (task.task_id, task.map_index) if task.map_index >= 0 else task.task_id


def why_anew(run: Run, succeeded: Sequence[Task]) -> str | None:
    """Say why nothing of a run may be kept; None if all that succeeded may.

    Args:
        run: the run, with the attempt that Airflow made.
        succeeded: its tasks that succeeded.
    """
    with_result = {step.name for step in WITH_RESULT}
    finished = {_folder(run, task): task.name for task in succeeded if task.task_id in with_result}
    for folder, name in finished.items():
        if why := _why_not(folder, name, run):
            return why
    return _stale(run, {task.task_id for task in succeeded})


def _folder(run: Run, task: Task) -> Path:
    mapped = f"/{slug(task.rendered_map_index or '')}" if task.map_index >= 0 else ""
    return run.step_dir(f"{task.task_id}{mapped}")


def _why_not(folder: Path, name: str, run: Run) -> str | None:
    if not folder.is_dir():
        return f"what {name} left is gone"
    if damage := damage_of(folder):
        return f"what {name} left is damaged ({damage})"
    changed = changed_since(folder, run.made_by)
    return f"changed since {name}: {named(changed, NAMED)}" if changed else None


def _stale(run: Run, finished: set[str]) -> str | None:
    """Say what of the landing or of the tables is not what the finished steps left any more."""
    if "land" not in finished:
        return None
    try:
        if LandResult.read(run.step_dir("land") / "result.json").digest != landing_digest(run):
            return "other rows have been landed since"
        for reason in plan_run(run).reasons:
            if MADE_BY_STEP[reason.what.split()[0]] in finished:
                return f"{reason.what} of {named(list(map(str, reason.days)), NAMED)} to be made: {reason.why}"
    except MatineeError as error:  # a damaged table, say: the day's own steps say what to do
        return str(error)
    return None
