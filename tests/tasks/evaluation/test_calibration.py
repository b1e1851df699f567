"""Scores against grades, by hand and by what must hold of any scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.calibration import BINS, Calibration, bin_numbers, calibrations

SCORES = st.lists(st.sampled_from([-2.5, -1.0, 0.0, 0.25, 1.0, 3.0]) | st.floats(-1e6, 1e6), min_size=1, max_size=60)


def calibrated(scores: list[float], grades: list[int], users: list[str] | None = None) -> tuple[Calibration, ...]:
    populations = np.full(len(scores), "*", dtype=object)
    return calibrations(
        populations, users or [f"u{n}" for n in range(len(scores))], np.array(scores), np.array(grades, dtype=np.uint8)
    )


def test_by_hand() -> None:
    scores = [n / 10 for n in range(20)]
    grades = [0, 0] * 5 + [1, 0] * 4 + [3, 2]

    (found,) = calibrated(scores, grades)

    assert found.population == "*"
    assert [one.examples for one in found.bins] == [2] * BINS
    assert [one.score for one in found.bins] == pytest.approx([0.05 + n / 5 for n in range(10)])
    assert [one.grade for one in found.bins] == [0] * 5 + [0.5] * 4 + [2.5]
    assert all(one.low is not None and one.low <= one.grade <= (one.high or 0) for one in found.bins)


def test_a_bin_of_one_user_has_no_interval() -> None:
    (found,) = calibrated([1.0, 1.0, 2.0], [0, 1, 1], users=["a", "a", "b"])

    assert [(one.examples, one.grade, one.low, one.high) for one in found.bins] == [
        (2, 0.5, None, None),
        (1, 1.0, None, None),
    ]


def test_one_score_for_all_is_one_bin() -> None:
    (found,) = calibrated([0.5] * 30, [1, 0, 0] * 10)

    assert [(one.examples, one.score) for one in found.bins] == [(30, 0.5)]
    assert found.bins[0].grade == pytest.approx(1 / 3)


def test_examples_without_a_finite_score_are_left_out() -> None:
    (found,) = calibrated([1.0, math.inf, math.nan, -math.inf, 2.0], [1, 3, 3, 3, 2])

    assert [(one.score, one.grade) for one in found.bins] == [(1.0, 1.0), (2.0, 2.0)]
    assert calibrated([math.nan], [1])[0].bins == ()


def test_models_are_calibrated_one_by_one_everybody_elses_last() -> None:
    populations = np.array(["*", "US", "*", "BR"], dtype=object)

    found = calibrations(populations, ["a", "b", "c", "d"], np.array([1.0, -5.0, 2.0, 9.0]), np.array([0, 1, 2, 3]))

    assert [(one.population, [each.grade for each in one.bins]) for one in found] == [
        ("BR", [3.0]),
        ("US", [1.0]),
        ("*", [0.0, 2.0]),
    ]


@given(SCORES, st.integers(0, 2**32 - 1))
def test_every_example_is_in_one_bin_and_bins_keep_the_mean(scores: list[float], seed: int) -> None:
    grades = np.random.default_rng(seed).integers(0, 5, len(scores)).tolist()
    (found,) = calibrated(scores, grades)

    assert sum(one.examples for one in found.bins) == len(scores)
    assert sum(one.examples * one.grade for one in found.bins) == pytest.approx(sum(grades), abs=1e-9)
    assert len(found.bins) <= BINS
    assert [one.score for one in found.bins] == sorted(one.score for one in found.bins)


@given(SCORES)
def test_bins_follow_the_order_of_scores_alone(scores: list[float]) -> None:
    numbers = bin_numbers(np.array(scores))

    for one, number in zip(scores, numbers, strict=True):
        for other, another in zip(scores, numbers, strict=True):
            assert number <= another if one <= other else number >= another
            assert (number == another) or one != other
    ranks = np.unique(np.array(scores), return_inverse=True)[1].astype(float)
    assert bin_numbers(ranks).tolist() == numbers.tolist()


@given(st.integers(1, 40))
def test_bins_of_different_scores_are_of_equal_size(tens: int) -> None:
    numbers = bin_numbers(np.random.default_rng(tens).permutation(10 * tens).astype(float))

    assert np.bincount(numbers).tolist() == [tens] * BINS
