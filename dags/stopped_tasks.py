"""The log of a task that did not run because another one failed: which one, why, and what to do.

Such a task has no log. Airflow's pages show a sentence in its place that names nothing, and nothing in Airflow lets a
plugin choose another; so the method that words it is wrapped. Where that cannot be done, Airflow's own sentence stays.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from airflow.utils.log.log_reader import TaskLogReader
from airflow.utils.state import TaskInstanceState

from dags.reasons import why_not_run

log = logging.getLogger("matinee")
METHOD = "get_no_log_state_message"


def explain_stopped_tasks() -> None:
    """Let the API server say why a task of ours did not run."""
    original = getattr(TaskLogReader, METHOD, None)
    if original is None or hasattr(original, "explains"):
        return

    def lines(ti: Any) -> Iterator[Any]:
        messages = list(original(ti))
        if messages and (reason := _reason(ti)):
            messages[-1].event = reason
        yield from messages

    lines.explains = True  # type: ignore[attr-defined]
    setattr(TaskLogReader, METHOD, staticmethod(lines))


def _reason(ti: Any) -> str | None:
    if ti.state != TaskInstanceState.UPSTREAM_FAILED:
        return None
    try:
        return why_not_run(ti)
    except Exception as error:  # a page that explains less is better than one that fails
        log.warning("why %s of %s did not run: %s: %s", ti.task_id, ti.run_id, type(error).__name__, error)
        return None
