"""Workers that no task reaches any more, and the one cure: another scheduler.

A scheduler's workers wait for the next task one at a time, behind a lock. If the one whose turn it is gets killed, the
lock is never released: the other workers wait for ever, and so does every task that is queued from then on. The
scheduler does not notice, and Airflow fails such tasks after half an hour.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import psutil

from tasks.operations.local_airflow.airflow_api import Airflow
from tasks.operations.local_airflow.processes import schedulers_with_idle_workers

PATIENCE = timedelta(seconds=60)
"""A worker without a task takes the next one within a second, or within some on a busy machine."""


def end_deaf_scheduler(api: Airflow, home: Path, now: datetime) -> bool:
    """Kill a scheduler whose queued tasks are not taken although workers are idle; the supervisor starts the next one.

    Args:
        api: the running Airflow.
        home: state folder; of a scheduler on another machine nothing is known, and nothing done.
        now: the clock.

    Returns:
        Whether one was killed.
    """
    schedulers = schedulers_with_idle_workers(home)
    if not schedulers:
        return False
    if not any(task.queued_when and now - task.queued_when > PATIENCE for task in api.queued_tasks()):
        return False
    for scheduler in schedulers:
        # Not SIGTERM: it would wait for its workers to end, and they wait for the lock.
        with suppress(psutil.NoSuchProcess):
            scheduler.kill()
    return True
