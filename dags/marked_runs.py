"""A run that somebody marks as failed or as a success in Airflow: it ends then, and none of its steps says so.

Airflow calls no callback of the DAG for it, only listeners, in the API server.
"""

from __future__ import annotations

import logging
from datetime import UTC
from typing import Any

from airflow.listeners import hookimpl

log = logging.getLogger("matinee")
BY_HAND = "manually set to"
"""Is in the message of a state that a person chose; the scheduler's own have other messages."""


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """Airflow calls it when a run failed, or was marked so."""
    _keep(dag_run, "failed", msg)


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """Airflow calls it when a run succeeded, or was marked so."""
    _keep(dag_run, "a success", msg)


def _keep(dag_run: Any, state: str, msg: str) -> None:
    """Let the pages know; never raises, since the run has its state already."""
    if BY_HAND not in msg or dag_run.data_interval_start is None:
        return
    try:
        from tasks.runs.attempts import attempt_of
        from tasks.runs.failures import keep_mark
        from tasks.store.files import default_home

        day = dag_run.data_interval_start.astimezone(UTC).date()
        keep_mark(default_home().run_dir(dag_run.dag_id, day, attempt_of(dag_run.run_id)), state)
    except Exception as error:
        log.warning("the mark of %s: %s: %s", dag_run.run_id, type(error).__name__, error)
