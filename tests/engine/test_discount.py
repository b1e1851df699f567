"""An item's score falls with a feature, in the units of its list's scores, wherever its row stands."""

from __future__ import annotations

import numpy as np
import pytest

from engine.discount import Discount, discounted

RULE = Discount("user_item_unclicked_28d", 0.5)
OFFSETS = np.array([0, 3, 5])
SCORES = np.array([1.0, 2.0, 6.0, 4.0, 4.0])
SHOWN = np.array([0.0, 3.0, np.nan, 7.0, 0.0], dtype=np.float32)


def test_the_score_falls_by_the_logarithm_times_the_spread_of_the_list() -> None:
    found = RULE.apply(SCORES, OFFSETS, SHOWN)
    spread = SCORES[:3].std()
    # Nothing of the second list tells its items apart, so that nothing is a unit for its scores.
    assert found.tolist() == pytest.approx([1.0, 2.0 - 0.5 * spread * np.log(4.0), 6.0, 4.0, 4.0])


def test_rows_of_a_list_may_come_in_any_order_to_the_last_bit() -> None:
    rng = np.random.default_rng(1)
    scores, values = rng.normal(size=50), rng.integers(0, 9, 50).astype(np.float32)
    whole, order = np.array([0, 50]), rng.permutation(50)
    assert RULE.apply(scores, whole, values)[order].tolist() == RULE.apply(scores[order], whole, values[order]).tolist()


def test_rules_follow_each_other_and_none_changes_nothing() -> None:
    assert discounted((), SCORES, OFFSETS, []) is SCORES
    twice = discounted((RULE, RULE), SCORES, OFFSETS, [SHOWN, SHOWN])
    assert twice.tolist() == RULE.apply(RULE.apply(SCORES, OFFSETS, SHOWN), OFFSETS, SHOWN).tolist()
