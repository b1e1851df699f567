"""A live stack that runs the smallest pipeline, asked as people and their scripts ask it: over the REST API."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tasks.errors import MatineeError
from tasks.operations.airflow_answers import DagRun, Task
from tasks.operations.local_airflow import stack
from tasks.operations.local_airflow.airflow_api import Airflow
from tasks.spec.load import load_shape
from tasks.spec.project import pipeline_path
from tasks.spec.windows import first_as_of

PIPELINES = Path(__file__).parent / "pipelines"
PIPELINE = "small"
DAY = timedelta(days=1)
MOST = 100  # objects in an answer of the API
BEGUN = ["queued", "running", "restarting", "up_for_retry", "success", "failed"]


class LiveTask(Task):
    """A task instance, with what tells whether anybody still works on it."""

    pid: int | None = None


class LiveAirflow(Airflow):
    """A session that also asks what only an observer wants to know."""

    def answer(self, method: str, path: str, **more: Any) -> Any:
        """Make a request below `/api/v2`, and return what the server answers."""
        return self._ask(method, path, **more)

    def token(self) -> str:
        """Log in, and return what a browser keeps of it."""
        self._login()
        return self._headers["Authorization"].removeprefix("Bearer ")

    def live_tasks(self) -> list[LiveTask]:
        """List the task instances of all runs that have been begun or queued, the last ones first."""
        # Those that were never begun have no time, and would come first.
        params: dict[str, Any] = {"limit": MOST, "order_by": "-start_date", "state": BEGUN}
        answer = self._ask("GET", f"/dags/{PIPELINE}/dagRuns/~/taskInstances", params=params)
        return [LiveTask.model_validate(task) for task in answer["task_instances"]]

    def all_runs(self) -> list[DagRun]:
        """List all runs of the pipeline, oldest day first."""
        runs: list[DagRun] = []
        while True:
            params = {"limit": MOST, "offset": len(runs), "order_by": "logical_date"}
            answer = self._ask("GET", f"/dags/{PIPELINE}/dagRuns", params=params)
            runs += [DagRun.model_validate(run) for run in answer["dag_runs"]]
            if len(runs) >= answer["total_entries"]:
                return runs


@contextmanager
def live_stack(home: Path, port: int | None, *, scheduled: bool) -> Iterator[LiveAirflow]:
    """Start a stack with the smallest pipeline, as `make up` does, and stop it afterwards.

    Args:
        home: state folder, absolute.
        port: port of the API; None: the first free one from 8080.
        scheduled: whether due runs start by themselves.
    """
    os.environ["MATINEE_PIPELINES"] = str(PIPELINES)
    for number in (signal.SIGTERM, signal.SIGINT):  # in the background, too: a stack must not stay behind
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    running = stack.up(home, port, scheduled=scheduled, timeout=300, say=print)
    api = LiveAirflow(running.home, running.port)
    try:
        wait_until(lambda: api.dag(PIPELINE) is not None, 300, f"the DAG {PIPELINE} is known")
        yield api
    finally:
        api.close()
        stack.down(home)


def first_days(count: int, skip: int = 0) -> Sequence[date]:
    """Consecutive as-of days of the pipeline, the first of them `skip` days after its first one."""
    first = first_as_of(load_shape(pipeline_path(PIPELINES / f"{PIPELINE}.yaml"))) + skip * DAY
    return [first + n * DAY for n in range(count)]


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition.

    Raises:
        MatineeError: it did not come about in so many seconds.
    """
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise MatineeError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(0.5)
