"""What a task asks of Airflow: the run it belongs to, its as-of day, and the days of the runs that wait."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from tasks.runs.attempts import attempt_of

if TYPE_CHECKING:
    from tasks.runs.run import Run

MONTH = 31


def run_of(context: dict[str, Any]) -> Run:
    """Open the attempt at a day that a DAG run is.

    Raises:
        AirflowFailException: the DAG run is for no day.
        MatineeError: the pipeline file is missing or wrong.
    """
    # Imported here: the DAG processor parses this module over and over, and this loads the pipeline's libraries.
    from tasks.runs.run import Run

    return Run.create(context["dag"].dag_id, day_of(context), attempt_of(context["run_id"]))


def day_of(context: dict[str, Any]) -> date:
    """The as-of day of a run: the first day of its data interval, in UTC.

    Raises:
        AirflowFailException: the run has no data interval, or one that its logical date does not mean.
    """
    start = context.get("data_interval_start")
    if start is None:
        raise AirflowFailException(
            f"run {context['run_id']} has no data interval, so it has no as-of day; "
            "start it with a logical date (a backfill, the schedule, or Trigger with a date)"
        )
    day: date = start.astimezone(UTC).date()
    chosen = context.get("logical_date")
    # `airflow dags trigger` derives the interval from the present instant, whatever date it is given.
    if chosen is not None and chosen.astimezone(UTC).date() not in (day, day + timedelta(days=1)):
        raise AirflowFailException(
            f"run {context['run_id']}: its logical date is {chosen:%Y-%m-%d}, but Airflow gave it the data interval of "
            f"{day}, as `airflow dags trigger` does; start {chosen:%Y-%m-%d} in the UI, over the REST API, "
            f"or with `matinee stack run {context['dag'].dag_id} --days 1 --as-of {chosen:%Y-%m-%d}`"
        )
    return day


def waiting_days(context: dict[str, Any]) -> list[date]:
    """List the as-of days of the DAG's other runs that are queued or running, within a month of the running one."""
    # A plain datetime: Airflow's own loses datetime.UTC when days are added to it.
    start_of_run = datetime.fromtimestamp(context["data_interval_start"].timestamp(), UTC)
    dag = context["dag"].dag_id

    def waiting(starts: list[datetime]) -> list[datetime]:
        """Find the dates with a run: a task may only count runs, so halve the dates until all or none have one."""
        count = context["ti"].get_dr_count(dag_id=dag, logical_dates=starts, states=["queued", "running"])
        if count in (0, len(starts)):
            return starts if count else []
        middle = len(starts) // 2
        return [*waiting(starts[:middle]), *waiting(starts[middle:])]

    return [
        start.date() for start in waiting([start_of_run + timedelta(days=n) for n in range(-MONTH, MONTH + 1) if n])
    ]
