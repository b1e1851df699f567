"""What the benchmark of the operator's hour decides itself: what is counted, and what is a fault."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import _answers, _operator_writes, operator_hour
from bench._answers import Answer, Answers, WatchedAirflow, faults, kind_of, percentile
from bench._live_stack import LiveAirflow
from bench._operator_acts import Observation
from bench._operator_writes import Cleared, Writes
from tasks.errors import StackError
from tasks.operations.airflow_answers import Task
from tasks.operations.local_airflow.sockets import state_file


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/v2/dags/small", "PATCH /dags/{dag}"),
        ("/api/v2/dags/small/dagRuns/manual__2026-01-16", "PATCH /dags/{dag}/dagRuns/{run}"),
        ("/api/v2/dags/small/dagRuns/~/taskInstances", "PATCH /dags/{dag}/dagRuns/~/taskInstances"),
        ("/api/v2/dags/s/dagRuns/r/taskInstances/land", "PATCH /dags/{dag}/dagRuns/{run}/taskInstances/{task}"),
        ("/api/v2/variables/x_1", "PATCH /variables/{name}"),
        ("/matinee/run/small/manual__1", "PATCH /matinee/run/{dag}/{run}"),
        ("/ui/grid/runs/small", "PATCH /ui/grid/runs/{dag}"),
    ],
)  # fmt: skip
def test_requests_of_a_kind_are_counted_together(path: str, kind: str) -> None:
    assert kind_of("PATCH", path) == kind


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_percentiles_are_those_of_numpy(values: list[float], share: float) -> None:
    assert percentile(values, share) == np.quantile(values, share, method="inverted_cdf")


def test_errors_refusals_silence_and_waits_are_faults() -> None:
    answers = [Answer("GET /a", 200, 0.1), Answer("POST /b", 500, 0.1), Answer("POST /c", 409, 0.1)]
    not_yet = Answer("GET /f", 404, 0.1)
    assert faults([*answers, Answer("GET /d", 0, 60.0), Answer("GET /e", 200, 2.1), not_yet]) == [
        "POST /b: 500 after 0.10 s",
        "POST /c: 409 after 0.10 s",
        "GET /d: no answer after 60.00 s",
        "GET /e: 2.10 s",
    ]


def test_answers_that_are_tried_again_and_requests_without_one_are_kept_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session hides a server error behind a second try; an operator's browser would not."""
    codes = iter([201, 500, 200])

    def serve(_: httpx.Request) -> httpx.Response:
        code = next(codes, None)
        if code is None:
            raise httpx.ReadTimeout("silent")
        return httpx.Response(code, json={"access_token": "t"})

    monkeypatch.setattr("time.sleep", lambda _: None)
    (tmp_path / "airflow").mkdir()
    state_file(tmp_path).touch()  # without it nobody would wait for the server
    answers = Answers(httpx.MockTransport(serve))
    api = WatchedAirflow(tmp_path, 8080, answers)
    api.answer("GET", "/variables/x")
    assert [(answer.kind, answer.status) for answer in answers.all] == [
        ("POST /auth/token", 201),
        ("GET /variables/{name}", 500),
        ("GET /variables/{name}", 200),
    ]
    with pytest.raises(StackError):
        api.answer("GET", "/variables/x")
    assert answers.all[-1].status == _answers.NO_ANSWER
    api.close()


class Server:
    """Takes every write, but for one kind."""

    def __init__(self, refuses: str = "") -> None:
        self.made: list[str] = []
        self.refuses = refuses

    def answer(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        run = {"dag_run_id": "r", "state": "success", "logical_date": None, "data_interval_start": None}
        if method == "GET":
            return {"dag_runs": [run]}
        kind = kind_of(method, path)
        self.made.append(kind + (" dry" if more.get("json", {}).get("dry_run") else ""))
        if kind == self.refuses:
            raise StackError(f"{kind}: 409")
        return {"task_instances": [{"dag_run_id": "r", "task_id": "report"}]}

    def pause(self, dag: str, _paused: bool) -> None:
        self.answer("PATCH", f"/dags/{dag}")

    def page(self, _path: str) -> str:
        return ""


def written(monkeypatch: pytest.MonkeyPatch, server: Server, number: int) -> Writes:
    monkeypatch.setattr(_operator_writes, "running_tasks", lambda _: [1])
    writes = Writes(cast(WatchedAirflow, server), Path(), number, 0.0, Cleared())
    writes.begin().join(30)
    return writes


def test_as_many_writes_of_every_kind_are_made_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    writes = written(monkeypatch, server, 22)
    assert (writes.done, writes.failed, len(server.made)) == (22, [], 24)
    assert set(Counter(server.made).values()) == {2, 4}, "a pause is taken back in the same write"
    assert len(set(server.made)) == 11
    assert writes.cleared == {("r", "report"): 2}, "a dry run clears nothing"


def test_a_write_that_is_refused_is_kept_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    writes = written(monkeypatch, Server(refuses="POST /variables"), 12)
    assert (writes.done, writes.failed) == (12, ["POST /variables: 409"])


def test_a_task_that_was_cleared_has_a_try_more_without_being_retried() -> None:
    tries = {"land": 1, "evaluate": 2, "report": 3}
    tasks = [Task(task_id=name, state="success", dag_run_id="r", try_number=number) for name, number in tries.items()]
    run = type("Run", (), {"dag_run_id": "r"})()
    api = type("Api", (), {"all_runs": lambda _: [run], "tasks": lambda *_: tasks})()
    cleared = Cleared({("r", "evaluate"): 1, ("r", "report"): 1})
    assert operator_hour.retried(cast(LiveAirflow, api), cleared) == ["r report"]


@pytest.mark.parametrize(
    ("good", "status", "again", "verdict"),
    [
        (True, 200, [], "**Passed**: 0 of 1 answers"),
        (False, 200, [], "**FAILED**: 0 of 1 answers"),
        (True, 500, [], "**FAILED**: 1 of 1 answers"),
        (True, 200, ["r land"], "**FAILED**: 0 of 1 answers wrong or slow, 1 tasks retried"),
    ],
)
def test_the_hour_passes_only_if_all_is_well(good: bool, status: int, again: list[str], verdict: str) -> None:
    answers = Answers(all=[Answer("GET /a", status, 0.1)])
    assert verdict in operator_hour.page([Observation("an act", "seen", good)], answers, again, 1.0)
