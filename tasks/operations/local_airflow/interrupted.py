"""A `make run` that was interrupted or killed: its days must not go on when Airflow is started for something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import psutil

from tasks.operations.airflow_answers import ENDED
from tasks.operations.local_airflow.airflow_api import Airflow
from tasks.operations.local_airflow.sockets import airflow_home
from tasks.store.records import Record


class Driven(Record):
    """`airflow/make-run.json`: the days that a process drives through Airflow; it is removed when they have ended.

    Attributes:
        pipeline: whose days.
        first: the first of them.
        last: the last of them.
        was_paused: whether the DAG was paused before.
        pid: the process.
        born: when that process began, since another one may have its number by now.
    """

    pipeline: str
    first: date
    last: date
    was_paused: bool
    pid: int
    born: float

    @property
    def is_alive(self) -> bool:
        """Whether the process still drives them."""
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.born) < 1)
        except psutil.Error:
            return False


@contextmanager
def driven(api: Airflow, home: Path, pipeline: str, days: tuple[date, date]) -> Iterator[None]:
    """Unpause a DAG for the days that are driven through it; whatever ends the block, nothing of them goes on.

    Args:
        api: the running Airflow.
        home: state folder.
        pipeline: whose days.
        days: the first and the last of them.
    """
    dag = api.dag(pipeline)
    me = psutil.Process()
    record = Driven(
        pipeline=pipeline,
        first=days[0],
        last=days[1],
        was_paused=dag is None or dag.is_paused,
        pid=me.pid,
        born=me.create_time(),
    )
    # Before anything runs: a process that is killed later can't write it any more.
    record.write(_path(home))
    try:
        api.pause(pipeline, False)  # runs of a paused DAG would be queued forever
        yield
    finally:
        _settle(api, record)
        _path(home).unlink(missing_ok=True)


def settle_interrupted(api: Airflow, home: Path, say: Callable[[str], None]) -> None:
    """End what a killed `make run` left: its runs fail, which ends their backfill, and its DAG is paused again."""
    path = _path(home)
    if not path.exists():
        return
    record = Driven.read(path)
    if record.is_alive:
        return
    say(f"an earlier run of {record.pipeline}, {record.first} to {record.last}, was interrupted: ending what is left")
    _settle(api, record)
    path.unlink(missing_ok=True)


def _settle(api: Airflow, record: Driven) -> None:
    runs = [run for run in api.runs(record.pipeline, record.first, record.last) if run.state not in ENDED]
    # The running ones last: else the next of a backfill would begin meanwhile. The backfill itself is not canceled, as
    # Airflow starts no run of a canceled one any more, and `make run` is to go on with these.
    for run in sorted(runs, key=lambda run: run.state == "running"):
        api.fail(record.pipeline, run.dag_run_id)
    if record.was_paused:
        api.pause(record.pipeline, True)


def _path(home: Path) -> Path:
    return airflow_home(home) / "make-run.json"
