"""What a failed step says, on the screen and in the run's folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import ArtifactError
from tasks.errors import BuildError, MatineeError
from tasks.reports.overview_days import Outcome, summarize_attempt
from tasks.reports.run_verdict import State, step_states, verdict_on
from tasks.runs.failures import (
    NO_ERROR_MESSAGE,
    call_step,
    error_file,
    explained,
    keep_mark,
    keep_silent_failures,
    last_words,
    mark_of,
)
from tasks.runs.run import Run
from tasks.store.files import Home, write_json, write_text
from tasks.store.run_files import Attempt
from tests.tasks.handmade import day, spec_of


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(spec_of(), Home(tmp_path), day("02-20"), "1")


def failing(error: Exception) -> Any:
    def step(*_: Any) -> None:
        raise error

    return step


def test_the_words_of_a_failed_step_are_kept_until_it_succeeds(run: Run) -> None:
    with pytest.raises(BuildError, match=r"^no such table$"):
        call_step(run, "build", failing(BuildError("no such table")))
    assert error_file(run, "build") == run.dir / "errors" / "build.txt"
    assert last_words(run, "build") == "no such table\n"
    assert last_words(run, "land") is None

    assert call_step(run, "build", lambda run: run.attempt) == "1"
    assert last_words(run, "build") is None


def test_each_mapped_task_has_words_of_its_own(run: Run) -> None:
    for population in ("BR", "*"):
        with pytest.raises(MatineeError):
            call_step(run, "train", failing(MatineeError(f"{population} is empty")), population)
    assert last_words(run, "train") == "BR is empty\n\n* is empty\n"
    call_step(run, "train", lambda run, population: None, "BR")
    assert last_words(run, "train") == "* is empty\n"


def test_a_build_takes_back_its_error_whatever_days_it_builds_together(run: Run) -> None:
    """The days that wait are an argument of the step, and may be others at the next attempt."""
    with pytest.raises(BuildError):
        call_step(run, "build", failing(BuildError("busy")), [day("02-21")])
    assert error_file(run, "build", [day("02-22")]).read_text() == "busy\n"
    call_step(run, "build", lambda *_: None, [day("02-22")])
    assert last_words(run, "build") is None


def test_a_full_disk_is_named_with_the_file(run: Run) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/some/file")
    with pytest.raises(MatineeError) as caught:
        call_step(run, "retrieve", failing(full))
    assert str(caught.value) == (
        "tiny 2026-02-20, step retrieve: /some/file: No space left on device. No partial output was left behind. "
        "Free some space, or fix the disk or its permissions, then run this step again"
    )
    assert last_words(run, "retrieve") == f"{caught.value}\n"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EISDIR, "A file is expected here: name a file, or move the folder away"),
        (errno.ENOTDIR, "A folder is expected here, and a file has its name"),
        (errno.ENAMETOOLONG, "Give it a shorter name"),
        (errno.EACCES, "change the permissions, or name another path"),
        (errno.EIO, "Free some space, or fix the disk"),
    ],
)
def test_a_wrong_path_is_not_blamed_on_the_disk(number: int, advice: str) -> None:
    said = str(explained(OSError(number, os.strerror(number), "/some/file")))
    assert said.startswith(f"/some/file: {os.strerror(number)}. ")
    assert advice in said
    assert ("Free some space" in said) == (number == errno.EIO)


def test_a_step_out_of_order_is_told_to_run_the_steps_before_it(run: Run) -> None:
    gone = run.step_dir("evaluate") / "groups.parquet"
    with pytest.raises(MatineeError) as caught:
        call_step(run, "gate", lambda _: gone.read_bytes())
    assert str(caught.value) == (
        f"tiny 2026-02-20, step gate: {gone}: no such file; expected what an earlier step leaves there. Run the steps "
        "before this one in the same attempt, or `matinee run` for all of them"
    )


def test_a_disk_too_full_for_the_words_does_not_hide_them(run: Run) -> None:
    run.dir.parent.mkdir(parents=True)
    run.dir.write_text("a file where the folder should be")
    with pytest.raises(BuildError, match=r"^broken$"):
        call_step(run, "build", failing(BuildError("broken")))


def test_a_file_that_a_library_cannot_read_is_explained(tmp_path: Path) -> None:
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1 and no more")
    reads: dict[type[Exception], Callable[[], Any]] = {
        duckdb.Error: lambda: duckdb.sql(f"from read_parquet('{torn}')"),
        pa.ArrowInvalid: lambda: pq.read_table(torn),
    }
    for kind, read in reads.items():
        with pytest.raises(kind) as caught:
            read()
        said = explained(caught.value, "here: ")
        assert said is not None
        assert str(said).startswith("here: the data could not be read or computed: ")
        assert "Traceback" not in str(said)


def test_errors_of_the_engine_keep_their_words() -> None:
    assert str(explained(ArtifactError("a.npz: torn"), "x: ")) == "x: a.npz: torn"


def test_a_bug_stays_a_bug_but_is_in_the_report(run: Run) -> None:
    with pytest.raises(KeyError):
        call_step(run, "sample", failing(KeyError("grade")))
    assert last_words(run, "sample") == "KeyError: 'grade'\n"
    assert explained(KeyError("grade")) is None


def test_a_step_that_was_killed_is_written_down_once_and_taken_back(run: Run) -> None:
    write_text(error_file(run, "build"), "no such table\n")
    keep_silent_failures(run, ["build", "train_0", "train_11", "report"])
    assert last_words(run, "build") == "no such table\n"
    assert last_words(run, "train") == f"the step train {NO_ERROR_MESSAGE}\n"
    assert last_words(run, "report") is None
    keep_silent_failures(run, ["train_0"])
    call_step(run, "train", lambda _run, _population: None, "BR")
    assert last_words(run, "train") is None


def test_pages_agree_with_the_scheduler_on_a_killed_step(run: Run) -> None:
    """Without it the first step without a result would be blamed, or nobody."""
    for step in ("land", "check_landed", "build", "check_features", "retrieve"):
        write_json(run.step_dir(step) / "result.json", {})
    keep_silent_failures(run, ["retrieve"])
    states = {state.name: state.state for state in step_states(run)}
    assert (states["retrieve"], states["sample"]) == (State.FAILED, State.MISSING)
    assert "the step retrieve failed" in verdict_on(run, step_states(run)).text
    assert summarize_attempt(Attempt("tiny", run.as_of, run.dir)).outcome is Outcome.FAILED


def test_a_run_that_somebody_marked_has_ended_until_a_step_runs_again(run: Run) -> None:
    for step in ("land", "check_landed"):
        write_json(run.step_dir(step) / "result.json", {})
    assert verdict_on(run, step_states(run, finished=False)).text.startswith("Not finished")
    keep_mark(run.dir, "failed")
    verdict = verdict_on(run, step_states(run, finished=False))
    assert verdict.text == "Not published: the run was marked as failed in Airflow before the step build had a result."
    assert (verdict.good, verdict.error, verdict.step) == (False, None, "build")
    assert summarize_attempt(Attempt("tiny", run.as_of, run.dir)).outcome is Outcome.FAILED
    mark = run.dir / "errors" / "marked.txt"
    os.utime(mark, (0, 0))  # before this process began: it is a task of the run that was cleared since
    call_step(run, "check_landed", lambda _run: None)
    assert mark_of(run) is None
    assert verdict_on(run, step_states(run, finished=False)).text.startswith("Not finished")


def test_a_task_that_was_under_way_when_its_run_was_marked_leaves_the_mark(run: Run) -> None:
    """It comes to its step in the seconds until Airflow ends it."""
    write_json(run.step_dir("land") / "result.json", {})
    keep_mark(run.dir, "failed")
    call_step(run, "check_landed", lambda _run: None)
    assert mark_of(run) is not None
    assert not verdict_on(run, step_states(run, finished=False)).text.startswith("Not finished")


def test_the_error_of_a_step_says_more_than_the_mark_of_its_run(run: Run) -> None:
    write_text(error_file(run, "land"), "no such table\n")
    keep_mark(run.dir, "failed")
    verdict = verdict_on(run, step_states(run, finished=False))
    assert (verdict.text, verdict.error) == ("Not published: the step land failed.", "no such table\n")


def test_a_run_that_left_nothing_is_not_made_by_its_mark(run: Run) -> None:
    keep_mark(run.dir, "failed")
    assert not run.dir.exists()
