"""Missed runs, silent components, and that each is notified of once."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.alerts.airflow_health import Health, local_url
from tasks.alerts.outbox import Outbox
from tasks.alerts.watchdog import PATIENCE, Watch
from tasks.errors import MatineeError
from tasks.store.files import Home, write_json
from tests.alerting import leave, run_of
from tests.tasks.handmade import document

MORNING = datetime(2026, 3, 6, 6, 0, tzinfo=UTC)


def watch_of(tmp_path: Path, url: str | None = None, **changes: Any) -> Watch:
    folder = tmp_path / "pipelines"
    folder.mkdir(exist_ok=True)
    pipeline = document(**{"alerts": {"green_by": "06:00"}, **changes})
    (folder / "tiny.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
    return Watch(Home(tmp_path), folder, url)


def titles(tmp_path: Path) -> list[str]:
    return [entry.message.title for entry in Outbox(Home(tmp_path)).entries()]


def test_a_day_without_a_green_run_by_the_hour_is_notified_of_once(tmp_path: Path) -> None:
    watch = watch_of(tmp_path)
    leave(run_of(tmp_path, "03-04"), done=["publish", "report"])
    leave(run_of(tmp_path, "03-05"), errors={"build": "no such table"})
    watch.poll(MORNING - timedelta(seconds=1))
    assert titles(tmp_path) == []
    for minutes in range(3):
        watch.poll(MORNING + timedelta(minutes=minutes))
    assert titles(tmp_path) == ["tiny 2026-03-05: critical: no green run by the declared hour"]
    (entry,) = Outbox(Home(tmp_path)).entries()
    assert entry.message.body.splitlines()[0] == (
        "expected a green run of 2026-03-05 by 2026-03-06 06:00 UTC; the last attempt is not green: the step build "
        "failed; the last green day is 2026-03-04"
    )


def test_a_green_attempt_is_enough(tmp_path: Path) -> None:
    leave(run_of(tmp_path, "03-05", "1"), done=["publish", "report"])
    leave(run_of(tmp_path, "03-05", "2"), errors={"build": "no such table"})
    watch_of(tmp_path).poll(MORNING)
    assert titles(tmp_path) == []


def test_days_missed_while_nobody_watched_are_notified_of_too(tmp_path: Path) -> None:
    leave(run_of(tmp_path, "02-20"), done=["publish", "report"])
    watch_of(tmp_path).poll(MORNING)
    assert [title[5:15] for title in sorted(titles(tmp_path))] == ["2026-03-03", "2026-03-04", "2026-03-05"]


@pytest.mark.parametrize(
    ("changes", "days"),
    [
        ({}, ["2026-03-05"]),
        ({"start": "2026-03-06"}, []),
        ({"schedule": None, "end": "2026-03-04"}, None),  # refused: no daily schedule
        ({"end": "2026-03-04"}, []),
        ({"alerts": {}}, []),
    ],
)
def test_which_days_must_be_green(tmp_path: Path, changes: dict[str, Any], days: list[str] | None) -> None:
    leave(run_of(tmp_path, "03-05", "1"), errors={"build": "no such table"})
    watch_of(tmp_path, **changes).poll(MORNING)
    if days is None:
        assert titles(tmp_path) == ["tiny 2026-03-06: critical: the pipeline file cannot be read"]
    else:
        assert [title[5:15] for title in titles(tmp_path)] == days


def test_a_new_pipeline_that_is_still_paused_misses_nothing(tmp_path: Path) -> None:
    watch_of(tmp_path).poll(MORNING)
    assert titles(tmp_path) == []


def test_days_beyond_what_is_caught_up_on_are_named_with_the_command(tmp_path: Path) -> None:
    for day in ("02-20", "03-05"):
        leave(run_of(tmp_path, day, f"scheduled__2026-{day}"), done=["publish", "report"])
    for _ in range(2):
        watch_of(tmp_path, alerts={}).poll(MORNING)
    (entry,) = Outbox(Home(tmp_path)).entries()
    assert entry.message.title == "tiny 2026-03-04: critical: days that were missed and are not run"
    assert "run matinee backfill tiny --from 2026-02-21 --to 2026-03-04" in entry.message.body


def test_a_pipeline_file_that_is_wrong_is_notified_of(tmp_path: Path) -> None:
    watch = watch_of(tmp_path)
    file = tmp_path / "pipelines" / "tiny.yaml"
    file.write_text(f"{file.read_text()}\nalert: {{}}\n")
    for _ in range(2):
        watch.poll(MORNING)
    assert titles(tmp_path) == ["tiny 2026-03-06: critical: the pipeline file cannot be read"]
    (entry,) = Outbox(Home(tmp_path)).entries()
    assert "unknown key" in entry.message.body


class Airflow:
    """A server that answers as Airflow's health page does."""

    def __init__(self) -> None:
        owner = self
        self.answer: dict[str, Any] | None = None

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if owner.answer is not None else 503)
                self.end_headers()
                self.wfile.write(json.dumps(owner.answer).encode())

            def log_message(self, *_: Any) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    server = Airflow()
    yield server
    server.server.shutdown()
    server.server.server_close()


def answer(now: datetime, scheduler: datetime) -> dict[str, Any]:
    return {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": scheduler.isoformat()},
        "dag_processor": {"status": "healthy", "latest_dag_processor_heartbeat": now.isoformat()},
        "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
    }


