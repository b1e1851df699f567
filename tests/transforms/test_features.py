"""The marts against a recomputation straight from the definition, on random histories with every kind of trouble."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import duckdb
import numpy as np
import pytest

from tests.transforms import naive
from tests.transforms.naive import Change, Past, Row
from tests.transforms.project import Warehouse

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MARTS = {
    "feat_users": ("user_id", "as_of"),
    "feat_items": ("item_id", "as_of"),
    "feat_user_items": ("user_id", "item_id", "as_of"),
    "feat_user_categories": ("user_id", "category", "as_of"),
    "labels": ("user_id", "item_id", "cut"),
}
FIRST, SPAN = date(2024, 12, 20), 460
USERS, ITEMS, CATEGORIES = ["ana", "ben", "eve", "kim"], ["f1", "f2", "f3", "f4", "f5"], ["drama", "crime"]
KINDS = {"impression": 8, "play": 6, "rating": 1, "list_add": 2, "cancellation": 1}
RUN = ("run",)
Make = Callable[[str], Warehouse]


@dataclass(frozen=True)
class History:
    """Everything that ever landed."""

    rows: list[Row]
    users: list[Change]
    items: list[Change]

    @property
    def days(self) -> list[date]:
        return sorted({row.ds for row in [*self.rows, *self.users, *self.items]})


def draw(seed: int) -> History:
    """Draw rows that mostly arrive on their day, some days or months late, in a year and a quarter."""
    rng = random.Random(seed)
    arrivals = sorted(FIRST + timedelta(rng.randrange(SPAN)) for _ in range(45))
    rows = []
    for _ in range(420):
        late = rng.choice([0, 0, 0, 0, 1, 3, 6, 7, 27, 28, 100, 364, 370])
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        value = float(rng.randint(1, 5)) if kind == "rating" else rng.random() if kind == "play" else 1.0
        ds = rng.choice(arrivals)
        rows.append(Row(rng.choice(USERS), rng.choice(ITEMS), kind, value, ds - timedelta(late), ds))

    def changes(keys: list[str], values: Callable[[], dict[str, Any]]) -> list[Change]:
        days = {(key, rng.choice(arrivals)) for key in keys for _ in range(rng.randint(0, 3))}
        return [Change(key, day, values()) for key, day in sorted(days)]

    return History(
        rows,
        changes(USERS, lambda: {"region": rng.choice(["BR", "US", "IN"])}),
        changes(ITEMS, lambda: {"category": rng.choice(CATEGORIES)}),
    )


def land(warehouse: Warehouse, history: History) -> None:
    """Land the history, each row on the day it arrived."""
    for ds in history.days:
        arrived = [(number, row) for number, row in enumerate(history.rows) if row.ds == ds]
        known_at = datetime.combine(ds, time(23, 30))
        common = {
            number: {"user_id": row.user_id, "item_id": row.item_id, "known_at": known_at, "request_id": "r"}
            for number, row in arrived
        }
        at = {number: datetime.combine(row.day, time(12)) for number, row in arrived}
        shown = [
            {**common[n], "impression_id": f"p{n}", "position": 1, "propensity": 0.5, "shown_at": at[n]}
            for n, row in arrived
            if row.kind == "impression"
        ]
        events = [
            {**common[n], "event_id": f"e{n}", "kind": row.kind, "value": row.value, "occurred_at": at[n]}
            for n, row in arrived
            if row.kind != "impression"
        ]
        start = datetime.combine(FIRST, time())
        users = [
            {"user_id": c.key, **c.values, "plan": "basic", "joined_at": start, "changed_at": start}
            for c in history.users
            if c.ds == ds
        ]
        items = [
            {"item_id": c.key, "title": c.key, **c.values, "released_at": start, "changed_at": start}
            for c in history.items
            if c.ds == ds
        ]
        for table, rows in {"impressions": shown, "events": events, "users": users, "items": items}.items():
            warehouse.land(table, ds, rows)


def some_days(seed: int) -> list[date]:
    """Return a run of days, and days far apart."""
    rng = random.Random(-seed - 1)
    begin = FIRST + timedelta(rng.randrange(60, 400))
    apart = [FIRST + timedelta(rng.randrange(SPAN)) for _ in range(6)]
    return sorted({begin + timedelta(n) for n in range(5)} | set(apart) | {FIRST + timedelta(SPAN)})


def expected(history: History, days: Sequence[date]) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    """Return the marts' rows by key, recomputed from the definition."""
    found: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {mart: {} for mart in MARTS if mart != "labels"}
    for day in days:
        past = Past.of(history.rows, day)
        users = entities(history.users, USERS, past, past.split(lambda r: r.user_id))
        items = entities(history.items, ITEMS, past, past.split(lambda r: r.item_id))
        category = {key: attributes.get("category", "*") for key, (attributes, _) in items.items()}
        for key, (attributes, mine) in users.items():
            found["feat_users"][key, day] = {"region": "*", **attributes, **naive.user(mine)}
            for name, ours in mine.split(lambda r, names=category: names[r.item_id]).items():  # type: ignore[misc]
                found["feat_user_categories"][key, name, day] = naive.user_category(ours, mine)
            for item, ours in mine.split(lambda r: r.item_id).items():
                found["feat_user_items"][key, item, day] = naive.user_item(ours, mine)
        for key, (_, mine) in items.items():
            found["feat_items"][key, day] = {"category": category[key], **naive.item(mine)}
    return {mart: {key: row for key, row in rows.items() if row} for mart, rows in found.items()}


