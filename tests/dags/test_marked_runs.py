"""Runs that somebody marks in Airflow."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.runs.failures import mark_of
from tasks.store.files import Home, write_json
from tasks.store.run_files import Attempt

DAY = datetime(2026, 3, 5, tzinfo=UTC)
RUN_ID = "manual__2026-03-05"
MESSAGE = "Dag Run's state was manually set to `{}`."


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attempt:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    folder = Home(tmp_path).run_dir("tiny", DAY.date(), RUN_ID)
    write_json(folder / "land" / "result.json", {})
    return Attempt("tiny", DAY.date(), folder)


def dag_run(**more: Any) -> Any:
    return SimpleNamespace(**({"dag_id": "tiny", "run_id": RUN_ID, "data_interval_start": DAY} | more))


def call(state: str, run: Any, msg: str) -> None:
    """Call Airflow's listeners as its API server does."""
    from airflow.listeners.listener import get_listener_manager

    manager = get_listener_manager()
    getattr(manager.hook, f"on_dag_run_{state}")(dag_run=run, msg=msg)


@pytest.mark.parametrize(("state", "words"), [("failed", "failed"), ("success", "a success")])
def test_a_mark_is_kept_in_the_folder_of_the_run(attempt: Attempt, state: str, words: str) -> None:
    call(state, dag_run(), MESSAGE.format(state))
    assert mark_of(attempt) == f"the run was marked as {words} in Airflow"


def test_what_the_scheduler_finds_is_no_mark(attempt: Attempt) -> None:
    call("failed", dag_run(), "task_failure")
    assert mark_of(attempt) is None


@pytest.mark.parametrize("wrong", [{"data_interval_start": None}, {"dag_id": "../tiny"}, {"run_id": None}])
def test_a_run_of_another_kind_is_left_alone(attempt: Attempt, wrong: dict[str, Any]) -> None:
    call("failed", dag_run(**wrong), MESSAGE.format("failed"))
    assert mark_of(attempt) is None
