"""`make run` without Airflow: which days, what is shown, what is said when something fails."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from engine.evaluation import EvaluationRecord
from tasks.errors import SpecError
from tasks.operations.airflow_answers import Task
from tasks.operations.local_airflow.airflow_api import _errors
from tasks.operations.local_airflow.run_days import days_to_run, published_days
from tasks.operations.progress import Cell, Progress, cell, cells
from tasks.operations.summary import DaySummary, failure, metrics_table, times_table
from tasks.runs.attempts import attempt_of
from tasks.spec.load import load_shape
from tasks.spec.project import PROJECT
from tasks.spec.spec import Spec
from tasks.spec.windows import first_as_of
from tasks.store.files import Home, safe_name

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def spec() -> Spec:
    return load_shape(PROJECT / "pipelines" / "streaming.yaml").model_copy(update={"end": date(2026, 6, 30)})


def text_of(renderable: object, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("run_id", "attempt"),
    [
        ("backfill__2026-01-31T00:00:00+00:00", "backfill__2026-01-31T000000Z"),
        ("manual__2026-01-31T09:12:13.123456+00:00", "manual__2026-01-31T091213.123456Z"),
        ("../../etc", "etc"),
        ("a b/ü~", "a-b---"),
        ("..", "run"),
    ],
)
def test_attempts_are_safe_folder_names(run_id: str, attempt: str) -> None:
    assert attempt_of(run_id) == attempt
    assert safe_name(attempt) == attempt


def test_first_call_runs_the_first_days(spec: Spec) -> None:
    first = first_as_of(spec)
    assert days_to_run(spec, 3, None, []) == [first, first + DAY, first + 2 * DAY]


def test_next_call_runs_the_next_day(spec: Spec) -> None:
    assert days_to_run(spec, 3, None, [date(2026, 3, 4), date(2026, 3, 5)]) == [date(2026, 3, 6)]


def test_as_of_is_the_last_day(spec: Spec) -> None:
    last = first_as_of(spec) + 10 * DAY
    assert days_to_run(spec, 3, last, [date(2026, 6, 1)]) == [last - 2 * DAY, last - DAY, last]


def test_days_before_the_first_possible_one_are_left_out(spec: Spec) -> None:
    first = first_as_of(spec)
    assert days_to_run(spec, 3, first + DAY, []) == [first, first + DAY]


def test_days_end_with_the_data(spec: Spec) -> None:
    assert days_to_run(spec, 5, None, [date(2026, 6, 29)]) == [date(2026, 6, 30)]
    with pytest.raises(SpecError, match="streaming ends on 2026-06-30, and 2026-06-30 was the last one published"):
        days_to_run(spec, 3, None, [date(2026, 6, 30)])


@pytest.mark.parametrize("as_of", [date(2026, 1, 2), date(2026, 7, 1)])
def test_day_outside_is_an_error(spec: Spec, as_of: date) -> None:
    with pytest.raises(SpecError, match=f"AS_OF: found {as_of}, but streaming can be run for .* to 2026-06-30"):
        days_to_run(spec, 3, as_of, [])


def test_published_days_come_from_the_registry(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert published_days(home, "streaming") == []
    for name in ("2026-03-02.aa11", "2026-03-01.bb22", ".2026-03-09.cc33-tmp", "notes"):
        (home.registry("streaming") / "versions" / name).mkdir(parents=True)
    assert published_days(home, "streaming") == [date(2026, 3, 1), date(2026, 3, 2)]


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


def record(metric: str, of: str, value: float | None, population: str = "*") -> EvaluationRecord:
    low, high = (None, None) if value is None else (value - 0.01, value + 0.01)
    common = {"metric": metric, "of": of, "population": population, "definition": "any", "groups": 100}
    return EvaluationRecord.model_validate({**common, "value": value, "low": low, "high": high})


def test_metrics_stand_beside_the_baselines() -> None:
    records = [
        record("ndcg@10", "popularity", 0.25),
        record("ndcg@10", "model", 0.31),
        record("ndcg@10", "model", 0.99, population="BR"),
        record("mrr", "model", None),
        record("auc", "model", 0.5),
    ]
    lines = text_of(metrics_table(records, ("ndcg@10", "mrr"))).splitlines()
    assert lines[0].split() == ["metric", "model", "popularity"]
    assert lines[1].split() == ["ndcg@10", "0.3100", "±0.0100", "0.2500", "±0.0100"]
    assert lines[2].split() == ["mrr", "–", "–"]


def day(state: str, **steps: Cell) -> DaySummary:
    return DaySummary(date(2026, 3, 1), "run", "run", state, steps)


def test_times_leave_out_steps_that_did_not_run() -> None:
    text = text_of(times_table([day("failed", land=Cell("success", 1.25, 1, 1), gate=Cell("upstream_failed"))]))
    assert "land" in text
    assert "1.2" in text
    assert "gate" not in text


def test_failure_quotes_the_step() -> None:
    text = text_of(failure(day("failed"), {"build": "BuildError: stg_users[3]: no such column"}))
    assert "2026-03-01 failed" in text
    assert "build: BuildError: stg_users[3]: no such column" in text


def test_errors_are_found_in_a_task_log() -> None:
    log = [
        {"event": "::group::Log message source details", "sources": ["x"]},
        {"level": "info", "event": "Task started"},
        {"level": "error", "event": "prices: found -1"},
        {"level": "error", "event": "Task failed", "error_detail": [{"exc_type": "KeyError", "exc_value": "'a'"}]},
    ]
    assert list(_errors(log)) == ["prices: found -1", "Task failed\nKeyError: 'a'"]
