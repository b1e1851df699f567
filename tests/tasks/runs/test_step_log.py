"""What a step says: in text, in JSON, and while it takes long."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import BuildError, MatineeError
from tasks.features.build import BuildResult, DaySpan
from tasks.runs import step_log
from tasks.runs.failures import call_step
from tasks.runs.run import Run
from tasks.runs.step_log import log_to_stderr
from tasks.spec.project import PROJECT
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
    assert done.startswith("build done in 0.0 s, at most ")
    assert "partitions loaded days 2, from 2026-02-19, to 2026-02-20" in done
    fields = {name: getattr(caplog.records[0], name) for name in step_log.FIELDS}
    assert fields == {"pipeline": run.spec.name, "day": "2026-02-20", "run": "manual__2026-02-20", "step": "build"}


def test_what_takes_long_says_that_it_goes_on(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_log, "EVERY", 0.01)
    call_step(run, "train", lambda *_: time.sleep(0.2), "BR")
    texts = [record.getMessage() for record in caplog.records]
    assert texts[0].startswith("train [BR] begins")
    assert any(text.startswith("train [BR] goes on: 0 s, at most ") for text in texts)


def test_a_step_that_fails_has_no_line_of_a_result(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Run) -> None:
        raise BuildError("no such table")

    with pytest.raises(BuildError):
        call_step(run, "build", fail)
    assert [record.getMessage().split()[1] for record in caplog.records] == ["begins,"]


@pytest.mark.parametrize("kind", ["text", "json"])
def test_the_environment_chooses_the_form(kind: str, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tasks.runs.step_log import log_to_stderr; "
        "from tasks.runs.failures import call_step; from tests.tasks.runs.test_step_log import *; "
        f"log_to_stderr('{kind}'); run = Run(spec_of(), Home(Path(sys.argv[1])), day('02-20'), '1'); "
        "call_step(run, 'build', lambda _: RESULT)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    first, last = done.stderr.splitlines()
    if kind == "json":
        entry = json.loads(last)
        assert (entry["step"], entry["day"], entry["run"], entry["level"]) == ("build", "2026-02-20", "1", "info")
        assert entry["event"].startswith("build done in ")
    else:
        assert "build begins" in first
        assert "step=build" in last


def test_another_form_is_refused() -> None:
    with pytest.raises(MatineeError, match="MATINEE_LOG: found 'xml', expected text or json"):
        log_to_stderr("xml")
