"""What people and their scripts write to Airflow while tasks run: notes, variables, pools, pauses, clears."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from bench._answers import WatchedAirflow
from bench._live_stack import PIPELINE
from bench._victims import running_tasks
from tasks.errors import StackError
from tasks.operations.airflow_answers import DagRun

DAG = f"/dags/{PIPELINE}"
Cleared = Counter[tuple[str, str]]
"""How often each task (run id, task id) was cleared, and so has one more try."""


@dataclass
class Writes:
    """Writes that go on beside what else happens, evenly over a time, while tasks run.

    Attributes:
        api: a session of its own.
        home: the stack's state folder.
        number: how many.
        seconds: over which they are spread.
        cleared: the tasks that were cleared.
        done: how many have been made.
        failed: what the server refused, in its words.
    """

    api: WatchedAirflow
    home: Path
    number: int
    seconds: float
    cleared: Cleared
    done: int = 0
    failed: list[str] = field(default_factory=list)

    def begin(self) -> threading.Thread:
        """Write in the background."""
        thread = threading.Thread(target=self._write_all, daemon=True)
        thread.start()
        return thread

    def _write_all(self) -> None:
        for write in itertools.islice(self._writes(), self.number):
            began = time.monotonic()
            while not running_tasks(self.home):
                time.sleep(0.2)
            try:
                write()
                self._read_as_a_page_does()
            except StackError as error:
                self.failed.append(str(error))
            self.done += 1
            time.sleep(max(0.0, self.seconds / self.number - (time.monotonic() - began)))

    def _writes(self) -> Iterator[Callable[[], object]]:
        kinds = (self._note_run, self._note_task, self._variable, self._pool, self._pause, self._connection)
        for number in itertools.count():
            for kind in kinds:
                yield from kind(number)
            yield from self._clear(number)

    def _ended(self) -> DagRun:
        """The run of the pipeline that succeeded last; the last one before any has."""
        runs = self.api.answer("GET", f"{DAG}/dagRuns", params={"order_by": "-start_date", "limit": 50})["dag_runs"]
        green = [run for run in runs if run["state"] == "success"] or runs
        return DagRun.model_validate(green[0])

    def _note_run(self, number: int) -> Iterator[Callable[[], object]]:
        run = quote(self._ended().dag_run_id)
        yield lambda: self.api.answer("PATCH", f"{DAG}/dagRuns/{run}", json={"note": f"seen {number}"})

    def _note_task(self, number: int) -> Iterator[Callable[[], object]]:
        run = quote(self._ended().dag_run_id)
        body = {"note": f"looked at {number}"}
        yield lambda: self.api.answer("PATCH", f"{DAG}/dagRuns/{run}/taskInstances/land", json=body)

    def _variable(self, number: int) -> Iterator[Callable[[], object]]:
        key, path = f"of_an_operator_{number}", f"/variables/of_an_operator_{number}"
        yield lambda: self.api.answer("POST", "/variables", json={"key": key, "value": "1"})
        yield lambda: self.api.answer("PATCH", path, json={"key": key, "value": "2"})
        yield lambda: self.api.answer("DELETE", path)

    def _connection(self, number: int) -> Iterator[Callable[[], object]]:
        name = f"of_an_operator_{number}"
        body = {"connection_id": name, "conn_type": "http", "host": "example.org"}
        yield lambda: self.api.answer("POST", "/connections", json=body)
        yield lambda: self.api.answer("DELETE", f"/connections/{name}")

    def _pool(self, number: int) -> Iterator[Callable[[], object]]:
        body, mask = {"slots": 100 + number % 28}, {"update_mask": ["slots"]}
        yield lambda: self.api.answer("PATCH", "/pools/default_pool", json=body, params=mask)

    def _pause(self, _number: int) -> Iterator[Callable[[], object]]:
        yield lambda: self.api.pause(PIPELINE, True)
        yield lambda: self.api.pause(PIPELINE, False)

    def _clear(self, _number: int) -> Iterator[Callable[[], object]]:
        """Clear as the dialog does: it asks what would be cleared, then does it."""
        run = self._ended()
        if run.state == "success":
            yield lambda: clear(self.api, run.dag_run_id, "report", Cleared(), dry_run=True)
            yield lambda: clear(self.api, run.dag_run_id, "report", self.cleared)

    def _read_as_a_page_does(self) -> None:
        """Ask what an open grid and an open overview ask every few seconds."""
        for path in (f"/ui/grid/runs/{PIPELINE}", f"/ui/grid/structure/{PIPELINE}"):
            self.api.page(f"{path}?limit=14")
        self.api.page("/ui/dags?limit=50")
        self.api.page(f"/matinee/pages/{PIPELINE}/overview.html")


def clear(api: WatchedAirflow, run_id: str, task: str, cleared: Cleared, *, dry_run: bool = False) -> int:
    """Clear a task of a run and all behind it, count what was cleared, and return how many tasks that were.

    Args:
        api: the session.
        run_id: the run.
        task: the first task to run again.
        cleared: counts every task that was cleared.
        dry_run: whether only to ask which tasks that would be.
    """
    body = {
        "dry_run": dry_run,
        "only_failed": False,
        "dag_run_id": run_id,
        "task_ids": [task],
        "include_downstream": True,
    }
    tasks = api.answer("POST", f"{DAG}/clearTaskInstances", json=body)["task_instances"]
    cleared.update((each["dag_run_id"], each["task_id"]) for each in tasks)
    return len(tasks)
