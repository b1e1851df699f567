"""A scheduler whose workers are not reached any more is ended; one that is merely busy is left alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from tasks.operations.airflow_answers import Task
from tasks.operations.local_airflow.airflow_api import Airflow
from tasks.operations.local_airflow.deaf_workers import PATIENCE, end_deaf_scheduler
from tasks.operations.local_airflow.environment import full_env
from tasks.operations.local_airflow.processes import sweep

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LONG_AGO, JUST_NOW = NOW - PATIENCE - timedelta(seconds=1), NOW - timedelta(seconds=1)
WORKER = (
    "import sys, time; from setproctitle import setproctitle; "
    "setproctitle('airflow worker -- LocalExecutor: ' + sys.argv[1]); print(flush=True); time.sleep(60)"
)
SCHEDULER = (
    "import subprocess, sys, time; from setproctitle import setproctitle\n"
    "worker = subprocess.Popen([sys.executable, '-c', *sys.argv[1:]], stdout=subprocess.PIPE)\n"
    "setproctitle('airflow scheduler')\n"
    "worker.stdout.readline(); print(flush=True); time.sleep(60)"
)


class Server:
    """An Airflow in which these tasks are queued since then."""

    def __init__(self, *since: datetime) -> None:
        self.since = since

    def queued_tasks(self) -> list[Task]:
        return [Task(task_id="land", state="queued", queued_when=when) for when in self.since]


@pytest.fixture
def scheduler(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A scheduler with one worker; the parameter is what the worker does."""
    command = [sys.executable, "-c", SCHEDULER, WORKER, request.param]
    process = subprocess.Popen(command, env=full_env(tmp_path, 8080), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    sweep(tmp_path)
    process.wait()
    process.stdout.close()


def ended(home: Path, *queued_since: datetime) -> bool:
    return end_deaf_scheduler(cast(Airflow, Server(*queued_since)), home, NOW)


@pytest.mark.parametrize("scheduler", ["<idle>"], indirect=True)
def test_a_task_that_an_idle_worker_does_not_take_ends_the_scheduler(
    scheduler: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert not ended(tmp_path)
    assert not ended(tmp_path, JUST_NOW)
    assert scheduler.poll() is None
    assert ended(tmp_path, JUST_NOW, LONG_AGO)
    assert scheduler.wait(10) == -9


@pytest.mark.parametrize("scheduler", ["01a2"], indirect=True)
def test_a_task_that_waits_for_busy_workers_ends_nothing(scheduler: subprocess.Popen[str], tmp_path: Path) -> None:
    assert not ended(tmp_path, LONG_AGO)
    assert scheduler.poll() is None


def test_a_scheduler_elsewhere_is_left_alone(tmp_path: Path) -> None:
    assert not ended(tmp_path, LONG_AGO)
