"""Bootstrap intervals: blocks keep users whole, widths agree with theory, pairs are tighter."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.errors import MetricError
from engine.intervals import interval, margin_over_best, paired_interval, replicate_means, user_blocks, weighted_mean


def test_a_user_stays_in_one_block_and_blocks_are_of_equal_size() -> None:
    users = np.array([f"u{n % 3000}" for n in range(9000)])
    blocks = user_blocks(users, seed=1)
    np.testing.assert_array_equal(blocks[:3000], blocks[3000:6000])
    assert set(np.bincount(blocks)) == {9}
    assert (user_blocks(users, seed=2) != blocks).any()


def test_few_users_have_a_block_each() -> None:
    assert sorted(user_blocks(["a", "b", "a", "c"], seed=0).tolist())[-1] == 2
    assert len(user_blocks(np.array([], dtype=str), seed=0)) == 0


def test_width_agrees_with_the_normal_approximation() -> None:
    values = np.random.default_rng(0).normal(0.3, 0.2, 20_000)
    found = interval(values, user_blocks(np.arange(20_000), 0), seed=5)
    assert found.groups == 20_000
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.2 / math.sqrt(20_000), rel=0.12)


def test_clusters_widen_the_interval() -> None:
    per_user = np.random.default_rng(0).normal(0.0, 1.0, 500)
    values = np.repeat(per_user, 10)
    users = np.repeat(np.arange(500), 10)
    clustered = interval(values, user_blocks(users, 0), seed=5)
    naive = interval(values, user_blocks(np.arange(5000), 0), seed=5)
    assert (clustered.high - clustered.low) > 2.5 * (naive.high - naive.low)


def test_undefined_groups_are_left_out_and_counted() -> None:
    found = interval(np.array([np.nan, 1.0, 0.0]), np.array([0, 1, 2]), seed=0)
    assert (found.value, found.groups) == (0.5, 2)
    nothing = interval(np.array([np.nan]), np.array([0]), seed=0)
    assert math.isnan(nothing.value)
    assert nothing.groups == 0
    single = interval(np.array([0.25]), np.array([0]), seed=0)
    assert single.value == 0.25
    assert math.isnan(single.low)


def test_pairs_remove_what_both_share() -> None:
    random = np.random.default_rng(1)
    shared = random.random(2000)
    ours = shared + random.normal(0.01, 0.01, 2000)
    ours[0] = np.nan
    blocks = user_blocks(np.arange(2000), 0)
    paired = paired_interval(ours, shared, blocks, seed=0)
    assert paired.groups == 1999
    assert 0.0 < paired.low < 0.01 < paired.high < 0.012


def test_mismatched_lengths_are_refused() -> None:
    with pytest.raises(MetricError, match="one block per group"):
        interval(np.zeros(2), np.zeros(3, dtype=int), seed=0)
    with pytest.raises(MetricError, match="cannot be paired"):
        paired_interval(np.zeros(2), np.zeros(3), np.zeros(2, dtype=int), seed=0)


def test_the_margin_over_one_other_is_the_paired_difference() -> None:
    ours, theirs = np.random.default_rng(0).random((2, 300))
    ours[5] = np.nan
    blocks = user_blocks(np.arange(300), 0)
    assert margin_over_best(ours, [theirs], blocks, 1) == paired_interval(ours, theirs, blocks, 1)


def test_the_margin_is_over_the_best_mean_and_its_low_end_is_no_higher_than_any_pairs() -> None:
    random = np.random.default_rng(2)
    ours = random.random(400)
    others = [ours - 0.02 + random.normal(0, 0.3, 400) for _ in range(4)]
    blocks = user_blocks(np.arange(400) // 2, 0)
    found = margin_over_best(ours, others, blocks, 1)
    pairs = [paired_interval(ours, theirs, blocks, 1) for theirs in others]
    assert found.value == min(pair.value for pair in pairs)
    assert found.low <= min(pair.low for pair in pairs)
    assert found.high <= min(pair.high for pair in pairs)


def test_the_choice_of_the_best_rarely_passes_a_model_that_is_no_better() -> None:
    """All contenders are alike: an interval above 0 is a false alarm, of which 2.5 in 100 are allowed."""
    random = np.random.default_rng(5)
    alarms = 0
    for _ in range(200):
        base = random.random(120)
        ours, *others = (base + random.normal(0, 0.2, 120) for _ in range(4))
        alarms += margin_over_best(ours, others, np.arange(120), 1).low > 0
    assert alarms <= 5


def test_contenders_of_other_groups_cannot_be_compared() -> None:
    with pytest.raises(MetricError, match="cannot be paired"):
        margin_over_best(np.zeros(3), [np.zeros(3), np.zeros(2)], np.arange(3), 0)


def test_with_equal_weights_it_is_the_mean_and_its_standard_error() -> None:
    values = np.array([0.1, 0.4, np.nan, 0.7, 0.2])
    own = values[~np.isnan(values)]
    for weight in (1.0, 3.5):
        mean, error = weighted_mean(values, np.full(5, weight)) or (0.0, 0.0)
        assert mean == pytest.approx(own.mean())
        assert error == pytest.approx(own.std(ddof=1) / math.sqrt(4))
    assert weighted_mean(np.array([np.nan]), np.ones(1)) is None
    assert weighted_mean(np.array([0.3]), np.ones(1)) == (0.3, 0.0)


def test_weights_undo_the_sampling_of_strata_and_the_error_is_that_of_the_estimate() -> None:
    """Of 900 lists around 0.2 and 100 around 0.8, 50 of each are drawn, again and again."""
    random = np.random.default_rng(3)
    many, few = random.normal(0.2, 0.1, 900), random.normal(0.8, 0.1, 100)
    weights = np.repeat([900 / 50, 100 / 50], 50)
    draws = [
        weighted_mean(np.r_[random.choice(many, 50, replace=False), random.choice(few, 50, replace=False)], weights)
        for _ in range(400)
    ]
    means, errors = np.array([draw for draw in draws if draw is not None]).T
    assert means.mean() == pytest.approx((many.sum() + few.sum()) / 1000, abs=4 * means.std() / 20)
    # That of a draw without strata: no smaller than the estimate's own.
    assert means.std() <= errors.mean() <= 3 * means.std()


def test_replicates_of_one_column_give_its_interval_and_pairs_stay_pairs() -> None:
    values = np.random.default_rng(4).random(500)
    values[7] = np.nan
    blocks = user_blocks(np.arange(500) // 2, 0)
    found = replicate_means(np.array([values, values + 0.1]), np.ones(500), blocks, 3)
    expected = interval(values, blocks, 3)
    assert np.quantile(found[:, 0], [0.025, 0.975]) == pytest.approx([expected.low, expected.high])
    assert found[:, 1] - found[:, 0] == pytest.approx(np.full(len(found), 0.1))
    with pytest.raises(MetricError, match="nothing to resample"):
        replicate_means(np.full((1, 3), np.nan), np.ones(3), np.arange(3), 0)
