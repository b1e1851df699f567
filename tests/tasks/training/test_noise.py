"""Training again: other seeds, other draws of the users, the same each time it is done."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.training.noise import drawn_again, noise_name, noise_trainings, spread, train_again, trained_again
from tasks.training.rankers import train_ranker
from tasks.training.train import train_step
from tests.tasks.handmade import examples, group, spec_of
from tests.tasks.training.test_train import learnable, sampled

NOISE = {"noise": {"seeds": 3}}
FEATURES = np.random.default_rng(3).random((50, 2)).astype(np.float32)


def lists_of(users: int, each: int = 2) -> pa.Table:
    """So many lists of each user, of two rows and the weight 1."""
    return examples(*(group(f"g{u}-{n}", f"u{u}", [1, 0]) for u in range(users) for n in range(each)))


@given(st.integers(1, 40), st.integers(0, 1000))
def test_whole_users_are_drawn_a_whole_number_of_times(users: int, seed: int) -> None:
    drawn = drawn_again(lists_of(users), seed)
    by_user: dict[str, list[float]] = {}
    for user, weight in zip(drawn["user_id"].to_pylist(), drawn["weight"].to_pylist(), strict=True):
        by_user.setdefault(user, []).append(weight)
    for weights in by_user.values():
        assert len(weights) == 4, "all rows of all lists of a user"
        assert len(set(weights)) == 1
        assert weights[0] >= 1
        assert weights[0] == int(weights[0])
    assert drawn.equals(drawn_again(lists_of(users), seed))


def test_a_draw_has_about_as_many_users_as_there_are() -> None:
    table = lists_of(400, each=1)
    totals = [sum(drawn_again(table, seed)["weight"].to_pylist()) / 2 for seed in range(50)]
    assert np.mean(totals) == pytest.approx(400, abs=4 * math.sqrt(400 / 50))
    left_out = [400 - len(set(drawn_again(table, seed)["user_id"].to_pylist())) for seed in range(50)]
    assert np.mean(left_out) == pytest.approx(400 / math.e, abs=8)


def test_weights_of_the_sample_stay_in_those_of_a_draw() -> None:
    table = lists_of(30)
    column = table.column_names.index("weight")
    heavy = table.set_column(column, "weight", pa.array([2.5] * table.num_rows))
    assert [2.5 * w for w in drawn_again(table, 3)["weight"].to_pylist()] == drawn_again(heavy, 3)["weight"].to_pylist()


def test_each_training_differs_and_all_can_be_repeated(tmp_path: Path) -> None:
    spec, texts = spec_of(ranker={"type": "lightgbm", "rounds": 3, "min_data_in_leaf": 1}), []
    for _ in range(2):
        for model in trained_again(learnable(1), spec, spec.ranker, 3):
            model.save(tmp_path)
            texts.append((tmp_path / "trees.txt").read_text())
    assert texts[:3] == texts[3:]
    assert len(set(texts)) == 3
    assert "[seed: 2]" in texts[1]


@pytest.mark.parametrize(
    ("values", "sigma"),
    [([0.3, 0.5], math.sqrt(0.02)), ([0.4, 0.4, 0.4], 0.0), ([1.0, 2.0, 3.0], 1.0), ([0.5], 0.0), ([], 0.0)],
)
def test_the_spread_is_the_deviation_of_a_sample(values: list[float], sigma: float) -> None:
    assert spread(values) == pytest.approx(sigma)


def test_the_step_leaves_the_models_that_were_trained_again(tmp_path: Path) -> None:
    run = sampled(tmp_path, learnable(1), {}, evaluate={"metrics": ["ndcg@10"], **NOISE})
    train_step(run, "*")
    files = {path.name for path in run.step_dir("train/everybody-else").iterdir()}
    assert {name for name in files if name.startswith("noise")} == {noise_name(n) for n in (1, 2, 3)}
    assert noise_trainings(spec_of()) == 0


def test_a_training_has_the_seed_and_the_draw_of_its_number() -> None:
    spec, table = spec_of(), learnable(1)
    settings = spec.ranker.model_copy(update={"bagging_fraction": 0.5})
    scores = [train_again(table, spec, settings, number).scorer().predict(FEATURES) for number in (0, 0, 1, 1, 2)]
    own = train_ranker(table, spec, settings).scorer().predict(FEATURES)
    assert scores[0].tolist() == scores[1].tolist() == own.tolist()
    assert scores[2].tolist() == scores[3].tolist()
    assert scores[2].tolist() not in (own.tolist(), scores[4].tolist())