def entities(
    changes: list[Change], keys: list[str], past: Past, parts: dict[str, Past]
) -> dict[str, tuple[dict[str, Any], Past]]:
    """Return the attributes and the past of each user or item that has a row: it is known, or did something."""
    found = {}
    for key in keys:
        attributes, mine = naive.known(changes, key, past.as_of), parts.get(key, Past(past.as_of, ()))
        if attributes or naive.user_item(mine, mine):
            found[key] = (attributes or {}, mine)
    return found


@pytest.mark.parametrize("seed", range(2))
def test_marts_are_what_their_definition_says(warehouse: Make, seed: int) -> None:
    history, days = draw(seed), some_days(seed)
    built = warehouse("simulated")
    land(built, history)
    assert built.build(days) == []
    for mart, rows in expected(history, days).items():
        actual = built.records(mart, *MARTS[mart])
        assert sorted(actual) == sorted(rows), mart
        for key, row in rows.items():
            for name, value in row.items():
                value = value if isinstance(value, str) else float(np.float32(value))
                assert actual[key][name] == value, (mart, key, name)


ASKED = {
    "feat_user_items": ("user_id", "item_id", "as_of"),
    "feat_user_categories": ("user_id", "as_of"),
}


@pytest.mark.parametrize("mart", ASKED)
def test_what_is_asked_for_is_what_the_view_holds(warehouse: Make, mart: str) -> None:
    history, days = draw(3), some_days(3)
    built = warehouse("simulated")
    land(built, history)
    assert built.build(days, command=RUN) == []
    key = ", ".join(ASKED[mart])
    points = """
        points as (
            select user_id, item_id, as_of from (select distinct user_id from feat_users) as users,
            (select distinct item_id from feat_items) as items, (select distinct as_of from feat_items) as days
            where hash(user_id, item_id, as_of) % 3 = 0
            union all select 'nobody', 'nothing', date '1999-01-01'
        )
    """
    asked = built.rows(f"with {points} select * from {mart}_at('points') order by all")
    among = built.rows(f"with {points} select * from {mart} where ({key}) in (select ({key}) from points) order by all")
    assert 0 < len(asked) < built.rows(f"select count(*) from {mart}")[0][0]
    assert asked == among

    built.path.rename(built.path.with_name("elsewhere.duckdb"))
    with duckdb.connect(built.path.with_name("elsewhere.duckdb"), read_only=True) as connection:
        query = f"with {points} select * from {mart}_at('points') order by all"
        assert connection.execute(query).fetchall() == asked, "the file may be moved"
        assert connection.execute(f"select * from {mart}").fetchall()


def contents(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every table that later steps read."""
    tables = [*MARTS, "users", "items", "interactions", "impressions", "rejected_rows"]
    return {table: warehouse.rows(f"select * from {table} order by all") for table in tables}


def test_any_order_of_days_ends_in_the_same_tables(warehouse: Make) -> None:
    history, days = draw(7), some_days(7)[::4]
    at_once, one_by_one = warehouse("simulated"), warehouse("simulated")
    land(at_once, history)
    land(one_by_one, history)
    assert at_once.build(days, days, command=RUN) == []
    for day in random.Random(7).sample(days, len(days)):
        late_enough = day + timedelta(3)
        assert one_by_one.build([day], [day], known=lambda ds, last=late_enough: ds <= last, command=RUN) == []  # type: ignore[misc]
    assert one_by_one.build(command=RUN) == [], "load the days that no feature needed"
    assert contents(one_by_one) == contents(at_once)


def test_a_corrected_day_replaces_the_old_one(warehouse: Make) -> None:
    history, corrected, days = draw(8), draw(9), some_days(8)[-3:]
    day = history.days[20]
    corrected = History(
        [row for row in history.rows if row.ds != day]
        + [Row(r.user_id, r.item_id, r.kind, r.value, day - (r.ds - r.day), day) for r in corrected.rows[:30]],
        [c for c in history.users if c.ds != day],
        history.items,
    )
    twice, once = warehouse("simulated"), warehouse("simulated")
    land(twice, history)
    assert twice.build(days, days, command=RUN) == []
    already = {ds for ds in history.days if ds != day}
    land(twice, corrected)
    twice.changed -= already
    land(once, corrected)
    for built in (twice, once):
        assert built.build(days, days) == []
    renamed = "select * exclude (interaction_id) from interactions order by all"
    assert len(twice.rows(renamed)) > 0
    assert twice.rows(renamed) == once.rows(renamed)
    assert {mart: twice.records(mart, *keys) for mart, keys in MARTS.items()} == {
        mart: once.records(mart, *keys) for mart, keys in MARTS.items()
    }


def test_nothing_after_the_day_is_seen(warehouse: Make) -> None:
    history, day = draw(10), some_days(10)[-2]
    whole, cut_off = warehouse("simulated"), warehouse("simulated")
    land(whole, history)
    land(cut_off, history)
    assert whole.build([day], command=RUN) == []
    assert cut_off.build([day], known=lambda ds: ds <= day, command=RUN) == []
    for mart, keys in MARTS.items():
        assert whole.records(mart, *keys) == cut_off.records(mart, *keys), mart
