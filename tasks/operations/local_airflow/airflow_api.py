"""The few requests that `matinee` makes of a running Airflow, over its REST API."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tasks.errors import StackError
from tasks.operations.airflow_answers import Backfill, ComponentHealth, Dag, DagRun, Task
from tasks.operations.local_airflow.environment import USER, password
from tasks.operations.local_airflow.sockets import state_file
from tasks.operations.pools import pools

Json = dict[str, Any]
TaskId = str | tuple[str, int]
"""A task, or the one of a mapped task for an entry of its list."""
PAUSES = (0.5, 1.0, 2.0)
"""Seconds between two tries of a request; the last one, then, again and again."""


class _Away(Exception):  # noqa: N818 - says what happened
    """The server or its database does not answer at the moment."""


def midnight(day: date) -> str:
    """Write the instant at which a day begins as the API does."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).isoformat()


class Airflow:
    """A session with the API server of one state folder.

    Every method raises `StackError` if the server cannot be reached or answers with an error.
    """

    def __init__(self, home: Path, address: int | str, *, patience: float = sum(PAUSES)) -> None:
        """Prepare a session.

        Args:
            home: state folder, which holds the password.
            address: port on 127.0.0.1, or the server's URL.
            patience: seconds for which to wait for a server, or its database, that is being restarted.
        """
        self._home = home if isinstance(address, int) else None
        self._patience = patience
        self.url = address if isinstance(address, str) else f"http://127.0.0.1:{address}"
        self._password = password(home)
        # trust_env=False: a proxy named in the environment has no business with 127.0.0.1.
        self._client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        self._headers: dict[str, str] = {}

    def close(self) -> None:
        """End the session."""
        self._client.close()

    def health(self) -> dict[str, ComponentHealth]:
        """Ask for the state of each component; nothing while the server does not answer."""
        try:
            answer = self._client.get("/api/v2/monitor/health", timeout=5)
            components = answer.json() if answer.status_code == 200 else {}
            return {name: ComponentHealth.model_validate(state) for name, state in components.items()}
        except (httpx.HTTPError, ValueError):
            return {}

    def warm_up(self) -> None:
        """Let the server prepare its interface for tasks.

        It does so when it is first asked there, and answers nobody else for some three seconds: better now than while
        somebody looks at a page and the first task begins.
        """
        with suppress(httpx.HTTPError):
            self._client.get("/execution/health")

    def _login(self) -> None:
        answer = self._client.post("/auth/token", json={"username": USER, "password": self._password})
        if answer.status_code not in (200, 201):
            message = f"{self.url}: login refused ({answer.status_code}); is another Airflow on this port?"
            raise _Away(message) if answer.status_code >= 500 else StackError(message)
        self._headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def _ask(
        self,
        method: str,
        path: str,
        *,
        json: Json | None = None,
        params: Json | None = None,
        none_for: int | None = None,
    ) -> Any:
        """Make a request and return the answer; None for an answer of the status `none_for`."""
        limit = time.monotonic() + self._patience
        for pause in itertools.chain(PAUSES, itertools.repeat(PAUSES[-1])):
            try:
                answer = self._request(method, f"/api/v2{path}", json, params)
                return None if answer.status_code == none_for else _read(answer)
            except _Away as away:
                if time.monotonic() >= limit or self._was_ended():
                    raise StackError(str(away)) from None
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _was_ended(self) -> bool:
        """Whether `make down` ended the local stack: nobody brings it back."""
        return self._home is not None and not state_file(self._home).exists()

    def _request(self, method: str, path: str, json: Json | None, params: Json | None) -> httpx.Response:
        """Make a request once, logged in.

        Raises:
            _Away: the server or its database does not answer.
        """
        try:
            expired = bool(self._headers)
            if not self._headers:
                self._login()
            answer = self._client.request(method, path, headers=self._headers, json=json, params=params)
            # Only once: a token that is refused although it was just drawn has not expired.
            if answer.status_code == 401 and expired:
                self._login()
                answer = self._client.request(method, path, headers=self._headers, json=json, params=params)
        except httpx.TransportError as error:
            raise _Away(f"{self.url} does not answer ({error}); see `matinee stack status`") from None
        if answer.status_code >= 500:
            raise _Away(_refusal(answer))
        return answer

    def ensure_pools(self) -> None:
        """Create the pools that the DAGs name; a task in a pool that does not exist would wait forever."""
        for name, pool in pools().items():
            body = {"name": name, "slots": pool.slots, "description": pool.text, "include_deferred": False}
            if self._ask("GET", f"/pools/{name}", none_for=404) is None:
                # Conflict: between the two requests the watch, say, has created it.
                self._ask("POST", "/pools", json=body, none_for=409)

    def dag(self, pipeline: str) -> Dag | None:
        """Ask for a DAG; None until the DAG processor has read its file."""
        answer = self._ask("GET", f"/dags/{quote(pipeline)}", none_for=404)
        return None if answer is None else Dag.model_validate(answer)

    def import_errors(self) -> dict[str, str]:
        """Ask for the error of every DAG file that could not be loaded, by file name."""
        errors = self._ask("GET", "/importErrors", params={"limit": 100})["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def pause(self, pipeline: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self._ask("PATCH", f"/dags/{quote(pipeline)}", json={"is_paused": paused})

    def runs(self, pipeline: str, first: date, last: date) -> list[DagRun]:
        """List the DAG runs for the days in `[first, last]`, oldest day first, however they were started."""
        params: dict[str, Any] = {
            "logical_date_gte": midnight(first),
            # A run that was started in the UI has a logical date with a time of day.
            "logical_date_lt": midnight(last + timedelta(days=1)),
            "order_by": "logical_date",
            "limit": 100,
        }
        answer = self._ask("GET", f"/dags/{quote(pipeline)}/dagRuns", params=params)
        return [DagRun.model_validate(run) for run in answer["dag_runs"]]

    def failed_runs(self, limit: int = 20) -> list[DagRun]:
        """List the runs of all DAGs that failed last."""
        params = {"state": "failed", "order_by": "-end_date", "limit": limit}
        return [DagRun.model_validate(run) for run in self._ask("GET", "/dags/~/dagRuns", params=params)["dag_runs"]]

    def write_note(self, pipeline: str, run_id: str, text: str) -> None:
        """Write the note of a run, which its page and the list of runs show."""
        self._ask("PATCH", f"/dags/{quote(pipeline)}/dagRuns/{quote(run_id)}", json={"note": text})

    def trigger(self, pipeline: str, day: date) -> str:
        """Start a run for one as-of day, and return its id."""
        body = {"logical_date": midnight(day)}
        return str(self._ask("POST", f"/dags/{quote(pipeline)}/dagRuns", json=body)["dag_run_id"])

    def backfill(self, pipeline: str, first: date, last: date, *, parallel: int) -> int:
        """Start a backfill of the days in `[first, last]`, also of days that ran before, and return its number."""
        body = {
            "dag_id": pipeline,
            "from_date": midnight(first),
            "to_date": midnight(last),
            "max_active_runs": parallel,
            "reprocess_behavior": "completed",
        }
        return int(self._ask("POST", "/backfills", json=body)["id"])

    def open_backfills(self, pipeline: str) -> list[int]:
        """List the numbers of a DAG's backfills that have not ended."""
        return [backfill.id for backfill in self._backfills(pipeline) if backfill.completed_at is None]

    def was_canceled(self, pipeline: str, day: date) -> bool:
        """Whether the last backfill of a day was canceled: Airflow starts no run of it, also when it is cleared."""
        covering = [one for one in self._backfills(pipeline) if one.from_date.date() <= day <= one.to_date.date()]
        last = max(covering, key=lambda backfill: backfill.id, default=None)
        return last is not None and last.is_paused and last.completed_at is not None

    def _backfills(self, pipeline: str) -> list[Backfill]:
        # The newest first: of hundreds, the first page has those that matter.
        params = {"dag_id": pipeline, "limit": 100, "order_by": "-id"}
        answer = self._ask("GET", "/backfills", params=params)
        return [Backfill.model_validate(backfill) for backfill in answer["backfills"]]

    def fail(self, pipeline: str, run_id: str) -> None:
        """Mark a run, and its unfinished tasks, as failed."""
        self._ask("PATCH", f"/dags/{quote(pipeline)}/dagRuns/{quote(run_id)}", json={"state": "failed"})

    def clear(self, pipeline: str, run_id: str) -> None:
        """Run all tasks of a finished run again."""
        body = {"dry_run": False, "only_failed": False}
        self._ask("POST", f"/dags/{quote(pipeline)}/dagRuns/{quote(run_id)}/clear", json=body)

    def clear_tasks(self, pipeline: str, run_id: str, tasks: Sequence[TaskId]) -> None:
        """Run some tasks of a finished run again, and all that wait for them."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(tasks),
            "include_downstream": True,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self._ask("POST", f"/dags/{quote(pipeline)}/clearTaskInstances", json=body)

    def tasks(self, pipeline: str, run_id: str) -> list[Task]:
        """List the task instances of a run."""
        path = f"/dags/{quote(pipeline)}/dagRuns/{quote(run_id)}/taskInstances"
        return [Task.model_validate(task) for task in self._ask("GET", path, params={"limit": 100})["task_instances"]]

    def queued_tasks(self) -> list[Task]:
        """List the task instances of all DAGs that were given to a worker and have not begun."""
        answer = self._ask("GET", "/dags/~/dagRuns/~/taskInstances", params={"state": ["queued"], "limit": 100})
        return [Task.model_validate(task) for task in answer["task_instances"]]

    def errors(self, pipeline: str, run_id: str, task: Task) -> list[str]:
        """Read the error messages in the log of a task's last try, in order."""
        path = (
            f"/dags/{quote(pipeline)}/dagRuns/{quote(run_id)}/taskInstances/{quote(task.task_id)}"
            f"/logs/{task.try_number}"
        )
        params = {"full_content": "true", "map_index": task.map_index}
        log = self._ask("GET", path, params=params, none_for=404)
        return list(_errors(log["content"])) if log else []


def _read(answer: httpx.Response) -> Any:
    if answer.status_code >= 400:
        raise StackError(_refusal(answer))
    return answer.json() if answer.content else None


def _refusal(answer: httpx.Response) -> str:
    return f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {_detail(answer)}"


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]


def _errors(lines: list[Any]) -> Iterator[str]:
    for line in lines:
        if isinstance(line, dict) and str(line.get("level", "")).lower() in ("error", "critical"):
            details = [f"{e.get('exc_type')}: {e.get('exc_value')}" for e in line.get("error_detail") or []]
            yield "\n".join([str(line.get("event", "")), *details])
