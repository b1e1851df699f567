from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tasks.checks.list_statistics import PERSISTENCE, Pages, agreement, list_statistics, parts

Floats = npt.NDArray[np.float64]


def pages(*lists: tuple[str, str]) -> Pages:
    """Make lists of (user, items as letters)."""
    rows = [(f"g{n}", user, item) for n, (user, items) in enumerate(lists) for item in items]
    columns = {name: [row[n] for row in rows] for n, name in enumerate(("group_id", "user_id", "item_id"))}
    return Pages.of(pa.table(columns))


def measured(found: Pages, *scores: float, k: int = 2) -> dict[str, Any]:
    return list_statistics(found, np.asarray(scores, dtype=np.float64), k)


def test_lists_of_a_model_that_tells_items_apart() -> None:
    found = measured(pages(("u", "abc"), ("v", "abc")), 3, 2, 1, 1, 2, 3)

    assert found == {
        "rows": 6,
        "lists": 2,
        "scored_share": 1.0,
        "score_spread": 0.816496580928,
        "constant_list_share": 0.0,
        "distinct_score_share": 1.0,
        "catalog_coverage_share": 1.0,
        "same_list_share": 0.5,
    }


def test_one_score_for_everything_is_the_same_list_for_everybody() -> None:
    found = measured(pages(("u", "abc"), ("v", "bca")), 1, 1, 1, 1, 1, 1)

    assert found["score_spread"] == 0.0
    assert found["constant_list_share"] == 1.0
    assert found["distinct_score_share"] == pytest.approx(1 / 3)
    assert found["same_list_share"] == 1.0
    assert found["catalog_coverage_share"] == pytest.approx(2 / 3)


def test_the_top_is_that_of_the_final_lists() -> None:
    found, scores = pages(("u", "abc"), ("v", "abc")), np.array([3.0, 2.0, 1.0, 3.0, 2.0, 1.0])

    assert list_statistics(found, scores, 1)["same_list_share"] == 1.0
    final = list_statistics(found, scores, 1, np.array([0.0, -1.0, -2.0, -1.0, -2.0, 0.0]))
    assert (final["same_list_share"], final["catalog_coverage_share"]) == (0.5, pytest.approx(2 / 3))
    assert final["score_spread"] == list_statistics(found, scores, 1)["score_spread"]


def test_scores_that_are_no_numbers_are_counted_and_come_last() -> None:
    found = measured(pages(("u", "abc")), float("nan"), 1, 2)

    assert found["scored_share"] == pytest.approx(2 / 3)
    assert found["catalog_coverage_share"] == pytest.approx(2 / 3)


def test_a_user_with_two_equal_lists_is_one_user() -> None:
    found = measured(pages(("u", "ab"), ("u", "ab"), ("v", "ab")), 2, 1, 2, 1, 1, 2)

    assert found["same_list_share"] == 0.5


def test_one_user_cannot_share_a_list() -> None:
    assert measured(pages(("u", "ab")), 2, 1)["same_list_share"] is None


def test_equal_scores_stand_in_the_order_of_item_ids() -> None:
    assert pages(("u", "cab")).ranks(np.zeros(3)).tolist() == [2, 0, 1]


def test_lists_of_one_row_say_nothing_of_agreement() -> None:
    assert agreement(pages(("u", "a")), np.ones(1), np.ones(1), 1) == {
        "correlation": None,
        "overlap_share": None,
        "rbo": None,
    }


def test_the_same_order_and_the_opposite_one() -> None:
    found, scores = pages(("u", "abcd"), ("v", "abcd")), np.asarray([4.0, 3, 2, 1] * 2)

    same, opposite = agreement(found, scores, 10 * scores, 2), agreement(found, scores, -scores, 2)

    assert same == {"correlation": 1.0, "overlap_share": 1.0, "rbo": 1.0}
    assert (opposite["correlation"], opposite["overlap_share"]) == (-1.0, 0.0)


def test_populations_are_measured_apart() -> None:
    found = pages(("u", "ab"), ("v", "cde"))

    cut = list(parts(found, np.asarray(["BR"] * 2 + ["US"] * 3, dtype=object)))

    assert [(name, mask.tolist()) for name, mask in cut] == [
        ("everybody", [True, True]),
        ("BR", [True, False]),
        ("US", [False, True]),
    ]
    own, rows = found.only(cut[2][1])
    assert (own.offsets.tolist(), rows.tolist()) == ([0, 3], [False, False, True, True, True])


orders = st.integers(2, 12).flatmap(lambda n: st.tuples(st.permutations(range(n)), st.permutations(range(n))))


@given(st.lists(orders, min_size=1, max_size=5))
def test_agreement_is_what_other_formulas_give(lists: list[tuple[list[int], list[int]]]) -> None:
    letters = "abcdefghijkl"
    found = pages(*((f"u{n}", letters[: len(ours)]) for n, (ours, _) in enumerate(lists)))
    ours = np.asarray([float(value) for order, _ in lists for value in order])
    theirs = np.asarray([float(value) for _, order in lists for value in order])

    got = agreement(found, ours, theirs, 3)

    assert got["correlation"] == pytest.approx(np.mean([spearmanr(a, b).statistic for a, b in lists]))
    assert got["rbo"] == pytest.approx(np.mean([rank_biased(a, b) for a, b in lists]))


def rank_biased(ours: list[int], theirs: list[int]) -> float:
    """Return rank-biased overlap by its definition: the overlap at every depth, weighted."""
    mine, others = (np.argsort([-value for value in order]) for order in (ours, theirs))
    depths = range(1, len(ours) + 1)
    agreed = [len(set(mine[:d]) & set(others[:d])) / d * PERSISTENCE ** (d - 1) for d in depths]
    return sum(agreed) / sum(PERSISTENCE ** (d - 1) for d in depths)
