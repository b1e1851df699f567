"""What Airflow's REST API answers: of each object the keys that are read here."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

ENDED = ("success", "failed")
"""States of a run that is over."""


class Answer(BaseModel):
    """What is read of an answer; its other keys, of which there are many and changing ones, are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Dag(Answer):
    """A DAG; `is_stale` once its file is gone."""

    is_paused: bool
    is_stale: bool = False


class DagRun(Answer):
    """A run of a DAG."""

    dag_run_id: str
    state: str
    logical_date: datetime | None
    dag_id: str = ""
    run_type: str = ""
    note: str | None = None
    data_interval_start: datetime | None
    start_date: datetime | None = None
    end_date: datetime | None = None


class Task(Answer):
    """A task instance; of a mapped task there is one for each entry of its list."""

    task_id: str
    state: str | None
    dag_run_id: str = ""
    queued_when: datetime | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    map_index: int = -1
    rendered_map_index: str | None = None
    try_number: int = 0

    @property
    def name(self) -> str:
        """Task and, of a mapped one, the entry."""
        return self.task_id + (f"[{self.rendered_map_index}]" if self.rendered_map_index else "")


class Backfill(Answer):
    """A backfill; one that was canceled has ended and is still paused."""

    id: int
    from_date: datetime
    to_date: datetime
    is_paused: bool
    completed_at: datetime | None


class ComponentHealth(Answer):
    """What Airflow says of one of its components; no status before the first heartbeat."""

    status: str | None = None
