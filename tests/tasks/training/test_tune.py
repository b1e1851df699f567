"""Which settings are tried, and which of them is taken: the plateau, not the peak."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.spec.rankers import Tune
from tasks.training.measure import mean_and_error
from tasks.training.tune import Point, Trial, choose, points, simplest
from tests.tasks.handmade import examples, group, spec_of

ONE_ERROR = "simplest_within_one_standard_error"


def tune(trials: int, seed: int = 0, **space: list[float]) -> Tune:
    return Tune.model_validate({"trials": trials, "metric": "ndcg@10", "seed": seed, "space": space})


def trial(complexity: int, value: float, error: float) -> Trial:
    return Trial(settings={}, complexity=complexity, value=value, standard_error=error)


def test_every_point_of_a_small_space_is_tried_simplest_first() -> None:
    assert points(tune(9, num_leaves=[15, 31], learning_rate=[0.1, 0.05])) == [
        Point({"learning_rate": 0.1, "num_leaves": 15}, 0),
        Point({"learning_rate": 0.1, "num_leaves": 31}, 1),
        Point({"learning_rate": 0.05, "num_leaves": 15}, 1),
        Point({"learning_rate": 0.05, "num_leaves": 31}, 2),
    ]


@given(st.integers(1, 40), st.integers(0, 5))
def test_of_a_large_space_so_many_are_tried_each_once(trials: int, seed: int) -> None:
    asked = tune(trials, seed, num_leaves=[7, 15, 31], rounds=[50, 100, 200], lambda_l2=[0.1, 1, 10])
    found = points(asked)

    assert len(found) == min(trials, 27)
    assert len({tuple(point.settings.items()) for point in found}) == len(found)
    assert [point.complexity for point in found] == sorted(point.complexity for point in found)
    assert points(asked) == found


@pytest.mark.parametrize(
    ("rule", "trials", "taken"),
    [
        (ONE_ERROR, [trial(0, 0.28, 0.01), trial(1, 0.295, 0.01), trial(2, 0.30, 0.01), trial(3, 0.29, 0.01)], 1),
        (ONE_ERROR, [trial(0, 0.30, 0.01), trial(1, 0.29, 0.05)], 0),
        (ONE_ERROR, [trial(0, 0.29, 0.0), trial(1, 0.30, 0.01)], 0),  # exactly one error away is within
        (ONE_ERROR, [trial(0, 0.29, 0.5), trial(1, 0.30, 0.0)], 1),  # the error is the best one's
        ("best", [trial(0, 0.295, 0.01), trial(1, 0.30, 0.01)], 1),
        ("best", [trial(0, 0.30, 0.01), trial(1, 0.30, 0.01)], 0),
    ],
)
def test_the_trial_that_is_taken(rule: str, trials: list[Trial], taken: int) -> None:
    assert simplest(trials, rule) is trials[taken]


def window(seed: int) -> pa.Table:
    """A grade is 1 where the first feature is the group's largest."""
    numbers = np.random.default_rng(seed)
    groups = []
    for n in range(60):
        clue, noise = numbers.random(6), numbers.random(6)
        grades = (clue == clue.max()).astype(int).tolist()
        columns = {"item_actions_28d": clue.tolist(), "user_tenure_days": noise.tolist()}
        groups.append(group(f"g{n:02}", f"u{n}", grades, **columns))
    return examples(*groups)


def test_settings_that_cannot_learn_lose() -> None:
    space = {"trials": 4, "metric": "ndcg@10", "space": {"min_data_in_leaf": [10_000, 5]}}
    spec = spec_of(tune=space)
    tables = {"train": window(1), "validation": window(2)}

    chosen, trials = choose(spec, tables.__getitem__)

    assert chosen.min_data_in_leaf == 5
    assert chosen.rounds == spec.ranker.rounds
    assert [found.settings for found in trials] == [{"min_data_in_leaf": 10_000}, {"min_data_in_leaf": 5}]
    assert trials[1].value > 0.9 > 0.7 > trials[0].value
    assert choose(spec, tables.__getitem__) == (chosen, trials)


def test_without_tune_the_ranker_is_as_written() -> None:
    spec = spec_of()
    assert choose(spec, lambda _: window(0)) == (spec.ranker, [])


def test_the_mean_over_the_validation_window_is_that_of_all_groups() -> None:
    """One list of three is ordered right; it stands for six of eight lists."""
    right, wrong = [2.0, 1.0], [1.0, 2.0]
    table = examples(group("g1", "u1", [1, 0]), group("g2", "u2", [1, 0]), group("g3", "u3", [1, 0]))
    weights = pa.array([6.0, 6.0, 1.0, 1.0, 1.0, 1.0])
    table = table.set_column(table.schema.get_field_index("weight"), "weight", weights)
    value, error = mean_and_error("hit_rate@1", np.array([*right, *wrong, *wrong]), table)
    assert value == pytest.approx(6 / 8)
    assert error > 0
