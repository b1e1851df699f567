"""What is read of Airflow's answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.errors import StackError
from tasks.operations.local_airflow.airflow_api import Airflow, _errors
from tasks.operations.local_airflow.sockets import state_file
from tasks.operations.pools import Pool

Session = Callable[..., Airflow]
TOKEN = httpx.Response(201, json={"access_token": "t"})


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Return a function that makes a session with a server that gives these answers, on a clock of its own."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    (tmp_path / "airflow").mkdir()
    state_file(tmp_path).touch()

    def make(*answers: httpx.Response | Exception, **more: float) -> Airflow:
        left: Iterator[httpx.Response | Exception] = iter(answers)

        def serve(request: httpx.Request) -> httpx.Response:
            answer = next(left, httpx.ConnectError("refused"))
            if isinstance(answer, Exception):
                raise answer
            return answer

        api = Airflow(tmp_path, 8080, **more)
        api._client = httpx.Client(base_url=api.url, transport=httpx.MockTransport(serve))
        return api

    return make


def test_a_server_or_a_database_that_is_being_restarted_is_waited_for(session: Session) -> None:
    away = httpx.ConnectError("refused")
    api = session(away, httpx.Response(500), TOKEN, httpx.Response(503), httpx.Response(200, json={"is_paused": True}))
    dag = api.dag("tiny")
    assert dag is not None
    assert dag.is_paused


@pytest.mark.parametrize(("patience", "tries"), [(3.5, 4), (20.0, 13)])
def test_patience_ends(session: Session, patience: float, tries: int) -> None:
    seen: list[httpx.Response | Exception] = [httpx.Response(500, text="broken") for _ in range(tries - 1)]
    api = session(TOKEN, *seen, httpx.Response(500, text="the last"), patience=patience)
    with pytest.raises(StackError, match=r"^GET /api/v2/dags/tiny: 500 the last$"):
        api.dag("tiny")


def test_a_stack_that_was_ended_is_not_waited_for(session: Session, tmp_path: Path) -> None:
    api = session(httpx.ConnectError("refused"), TOKEN, patience=600.0)
    state_file(tmp_path).unlink()
    with pytest.raises(StackError, match="does not answer"):
        api.dag("tiny")


def test_an_expired_token_is_drawn_again_once(session: Session) -> None:
    gone = httpx.Response(404)
    api = session(TOKEN, gone, httpx.Response(401), TOKEN, gone, httpx.Response(401), TOKEN, httpx.Response(401))
    assert (api.dag("tiny"), api.dag("tiny")) == (None, None)
    with pytest.raises(StackError, match=": 401"):
        api.dag("tiny")


def test_a_pool_that_somebody_else_creates_meanwhile_is_there(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.operations.local_airflow.airflow_api.pools", lambda: {"tiny.tables": Pool(1, "")})
    session(TOKEN, httpx.Response(404), httpx.Response(409)).ensure_pools()
    with pytest.raises(StackError, match="POST /api/v2/pools: 403"):
        session(TOKEN, httpx.Response(404), httpx.Response(403)).ensure_pools()


def backfill(number: int, first: str, last: str, *, paused: bool = False, ended: bool = True) -> dict[str, Any]:
    at = "2026-03-09T00:00:00Z"
    days = {"from_date": f"{first}T00:00:00Z", "to_date": f"{last}T00:00:00Z"}
    return {"id": number, **days, "is_paused": paused, "completed_at": at if ended else None}


def test_a_canceled_backfill_is_told_from_one_that_has_ended(session: Session) -> None:
    listed = [
        backfill(4, "2026-03-06", "2026-03-06", ended=False),
        backfill(3, "2026-03-02", "2026-03-02"),
        backfill(2, "2026-03-01", "2026-03-03", paused=True),
        backfill(1, "2026-03-01", "2026-03-05"),
    ]
    answers = [httpx.Response(200, json={"backfills": listed}) for _ in range(5)]
    api = session(TOKEN, *answers)
    days = {day: api.was_canceled("tiny", date(2026, 3, day)) for day in (1, 2, 5, 9)}
    assert days == {1: True, 2: False, 5: False, 9: False}, "the newest backfill of a day counts"
    assert api.open_backfills("tiny") == [4]


def test_tasks_are_cleared_with_all_that_waits_for_them(session: Session) -> None:
    asked: list[httpx.Request] = []
    api = session()

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return TOKEN if request.url.path == "/auth/token" else httpx.Response(200, json={})

    api._client = httpx.Client(base_url=api.url, transport=httpx.MockTransport(serve))
    api.clear_tasks("tiny", "manual__1", [("train", 1), "evaluate"])
    assert asked[-1].url.path == "/api/v2/dags/tiny/clearTaskInstances"
    assert json.loads(asked[-1].content) == {
        "dry_run": False,
        "dag_run_id": "manual__1",
        "task_ids": [["train", 1], "evaluate"],
        "include_downstream": True,
        "only_failed": False,
        "reset_dag_runs": True,
    }


def test_a_server_that_cannot_be_warmed_up_is_left_to_those_who_wait_for_it(session: Session) -> None:
    session(httpx.ReadTimeout("busy")).warm_up()
    session(httpx.Response(200)).warm_up()


def test_a_refused_login_is_said_at_once(session: Session) -> None:
    with pytest.raises(StackError, match=r"login refused \(401\); is another Airflow on this port\?"):
        session(httpx.Response(401)).dag("tiny")


def test_errors_are_found_in_a_task_log() -> None:
    log = [
        {"event": "::group::Log message source details", "sources": ["x"]},
        {"level": "info", "event": "Task started"},
        {"level": "error", "event": "prices: found -1"},
        {"level": "error", "event": "Task failed", "error_detail": [{"exc_type": "KeyError", "exc_value": "'a'"}]},
    ]
    assert list(_errors(log)) == ["prices: found -1", "Task failed\nKeyError: 'a'"]
