"""What people and their scripts write to Airflow while tasks run: notes, variables, pools, pauses, clears."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from bench._answers import WatchedAirflow
from bench._live_stack import PIPELINE
from bench._victims import running_tasks
from tasks.errors import StackError

DAG = f"/dags/{PIPELINE}"
SLOTS = {"update_mask": ["slots"]}
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
        kinds = self._kinds()
        for number in range(self.number):
            began = time.monotonic()
            while not running_tasks(self.home):
                time.sleep(0.2)
            try:
                kinds[number % len(kinds)](number // len(kinds))
                self._read_as_a_page_does()
            except StackError as error:
                self.failed.append(str(error))
            self.done += 1
            time.sleep(max(0.0, self.seconds / self.number - (time.monotonic() - began)))

    def _kinds(self) -> tuple[Callable[[int], object], ...]:
        """One write each, given how often it was made before; what is made by one is removed by a later one."""

        def variable(number: int) -> dict[str, str]:
            return {"key": f"of_an_operator_{number}", "value": "1"}

        def connection(number: int) -> dict[str, str]:
            return {"connection_id": f"of_an_operator_{number}", "conn_type": "http", "host": "example.org"}

        ask = self.api.answer
        return (
            lambda n: ask("PATCH", f"{DAG}/dagRuns/{quote(self._green())}", json={"note": f"seen {n}"}),
            lambda n: ask(
                "PATCH", f"{DAG}/dagRuns/{quote(self._green())}/taskInstances/land", json={"note": f"seen {n}"}
            ),
            lambda n: ask("POST", "/variables", json=variable(n)),
            lambda n: ask("POST", "/connections", json=connection(n)),
            lambda n: ask("PATCH", "/pools/default_pool", json={"slots": 100 + n % 28}, params=SLOTS),
            lambda _: self._pause_and_go_on(),
            lambda n: ask("PATCH", f"/variables/of_an_operator_{n}", json=variable(n) | {"value": "2"}),
            # As the dialog does: it asks what would be cleared, then does it.
            lambda _: clear(self.api, self._green(), "report", Cleared(), dry_run=True),
            lambda _: clear(self.api, self._green(), "report", self.cleared),
            lambda n: ask("DELETE", f"/variables/of_an_operator_{n}"),
            lambda n: ask("DELETE", f"/connections/of_an_operator_{n}"),
        )

    def _pause_and_go_on(self) -> None:
        """Two writes in one: while it is paused no task begins, and the next write would wait for one forever."""
        self.api.pause(PIPELINE, True)
        self.api.pause(PIPELINE, False)

    def _green(self) -> str:
        """The run that succeeded last; before any has, one that has begun."""
        runs = self.api.answer("GET", f"{DAG}/dagRuns", params={"order_by": "-end_date", "limit": 50})["dag_runs"]
        green = [run for run in runs if run["state"] == "success"]
        return str((green or runs)[0]["dag_run_id"])

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
