"""The frame of a step's log: begin, progress, end or error; in text and in JSON."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import BuildError, MatineeError
from tasks.features.build import BuildResult, DaySpan
from tasks.runs import narration, step_log
from tasks.runs.failures import call_step
from tasks.runs.run import Run
from tasks.runs.step_log import fields_of, log_to_stderr, summary_of
from tasks.spec.project import TOOL
from tasks.store.files import Home
from tests.tasks.handmade import day, spec_of

RESULT = BuildResult(
    partitions_loaded=DaySpan.of([day("02-19"), day("02-20")]),
    features_built=DaySpan.of([]),
    labels_built=DaySpan.of([]),
    up_to_date=False,
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(spec_of(), Home(tmp_path), day("02-20"), "manual__2026-02-20")


@pytest.fixture(autouse=True)
def _level(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "matinee"):
        yield


def test_a_step_says_that_it_begins_and_what_came_of_it(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    call_step(run, "build", lambda _: RESULT)
    begins, done = (record.getMessage() for record in caplog.records)
    assert begins == f"build begins, {run.spec.name} as of 2026-02-20"
    assert re.match(r"build done in \d+\.\d s, at most [\d,]+ MB: ", done)
    assert done.endswith("MB: days loaded: 2 (2026-02-19 to 2026-02-20); feature days built: 0; label cuts built: 0")
    fields = {name: getattr(caplog.records[0], name) for name in ("pipeline", "day", "run", "step")}
    assert fields == {"pipeline": run.spec.name, "day": "2026-02-20", "run": "manual__2026-02-20", "step": "build"}


def test_what_takes_long_says_how_far_it_is(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_log, "EVERY", 0.01)
    heard = threading.Event()
    monkeypatch.setattr(step_log.log, "handlers", [_Until(heard, "train [BR] goes on: ")])

    def train(*_: Any) -> None:
        for trial in narration.counted(["first", "second"], "trials"):
            with narration.counting("rounds", 80) as rounds:
                rounds.done = 40
                if trial == "second":
                    assert heard.wait(60)

    call_step(run, "train", train, "BR")
    texts = [record.getMessage() for record in caplog.records]
    assert texts[0].startswith("train [BR] begins")
    assert any(
        re.match(r"train \[BR\] goes on: \d+ s, 1 of 2 trials \(second\), 40 of 80 rounds, at most ", text)
        for text in texts
    )


@pytest.mark.parametrize(("seconds", "pause"), [(0, 10), (60, 10), (90, 15), (720, 120), (7200, 120)])
def test_lines_of_progress_become_rare(seconds: float, pause: float) -> None:
    assert step_log.pause_after(seconds) == pause


class _Until(logging.Handler):
    """Says when it has heard a line of the second trial that begins in some way."""

    def __init__(self, heard: threading.Event, beginning: str) -> None:
        super().__init__()
        self._heard, self._beginning = heard, beginning

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(self._beginning) and "second" in record.getMessage():
            self._heard.set()


@pytest.mark.parametrize(
    ("error", "line", "name"),
    [
        (BuildError("no such table"), "no such table", "BuildError"),
        (ZeroDivisionError("by 0"), "ZeroDivisionError: by 0. This is a bug of matinee", "ZeroDivisionError"),
    ],
)
def test_a_step_that_fails_ends_with_its_error(
    error: Exception, line: str, name: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Run) -> None:
        raise error

    with pytest.raises(type(error)):
        call_step(run, "build", fail)
    begins, failed = caplog.records
    assert begins.getMessage().startswith("build begins")
    assert (failed.levelname, failed.getMessage()) == ("ERROR", line)
    assert fields_of(failed)["error"] == name
    assert fields_of(failed)["step"] == "build"


@pytest.mark.parametrize(
    ("result", "line"),
    [
        ({"BR": RESULT, "*": None}, "BR: days loaded: 2 (2026-02-19 to 2026-02-20); feature days built: 0; "
         "label cuts built: 0; *: None"),
        (["BR", "*"], "BR, *"),
        ([], "none"),
        ("x" * 1000, "x" * (step_log.LONGEST - 1) + "…"),
    ],
)  # fmt: skip
def test_any_result_fits_in_a_line(result: Any, line: str) -> None:
    assert summary_of(result) == line


SCRIPT = """
import sys
from pathlib import Path
from tasks.runs.narration import warn
from tasks.runs.failures import call_step
from tasks.runs.step_log import log_everything, log_to_stderr
from tests.tasks.runs.test_step_log import Home, Run, day, spec_of

