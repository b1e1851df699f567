"""The loss follows the metric: what a grade is worth in training is what it is worth to the first gate."""

from __future__ import annotations

import re
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pytest

from engine.trees import Trees
from tasks.spec.spec import Spec
from tasks.training.learners.labels import label_gain
from tasks.training.learners.lightgbm import loss, train
from tests.tasks.handmade import examples, group, spec_of


def judged_by(metric: str, objective: str = "lambdarank") -> Spec:
    return spec_of(
        evaluate={"metrics": [metric]},
        gates=[{"metric": metric, "beats": "popularity"}],
        ranker={"type": "lightgbm", "objective": objective, "rounds": 20, "min_data_in_leaf": 1, "num_leaves": 4},
    )


def contradicting(threes: int, twos: int) -> pa.Table:
    """Lists in which the first item has grade 3, and lists in which the second one has grade 2, both beside a 1."""
    columns = {"item_actions_28d": [9.0, 1.0, 0.0], "user_tenure_days": [5.0] * 3}
    kinds = [[3, 0, 1]] * threes + [[0, 2, 1]] * twos
    return examples(*(group(f"g{n:03}", f"u{n}", grades, **columns) for n, grades in enumerate(kinds)))


@pytest.mark.parametrize(
    ("metric", "gains"),
    [
        ("ndcg@10", (0.0, 1.0, 2.0, 3.0)),
        ("ndcg_exp@10", (0.0, 1.0, 3.0, 7.0)),
        ("ndcg_binary", (0.0, 1.0, 1.0, 1.0)),
        ("mrr", (0.0, 1.0, 1.0, 1.0)),
        ("recall@20", (0.0, 1.0, 1.0, 1.0)),
        ("fpc", (0.0, 1.0, 2.0, 3.0)),
    ],
)
def test_grades_are_worth_what_the_first_gate_says(metric: str, gains: tuple[float, ...], tmp_path: Path) -> None:
    assert label_gain(judged_by(metric), 3) == gains
    spec = judged_by(metric)
    train(contradicting(5, 4), spec, spec.ranker).save(tmp_path)
    written = re.search(r"(?m)^\[label_gain: (.*)\]$", (tmp_path / "trees.txt").read_text())
    assert written is not None
    assert tuple(float(gain) for gain in written[1].split(",")) == gains


def test_exponential_gains_are_those_of_the_library() -> None:
    """Trained by hand without `label_gain`, so with LightGBM's default: the same scores."""
    table, spec = contradicting(6, 5), judged_by("ndcg_exp@10")
    data = lightgbm.Dataset(
        table.select(list(spec.features)).combine_chunks(), label=table["grade"].to_numpy(), group=[3] * 11
    )
    settings = {"objective": "lambdarank", "num_leaves": 4, "min_data_in_leaf": 1, "lambda_l2": 1.0, "verbosity": -1}
    by_hand = lightgbm.train(settings, data, num_boost_round=20)
    rows = np.array([[9.0, 5.0], [1.0, 5.0], [0.0, 5.0]], dtype=np.float32)
    assert train(table, spec, spec.ranker).scorer().predict(rows) == pytest.approx(by_hand.predict(rows), abs=1e-9)


def test_other_objectives_have_no_gains(tmp_path: Path) -> None:
    spec = judged_by("ndcg@10", "rank_xendcg")
    train(contradicting(5, 4), spec, spec.ranker).save(tmp_path)
    assert "[label_gain: ]" in (tmp_path / "trees.txt").read_text()
    assert Trees.load(tmp_path / "trees.txt")


def test_the_descriptor_says_what_was_minimized() -> None:
    grades = [{"grade": 2, "when": "kind = 'play'"}, {"grade": 1, "when": "kind = 'list_add'"}]
    spec = spec_of(label={"grades": grades})
    assert loss(spec, spec.ranker) == "lambdarank with the gains of ndcg@10 by grade (0: 0, 1: 1, 2: 2)"
    other = judged_by("mrr", "rank_xendcg")
    assert loss(other, other.ranker) == "rank_xendcg"
    estimated = judged_by("mrr", "regression")
    assert loss(estimated, estimated.ranker) == "squared error of the gains of mrr by grade (0: 0, 1: 1)"
