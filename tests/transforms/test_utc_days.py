"""Days in SQL are UTC days: where one ends, when a row of it counts, and days that are special elsewhere."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.transforms.project import Warehouse

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SPECIAL = {
    "clocks_forward_in_new_york": date(2026, 3, 8),
    "clocks_forward_in_berlin": date(2026, 3, 29),
    "clocks_back_in_berlin": date(2026, 10, 25),
    "last_of_the_year": date(2026, 12, 31),  # in week 53, which ends in January
    "first_of_the_year": date(2028, 1, 1),  # in week 52 of the year before
    "before_leap_day": date(2028, 2, 28),
    "leap_day": date(2028, 2, 29),
}
LAST = time(23, 59, 59, 999999)
AFTER = (-1, 0, 1, 6, 7, 8, 27, 28, 29, 364, 365, 366)


def days(number: int) -> timedelta:
    return timedelta(days=number)


def play(user: str, at: datetime, known: datetime) -> dict[str, Any]:
    """A play of `film`, with the day it arrives."""
    name = f"{user} {at} {known}"
    return {
        "event_id": name, "user_id": user, "item_id": "film", "kind": "play", "value": 1.0, "request_id": "r",
        "occurred_at": at, "known_at": known,
    }  # fmt: skip


def land(warehouse: Warehouse, events: list[dict[str, Any]]) -> None:
    for day in sorted({event["known_at"].date() for event in events}):
        warehouse.land("events", day, [event for event in events if event["known_at"].date() == day])
        for table in ("impressions", "users", "items"):
            warehouse.land(table, day, [])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, dbt_target: Path) -> Warehouse:
    """For each special day D a user who plays at D 00:00, D 23:59:59.999999 (twice, once known on D+1), D+1 00:00."""
    events = []
    for user, day in SPECIAL.items():
        midnight, late, next_day = (
            datetime.combine(day, time()), datetime.combine(day, LAST), datetime.combine(day + days(1), time())
        )  # fmt: skip
        events += [play(user, at, at) for at in (midnight, late, next_day)]
        events.append(play(user, late, next_day))
    made = Warehouse(tmp_path_factory.mktemp("days"), "simulated", dbt_target / "simulated")
    land(made, events)
    as_of = sorted({day + days(number) for day in SPECIAL.values() for number in AFTER})
    cuts = sorted({day + days(number) for day in SPECIAL.values() for number in (-2, -1, 0, 1)})
    assert made.build(as_of, cuts) == []
    return made


@pytest.mark.parametrize("span", [7, 28, 365])
def test_a_window_holds_whole_utc_days_and_what_was_known_by_their_end(built: Warehouse, span: int) -> None:
    found = built.records("feat_users", "user_id", "as_of")
    for user, day in SPECIAL.items():
        for number in AFTER:
            # D has three plays, of which one is known from D+1 on; D+1 has one.
            of_day = 0 if not 0 <= number < span else 2 if number == 0 else 3
            of_next = 1 if 1 <= number < span + 1 else 0
            row = found.get((user, day + days(number)), {f"user_actions_{span}d": 0})
            assert row[f"user_actions_{span}d"] == of_day + of_next, (user, number)


def test_days_since_count_calendar_days(built: Warehouse) -> None:
    found = built.records("feat_users", "user_id", "as_of")
    for user, day in SPECIAL.items():
        since = [found[user, day + days(number)]["user_days_since_action"] for number in AFTER[1:10]]
        assert since == [0, 0, *(number - 1 for number in AFTER[3:10])]


def test_a_label_begins_with_the_day_after_the_cut(built: Warehouse) -> None:
    """H = 1, L = 2: the label of the cut C is what was done on C+1 and known by C+3."""
    graded = {(user, cut) for user, _, cut in built.records("labels", "user_id", "item_id", "cut")}
    for user, day in SPECIAL.items():
        assert {cut for who, cut in graded if who == user} == {day - days(1), day}
