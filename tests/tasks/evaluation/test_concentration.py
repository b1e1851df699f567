"""Coverage and concentration, by hand and by what must hold of any counts."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.concentration import concentration_of, gini

COUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=12)


def array(counts: list[int]) -> np.ndarray:
    return np.array(counts, dtype=np.int64)


def test_by_hand() -> None:
    row = concentration_of("model", array([6, 0, 2, 2]), catalog=8)

    assert (row.of, row.places, row.items, row.coverage, row.top_share) == ("model", 10, 3, 0.375, 1.0)
    # The mean difference of 0 0 0 0 0 2 2 6: (10 pairs of 2 + 5 of 6 + 2 of 4) × 2 / 64 = 1.8125, over twice 1.25.
    assert row.gini == pytest.approx(1.8125 / 2.5)


def test_the_top_share_is_of_the_ten_most_listed() -> None:
    row = concentration_of("model", array([10] * 10 + [1] * 100), catalog=200)

    assert row.top_share == 0.5
    assert row.coverage == 0.55


def test_lists_of_nothing_are_not_concentrated() -> None:
    row = concentration_of("history", array([0, 0]), catalog=2)

    assert (row.places, row.items, row.coverage, row.gini, row.top_share) == (0, 0, 0.0, 0.0, 0.0)
    assert concentration_of("history", array([]), catalog=0).coverage == 0.0


@given(COUNTS)
def test_gini_is_half_of_the_mean_difference_over_the_mean(counts: list[int]) -> None:
    mean = sum(counts) / len(counts)
    difference = sum(abs(a - b) for a, b in product(counts, repeat=2)) / len(counts) ** 2

    assert gini(array(counts)) == pytest.approx(difference / 2 / mean if mean else 0.0)


@given(COUNTS, st.randoms(use_true_random=False), st.integers(1, 9))
def test_gini_knows_neither_order_nor_unit_nor_size(counts: list[int], random: Any, unit: int) -> None:
    shuffled = list(counts)
    random.shuffle(shuffled)

    assert gini(array(shuffled)) == gini(array(counts))
    assert gini(array([unit * count for count in counts])) == pytest.approx(gini(array(counts)))
    assert gini(array(counts * 3)) == pytest.approx(gini(array(counts)))


@given(COUNTS, st.integers(0, 20))
def test_gini_is_between_equal_shares_and_one_item_that_has_all(counts: list[int], others: int) -> None:
    catalog = len(counts) + others
    row = concentration_of("model", array(counts), catalog)

    assert 0 <= row.gini <= (catalog - 1) / catalog + 1e-12
    assert gini(array([7] * len(counts))) == 0
    assert gini(array([*[0] * others, 7])) == pytest.approx(others / (others + 1))


@given(COUNTS, st.integers(0, 20))
def test_items_that_nobody_sees_may_be_left_out(counts: list[int], others: int) -> None:
    catalog = len(counts) + others

    assert concentration_of("model", array(counts), catalog) == concentration_of(
        "model", array([*counts, *[0] * others]), catalog
    )
