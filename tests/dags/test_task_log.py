"""The log of a task as Airflow's pages have it: the lines of a step; on failure what broke is what is left to see."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import structlog.testing

from tasks.errors import BuildError, CheckFailed, MatineeError
from tasks.runs import steps
from tasks.runs.narration import say, warn
from tasks.runs.run import Run
from tasks.store.files import Home, write_text
from tests.alerting import check, gate, leave
from tests.tasks.handmade import day, spec_of

RUN_ID = "manual__2026-03-05"
INTERVAL = datetime(2026, 3, 5, tzinfo=UTC)
Lines = list[dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose pipeline file is not read."""
    run = Run(spec_of(), Home(tmp_path), day("03-05"), RUN_ID)
    monkeypatch.setattr(Run, "create", lambda *_, **__: run)
    return run


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What Airflow gets, in the order in which it is written."""
    before = structlog.get_config()
    # The level of a task's log; the one of these tests is ERROR.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with structlog.testing.capture_logs() as captured:
        yield captured  # type: ignore[misc]
    structlog.configure(**before)


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that calls a step as its task does, and gives what it returned or raised."""
    import dags.steps

    def call(
        what: str, function: Callable[..., Any], *args: Any, attempt: int = 1, interval: datetime | None = INTERVAL
    ) -> Any:
        ti = SimpleNamespace(try_number=attempt, max_tries=1, task=SimpleNamespace(retry_delay=timedelta(seconds=10)))
        context = {
            "run_id": RUN_ID,
            "data_interval_start": interval,
            "ti": ti,
            "dag": SimpleNamespace(dag_id="tiny"),
            "task": SimpleNamespace(execution_timeout=timedelta(hours=2)),
        }
        monkeypatch.setattr(dags.steps, "get_current_context", lambda: context)
        monkeypatch.setattr(steps.Step, "load", lambda _: function)
        try:
            return dags.steps.call(what, *args)
        except BaseException as error:  # a time-out is none that a step may catch
            return error

    return call


def fails(error: BaseException) -> Callable[..., Any]:
    def step(*_: Any) -> None:
        say("{rows:,} rows read", rows=1200)
        raise error

    return step


def texts(lines: Lines) -> list[tuple[str, str]]:
    return [(line["log_level"], line["event"]) for line in lines]


def visible(lines: Lines) -> list[str]:
    """What Airflow's pages show of a log before anything is unfolded: the lines by time, a fold as its heading."""
    from airflow.utils.log.file_task_handler import _interleave_logs

    now = datetime.now(UTC)
    raw = []
    for number, line in enumerate(lines):
        instant = line.get("timestamp") or (now + timedelta(seconds=number)).isoformat()
        raw.append(json.dumps({"timestamp": instant, "level": line["log_level"], "event": line["event"]}))
    shown, depth = [], 0
    for message in _interleave_logs(iter(raw)):
        if message.event == "::endgroup::":
            depth -= 1
        elif message.event.startswith("::group::"):
            shown += [message.event.removeprefix("::group::")] if depth == 0 else []
            depth += 1
        elif depth == 0:
            shown.append(message.event)
    return shown


def test_the_lines_of_a_step_are_lines_of_the_task(run: Run, task: Callable[..., Any], lines: Lines) -> None:
    def build(_: Run) -> dict[str, int]:
        say("{rows:,} rows read", rows=1200)
        warn("{lost:,} of them are lost", lost=3)
        return {"rows": 1197}

    assert task("build", build) == {"rows": 1197}
    assert texts(lines)[:3] == [
        ("info", "build begins, tiny as of 2026-03-05"),
        ("info", "1,200 rows read"),
        ("warning", "3 of them are lost"),
    ]
    level, last = texts(lines)[-1]
    assert (level, last.startswith("build done in "), last.endswith(": rows: 1197")) == ("info", True, True)
    # The pages show every field beside the text, and the task's own are Airflow's already.
    assert all(line.keys() == {"event", "log_level", "logger_name"} for line in lines)


