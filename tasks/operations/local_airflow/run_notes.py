"""A note on each failed run in Airflow: what broke, observed against expected, and what to do, before logs are read."""

from __future__ import annotations

from datetime import UTC

from tasks.errors import MatineeError
from tasks.operations.airflow_answers import DagRun
from tasks.operations.local_airflow.airflow_api import Airflow
from tasks.reports.run_verdict import step_states, verdict_on
from tasks.runs.attempts import attempt_of
from tasks.runs.run import Run
from tasks.spec.project import pipeline_names
from tasks.store.files import Home

LONGEST = 1_000  # characters; Airflow refuses more


def write_notes(api: Airflow, home: Home) -> int:
    """Write a note on every failed run of late that has none, and count them.

    Args:
        api: the running Airflow.
        home: the state folder.
    """
    written, names = 0, pipeline_names()
    for run in api.failed_runs():
        if run.dag_id in names and not run.note:
            api.write_note(run.dag_id, run.dag_run_id, note_on(home, run))
            written += 1
    return written


def note_on(home: Home, failed: DagRun) -> str:
    """Compose the note on a failed run."""
    if failed.data_interval_start is None:
        return "This run is for no day: start it with a logical date. docs/runbooks/run-a-day.md"
    day = failed.data_interval_start.astimezone(UTC).date()
    try:
        run = Run.create(failed.dag_id, day, attempt_of(failed.dag_run_id), home=home)
    except MatineeError as error:
        return str(error)[:LONGEST]
    # Airflow's pages show the first line of a note, and the others on request.
    return "\n".join(verdict_on(run, step_states(run)).lines)[:LONGEST]
