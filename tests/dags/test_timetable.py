"""The timetable: a date is one day, whoever names it, and no day outside of the pipeline's."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

# Airflow is imported in functions: its configuration is set by a fixture.
FIRST = date(2026, 1, 10)
NOW = datetime(2026, 3, 5, 8, 30, tzinfo=UTC)  # a Thursday


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    from dags import timetable

    monkeypatch.setattr(timetable, "_now", lambda: NOW)


def table_of(cron: str | None = "@daily", last: date | None = None, catch_up: int = 0) -> Any:
    from dags.timetable import DayTimetable

    return DayTimetable("tiny", cron, FIRST, last, catch_up)


def at(text: str) -> Any:
    from pendulum import DateTime

    return DateTime.instance(datetime.fromisoformat(text).replace(tzinfo=UTC))


def interval(day: str) -> Any:
    from airflow.timetables.base import DataInterval

    return DataInterval(at(day), at(day) + timedelta(days=1))


def manual() -> Any:
    from airflow.utils.types import DagRunType

    return DagRunType.MANUAL


def scheduled(table: Any, last: str | None, count: int = 1) -> list[tuple[str, str]]:
    """The next runs of the schedule, as day and time of the run."""
    from airflow.timetables.base import TimeRestriction

    runs, previous = [], interval(last) if last else None
    restriction = TimeRestriction(earliest=None, latest=None, catchup=False)
    for _ in range(count):
        info = table.next_dagrun_info(last_automated_data_interval=previous, restriction=restriction)
        if info is None:
            break
        assert info.data_interval is not None
        previous = info.data_interval
        runs.append((f"{previous.start.date()}", f"{info.run_after:%Y-%m-%dT%H:%M}"))
    return runs


def backfilled(table: Any, first: str, last: str) -> list[Any]:
    from airflow.timetables.base import TimeRestriction

    restriction, infos = TimeRestriction(at(first), at(last), catchup=True), []
    info = table.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    while info is not None:
        infos.append(info)
        info = table.next_dagrun_info(last_automated_data_interval=info.data_interval, restriction=restriction)
    return infos


def test_without_a_schedule_days_are_run_by_hand_only() -> None:
    from dags.timetable import DayTimetable

    table = DayTimetable.deserialize(table_of(cron=None, last=date(2026, 4, 1)).serialize())
    assert (table.summary, table.description) == ("none (by hand only)", "none (by hand only)")
    assert scheduled(table, last=None) == []
    assert scheduled(table, last="2026-03-01") == []
    assert table.infer_manual_data_interval(run_after=at("2026-02-10")) == interval("2026-02-10")
    assert [info.data_interval for info in backfilled(table, "2026-02-10", "2026-02-12")] == [
        interval(f"2026-02-{day}") for day in (10, 11, 12)
    ]


@pytest.mark.parametrize("chosen", ["2026-02-10", "2026-02-10T00:00:01", "2026-02-10T23:59:59"])
def test_a_triggered_run_is_for_the_chosen_day(chosen: str) -> None:
    table = table_of()
    found = table.infer_manual_data_interval(run_after=at(chosen))
    assert found == interval("2026-02-10")
    name = table.generate_run_id(run_type=manual(), run_after=at("2026-03-05T08:30"), data_interval=found)
    assert name == "manual__2026-02-10"


def test_a_second_run_of_a_day_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from dags import timetable

    monkeypatch.setattr(timetable, "_exists", lambda *names: names == ("tiny", "manual__2026-02-10"))
    with pytest.raises(ValueError, match=r"^manual__2026-02-10 exists: clear it to run the day again, or start a"):
        table_of().generate_run_id(run_type=manual(), run_after=at("2026-03-05"), data_interval=interval("2026-02-10"))
    table_of().generate_run_id(run_type=manual(), run_after=at("2026-03-05"), data_interval=interval("2026-02-11"))


def test_today_means_the_last_whole_day() -> None:
    """The dialog proposes the present instant."""
    chosen = table_of().infer_manual_data_interval(run_after=at("2026-03-05T08:30"))
    assert chosen == interval("2026-03-04")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("2026-03-06", r"2026-03-06 is not over yet: choose a day up to 2026-03-04, or today for the last whole one"),
        ("2026-01-09", r"2026-01-09 is none of the pipeline.s days, 2026-01-10 to 2026-02-20"),
        ("2026-02-21", r"2026-02-21 is none of the pipeline.s days, 2026-01-10 to 2026-02-20"),
        ("2026-03-05", r"2026-03-04 is none of the pipeline"),
    ],
)
def test_a_day_that_cannot_be_run_is_refused(chosen: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table_of(last=date(2026, 2, 20)).infer_manual_data_interval(run_after=at(chosen))


def test_the_schedule_begins_with_yesterday_and_goes_on_day_by_day() -> None:
    table = table_of(catch_up=7)
    assert scheduled(table, None, 2) == [("2026-03-04", "2026-03-05T00:00"), ("2026-03-05", "2026-03-06T00:00")]


@pytest.mark.parametrize(
    ("catch_up", "days"),
    [
        (0, ["2026-03-04", "2026-03-05"]),
        (1, ["2026-03-03", "2026-03-04", "2026-03-05"]),
        (7, ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"]),
    ],
)
def test_missed_days_are_run_oldest_first_within_the_limit(catch_up: int, days: list[str]) -> None:
    """The machine was off for three days: the last run was for 1 March."""
    table = table_of(catch_up=catch_up)
    assert [day for day, _ in scheduled(table, "2026-03-01", len(days))] == days


def test_the_schedule_ends_with_the_last_day() -> None:
    table = table_of(last=date(2026, 3, 5))
    assert scheduled(table, "2026-03-04", 5) == [("2026-03-05", "2026-03-06T00:00")]
    assert scheduled(table_of(last=date(2026, 2, 20)), None) == []


def test_a_schedule_with_an_hour_waits_for_it() -> None:
    table = table_of("0 9 * * *")
    assert scheduled(table, None, 2) == [("2026-03-03", "2026-03-04T09:00"), ("2026-03-04", "2026-03-05T09:00")]


def test_a_weekly_schedule_runs_for_the_day_before_its_time() -> None:
    table = table_of("0 6 * * 1")
    assert scheduled(table, None, 2) == [("2026-03-01", "2026-03-02T06:00"), ("2026-03-08", "2026-03-09T06:00")]


def test_several_times_a_day_are_one_run() -> None:
    table = table_of("0 */6 * * *")
    assert scheduled(table, "2026-03-03", 2) == [("2026-03-04", "2026-03-05T00:00"), ("2026-03-05", "2026-03-06T00:00")]


def test_a_backfill_covers_the_whole_days_that_were_asked_for() -> None:
    infos = backfilled(table_of(last=date(2026, 3, 20)), "2026-01-01", "2026-03-31")
    days = [info.data_interval.start.date() for info in infos if info.data_interval]
    assert (days[0], days[-1]) == (FIRST, date(2026, 3, 4))
    assert all(after - before == timedelta(days=1) for before, after in pairwise(days))
    # Airflow makes the names of a backfill's runs of `run_after`.
    assert [info.run_after.date() for info in infos] == days


def test_a_run_without_a_date_is_named_by_its_instant() -> None:
    name = table_of().generate_run_id(run_type=manual(), run_after=at("2026-03-05T08:30"), data_interval=None)
    assert name == "manual__2026-03-05T08:30:00+00:00"


@given(st.dates(FIRST, date(2026, 3, 4)), st.integers(0, 10))
def test_no_day_is_run_twice_or_left_out(last: date, catch_up: int) -> None:
    runs = [day for day, _ in scheduled(table_of(catch_up=catch_up), f"{last}", 12)]
    days = [date.fromisoformat(day) for day in runs]
    assert days[0] == max(last + timedelta(days=1), date(2026, 3, 4) - timedelta(days=catch_up))
    assert all(after - before == timedelta(days=1) for before, after in pairwise(days))


@pytest.mark.parametrize("last", [None, date(2026, 4, 1)])
def test_what_is_stored_is_the_same_timetable(last: date | None) -> None:
    table = table_of(last=last, catch_up=3)
    again = type(table).deserialize(table.serialize())
    assert vars(again) == vars(table)
