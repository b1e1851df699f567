"""Declared attributes: a row per change, as of any day what had landed by then, and lists counted over the past."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tasks.spec.attributes import declared_attributes
from tests.transforms.project import Warehouse

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FIRST, SECOND, THIRD = date(1998, 1, 1), date(1998, 1, 3), date(1998, 1, 6)
Make = Callable[[str], Warehouse]
ATTRIBUTES = {
    entity: [
        {"name": part.name, "type": part.data_type}
        for part in declared_attributes("ml_100k")
        if part.entity == entity
    ]
    for entity in ("user", "item", "request")
}  # fmt: skip


def person(user_id: str, age: int | None, occupation: str | None = "artist") -> dict[str, Any]:
    return {"user_id": user_id, "age": age, "gender": "F", "occupation": occupation, "zip": "1"}


def rating(day: date, user_id: str, item_id: str) -> dict[str, Any]:
    seconds = (day - date(1970, 1, 1)).days * 86_400
    return {"user_id": user_id, "item_id": item_id, "rating": 4.0, "timestamp": seconds}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, dbt_target: Path) -> Warehouse:
    """Ana grows older, bob's age becomes unknown; a film changes its genres after it was rated. Only to be read."""
    made = Warehouse(tmp_path_factory.mktemp("films"), "ml_100k", dbt_target / "ml_100k")
    made.land("people", FIRST, [person("ana", 24), person("bob", 30), person("eve", 300)])
    made.land("people", SECOND, [person("ana", 24), person("bob", None, None)])
    made.land("people", THIRD, [person("ana", 25)])
    made.land(
        "films", FIRST, [{"item_id": "f1", "war": 1, "drama": 1}, {"item_id": "f2", "drama": 1}, {"item_id": "f3"}]
    )
    made.land("films", THIRD, [{"item_id": "f1", "western": 1}])
    made.land("ratings", FIRST, [rating(FIRST, "ana", "f1"), rating(FIRST, "ana", "f2"), rating(FIRST, "bob", "f3")])
    made.land("ratings", SECOND, [rating(SECOND, "ana", "f2")])
    assert made.build([FIRST, SECOND, THIRD], attributes=ATTRIBUTES) == []
    return made


def test_there_is_a_row_for_each_change_and_null_is_a_value(films: Warehouse) -> None:
    rows = films.rows("select user_id, valid_from, age, age_band, occupation from user_attributes order by all")
    assert rows == [
        ("ana", FIRST, 24, "18-24", "artist"),
        ("ana", THIRD, 25, "25-34", "artist"),
        ("bob", FIRST, 30, "25-34", "artist"),
        ("bob", SECOND, None, None, None),
    ]
    assert films.rows("select rule from rejected_rows") == [("impossible_age",)]


def test_as_of_a_day_it_is_what_had_landed_by_then(films: Warehouse) -> None:
    rows = films.rows("select as_of, user_id, age, student from feat_user_attributes order by all")
    assert rows == [
        (FIRST, "ana", 24, False), (FIRST, "bob", 30, False), (SECOND, "ana", 24, False), (SECOND, "bob", None, None),
        (THIRD, "ana", 25, False), (THIRD, "bob", None, None),
    ]  # fmt: skip
    points = "select 'ana' as user_id, 'f1' as item_id, unnest([date '1998-01-01', date '1998-01-06']) as as_of"
    films_then = films.rows(
        f"with points as ({points}) select as_of, genres from feat_item_attributes_at('points') order by all"
    )
    assert films_then == [(FIRST, ["Drama", "War"]), (THIRD, ["Western"])]


def test_the_past_counts_the_values_that_items_have_as_of_the_day(films: Warehouse) -> None:
    rows = films.rows("select as_of, user_id, value, actions from feat_user_values order by all")
    assert rows == [
        (FIRST, "ana", "Drama", 2), (FIRST, "ana", "War", 1),
        (SECOND, "ana", "Drama", 3), (SECOND, "ana", "War", 1),
        (THIRD, "ana", "Drama", 2), (THIRD, "ana", "Western", 1),
    ]  # fmt: skip


WITH_NUMBERS = {**ATTRIBUTES, "user": [{"name": "age", "type": "double"}]}


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory, dbt_target: Path) -> Warehouse:
    """People whose age may have any value of a double."""
    made = Warehouse(tmp_path_factory.mktemp("aged"), "ml_100k", dbt_target / "ml_100k")
    made.land("people", FIRST, [person("ana", 24), person("bob", None)])
    assert made.build([FIRST], attributes=WITH_NUMBERS) == []
    return made


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e39"])
def test_a_number_that_no_feature_can_hold_stops_the_build(aged: Warehouse, value: str) -> None:
    with duckdb.connect(aged.path) as connection:
        connection.execute(f"update user_attributes set age = '{value}'::double where user_id = 'ana'")
    (failed,) = aged.dbt("test", "--select", "finite_numbers_user_attributes_user", attributes=WITH_NUMBERS)
    assert failed.startswith("finite_numbers_user_attributes_user: Got 1 result")


def test_requests_have_a_row_for_each_impression_and_none_without_attributes(warehouse: Make) -> None:
    shop = warehouse("simulated")
    noon, known = datetime.combine(FIRST, time(12)), {"known_at": datetime.combine(FIRST, time(23))}
    row = {"user_id": "ana", "request_id": "r", "policy": "p", "propensity": 0.5, **known}
    rows = [
        {**row, "impression_id": str(n), "item_id": f"i{n}", "position": n + 1, "shown_at": noon.replace(hour=12 + n)}
        for n in range(2)
    ]
    shop.land("impressions", FIRST, rows)
    attributes = {"user": [], "item": [], "request": [{"name": "hour", "type": "integer"}]}
    assert shop.build([FIRST], attributes=attributes) == []
    assert shop.rows("select * from request_attributes order by all") == [("0", 12, FIRST), ("1", 13, FIRST)]
    plain = warehouse("simulated")
    plain.land("impressions", FIRST, rows)
    assert plain.build([FIRST]) == []
    assert plain.rows("select * from request_attributes") == []
