"""Alerts from where Airflow notices failures.

There are three such places: a task that fails calls `notify` itself; a task that is killed cannot, so the DAG processor
calls it when the run has failed; and the last task of a run calls it in any case. The outbox sees to it that each fault
is still sent once.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

log = logging.getLogger("matinee")


def notify(context: Any, *, finished: bool = False) -> None:
    """Notify of what is wrong with the run of a context; never raises.

    Args:
        context: Airflow's, of a task or of a run that failed.
        finished: whether the run is over.
    """
    try:
        from dags.context import run_of
        from tasks.alerts.alerts import hand_over
        from tasks.errors import MatineeError
        from tasks.runs.failures import keep_silent_failures

        name, run_id = context["dag"].dag_id, context["run_id"]
        try:
            run = run_of(context)
        except (AirflowFailException, MatineeError) as error:
            return _notify_of_refusal(name, run_id, str(error))
        states = context["ti"].get_task_states(dag_id=name, run_ids=[run_id])[run_id]
        failed = [task for task, state in states.items() if state == "failed"]
        if context.get("exception") is not None:
            failed.append(context["task"].task_id)  # Airflow sets the task's state after this callback
        keep_silent_failures(run, failed)
        # Only written down: Airflow kills a task that takes 20 s to end, and calls that a failure.
        hand_over(run, run_id=run_id, failed_tasks=failed, finished=finished)
    except Exception as error:
        log.warning("alerts of %s: %s: %s", context.get("run_id"), type(error).__name__, error)


def _notify_of_refusal(pipeline: str, run_id: str, why: str) -> None:
    """Notify of a run that has no folder, because there is no day that it could be for."""
    from tasks.alerts.alerts import notify_once
    from tasks.alerts.messages import plain_message
    from tasks.store.files import default_home

    texts = {"": why, "Runbook": "docs/runbooks/run-a-day.md"}
    rule, today = f"cannot start {run_id}", datetime.now(UTC).date()
    notify_once(default_home(), plain_message(pipeline, today, rule, "a run that cannot start", texts))
