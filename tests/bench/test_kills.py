"""What the benchmark of kills decides itself: whom to kill, what is still missing, and what the table says."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import psutil
import pytest

from bench import _victims, kills
from bench._live_stack import LiveAirflow, LiveTask
from bench._victims import VICTIMS, what_is_missing
from tasks.alerts.airflow_health import Health
from tasks.operations.local_airflow.environment import full_env

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATER, BEFORE = AT + timedelta(seconds=5), AT - timedelta(seconds=5)
ALIVE, GONE = 1, 2
FRESH = {"scheduler": LATER.isoformat(), "dag_processor": LATER.isoformat()}
SLEEPS = (
    "import sys, time; from setproctitle import setproctitle; "
    "setproctitle('airflow worker -- ' + sys.argv[1]); print(flush=True); time.sleep(60)"
)


def task(state: str, began: datetime, **more: object) -> LiveTask:
    return LiveTask.model_validate({"task_id": "land", "dag_run_id": "r", "state": state, "start_date": began, **more})


def missing(
    monkeypatch: pytest.MonkeyPatch,
    *tasks: LiveTask,
    victim: str = "scheduler",
    alive: int = _victims.PROGRAMS,
    health: Health | None = None,
) -> str | None:
    """What is missing from a stack with so many programs, this health, and these tasks."""
    api = type("Api", (), {"url": "", "live_tasks": lambda _: list(tasks)})()
    monkeypatch.setattr(_victims, "programs", lambda _: [psutil.Process()] * alive)
    monkeypatch.setattr(_victims, "is_worked_on", lambda pid: pid == ALIVE)
    monkeypatch.setattr(_victims, "read_health", lambda _: health or Health(True, True, FRESH))
    return what_is_missing(cast(LiveAirflow, api), Path(), victim, AT)


def test_every_kind_is_killed_as_often_as_asked_and_a_third_of_a_pair_is_of_its_second_kind() -> None:
    order = kills.plan(6, seed=1)
    counts = Counter(order)
    for first, second in kills.PAIRS.items():
        assert (counts.pop(first), counts.pop(second)) == (4, 2)
    assert counts == {name: 6 for name in VICTIMS if name not in {*kills.PAIRS, *kills.PAIRS.values()}}
    assert order == kills.plan(6, seed=1)
    assert order != kills.plan(6, seed=2)


def test_a_stack_is_back_when_everything_lives_and_a_task_has_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing(monkeypatch, task("success", BEFORE, end_date=LATER)) is None
    assert missing(monkeypatch, task("running", BEFORE, pid=ALIVE)) is None
    assert missing(monkeypatch, task("success", BEFORE, end_date=BEFORE)) == "a task that begins or ends"


def test_after_the_end_of_a_worker_without_a_task_another_task_has_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    running = task("running", BEFORE, pid=ALIVE)
    assert missing(monkeypatch, running, victim=_victims.IDLE) == "a task that begins"
    assert missing(monkeypatch, running, task("success", LATER), victim=_victims.IDLE) is None


def test_a_component_that_has_not_come_back_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = task("running", LATER, pid=ALIVE)
    assert missing(monkeypatch, moved, alive=6) == "2 programs"
    assert missing(monkeypatch, moved, health=Health(False)) == "the API"
    assert missing(monkeypatch, moved, health=Health(True, False)) == "the database"
    old = Health(True, True, FRESH | {"scheduler": BEFORE.isoformat()})
    assert missing(monkeypatch, moved, health=old) == "a heartbeat of the scheduler"


def test_a_task_that_nobody_works_on_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is gone still holds one; or a scheduler that is gone had queued it."""
    moved = task("running", LATER, pid=ALIVE)
    held = missing(monkeypatch, moved, task("running", BEFORE, pid=GONE))
    assert held == "land of r, which nobody works on"
    assert missing(monkeypatch, moved, task("queued", BEFORE, queued_when=BEFORE)) == "land of r, which is queued"
    assert missing(monkeypatch, moved, task("queued", BEFORE, queued_when=LATER)) is None


def test_a_task_whose_supervisor_is_gone_is_not_worked_on() -> None:
    parent = (
        "import subprocess, sys, time; from setproctitle import setproctitle\n"
        "setproctitle('airflow worker -- LocalExecutor: 01a2')\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True); time.sleep(60)"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    work = psutil.Process(int(supervisor.stdout.readline()))
    try:
        assert _victims.is_worked_on(work.pid)
        supervisor.kill()
        supervisor.wait()
        assert not _victims.is_worked_on(work.pid)
        assert not _victims.is_worked_on(None)
    finally:
        work.kill()
        supervisor.stdout.close()


def test_tasks_and_their_supervisors_are_told_apart(tmp_path: Path) -> None:
    titles = ("01a2", "LocalExecutor: 01a2", "LocalExecutor: <idle>")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SLEEPS, title], env=full_env(tmp_path, 8080), stdout=subprocess.PIPE, text=True
        )
        for title in titles
    ]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        assert [process.pid for process in _victims.running_tasks(tmp_path)] == [started[0].pid]
        assert [process.pid for process in _victims.workers(tmp_path, idle=False)] == [started[1].pid]
        assert [process.pid for process in _victims.workers(tmp_path, idle=True)] == [started[2].pid]
        assert _victims.kill(tmp_path, "a task", random.Random(1)) is not None
        assert started[0].wait(10) == -9
        assert _victims.kill(tmp_path, "a task", random.Random(1)) is None
    finally:
        for process in started:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def test_the_page_says_what_did_not_come_back_and_which_runs_are_red() -> None:
    killed = [
        kills.Kill("scheduler", "", 3.0, ""),
        kills.Kill("scheduler", "", 9.0, ""),
        kills.Kill("a task", "", None, "a task that begins or ends"),
    ]
    figures = {"minutes": 5.2, "runs": 5, "red": ["r"], "stopped": 1} | dict.fromkeys(("tasks", "again", "most"), 7)
    figures |= {"idle": 0, "left": 0}
    text = kills.page(killed, figures, same=False)
    assert "| scheduler | " in text
    assert kills.rows(killed) == [
        ("scheduler", "2", "2", "3.0", "6.0", "9.0"),
        ("a task", "1", "0", "–", "–", "–"),
    ]
    assert "**3 of 4** (not: r) (1 more are stopped by a check, killed or not)" in text
    assert "**NO**" in text
