"""Trials in stages: the same trees as in one go, and an end where a stage is below its bar."""

from __future__ import annotations

import pytest

from tasks.examples.arrays import matrix
from tasks.training.learners.lightgbm_stages import StagedTrial, train_in_stages
from tasks.training.measure import list_values, mean_and_error
from tasks.training.rankers import train_ranker
from tests.tasks.handmade import spec_of
from tests.tasks.training.test_train import learnable

SPEC = spec_of(ranker={"type": "lightgbm", "rounds": 8, "learning_rate": 0.05, "min_data_in_leaf": 1})
TRAIN, VALIDATION = learnable(1), learnable(2, 20)


def test_without_bars_it_is_the_same_model_measured_on_its_way() -> None:
    reached = train_in_stages(TRAIN, SPEC.ranker, StagedTrial(SPEC, "ndcg@10", VALIDATION, ()))
    features = matrix(VALIDATION, SPEC.features)
    scores = train_ranker(TRAIN, SPEC, SPEC.ranker).scorer().predict(features)
    assert reached.values.tolist() == list_values("ndcg@10", scores, VALIDATION).tolist()
    shorter = [SPEC.ranker.model_copy(update={"rounds": rounds}) for rounds in (2, 4, 6, 8)]
    means = [
        mean_and_error("ndcg@10", train_ranker(TRAIN, SPEC, part).scorer().predict(features), VALIDATION)[0]
        for part in shorter
    ]
    assert reached.stages == pytest.approx(means, abs=1e-12)


@pytest.mark.parametrize(("bars", "stages"), [((2.0, 0.0, 0.0), 1), ((0.0, 0.0, 2.0), 3), ((0.0, 0.0, 0.0), 4)])
def test_a_trial_below_a_bar_ends_there_with_the_trees_so_far(bars: tuple[float, ...], stages: int) -> None:
    reached = train_in_stages(TRAIN, SPEC.ranker, StagedTrial(SPEC, "ndcg@10", VALIDATION, bars))
    assert len(reached.stages) == stages
    assert float(reached.values.mean()) == pytest.approx(reached.stages[-1])


def test_few_rounds_have_all_stages() -> None:
    single = SPEC.ranker.model_copy(update={"rounds": 1})
    assert len(train_in_stages(TRAIN, single, StagedTrial(SPEC, "mrr", VALIDATION, ())).stages) == 4
