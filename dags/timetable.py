"""A timetable in which a date means one day, whoever names it: the schedule, a backfill, a trigger, the command line.

A run for day X has the data interval `[X, X + 1 day)`. Airflow's cron timetables give a triggered run the interval that
ends at the date that was chosen, hence the day before; and a DAG's `end_date` makes runs behind it that have no task
and are green. So the days that a pipeline covers are kept here, and other days are refused.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.utils.types import DagRunType
from croniter import croniter
from pendulum import DateTime

DAY = timedelta(days=1)
BY_HAND = "none (by hand only)"
EVERY_DAY = "@daily"
"""Days that a backfill of a pipeline without a schedule takes."""


class DayTimetable(Timetable):  # type: ignore[misc,unused-ignore]
    """Runs a pipeline for whole days in UTC.

    Each time of the cron expression is a run for the day before, so a weekly run knows its week's last day.

    Args:
        pipeline: name of the pipeline, and of its DAG.
        cron: cron expression, in UTC; None: days are run by hand only, any of them.
        first: first day that the pipeline covers.
        last: last day that it covers; None: it goes on.
        catch_up: how many missed days, before the last one, are still run by the schedule.
    """

    def __init__(
        self, pipeline: str, cron: str | None, first: date, last: date | None = None, catch_up: int = 0
    ) -> None:
        self.pipeline, self.cron = pipeline, cron
        self.first, self.last, self.catch_up = first, last, catch_up
        self.description = f"{cron}, each run for the day before" if cron else BY_HAND

    @property
    def summary(self) -> str:
        """What the list of DAGs shows."""
        return self.cron or BY_HAND

    def serialize(self) -> dict[str, Any]:
        """Write the timetable as JSON."""
        last = self.last.isoformat() if self.last else None
        days = {"first": self.first.isoformat(), "last": last, "catch_up": self.catch_up}
        return {"pipeline": self.pipeline, "cron": self.cron, **days}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Timetable:
        """Read what `serialize` wrote."""
        last = date.fromisoformat(data["last"]) if data["last"] else None
        return cls(data["pipeline"], data["cron"], date.fromisoformat(data["first"]), last, data["catch_up"])

    def validate(self) -> None:
        """Do nothing: the pipeline file has been validated."""

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """Choose the day of a triggered run.

        Args:
            run_after: the logical date that was chosen, with its time of day. Today means the last whole day, since
                the dialog proposes the present instant.

        Raises:
            ValueError: the day is not over, or the pipeline does not cover it; the dialog shows the message.
        """
        chosen, today = run_after.astimezone(UTC).date(), _now().date()
        if chosen > today:
            raise ValueError(
                f"{chosen} is not over yet: choose a day up to {today - DAY}, or today for the last whole one"
            )
        day = min(chosen, today - DAY)
        if day < self.first or (self.last is not None and day > self.last):
            raise ValueError(f"{day} is none of the pipeline's days, {self.first} to {self.last or 'yesterday'}")
        return _interval(day)

    def generate_run_id(
        self, *, run_type: Any, run_after: DateTime, data_interval: DataInterval | None, **extra: Any
    ) -> str:
        """Name a run by its day; one without a day by the instant at which it was asked for.

        Raises:
            ValueError: a run of the day was triggered before; the dialog shows the message.
        """
        if data_interval is None:
            return str(run_type.generate_run_id(suffix=run_after.isoformat()))
        run_id = str(run_type.generate_run_id(suffix=data_interval.start.date().isoformat()))
        if run_type == DagRunType.MANUAL and _exists(self.pipeline, run_id):
            # Airflow would answer with "Unique constraint violation" and "Serious error".
            raise ValueError(f"{run_id} exists: clear it to run the day again, or start a backfill of the day")
        return run_id

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Choose the next day to run.

        Args:
            last_automated_data_interval: of the last scheduled or backfilled run.
            restriction: bounds. A backfill sets `catchup`, and wants every day between them; the schedule does not.
        """
        previous = last_automated_data_interval.start.astimezone(UTC).date() if last_automated_data_interval else None
        if restriction.catchup:
            return self._next_of_backfill(previous, restriction)
        if self.cron is None:
            return None
        earliest = self._latest_due()
        if previous is not None:
            earliest = max(previous + DAY, earliest - self.catch_up * DAY)
        fires = self._first_run_for(max(earliest, self.first))
        day = fires.date() - DAY
        if self.last is not None and day > self.last:
            return None
        return DagRunInfo(run_after=DateTime.instance(fires), data_interval=_interval(day))

    def _next_of_backfill(self, previous: date | None, restriction: TimeRestriction) -> DagRunInfo | None:
        if restriction.earliest is None:
            return None
        earliest = max(restriction.earliest.astimezone(UTC).date(), self.first)
        day = self._first_run_for(earliest if previous is None else max(earliest, previous + DAY)).date() - DAY
        latest = min(
            _now().date() - DAY,
            self.last or date.max,
            restriction.latest.astimezone(UTC).date() if restriction.latest else date.max,
        )
        if day > latest:
            return None
        interval = _interval(day)
        # Airflow names a backfill's runs by `run_after`: the day itself, which is over, instead of the day after it.
        return DagRunInfo(run_after=interval.start, data_interval=interval)

    def _latest_due(self) -> date:
        """Find the day of the run that fired last."""
        fired: datetime = croniter(self.cron or EVERY_DAY, _now() + timedelta(microseconds=1)).get_prev(datetime)
        return fired.date() - DAY

    def _first_run_for(self, day: date) -> datetime:
        """Find the first time at which a run for `day` or a later one fires."""
        over = datetime.combine(day + DAY, time(), UTC)
        fires: datetime = croniter(self.cron or EVERY_DAY, over - timedelta(microseconds=1)).get_next(datetime)
        return fires


def _exists(pipeline: str, run_id: str) -> bool:
    """Whether a DAG has a run of that name; asked in the API server only, where there is a database."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(DagRun.id).where(DagRun.dag_id == pipeline, DagRun.run_id == run_id)
    with create_session() as session:
        return session.scalar(query) is not None


def _interval(day: date) -> DataInterval:
    start = datetime.combine(day, time(), UTC)
    return DataInterval(DateTime.instance(start), DateTime.instance(start + DAY))


def _now() -> datetime:
    return datetime.now(UTC)
