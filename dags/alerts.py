"""Tell people of failures, from where Airflow notices them.

Three places, and each fault is told once all the same: a task that fails calls `tell` itself; one that is killed
cannot, and the DAG processor calls it when the run has failed; the last task of a run calls it in any case.
"""

from __future__ import annotations

import logging
from typing import Any

from tasks.runs.attempts import attempt_of

log = logging.getLogger("matinee")
SECONDS = 20.0
"""The DAG processor ends a callback after 50 s; what is not sent by then is sent by `matinee watch` or the next run."""


def notify(context: Any, *, finished: bool = False) -> None:
    """Tell what is wrong with the run of a context; never raises, so that it changes nothing of the run.

    Args:
        context: Airflow's, of a task or of a failed run.
        finished: whether the run is over.
    """
    try:
        from dags.context import day_of
        from tasks.alerts.alerts import send_alerts
        from tasks.runs.run import Run

        name, run_id = context["dag"].dag_id, context["run_id"]
        run = Run.create(name, day_of(context), attempt_of(run_id))
        states = context["ti"].get_task_states(dag_id=name, run_ids=[run_id])[run_id]
        failed = [task for task, state in states.items() if state == "failed"]
        if context.get("exception") is not None:
            failed.append(context["task"].task_id)  # Airflow has yet to be told
        send_alerts(run, run_id=run_id, failed=failed, finished=finished, seconds=SECONDS)
    except Exception as error:
        log.warning("alerts of %s: %s: %s", context.get("run_id"), type(error).__name__, error)