def step(run):
    warn("{rows:,} rows of {table} are lost", rows=1200, table="events")
    if sys.argv[3] == "fails":
        raise OSError(28, "No space left on device", "/some/file")

log_to_stderr(sys.argv[2] or None)
if sys.argv[3] == "everything":
    log_everything()
run = Run(spec_of(), Home(Path(sys.argv[1])), day("02-20"), "1")
try:
    call_step(run, "build", step)
except Exception:
    pass
"""


def lines_of(folder: Path, kind: str, how: str = "") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(folder), kind, how],
        cwd=TOOL,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()


def test_people_read_time_day_step_and_text(tmp_path: Path) -> None:
    lines = lines_of(tmp_path, "text")
    assert [re.sub(r"^\d\d:\d\d:\d\dZ ", "", line) for line in lines[:2]] == [
        "2026-02-20 build begins, tiny as of 2026-02-20",
        "2026-02-20 WARNING build: 1,200 rows of events are lost",
    ]
    assert " 2026-02-20 build done in " in lines[2]


def test_programs_read_an_object_a_line_with_the_figures(tmp_path: Path) -> None:
    begins, warning, done = map(json.loads, lines_of(tmp_path, "json"))
    of_step = {"pipeline": "tiny", "day": "2026-02-20", "run": "1", "step": "build"}
    timestamp = warning.pop("timestamp")
    assert datetime.fromisoformat(timestamp).utcoffset() == timedelta(0)
    text = "1,200 rows of events are lost"
    assert warning == {"level": "warning", "event": text, "rows": 1200, "table": "events", **of_step}
    assert begins.keys() - {"timestamp", "level", "event"} == of_step.keys()
    assert done["seconds"] >= 0
    assert done["memory_mb"] > 0


@pytest.mark.parametrize(
    ("kind", "how", "levels"),
    [
        ("", "", []),  # the command shows results of its own
        ("", "everything", ["begins", "WARNING", "done"]),
        ("warnings", "everything", ["WARNING"]),
        ("text", "fails", ["begins", "WARNING"]),  # the command prints the error itself
        ("json", "fails", ["begins", "WARNING", "No space left"]),
    ],
)
def test_what_is_written(kind: str, how: str, levels: list[str], tmp_path: Path) -> None:
    lines = lines_of(tmp_path, kind, how)
    assert len(lines) == len(levels)
    assert all(level.lower() in line.lower() for level, line in zip(levels, lines, strict=True))


def test_a_worker_is_silent_unless_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_log.log, "handlers", [])
    monkeypatch.setattr(step_log.log, "propagate", True)
    monkeypatch.delenv("MATINEE_LOG", raising=False)
    failure, line = logging.makeLogRecord({"error": "BuildError"}), logging.makeLogRecord({"figures": {}})
    step_log.log_in_worker()
    (handler,) = step_log.log.handlers
    assert not handler.filter(failure)
    assert not handler.filter(line)
    monkeypatch.setenv("MATINEE_LOG", "text")
    step_log.log_in_worker()
    (handler,) = step_log.log.handlers
    assert handler.filter(line)
    assert handler.filter(failure)  # no command prints the errors of a single day


def test_another_form_is_refused() -> None:
    with pytest.raises(MatineeError, match="MATINEE_LOG: found 'xml', expected text, json or warnings"):
        log_to_stderr("xml")
