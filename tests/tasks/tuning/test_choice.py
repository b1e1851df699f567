"""Which trial is taken: the plateau, not the peak."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.tuning.choice import (
    Distance,
    Leader,
    Lists,
    chosen_leader,
    distance,
    distances,
    leaders,
    leading,
    mean_of,
)

ONE_ERROR = "simplest_within_one_standard_error"
FOUR = Lists(np.ones(4), np.arange(4))
PLACES = [(2,), (0,), (1,), (3,)]


def leader(trial: int, behind: float, error: float) -> Leader:
    return Leader(trial=trial, values=(0.5,), behind=behind, error=error)


def test_a_distance_is_of_pairs_so_that_what_lists_have_in_common_does_not_count() -> None:
    hard, own = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.1, 0.1, 0.1])
    assert distance(hard + own, hard, FOUR) == pytest.approx((0.1, 0.0))
    lead = distance(np.array([0.1, 0.3, 0.1, 0.3]), np.zeros(4), FOUR)
    assert lead == pytest.approx((0.2, np.std([0.1, 0.3, 0.1, 0.3], ddof=1) / 2))


def test_lists_of_one_user_do_not_count_as_many() -> None:
    best = np.array([0.1, 0.3, 0.1, 0.3])
    two_users = Lists(np.ones(4), np.array([0, 1, 0, 1]))
    assert distance(best, np.zeros(4), two_users).error > 1.5 * distance(best, np.zeros(4), FOUR).error


def test_lists_without_a_value_count_for_nothing() -> None:
    assert mean_of(np.array([np.nan, 0.2, 0.4, np.nan]), FOUR) == pytest.approx(0.3)
    assert mean_of(np.full(4, np.nan), FOUR) == 0.0
    assert distance(np.full(4, np.nan), np.zeros(4), FOUR) == (0.0, 0.0)


def test_the_best_is_behind_nobody() -> None:
    behind = distances([np.full(4, 0.2), np.full(4, 0.5), np.full(4, 0.4)], FOUR, [0, 1, 2])
    assert [lead.behind for lead in behind] == pytest.approx([0.3, 0.0, 0.1])


@pytest.mark.parametrize(
    ("rule", "count", "numbers"),
    [
        (ONE_ERROR, 5, [1, 0]),  # trial 2 is told apart from the best, and trial 3 further still
        (ONE_ERROR, 1, [0]),
        ("best", 3, [1, 2, 0]),
    ],
)
def test_the_trials_to_train_again_simplest_first(rule: str, count: int, numbers: list[int]) -> None:
    behind = [Distance(0.0, 0.0), Distance(0.01, 0.02), Distance(0.02, 0.01), Distance(0.03, 0.01)]
    assert leading(PLACES, behind, range(4), count, rule) == numbers


def test_what_was_ended_early_leads_nothing() -> None:
    values = [np.full(4, 0.9), np.full(4, 0.5), np.full(4, 0.4)]
    behind = distances(values, FOUR, [1, 2])
    assert [lead.behind for lead in behind] == pytest.approx([-0.4, 0.0, 0.1])
    assert leading(PLACES[:3], behind, [1, 2], 5, "best") == [1, 2]


def test_the_best_is_among_them_however_many_simpler_ones_there_are() -> None:
    places = [(n,) for n in range(10)]
    behind = [*[Distance(0.01, 0.02)] * 9, Distance(0.0, 0.0)]
    assert leading(places, behind, range(10), 3, ONE_ERROR) == [0, 1, 9]


@pytest.mark.parametrize(
    ("rule", "found", "taken"),
    [
        (ONE_ERROR, [leader(0, 0.02, 0.01), leader(1, 0.005, 0.01), leader(2, 0.0, 0.0)], 1),
        (ONE_ERROR, [leader(0, 0.02, 0.01), leader(2, 0.0, 0.0)], 2),
        (ONE_ERROR, [leader(0, 0.01, 0.01), leader(2, 0.0, 0.0)], 0),  # exactly one error away is within
        ("best", [leader(0, 0.01, 0.02), leader(2, 0.0, 0.0)], 2),
        ("best", [leader(0, 0.0, 0.0), leader(2, 0.0, 0.0)], 0),
    ],
)
def test_the_leader_that_is_taken(rule: str, found: list[Leader], taken: int) -> None:
    assert chosen_leader(found, rule).trial == taken


def test_what_trainings_have_in_common_is_no_noise() -> None:
    """Both lose 0.1 on the second draw: their distance is the same, and certain."""
    peak, other = np.full(4, 0.5), np.full(4, 0.4)
    found = leaders({7: [other, other - 0.1], 9: [peak, peak - 0.1]}, FOUR)
    assert [one.trial for one in found] == [7, 9]
    assert found[0].behind == pytest.approx(0.1)
    assert found[0].error == pytest.approx(0.0, abs=1e-12)
    assert found[1].values == pytest.approx((0.5, 0.4))


def test_the_noise_of_training_is_that_of_the_mean_of_all_trainings() -> None:
    """Leads of 0.0 and 0.2: a deviation of 0.1·√2 between trainings, over √2 of them."""
    flat = np.full(4, 0.5)
    found = leaders({0: [flat, flat - 0.2], 1: [flat, flat]}, FOUR)
    assert found[0].behind == pytest.approx(0.1)
    assert found[0].error == pytest.approx(0.2 / math.sqrt(2) / math.sqrt(2))
    assert chosen_leader(found, ONE_ERROR).trial == 0


def test_one_training_each_has_no_noise_to_measure() -> None:
    found = leaders({0: [np.full(4, 0.5)], 1: [np.full(4, 0.6)]}, FOUR)
    assert [one.error for one in found] == pytest.approx([0.0, 0.0])
    assert chosen_leader(found, ONE_ERROR).trial == 1


@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=6))
def test_something_is_always_taken_and_never_more_complex_than_the_peak(rows: list[list[float]]) -> None:
    values = {n: [np.array(row), np.array(row)] for n, row in enumerate(rows)}
    found = leaders(values, FOUR)
    peak, taken = chosen_leader(found, "best"), chosen_leader(found, ONE_ERROR)
    assert taken.trial <= peak.trial
    assert taken.behind <= taken.error
