"""A user's own items, of which the recent ones may count more."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tasks.examples.learners.history import HISTORY
from tasks.examples.learners.protocol import AsOf
from tasks.examples.retrieval_models import Past
from tasks.spec.retrieval import HistoryRetrieval

ITEMS = ["bread", "jam", "milk", "salt"]
PAST = {"user_id": ["ana"] * 4, "item_id": ITEMS, "age": [60, 2, 60, 30], "actions": [3.0, 1.0, 3.0, 1.0]}


def order(half_life: str | None) -> list[str]:
    items = pa.table({"item_id": ITEMS, "item_users_365d": pa.array([1.0, 1.0, 9.0, 1.0], pa.float32())})
    part = HistoryRetrieval.model_validate({"type": "history", "half_life": half_life, "k": 4})
    arrays = HISTORY.arrays(part, AsOf(Past.of(pa.table(PAST)), items), None)
    return [ITEMS[item] for item in arrays["items"][np.argsort(-arrays["scores"], kind="stable")]]


def test_without_a_half_life_the_most_used_come_first_and_users_decide_ties() -> None:
    assert order(None) == ["milk", "bread", "jam", "salt"]


def test_with_one_the_recent_come_first_and_users_decide_ties() -> None:
    assert order("15d") == ["jam", "salt", "milk", "bread"]


def test_an_absent_half_life_is_left_out_of_the_canonical_file() -> None:
    assert "half_life" not in HistoryRetrieval(type="history", k=1).model_dump(mode="json")
