"""Alerts from inside Airflow: by the task, by the run's last task, and for a task that was killed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.alerts.outbox import Outbox
from tasks.runs.run import Run
from tasks.store.files import Home
from tests.alerting import leave, run_of

Make = Callable[..., Path]
RUN_ID = "scheduled__2026-03-05T00:00:00+00:00"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Run, "create", lambda path, as_of, attempt: run_of(tmp_path, f"{as_of:%m-%d}", attempt))
    return tmp_path


def context(states: dict[str, str], **more: Any) -> dict[str, Any]:
    def get_task_states(*, dag_id: str, run_ids: list[str]) -> dict[str, Any]:
        assert (dag_id, run_ids) == ("tiny", [RUN_ID])
        return {RUN_ID: states}

    return {
        "dag": SimpleNamespace(dag_id="tiny"),
        "run_id": RUN_ID,
        "data_interval_start": datetime(2026, 3, 5, tzinfo=UTC),
        "task": SimpleNamespace(task_id="build"),
        "ti": SimpleNamespace(get_task_states=get_task_states),
        **more,
    }


def titles(home: Path) -> list[str]:
    return [entry.message.title for entry in Outbox(Home(home)).entries()]


def test_a_task_a_report_and_the_processor_notify_of_a_fault_once(home: Path) -> None:
    from dags.alerts import notify

    leave(run_of(home, attempt="scheduled__2026-03-05T000000Z"), errors={"build": "no such table"})
    notify(context({"land": "success", "build": "running"}, exception=ValueError("no such table")))
    notify(
        context({"land": "success", "build": "failed", "sample": "upstream_failed", "report": "running"}), finished=True
    )
    notify(context({"land": "success", "build": "failed", "sample": "upstream_failed", "report": "failed"}, reason="x"))
    assert titles(home) == ["tiny 2026-03-05: critical: the step build failed"]


def test_a_task_that_left_nothing_has_one_alert(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dags.alerts import notify

    monkeypatch.setenv("MATINEE_URL", "http://127.0.0.1:8080")
    for _ in range(2):
        notify(context({"land": "success", "train_0": "success", "train_1": "failed", "report": "failed"}))
    (entry,) = Outbox(Home(home)).entries()
    assert entry.message.title == "tiny 2026-03-05: critical: the step train failed"
    assert "the step train ended without an error message: it was killed" in entry.message.body
    assert "Task: http://127.0.0.1:8080/dags/tiny/runs/scheduled__2026-03-05T00%3A00%3A00%2B00%3A00/tasks/train" in (
        entry.message.body
    )


def test_a_run_for_no_day_has_one_alert(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dags.alerts import notify

    monkeypatch.setenv("MATINEE_HOME", str(home))
    given = context({"land": "failed"})
    del given["data_interval_start"]
    notify(given)
    notify(given, finished=True)
    (entry,) = Outbox(Home(home)).entries()
    assert entry.message.title.endswith(": critical: a run that cannot start")
    assert "has no data interval, so it has no as-of day; start it with a logical date" in entry.message.body


@pytest.mark.parametrize("missing", ["ti", "dag"])
def test_alerts_never_fail(missing: str, home: Path) -> None:
    """A callback of which Airflow knows nothing more than the run."""
    from dags.alerts import notify

    given = context({})
    del given[missing]
    notify(given)
    assert titles(home) == []


def test_every_dag_notifies_of_its_failures(pipelines: Make) -> None:
    from dags.alerts import notify
    from dags.pipelines import pipeline_dag

    pipelines("streaming")
    dag = pipeline_dag("streaming")
    assert dag.on_failure_callback is notify
    for task in dag.tasks:
        callbacks = task.on_failure_callback if not task.is_mapped else task.partial_kwargs["on_failure_callback"]
        assert notify in (callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]), task.task_id


def test_a_task_hands_its_alerts_over_and_sends_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink that does not answer would keep the task alive until Airflow kills it."""
    from dags.alerts import notify

    monkeypatch.setenv("MATINEE_ALERTS", "json://127.0.0.1:1")
    monkeypatch.setattr("tasks.alerts.sinks.send", lambda *_: pytest.fail("a task sent a message"))
    leave(run_of(home, attempt="scheduled__2026-03-05T000000Z"), errors={"build": "no such table"})
    notify(context({"land": "success", "build": "failed"}))
    assert len(Outbox(Home(home)).waiting()) == 1
