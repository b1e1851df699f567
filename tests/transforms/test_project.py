"""The project as a whole: every source builds, its unit tests hold, and every landed row is accounted for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import pytest
import yaml

from tests.transforms.project import TRANSFORMS, Warehouse

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

DAY = date(2026, 1, 2)
NOON = datetime.combine(DAY, time(12))
SOURCES = sorted(folder.name for folder in (TRANSFORMS / "models" / "staging").iterdir())
EVERYTHING = ("build",)
Make = Callable[[str], Warehouse]


@pytest.mark.parametrize("staging", SOURCES)
def test_an_empty_landing_builds_and_the_unit_tests_hold(warehouse: Make, staging: str) -> None:
    empty = warehouse(staging)
    assert empty.build([DAY], [DAY], command=EVERYTHING) == []
    assert empty.rows("select count(*) from feat_users") == [(0,)]
    assert not list(TRANSFORMS.rglob("target")), "dbt must not write into the project"


def event(event_id: str | None, value: float = 0.5) -> dict[str, Any]:
    """Return a play of ana's at noon."""
    who = {"event_id": event_id, "user_id": "ana", "item_id": "film", "kind": "play", "value": value}
    return {**who, "occurred_at": NOON, "known_at": NOON}


def test_every_landed_row_is_accepted_or_refused_by_name(warehouse: Make) -> None:
    shop = warehouse("simulated")
    shop.land("events", DAY, [event("a"), event("a"), event(None), event("b", 7.0), event("c")])
    reject = {"table_name": "events", "line": 7, "column_name": "value", "error": "no number", "raw": "x,y"}
    shop.land("_rejects", DAY, [reject])
    assert shop.build([DAY], [DAY]) == []
    assert shop.rows("select interaction_id from interactions order by 1") == [("a",), ("c",)]
    refused = shop.rows('select rule, count(*), min("row"[:16]) from rejected_rows group by 1 order by 1')
    assert refused == [
        ("exact_duplicate", 1, '{"event_id":"a",'),
        ("impossible_value", 1, '{"event_id":"b",'),
        ("missing_id", 1, '{"event_id":null'),
        ("unparseable", 1, '{"line":7,"colum'),
    ]
    assert shop.rows("select user_actions_7d, user_quantity_28d from feat_users") == [(2.0, 1.0)]


def test_ids_that_no_request_can_have_are_refused_by_their_rule(warehouse: Make) -> None:
    """A served request takes ids of 512 characters."""
    shop = warehouse("simulated")
    long = {"user_id": "u" * 513}
    rows = [{**event("a"), "user_id": "u" * 512}, {**event("b"), **long}, {**event("c"), "item_id": "i" * 513}]
    shop.land("events", DAY, [*rows, event("d", 1e39)])
    assert shop.build([DAY], [DAY]) == []
    assert shop.rows("select interaction_id from interactions") == [("a",)]
    refused = shop.rows("select rule, count(*) from rejected_rows group by 1 order by 1")
    assert refused == [("id_too_long", 2), ("impossible_value", 1)]


def test_a_day_landed_again_without_rows_forgets_the_old_ones(warehouse: Make) -> None:
    shop = warehouse("simulated")
    shop.land("events", DAY, [event("a")])
    assert shop.build([DAY], command=("run",)) == []
    shop.land("events", DAY, [])
    assert shop.build([DAY], command=("run",)) == []
    assert shop.rows("select count(*) from interactions") == [(0,)]
    assert shop.rows("select count(*) from feat_user_items") == [(0,)]


def test_a_landed_file_without_a_declared_column_stops_the_build(warehouse: Make) -> None:
    import duckdb

    shop = warehouse("simulated")
    shop.land("events", DAY, [event("a")])
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 'a' as event_id) to '{shop.partitions['events', DAY]}' (format parquet)")
    failed = shop.build([DAY])
    assert any("user_id" in line for line in failed if line.startswith("stg_interactions"))


def declared() -> list[tuple[str, dict[str, Any]]]:
    """Return the models that the project's yml files declare."""
    found = []
    for path in sorted((TRANSFORMS / "models").rglob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            found.append((f"{path.parent.name}/{model['name']}", model))
    return found


def test_every_model_and_column_is_described() -> None:
    models = dict(declared())
    files = {f"{p.parent.name}/{p.stem}" for p in (TRANSFORMS / "models").rglob("*.sql")}
    # This one is made, of the tables that a folder stages; its yml has the sentences of their rules.
    made = {name for name in models if name.endswith("/stg_rejected_rows")}
    assert files | made == set(models)
    bare = [
        f"{name}.{column['name']}"
        for name, model in models.items()
        for column in [{"name": "", **model}, *model.get("columns", [])]
        if not column.get("description")
    ]
    assert bare == []


def test_every_feature_has_a_default_and_says_whose_it_is() -> None:
    features = [
        (name, column["name"], column["config"]["meta"]["default"])
        for name, model in declared()
        for column in model.get("columns", [])
        if column["data_type"] == "float"
    ]
    assert len(features) >= 25
    whose = {"feat_users": "user_", "feat_items": "item_", "feat_user_items": "user_item_"}
    whose["feat_user_categories"] = "user_category_"
    assert [c for model, c, _ in features if not c.startswith(whose[model.split("/")[1]])] == []


def test_models_are_short() -> None:
    long = {p.name: n for p in TRANSFORMS.rglob("*.sql") if (n := len(p.read_text().splitlines())) > 120}
    assert set(long) <= {"trailing.sql", "portable.sql"}
