"""The models' own entries in the ledger: written with the rows, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import duckdb
import pytest
import yaml

from tasks.runs.sql_lineage import sql_of
from tests.tasks.handmade import spec_of
from tests.transforms.project import TRANSFORMS, Warehouse

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MONDAY = date(2026, 1, 5)
TUESDAY = MONDAY + timedelta(days=1)
Make = Callable[[str], Warehouse]


def play(user: str, day: date) -> dict[str, Any]:
    noon = datetime.combine(day, time(12))
    row = {"event_id": f"{user}{day}", "user_id": user, "item_id": "film", "kind": "play", "value": 1.0}
    return {**row, "occurred_at": noon, "known_at": noon}


def entered(warehouse: Warehouse) -> set[tuple[str, str, date]]:
    return set(warehouse.rows("select model, part, day from control.ledger"))


def test_every_incremental_model_has_a_grain_and_enters_the_days_it_adds(warehouse: Make) -> None:
    shop = warehouse("simulated")
    shop.land("events", MONDAY, [play("ana", MONDAY)])
    assert shop.build([MONDAY], [MONDAY]) == []
    sql = sql_of(spec_of())
    everything = {(model, "events", MONDAY) for model in sql.models("ds")}
    everything |= {(model, "", MONDAY) for grain in ("as_of", "cut") for model in sql.models(grain)}
    assert entered(shop) == everything

    config = yaml.safe_load((TRANSFORMS / "dbt_project.yml").read_text())["models"]["matinee"]
    assert (config["+pre-hook"], config["+post-hook"]) == (
        "{{ clear() }}", ["{{ clear_ledger() }}", "{{ record() }}"],
    )  # fmt: skip
    heads = [path.read_text().split("\n")[0] for path in (TRANSFORMS / "models").rglob("*.sql")]
    assert all("meta={'grain'" in head for head in heads if "incremental" in head)


def test_a_model_that_fails_leaves_its_old_rows_and_enters_nothing(warehouse: Make) -> None:
    shop = warehouse("simulated")
    shop.land("events", MONDAY, [play("ana", MONDAY)])
    assert shop.build([MONDAY]) == []
    before = shop.rows("select count(*) from interactions")
    with duckdb.connect(shop.path) as connection:  # the pre-hook can forget, the rows can't be added
        connection.execute("alter table interactions add column surplus integer")

    shop.land("events", TUESDAY, [play("bob", TUESDAY)])
    shop.land("events", MONDAY, [play("ana", MONDAY), play("bob", MONDAY)])
    failed = shop.build([MONDAY, TUESDAY])

    assert any("interactions" in line for line in failed)
    assert shop.rows("select count(*) from interactions") == before
    assert ("impressions", "events", TUESDAY) in entered(shop)
    assert ("interactions", "events", TUESDAY) not in entered(shop)
    assert ("interactions", "events", MONDAY) in entered(shop)  # what it has is still what it says


def test_a_row_that_an_earlier_day_has_sent_is_refused_by_its_rule(warehouse: Make) -> None:
    """Its own fault goes first; a copy within the day is the copy of a row that counts."""
    shop = warehouse("simulated")
    shop.land("events", MONDAY, [play("ana", MONDAY)])
    torn = {**play("cid", MONDAY), "user_id": None}
    again = [{**row, "sent_before": MONDAY} for row in (play("ana", MONDAY), torn)]
    shop.land("events", TUESDAY, [*again, play("bob", TUESDAY), {**play("eve", TUESDAY), "sent_before": None}])
    assert shop.build([MONDAY, TUESDAY]) == []
    assert shop.rows("select user_id, ds from interactions order by all") == [
        ("ana", MONDAY), ("bob", TUESDAY), ("eve", TUESDAY),
    ]  # fmt: skip
    rejected = shop.rows("select rule, ds from rejected_rows order by all")
    assert rejected == [("missing_id", TUESDAY), ("sent_again", TUESDAY)]
