"""Weights of blends: chosen by what users did next, from nothing but what was known by then."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.examples.blend_weights import fit_weights
from tasks.examples.learners.blend import BlendWeights
from tasks.examples.retrieval_models import Past
from tasks.spec.retrievals.blend import BlendRetrieval
from tests.tasks.handmade import spec_of

DAY = date(2026, 2, 28)
Row = tuple[str, str, int]


def past(*rows: Row) -> Past:
    users, items, ages = zip(*sorted(rows, key=lambda row: (row[0], row[1], -row[2])), strict=True)
    columns = {"user_id": users, "item_id": items, "age": ages, "actions": [1.0] * len(rows)}
    return Past.of(pa.table({name: list(values) for name, values in columns.items()}))


def fitted(known: Past, of: list[dict[str, Any]], seen: str = "keep", **blend: Any) -> BlendWeights:
    """The weights of a blend of some retrievals with lists of one item."""
    named = [{"retrieval": part.get("name", part["type"])} for part in of]
    declared = [*({"k": 5, **part} for part in of), {"type": "blend", "of": named, "fit": {}, "k": 1, **blend}]
    spec = spec_of(retrieval=declared, candidates={"seen": seen})
    part = spec.retrieval[-1]
    assert isinstance(part, BlendRetrieval)
    assert part.fit is not None
    return fit_weights(spec, part, part.fit, known, DAY)


HISTORY, POPULARITY = {"type": "history"}, {"type": "popularity"}
LOYAL = [(f"u{n}", f"own{n}", age) for n in range(8) for age in (20, 19, 2)]
"""Everybody comes back for the item that is theirs alone."""
HIT = [(f"u{n}", "hit", 12) for n in range(6)]


def test_the_retriever_that_finds_what_users_did_next_outweighs_the_other() -> None:
    found = fitted(past(*LOYAL, *HIT), [HISTORY, POPULARITY])
    assert (found.users, found.held_out, found.as_of) == (8, 7, DAY)
    assert found.alone == {"history": 1.0, "popularity": 0.0}
    assert found.recall == 1.0
    assert found.weights["history"] >= found.weights["popularity"]
    assert sum(found.weights.values()) == pytest.approx(1.0)


def test_retrievers_that_err_differently_find_more_together() -> None:
    """Half of the users come back for what is theirs, half want the hit, which those have never had."""
    fans = [row for n in range(8, 16) for row in ((f"u{n:02}", "old", 30), (f"u{n:02}", "hit", 3))]
    fillers = [(f"f{n}", item, 10) for n in range(9) for item in ("hit", "old")]
    loyal = [(f"u{n:02}", f"own{n}", age) for n in range(8) for age in (20, 19, 18, 2)]
    found = fitted(past(*loyal, *fans, *fillers), [HISTORY, POPULARITY], k=2)
    assert found.recall is not None
    assert found.recall > max(found.alone.values())
    assert min(found.weights.values()) > 0.0


def test_what_is_blended_knows_nothing_of_the_days_held_out() -> None:
    """An item of these days alone is in no list, though it is what everybody did."""
    new = [(f"u{n}", "new", 1) for n in range(8)]
    found = fitted(past(*LOYAL[:-1], *new), [HISTORY, POPULARITY])
    assert found.alone == {"history": 7 / 8, "popularity": 1 / 8}, "the first of equally popular ones"


def test_equally_good_retrievers_share_evenly() -> None:
    found = fitted(past(*LOYAL), [HISTORY, {**HISTORY, "name": "recent", "half_life": "30d"}])
    assert found.alone == {"history": 1.0, "recent": 1.0}
    assert found.weights == {"history": 0.5, "recent": 0.5}


@pytest.mark.parametrize("days", [0, 3], ids=["nothing before", "nothing held out"])
def test_without_users_to_compare_the_weights_are_even(days: int) -> None:
    rows = [(f"u{n}", "a", 2) for n in range(5)] if days == 0 else [(f"u{n}", "a", 20) for n in range(5)]
    found = fitted(past(*rows), [HISTORY, POPULARITY, {"type": "item_item"}])
    assert (found.users, found.recall, found.alone) == (0, None, {})
    assert found.weights == pytest.approx(dict.fromkeys(("history", "popularity", "item_item"), 1 / 3), abs=1e-6)


def test_seen_items_count_as_the_pipeline_says() -> None:
    """With `exclude` neither lists nor truth hold what a user had done before."""
    curious = [(f"u{n}", "hit", 3) for n in range(6, 8)]
    known = past(*LOYAL, *HIT, *curious)
    found = fitted(known, [POPULARITY, {"type": "item_item"}], seen="exclude")
    assert found.users == 2
    assert found.alone["popularity"] == 1.0
    only = fitted(known, [HISTORY, POPULARITY], seen="only")
    assert only.users == 8
    assert only.alone["history"] == 1.0


def test_a_past_before_some_days_is_that_of_the_earlier_rows() -> None:
    rows = [("a", "x", 9), ("a", "y", 3), ("b", "z", 1), ("c", "y", 8)]
    earlier, expected = past(*rows).before(4), past(("a", "x", 5), ("c", "y", 4))
    for name in ("users", "items", "user", "item", "age", "actions"):
        np.testing.assert_array_equal(getattr(earlier, name), getattr(expected, name))
