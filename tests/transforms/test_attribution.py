"""An action labels the one impression that it belongs to: by hand, then random days against loops over rows."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from tasks.spec.label import GradeRule
from tests.transforms.project import Warehouse

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LABELS = ("run", "--select", "+labels")
TESTS = ("test", "--select", "labels", "--exclude-resource-type", "unit_test")
Make = Callable[[str], Warehouse]
CLICK = [{"grade": 1, "when": "kind = 'click'"}]
CUT = date(2026, 3, 10)
HORIZON, LATENESS, MINUTES = 2, 1, 30


@dataclass(frozen=True)
class Shown:
    """An impression, and the day it landed."""

    number: str
    request: str
    user: str
    item: str
    at: datetime
    ds: date


@dataclass(frozen=True)
class Did:
    """A click, the request that is logged with it, and the day it landed."""

    user: str
    item: str
    at: datetime
    ds: date
    request: str | None = None


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}")


def land(warehouse: Warehouse, shown: Sequence[Shown], done: Sequence[Did]) -> None:
    for ds in {row.ds for row in (*shown, *done)}:
        known = datetime.combine(ds, time(23, 59, 59))
        warehouse.land(
            "impressions",
            ds,
            [
                {
                    "impression_id": row.number, "request_id": row.request, "user_id": row.user, "item_id": row.item,
                    "position": 1, "shown_at": row.at, "known_at": known,
                }
                for row in shown if row.ds == ds
            ],
        )  # fmt: skip
        warehouse.land(
            "events",
            ds,
            [
                {
                    "event_id": f"e{number:05}", "user_id": row.user, "item_id": row.item, "kind": "click",
                    "value": 1.0, "request_id": row.request, "occurred_at": row.at, "known_at": known,
                }
                for number, row in enumerate(done) if row.ds == ds
            ],
        )  # fmt: skip


def variables(minutes: int | None = MINUTES) -> dict[str, Any]:
    grades = [GradeRule.model_validate(rule).variables() for rule in CLICK]
    return {
        "grades": grades, "horizon_days": HORIZON, "lateness_days": LATENESS, "attribution_minutes": minutes
    }  # fmt: skip


def labelled(warehouse: Warehouse, cut: date = CUT) -> list[str]:
    return [row[0] for row in warehouse.rows(f"select impression_id from labels where cut = '{cut}' order by 1")]


def test_one_click_is_one_positive(warehouse: Make) -> None:
    day = date(2026, 3, 11)
    shown = [
        Shown("morning", "r1", "ana", "film", at("03-11 08:00"), day),
        Shown("noon", "r2", "ana", "film", at("03-11 12:00"), day),
        Shown("evening", "r3", "ana", "film", at("03-11 20:00"), day),
        Shown("of ben", "r2", "ben", "film", at("03-11 12:00"), day),  # requests of two users with one id
        Shown("other film", "r2", "ana", "other", at("03-11 12:00"), day),
    ]
    built = warehouse("simulated")
    land(built, shown, [Did("ana", "film", at("03-11 12:05"), day)])
    assert built.build(cuts=[CUT], command=LABELS, **variables()) == []
    assert built.dbt(*TESTS, **variables()) == []
    assert labelled(built) == ["noon"]

    pairs = warehouse("simulated")
    land(pairs, shown, [Did("ana", "film", at("03-11 12:05"), day)])
    assert pairs.build(cuts=[CUT], command=LABELS, **variables(None)) == []
    assert labelled(pairs) == [""]  # every impression of the pair


@pytest.mark.parametrize(
    ("clicked", "request_id", "expected"),
    [
        ("03-11 12:30", None, ["noon"]),  # the window's last second
        ("03-11 12:31", None, []),
        ("03-11 11:59", None, []),
        ("03-11 20:00", None, ["evening"]),  # the same instant follows
        ("03-12 09:00", "r1", ["morning"]),  # its request, however long ago and whatever was shown since
        ("03-11 12:05", "r9", []),  # a request that is not in the log
        ("03-12 10:05", None, []),  # of the impression of the day after: that one's label
    ],
)
def test_edges(warehouse: Make, clicked: str, request_id: str | None, expected: list[str]) -> None:
    day, next_day = date(2026, 3, 11), date(2026, 3, 12)
    shown = [
        Shown("morning", "r1", "ana", "film", at("03-11 08:00"), day),
        Shown("noon", "r2", "ana", "film", at("03-11 12:00"), day),
        Shown("evening", "r3", "ana", "film", at("03-11 20:00"), day),
        Shown("next day", "r4", "ana", "film", at("03-12 10:00"), next_day),
    ]
    built = warehouse("simulated")
    land(built, shown, [Did("ana", "film", at(clicked), at(clicked).date(), request_id)])
    assert built.build(cuts=[CUT], command=LABELS, **variables()) == []
    assert labelled(built) == expected


def owner(done: Did, shown: Sequence[Shown], cut: date) -> str | None:
    """The impression that a click belongs to, as of the day on which the labels of a cut are complete."""
    complete = cut + timedelta(days=HORIZON + LATENESS)
    if not (cut < done.at.date() <= cut + timedelta(days=HORIZON) and done.ds <= complete):
        return None
    mine = [
        row
        for row in shown
        if (row.user, row.item) == (done.user, done.item)
        and row.at.date() > cut
        and row.ds <= complete
        and (
            row.request == done.request
            if done.request is not None
            else timedelta(0) <= done.at - row.at <= timedelta(minutes=MINUTES)
        )
    ]
    last = max(mine, key=lambda row: (row.at, row.number), default=None)
    return last.number if last is not None and last.at.date() == cut + timedelta(days=1) else None


@pytest.mark.parametrize("seed", range(2))
def test_random_days(warehouse: Make, seed: int) -> None:
    rng = random.Random(seed)
    cuts = [CUT + timedelta(days=n) for n in (0, 1, 3)]

    def some(days: int) -> tuple[datetime, date]:
        day = CUT + timedelta(days=rng.randrange(days))
        when = datetime.combine(day, time(rng.choice([0, 12, 23]), rng.choice([0, 20, 30, 31, 59])))
        return when, day + timedelta(days=rng.choice([0, 0, 0, 1, 3]))

    def pair() -> tuple[str, str]:
        return f"u{rng.randrange(6)}", f"i{rng.randrange(3)}"

    shown = [Shown(f"s{n:04}", f"r{rng.randrange(12)}", *pair(), *some(7)) for n in range(600)]
    done = [Did(*pair(), *some(7), rng.choice([None, None, f"r{rng.randrange(14)}"])) for _ in range(400)]
    built = warehouse("simulated")
    land(built, shown, done)
    assert built.build(cuts=cuts, command=LABELS, **variables()) == []
    for cut in cuts:
        expected = sorted({number for did in done if (number := owner(did, shown, cut)) is not None})
        assert len(expected) > 5
        assert labelled(built, cut) == expected
    # One action labels one impression: over all cuts, unless a later impression became known in between.
    whole = built.rows("select count(*) from labels")[0][0]
    assert whole <= len(done)
