"""Notes on failed runs: what broke and what to do, once, and only on our own DAGs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from tasks.operations.airflow_answers import DagRun
from tasks.operations.local_airflow.airflow_api import Airflow
from tasks.operations.local_airflow.run_notes import LONGEST, note_on, write_notes
from tasks.spec.project import TOOL
from tasks.store.files import Home, write_text


def failed(**changes: Any) -> DagRun:
    start = datetime(2026, 2, 26, tzinfo=UTC)
    given = {"dag_id": "streaming", "dag_run_id": "manual__2026-02-26", "state": "failed", "logical_date": start}
    return DagRun.model_validate({**given, "data_interval_start": start, **changes})


class Server:
    """An Airflow with three failed runs."""

    def __init__(self) -> None:
        self.notes: dict[tuple[str, str], str] = {}

    def failed_runs(self) -> list[DagRun]:
        return [failed(), failed(dag_run_id="manual__2026-02-25", note="seen, Ann"), failed(dag_id="others")]

    def write_note(self, pipeline: str, run_id: str, text: str) -> None:
        self.notes[pipeline, run_id] = text


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A state folder in which the build of a run failed."""
    monkeypatch.setenv("MATINEE_PIPELINES", str(TOOL / "pipelines"))
    run = tmp_path / "runs" / "streaming" / "2026-02-26" / "manual__2026-02-26"
    for step in ("land", "check_landed"):
        write_text(run / step / "result.json", "{}")
    write_text(run / "errors" / "build.txt", "the disk is full\nand more\n")
    return Home(tmp_path)


def test_a_failed_run_without_a_note_gets_one(home: Home) -> None:
    server = Server()
    assert write_notes(cast(Airflow, server), home) == 1
    ((key, note),) = server.notes.items()
    assert key == ("streaming", "manual__2026-02-26")
    # Airflow's pages show the first line of a note: it has to say what broke.
    assert note.splitlines() == [
        "Not published: the step build failed. the disk is full",
        "Next: once that is fixed, run the day again: clear the run in Airflow, or `matinee run streaming --as-of "
        "2026-02-26`",
        "Next: docs/runbooks/README.md",
    ]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"data_interval_start": None}, "This run is for no day: start it with a logical date."),
        ({"data_interval_start": datetime(2020, 1, 1, tzinfo=UTC)}, "covers 2026-01-01 to yesterday"),
    ],
)
def test_a_run_that_could_not_start_says_why(changes: dict[str, Any], note: str, home: Home) -> None:
    assert note in note_on(home, failed(**changes))


def test_a_note_fits(home: Home) -> None:
    write_text(home.root / "runs/streaming/2026-02-26/manual__2026-02-26/errors/build.txt", "x" * 5000)
    assert len(note_on(home, failed())) == LONGEST
