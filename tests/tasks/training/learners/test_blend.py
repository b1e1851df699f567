"""How the weights of a blend are chosen, and what a blend is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.examples.arrays import matrix
from tasks.spec.rankers import BlendRanker
from tasks.training.learners.blend import best_weights, member
from tasks.training.measure import mean_and_error
from tasks.training.models import save_model
from tasks.training.rankers import settle, train_ranker
from tests.tasks.handmade import examples, group, spec_of
from tests.tasks.training.test_train import learnable

TREES = {"type": "lightgbm", "rounds": 10, "min_data_in_leaf": 5}
LINEAR = {"type": "linear"}


def lists(count: int = 20) -> pa.Table:
    return examples(*(group(f"g{n}", f"u{n}", [2, 1, 0, 0]) for n in range(count)))


def test_a_member_that_is_right_gets_everything_that_the_wrong_one_would_spoil() -> None:
    table = lists()
    right = table["grade"].to_numpy().astype(np.float64)
    (first, second), value = best_weights([right, -10 * right], table, "ndcg")
    assert value == 1.0
    assert first > 0.9 > second


def test_members_that_are_as_good_share_evenly() -> None:
    table = lists()
    right = table["grade"].to_numpy().astype(np.float64)
    assert best_weights([right, right], table, "ndcg") == ((0.5, 0.5), 1.0)
    assert best_weights([right, right, right, right, right], table, "ndcg")[0] == pytest.approx([0.2] * 5)


def test_members_that_know_different_halves_are_better_together() -> None:
    """Each tells one of the two relevant items from the others."""
    table = lists()
    one, other = (np.tile(scores, 20) for scores in ([1.0, 0.0, 0.0, 0.5], [0.0, 1.0, 0.5, 0.0]))
    alone = [mean_and_error("ndcg", scores, table)[0] for scores in (one, other)]

    weights, value = best_weights([one, other], table, "ndcg")

    assert value > max(alone)
    assert min(weights) > 0.0


def test_scores_are_standardized_by_those_of_what_was_trained_on() -> None:
    spec, table = spec_of(), learnable(1)
    one = member(train_ranker(table, spec, spec.ranker), 0.3, table, spec)
    scores = (one.model.scorer().predict(matrix(table, spec.features)) - one.center) / one.scale
    assert one.weight == 0.3
    assert scores.mean() == pytest.approx(0.0, abs=1e-9)
    assert scores.std() == pytest.approx(1.0, abs=1e-9)


def test_equal_scores_of_a_member_are_not_blown_up() -> None:
    spec, table = spec_of(ranker={**TREES, "min_data_in_leaf": 10_000}), learnable(1)
    one = member(train_ranker(table, spec, spec.ranker), 1.0, table, spec)
    assert one.scale == 1.0


def test_a_member_without_a_share_is_not_trained(tmp_path: Path) -> None:
    spec = spec_of(ranker={"type": "blend", "of": [TREES, LINEAR], "weights": [0.0, 1.0]})
    save_model(train_ranker(learnable(1), spec, spec.ranker), tmp_path / "model")
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert files == ["model/0/inputs.npz", "model/function.json"]


def test_what_is_chosen_is_written_into_the_settings() -> None:
    spec = spec_of(ranker={"type": "blend", "of": [{**TREES, "early_stopping": 2}, LINEAR]})
    windows = {"train": learnable(1), "validation": learnable(2, 20)}

    settled = settle(spec, spec.ranker, windows.__getitem__).settings

    assert isinstance(settled, BlendRanker)
    assert settled.weights is not None
    assert sum(settled.weights) == pytest.approx(1.0)
    trees = settled.of[0].model_dump()
    assert trees["rounds"] <= 10
    assert "early_stopping" not in trees
