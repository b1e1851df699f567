"""What an operator does in an hour, one act after another, and what has to come of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from bench._answers import WatchedAirflow
from bench._live_stack import DAY, PIPELINE, first_days, wait_until
from bench._operator_writes import DAG, Cleared, clear
from tasks.alerts.outbox import Outbox
from tasks.operations.airflow_answers import ENDED, DagRun, Task
from tasks.operations.local_airflow.airflow_api import midnight
from tasks.store.files import Home

PATIENCE = 1800.0  # seconds that a run may take on a busy machine
SETTLED = 20.0  # seconds after which a run that was failed by hand would have become something else
BACKFILLED = 5


class Observation(NamedTuple):
    """What was done, what came of it, and whether that is right."""

    act: str
    observed: str
    good: bool


@dataclass
class Desk:
    """Where the operator sits.

    Attributes:
        api: the session.
        home: the stack's state folder.
        cleared: the tasks that were cleared.
        skip: days of the pipeline that are taken already.
    """

    api: WatchedAirflow
    home: Path
    cleared: Cleared = field(default_factory=Cleared)
    skip: int = 0

    def fresh(self, count: int) -> list[date]:
        """Take days on which nothing ran yet."""
        self.skip += count
        return list(first_days(count, self.skip - count))

    def run(self, run_id: str) -> DagRun | None:
        """Ask for a run; None if there is none."""
        answer = self.api.answer("GET", f"{DAG}/dagRuns/{quote(run_id)}", none_for=404)
        return None if answer is None else DagRun.model_validate(answer)

    def ended(self, run_id: str) -> DagRun:
        """Wait until a run has ended."""

        def has_ended() -> bool:
            run = self.run(run_id)
            return run is not None and run.state in ENDED

        wait_until(has_ended, PATIENCE, f"{run_id} has ended")
        run = self.run(run_id)
        assert run is not None
        return run

    def trigger(self, logical_date: str | None) -> str:
        """Trigger a run as the dialog does, and return its id."""
        body: dict[str, Any] = {"logical_date": logical_date, "conf": {}, "note": None}
        return str(self.api.answer("POST", f"{DAG}/dagRuns", json=body)["dag_run_id"])

    def task(self, run_id: str, name: str) -> Task:
        """Ask for a task of a run."""
        return next(task for task in self.api.tasks(PIPELINE, run_id) if task.task_id == name)


def yesterday() -> date:
    """The last whole day."""
    return datetime.now(UTC).date() - DAY


def schedule(desk: Desk) -> Observation:
    """Unpause, and let the schedule run yesterday."""
    desk.api.pause(PIPELINE, False)
    run_id = f"scheduled__{yesterday()}"
    run = desk.ended(run_id)
    others = [other.dag_run_id for other in desk.api.all_runs() if other.dag_run_id != run_id]
    text = f"{run_id} is {run.state}" + (f"; also {', '.join(others)}" if others else ", and nothing else ran")
    return Observation("unpause: the schedule runs yesterday", text, run.state == "success" and not others)


def backfill(desk: Desk) -> Observation:
    """Backfill five days, the last one first, as the dialog does."""
    days = desk.fresh(BACKFILLED)
    body: dict[str, Any] = {
        "dag_id": PIPELINE,
        "from_date": midnight(days[0]),
        "to_date": midnight(days[-1]),
        "run_backwards": True,
        "max_active_runs": 2,
        "reprocess_behavior": "none",
        "dag_run_conf": {},
    }
    desk.api.answer("POST", "/backfills", json=body)
    wait_until(
        lambda: [run.state in ENDED for run in desk.api.runs(PIPELINE, days[0], days[-1])] == [True] * len(days),
        BACKFILLED * PATIENCE,
        "the backfill has ended",
    )
    runs = desk.api.runs(PIPELINE, days[0], days[-1])
    # By the first task: clearing a later one, as is done beside, makes the run itself begin anew.
    began = {run.data_interval_start: desk.task(run.dag_run_id, "land").start_date for run in runs}
    order = [day.date() for day in sorted(filter(None, began), key=lambda day: str(began[day]))]
    green = sum(run.state == "success" for run in runs)
    # Two are active at once, so neighbors may begin together.
    backwards = order[0] in days[-2:] and order[-1] in days[:2]
    text = f"{green} of {len(runs)} green, began in the order {', '.join(f'{day:%d}' for day in order)}"
    return Observation("backfill of five days in reverse", text, green == BACKFILLED and backwards)


def trigger_a_day(desk: Desk) -> Observation:
    """Trigger the run of a day that is chosen in the dialog."""
    day = desk.fresh(1)[0]
    return _triggered(desk, "trigger with a date", midnight(day), day)


def trigger_today(desk: Desk) -> Observation:
    """Trigger with what the dialog proposes: the present instant."""
    return _triggered(desk, "trigger with today", datetime.now(UTC).isoformat(), yesterday())


def _triggered(desk: Desk, act: str, logical_date: str, day: date) -> Observation:
    run = desk.ended(desk.trigger(logical_date))
    ran = run.data_interval_start.astimezone(UTC).date() if run.data_interval_start else None
    good = (run.dag_run_id, run.state, ran) == (f"manual__{day}", "success", day)
    return Observation(act, f"{run.dag_run_id} for {ran} is {run.state}", good)


def trigger_nothing(desk: Desk) -> Observation:
    """Trigger with an empty logical date: a clear failure, at once, with a note and an alert."""
    run = desk.ended(desk.trigger(None))
    land = desk.task(run.dag_run_id, "land")
    said = next(iter(desk.api.errors(PIPELINE, run.dag_run_id, land)), "nothing")
    rule = f"cannot start {run.dag_run_id}"
    alerted = any(rule in entry.message.faults for entry in Outbox(Home(desk.home)).entries(PIPELINE))
    noted = _comes(lambda: bool((desk.run(run.dag_run_id) or run).note), 120)
    good = run.state == "failed" and land.try_number == 1 and "no as-of day" in said and alerted and noted
    text = (
        f"{run.state} after {land.try_number} try; log: “{said.splitlines()[0][:90]}…”; "
        f"{'an alert' if alerted else 'NO alert'}, {'a note' if noted else 'NO note'}"
    )
    return Observation("trigger with an empty date", text, good)


def clear_an_old_task(desk: Desk) -> Observation:
    """Clear a task in the middle of the oldest green run: it and what follows run again, what precedes does not."""
    run = next(run for run in desk.api.all_runs() if run.state == "success")
    before = {task.name: task.try_number for task in desk.api.tasks(PIPELINE, run.dag_run_id)}
    number = clear(desk.api, run.dag_run_id, "evaluate", desk.cleared)
    again = desk.ended(run.dag_run_id)
    after = {task.name: task.try_number for task in desk.api.tasks(PIPELINE, run.dag_run_id)}
    ran = [name for name, tries in after.items() if tries > before[name]]
    text = f"{run.dag_run_id}: {number} tasks cleared, {len(ran)} ran again, {again.state}"
    return Observation("clear and rerun of an old task", text, again.state == "success" and len(ran) == number)


def fail_by_hand(desk: Desk) -> Observation:
    """Mark a running run as failed: it stays failed, and every page says so."""
    day = desk.fresh(1)[0]
    run_id = desk.trigger(midnight(day))
    wait_until(lambda: desk.task(run_id, "check_landed").state == "running", PATIENCE, f"{run_id} is under way")
    desk.api.fail(PIPELINE, run_id)
    open_states = {"running", "queued", "scheduled", "up_for_retry"}
    wait_until(
        lambda: not open_states & {task.state for task in desk.api.tasks(PIPELINE, run_id)}, PATIENCE, "no task runs"
    )
    time.sleep(SETTLED)
    state = desk.ended(run_id).state
    report = desk.api.page(f"/matinee/run/{PIPELINE}/{quote(run_id)}")
    overview = desk.api.page(f"/matinee/pages/{PIPELINE}/overview.html")
    alerts = [e.message.title for e in Outbox(Home(desk.home)).entries(PIPELINE) if e.message.day == str(day)]
    row = overview.partition(str(day))[2][:400]
    accounts = {
        "Airflow": state == "failed",
        "the report": "Not finished" not in report and "No such" not in report,
        "the overview": "not finished" not in row,
    }
    wrong = [name for name, agrees in accounts.items() if not agrees]
    text = f"{run_id} is {state}; " + (f"{', '.join(wrong)} say otherwise" if wrong else "report and overview agree")
    return Observation("mark a running run as failed", f"{text}; alerts: {len(alerts)}", not wrong)


def _comes(condition: Callable[[], bool], seconds: float) -> bool:
    limit = datetime.now(UTC) + timedelta(seconds=seconds)
    while not condition():
        if datetime.now(UTC) > limit:
            return False
        time.sleep(1)
    return True


ACTS: tuple[Callable[[Desk], Observation], ...] = (
    schedule,
    backfill,
    trigger_a_day,
    trigger_today,
    trigger_nothing,
    clear_an_old_task,
    fail_by_hand,
)