def test_a_dead_scheduler_is_notified_of_once_and_that_it_is_back(tmp_path: Path, airflow: Airflow) -> None:
    watch = watch_of(tmp_path, airflow.url, alerts={})
    died = MORNING
    for minutes in (0, 1, 2, 3, 7, 30):
        airflow.answer = answer(MORNING + timedelta(minutes=minutes), died)
        watch.poll(MORNING + timedelta(minutes=minutes))
        assert len(titles(tmp_path)) == (minutes > 3)  # old at 3, and still so later
    assert titles(tmp_path) == ["airflow 2026-03-06: critical: the scheduler is silent"]
    later = MORNING + timedelta(minutes=31)
    airflow.answer = answer(later, later)
    for _ in range(2):
        watch.poll(later)
    assert sorted(titles(tmp_path)) == [
        "airflow 2026-03-06: critical: the scheduler is silent",
        "airflow 2026-03-06: resolved: the scheduler is back",
    ]
    for minutes in (40, 45):  # it dies again on the same day: another fault
        airflow.answer = answer(MORNING + timedelta(minutes=minutes), later)
        watch.poll(MORNING + timedelta(minutes=minutes))
    assert len(titles(tmp_path)) == 3


def test_a_short_silence_is_nothing(tmp_path: Path, airflow: Airflow) -> None:
    watch = watch_of(tmp_path, airflow.url, alerts={})
    watch.poll(MORNING)  # 503
    airflow.answer = answer(MORNING, MORNING)
    watch.poll(MORNING + timedelta(seconds=60))
    airflow.answer = None
    watch.poll(MORNING + PATIENCE)
    assert titles(tmp_path) == []


def test_the_heartbeat_of_the_last_time_is_no_alarm_when_airflow_starts(tmp_path: Path, airflow: Airflow) -> None:
    watch = watch_of(tmp_path, airflow.url, alerts={})
    airflow.answer = answer(MORNING, MORNING - timedelta(days=1))
    watch.poll(MORNING)
    watch.poll(MORNING + timedelta(seconds=30))
    airflow.answer = answer(MORNING + timedelta(seconds=60), MORNING + timedelta(seconds=50))
    watch.poll(MORNING + timedelta(seconds=60))
    assert titles(tmp_path) == []


def test_an_api_that_does_not_answer_is_notified_of(tmp_path: Path) -> None:
    write_json(tmp_path / "airflow" / "stack.json", {"port": 1})
    assert local_url(Home(tmp_path)) == "http://127.0.0.1:1"
    watch = watch_of(tmp_path, alerts={})
    for minutes in (0, 5):
        watch.poll(MORNING + timedelta(minutes=minutes))
    assert titles(tmp_path) == ["airflow 2026-03-06: critical: the api-server is silent"]


def test_without_a_stack_nobody_asks(tmp_path: Path) -> None:
    watch = watch_of(tmp_path, alerts={})
    for minutes in (0, 5):
        watch.poll(MORNING + timedelta(minutes=minutes))
    assert titles(tmp_path) == []


def test_a_poll_leaves_its_time_in_a_folder_of_the_owner(tmp_path: Path) -> None:
    watch_of(tmp_path, alerts={}).poll(MORNING)
    assert (tmp_path / "alerts" / "polled").exists()
    assert stat.S_IMODE((tmp_path / "alerts").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "note", ["", "[]", '{"scheduler": 1}', '{"scheduler": {"since": "x", "noticed": "y"}}', '{"scheduler": {}}']
)
def test_a_damaged_note_keeps_no_alert_back(note: str, tmp_path: Path, airflow: Airflow) -> None:
    watch = watch_of(tmp_path, airflow.url, alerts={})
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "silent.json").write_text(note)
    for minutes in (0, 3):
        airflow.answer = answer(MORNING + timedelta(minutes=minutes), MORNING - timedelta(minutes=9))
        watch.poll(MORNING + timedelta(minutes=minutes))
    assert sorted(titles(tmp_path)) == [
        "airflow 2026-03-06: critical: the scheduler is silent",
        "airflow 2026-03-06: critical: the watch's note of what is silent was damaged",
    ]


@pytest.mark.parametrize("state", ["", "[]", "{}", '{"port": "x"}', '{"port": 99999}', '{"port": 8080.5}'])
def test_a_damaged_address_is_named(state: str, tmp_path: Path) -> None:
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "stack.json").write_text(state)
    with pytest.raises(MatineeError, match=r"stack\.json: .* run `make down`, then `make up`"):
        local_url(Home(tmp_path))


def test_what_is_silent() -> None:
    page = answer(MORNING, MORNING - timedelta(minutes=3))
    (silent,) = Health.parse(page).silent(MORNING, PATIENCE).items()
    assert silent[0] == "scheduler"
    assert silent[1].last_heartbeat == "2026-03-06T05:57:00+00:00"
    assert silent[1].detail == "its last heartbeat was at 2026-03-06T05:57:00+00:00"
    sick = Health.parse(page | {"metadatabase": {"status": "unhealthy"}, "dag_processor": None})
    assert set(sick.silent(MORNING, PATIENCE)) == {"metadatabase", "scheduler", "dag-processor"}
