"""Task instances folded into cells, and the progress of a run on and off a terminal."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime

from rich.console import Console

from tasks.operations.airflow_answers import Task
from tasks.operations.progress import Cell, Progress, cell, cells

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def task(name: str, state: str | None, start: int | None = None, end: int | None = None) -> Task:
    first, last = (None if s is None else f"2026-03-01T12:00:{s:02}Z" for s in (start, end))
    return Task.model_validate({"task_id": name, "state": state, "start_date": first, "end_date": last})


def test_mapped_tasks_fold_into_one_cell() -> None:
    mapped = [task("train", "success", 0, 10), task("train", "running", 5), task("train", "queued")]
    assert cell(mapped, NOW) == Cell("running", 30.0, 1, 3)


def test_one_failure_makes_the_step_failed() -> None:
    assert cell([task("train", "success", 0, 10), task("train", "failed", 0, 4)], NOW).state == "failed"


def test_tasks_that_never_ran_took_no_time() -> None:
    assert cells([task("gate", "upstream_failed", 3, 3), task("land", None)], NOW) == {
        "gate": Cell("upstream_failed", None, 0, 1),
        "land": Cell(None, None, 0, 1),
    }


def test_plain_progress_prints_each_change_once() -> None:
    out = io.StringIO()
    day = date(2026, 3, 1)
    with Progress(Console(file=out, width=80), [day]) as progress:
        progress.show({day: {"land": Cell("running", 0.5, 0, 1)}})
        progress.show({day: {"land": Cell("success", 1.5, 1, 1), "train": Cell("running", 2.0, 1, 2)}})
        progress.show({day: {"land": Cell("success", 1.5, 1, 1), "train": Cell("failed", 3.0, 1, 2)}})
    assert out.getvalue().splitlines() == [
        "2026-03-01  land              success 1.5 s",
        "2026-03-01  train             failed 3.0 s (1/2)",
    ]


def test_live_progress_shows_steps_by_days() -> None:
    out = io.StringIO()
    days = [date(2026, 3, 1), date(2026, 3, 2)]
    with Progress(Console(file=out, width=80, force_terminal=True, color_system=None), days) as progress:
        progress.show({days[0]: {"train": Cell("running", 12.0, 1, 5)}})
    assert "2026-03-02" in out.getvalue()
    assert "1/5 12 s ▶" in out.getvalue()