def test_json_is_for_programs_in_airflow_too(
    run: Run, task: Callable[..., Any], lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_LOG", "json")
    task("build", lambda _: say("{rows:,} rows read", rows=1200))
    line = lines[1]
    assert {name: line[name] for name in ("event", "rows", "pipeline", "day", "run", "step")} == {
        "event": "1,200 rows read",
        "rows": 1200,
        "pipeline": "tiny",
        "day": "2026-03-05",
        "run": RUN_ID,
        "step": "build",
    }


def test_the_first_that_is_left_to_see_is_what_broke_and_what_to_do(
    run: Run, task: Callable[..., Any], lines: Lines
) -> None:
    leave(run, [check("unparsed__rate")], done=["land"])
    error = CheckFailed("1 of 60 checks failed critically.\n1. events: unparsed is 31 %, expected at most 1 %.")
    raised = task("check_landed", fails(error))
    assert type(raised).__name__ == "AirflowFailException"
    assert visible(lines) == [
        "What check_landed did until it failed",
        str(error),
        "Next: `matinee check tiny --as-of 2026-03-05 --what landed --failed` shows it beside the days before\n"
        "Next: ask the source\n"
        "Next: once that is fixed, run the day again: clear the run in Airflow, or `matinee run tiny --as-of "
        "2026-03-05`\n"
        "Next: docs/runbooks/check-failed.md",
        "Airflow's own account of the failure, with its traceback",
    ]
    assert [text for level, text in texts(lines) if level == "error"] == visible(lines)[1:3]


def test_without_the_order_of_time_nothing_is_hidden(run: Run, task: Callable[..., Any], lines: Lines) -> None:
    """Another log store may show lines in the order of writing: then the fold is empty."""
    task("build", fails(BuildError("no such table")))
    events = [line["event"] for line in lines]
    heading = events.index("::group::What build did until it failed")
    assert events[heading + 1] == "::endgroup::"
    assert events[heading - 1] == "1,200 rows read"


def test_what_is_tried_again_says_so(run: Run, task: Callable[..., Any], lines: Lines) -> None:
    raised = task("build", fails(BuildError("another process has used the warehouse")))
    assert type(raised).__name__ == "AirflowException"
    assert visible(lines)[1:3] == [
        "another process has used the warehouse",
        "Airflow tries again in 10 s; the same error once more is final",
    ]


def test_the_last_attempt_says_what_to_do_instead(run: Run, task: Callable[..., Any], lines: Lines) -> None:
    leave(run, done=["land", "check_landed"])
    task("build", fails(BuildError("no such table")), attempt=2)
    assert "or `matinee run tiny --as-of 2026-03-05`\nNext: docs/runbooks/README.md" in visible(lines)[-2]


@pytest.mark.parametrize(
    ("left", "level", "reason"),
    [
        ({"errors/build.txt": "no such table\n"}, "warning", "failed: no such table"),
        ({"errors/build.txt": "a\nb\nc\nd\ne\nf\n"}, "warning", "failed: a\nb\nc\nd\n…"),
        ({}, "warning", "ended without an error message: it was killed or it timed out"),
        ({"build/result.json": "{}"}, "info", "left no error message: the task was cleared after it, or it was killed"),
    ],
)
def test_another_attempt_begins_with_why_the_one_before_failed(
    left: dict[str, str], level: str, reason: str, run: Run, task: Callable[..., Any], lines: Lines
) -> None:
    for path, text in left.items():
        write_text(run.dir / path, text)
    # Whatever days wait for the same build now, or waited then.
    task("build", lambda *_: None, [date(2026, 3, 6)], attempt=2)
    assert texts(lines)[0] == (level, f"attempt 2 of this task. Attempt 1 {reason}")
    assert texts(lines)[1][1].startswith("build begins")


def test_each_population_has_attempts_of_its_own(run: Run, task: Callable[..., Any], lines: Lines) -> None:
    task("train", fails(BuildError("no rows")), "BR")
    lines.clear()
    task("train", lambda *_: None, "US", attempt=2)
    assert "killed" in lines[0]["event"]
    lines.clear()
    task("train", lambda *_: None, "BR", attempt=2)
    assert lines[0]["event"].endswith("failed: no rows")
    lines.clear()
    write_text(run.step_dir("train") / "BR" / "result.json", "{}")
    task("train", lambda *_: None, "BR", attempt=3)
    assert texts(lines)[0] == (
        "info",
        "attempt 3 of this task. Attempt 2 left no error message: the task was cleared after it, or it was killed",
    )


def test_a_run_for_no_day_says_so_first(run: Run, task: Callable[..., Any], lines: Lines) -> None:
    raised = task("land", lambda _: None, interval=None)
    assert visible(lines)[0] == str(raised)
    assert str(raised).startswith(f"run {RUN_ID} has no data interval, so it has no as-of day")


def test_a_pipeline_file_that_is_wrong_is_said_first(
    task: Callable[..., Any], lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(*_: Any, **__: Any) -> None:
        raise MatineeError("tiny.yaml: line 3: found horizon: 0d")

    monkeypatch.setattr(Run, "create", create)
    task("land", lambda _: None)
    assert visible(lines)[0] == "tiny.yaml: line 3: found horizon: 0d"


def test_a_bug_keeps_its_traceback(run: Run, task: Callable[..., Any], lines: Lines) -> None:
    raised = task("build", fails(ZeroDivisionError("by 0")))
    assert isinstance(raised, ZeroDivisionError)
    assert visible(lines) == [
        "What build did until it failed",
        "ZeroDivisionError: by 0. This is a bug of matinee",
    ]  # and then Airflow's line with the traceback, not folded


def test_a_bug_that_comes_twice_keeps_its_traceback_too(run: Run, task: Callable[..., Any], lines: Lines) -> None:
    for attempt in (1, 2):
        lines.clear()
        raised = task("build", fails(ZeroDivisionError("by 0")), attempt=attempt)
    assert type(raised).__name__ == "AirflowFailException"
    assert visible(lines)[-1] == "ZeroDivisionError: by 0. This is a bug of matinee"


def test_what_takes_too_long_says_so(run: Run, task: Callable[..., Any], lines: Lines) -> None:
    from airflow.sdk.exceptions import AirflowTaskTimeout

    raised = task("build", fails(AirflowTaskTimeout("Timeout, PID: 17")))
    assert isinstance(raised, AirflowTaskTimeout)
    assert visible(lines) == [
        "What build did until it failed",
        "the step build ran longer than 2:00:00, the limit of a task",
        "Airflow tries again in 10 s; the same error once more is final",
        "Airflow's own account of the failure, with its traceback",
    ]


def test_data_folds_nothing(run: Run, task: Callable[..., Any], lines: Lines) -> None:
    task("build", lambda _: say("{title}", title="::group::a film ::endgroup::"))
    assert lines[1]["event"] == "::group ::a film ::endgroup ::"


def test_the_logger_is_what_it_was(run: Run, task: Callable[..., Any]) -> None:
    log = logging.getLogger("matinee")
    before = log.handlers, log.propagate, log.level
    task("build", fails(BuildError("no such table")))
    assert (log.handlers, log.propagate, log.level) == before


# -------------------------------------------------------------------------------------------- the last task of a run


def context_of(states: dict[str, str]) -> dict[str, Any]:
    ti = SimpleNamespace(get_task_states=lambda **_: {RUN_ID: states})
    return {"run_id": RUN_ID, "data_interval_start": INTERVAL, "ti": ti, "dag": SimpleNamespace(dag_id="tiny")}


def test_the_report_of_a_red_run_begins_with_the_step_that_broke(run: Run, lines: Lines) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from dags.steps import raise_if_red
    from dags.task_log import task_log

    leave(run, [check("unparsed__rate")], done=["land"])
    states = {"check_landed": "failed", "build": "upstream_failed"}
    with task_log(), pytest.raises(AirflowFailException, match=r"^failed: check_landed; not run: build$"):
        raise_if_red(context_of(states), states)
    (error,) = [line["event"] for line in lines if line["log_level"] == "error"]
    first, *others = error.splitlines()
    assert first == (
        "Stopped: check_landed found critical faults in the data. events, 2026-03-05: rate of unparsed is 31 %, "
        "expected at most 1 %"
    )
    assert others[0].startswith("Next: `matinee check tiny --as-of 2026-03-05 --what landed --failed`")
    assert others[-1] == "failed: check_landed; not run: build"


def test_a_run_that_published_says_what_failed_beside(run: Run, lines: Lines) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from dags.steps import raise_if_red
    from dags.task_log import task_log
    from tests.tasks.finished_runs import PUBLISHED

    PUBLISHED.write(run.step_dir("publish") / "result.json")
    write_text(run.dir / "errors" / "monitor.txt", "no rows to compare\n")
    with task_log(), pytest.raises(AirflowFailException):
        raise_if_red(context_of({"monitor": "failed"}), {"monitor": "failed"})
    (error,) = [line["event"] for line in lines if line["log_level"] == "error"]
    assert "\nmonitor failed: no rows to compare\n" in error


# ---------------------------------------------------------------------------------------------- tasks that did not run


def stopped(dag: str = "tiny", state: str = "upstream_failed", task: str = "build") -> Any:
    return SimpleNamespace(
        dag_id=dag,
        run_id=RUN_ID,
        task_id=task,
        state=state,
        updated_at=INTERVAL,
        dag_run=SimpleNamespace(data_interval_start=INTERVAL),
    )


def page_of(ti: Any) -> list[str]:
    """What Airflow's API gives for a task without an attempt."""
    from airflow.utils.log.log_reader import TaskLogReader

    import dags.plugins.matinee_plugin  # noqa: F401  as the API server does

    stream = TaskLogReader().read_log_stream(ti, 0, {})  # type: ignore[arg-type]
    events = [json.loads(line)["event"] for line in stream]
    return [event for event in events if "group::" not in event]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.spec.project.pipeline_names", lambda: ["tiny"])


def test_a_stopped_task_says_which_step_broke_and_why(run: Run, known: None) -> None:
    leave(run, [check("unparsed__rate")], done=["land"])
    (text,) = page_of(stopped())
    first, *others = text.splitlines()
    assert first == (
        "Not run, because check_landed failed. events, 2026-03-05: rate of unparsed is 31 %, expected at most 1 %"
    )
    assert others[1] == "Next: ask the source"


def test_it_says_so_of_a_gate_and_of_a_killed_step(run: Run, known: None) -> None:
    leave(run, errors={"land": "the step land ended without an error message: it was killed or it timed out\n"})
    assert page_of(stopped())[0].startswith("Not run, because land failed. the step land ended without an error")
    (run.dir / "errors" / "land.txt").unlink()
    done = [step.name for step in steps.WITH_RESULT if step.name not in ("gate", "publish", "train")]
    leave(run, gates=[gate()], errors={"gate": "the model is not published"}, done=[*done, "train/BR"])
    assert "ndcg@10 beats popularity by 0.01: difference +0.0120" in page_of(stopped(task="publish"))[0]


@pytest.mark.parametrize("ti", [stopped(dag="others"), stopped(state="skipped"), stopped(task="build", dag="../tiny")])
def test_other_tasks_keep_airflows_words(ti: Any, run: Run, known: None) -> None:
    (text,) = page_of(ti)
    assert text in ("Task did not run because upstream task(s) failed.", "Task was skipped — no logs available.")


def test_a_page_that_cannot_explain_still_opens(run: Run, known: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(*_: Any, **__: Any) -> None:
        raise MatineeError("the file is gone")

    monkeypatch.setattr(Run, "create", create)
    assert page_of(stopped()) == ["Task did not run because upstream task(s) failed."]
