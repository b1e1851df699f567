"""A kind of the pipeline's own: counted as what its file says, in labels, and rejected where it is not declared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import pytest

from tasks.spec.kinds import Interactions
from tasks.spec.label import GradeRule
from tests.transforms.project import Warehouse

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

DAY, NEXT = date(2026, 3, 10), date(2026, 3, 11)
KINDS = Interactions.model_validate(
    {"kinds": {"gift": {}, "wish": {"counts_as": "save"}, "refund": {"counts_as": "undo"}}}
)
OWN = {name: f"{measure}s" for name, measure in KINDS.own.items()}
RULES = [{"grade": 2, "pair": "gift_before > 0 and refund_count = 0"}, {"grade": 1, "when": "kind = 'gift'"}]


def event(number: int, item: str, kind: str, value: float, ds: date) -> dict[str, Any]:
    at = datetime.combine(ds, time(10))
    return {
        "event_id": f"e{number}", "user_id": "ana", "item_id": item, "kind": kind, "value": value,
        "occurred_at": at, "known_at": at,
    }  # fmt: skip


@pytest.fixture
def landed(warehouse: Callable[[str], Warehouse]) -> Warehouse:
    """Two days with kinds that only a declaration makes known."""
    made = warehouse("simulated")
    kinds = [("gift", 3.0), ("gift", 2.0), ("wish", 1.0), ("refund", 1.0), ("play", 0.5), ("gifts", 1.0)]
    made.land("events", DAY, [event(n, "film", kind, value, DAY) for n, (kind, value) in enumerate(kinds)])
    made.land("events", NEXT, [event(9, "film", "gift", 1.0, NEXT), event(10, "song", "gift", 1.0, NEXT)])
    return made


def build(landed: Warehouse, own: dict[str, str], rules: list[dict[str, Any]] | None = None) -> list[str]:
    grades = [GradeRule.model_validate(rule).variables(KINDS.names) for rule in rules or []]
    return landed.build([DAY, NEXT], [DAY], own_kinds=own, **({"grades": grades} if rules else {}), lateness_days=0)


def rejected(landed: Warehouse) -> list[tuple[Any, ...]]:
    return landed.rows("select rule, count(*) from rejected_rows group by rule")


def test_an_own_kind_counts_as_its_file_says_and_the_others_are_rejected(landed: Warehouse) -> None:
    assert build(landed, OWN, RULES) == []
    assert rejected(landed) == [("unknown_kind", 1)]  # `gifts`
    measures = landed.rows("select actions, quantity, saves, undos from int_user_item_daily where ds = '2026-03-10'")
    assert measures == [(3, 5.5, 1, 1)]
    features = "user_item_actions_7d, user_item_quantity_365d, user_item_saves_28d, user_item_undos_365d"
    assert landed.rows(f"select {features} from feat_user_items where as_of = '2026-03-10'") == [(3, 5.5, 1, 1)]
    # Given before the cut, and not returned in the horizon; given for the first time.
    assert landed.rows("select item_id, grade from labels order by 1") == [("film", 2), ("song", 1)]


def test_a_kind_that_is_not_declared_is_rejected(landed: Warehouse) -> None:
    assert build(landed, {}) == []
    assert rejected(landed) == [("unknown_kind", 7)]
    assert landed.rows("select distinct kind from interactions") == [("play",)]


def test_a_kind_that_staging_lets_through_fails_the_build(landed: Warehouse) -> None:
    """The rows are accepted with a declaration, and tested without it."""
    assert build(landed, OWN) == []
    landed.changed |= {DAY, NEXT}
    failed = landed.build([], command=("test", "--select", "interactions", "--exclude-resource-type", "unit_test"))
    assert [name for name, _, message in (line.partition(": ") for line in failed)] == [
        "of_a_known_kind_interactions_kind__ds"
    ]
