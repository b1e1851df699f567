"""Leaving out what the grades follow costs; leaving out noise does not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import TrainingError
from tasks.evaluation.ablation import ABLATION_STEP, OWN, Ablation, Learner, Variant, ablate, own_learner, spec_without
from tasks.runs.run import Run
from tasks.spec.rankers import LightGBM
from tasks.training.train import TrainResult
from tests.tasks.handmade import SNAPSHOTS, finish_step, spec_of
from tests.tasks.training.test_train import learnable, sampled


def drawn(folder: Path, validation: pa.Table | None = None, **changes: Any) -> Run:
    """Examples in which grades follow `item_actions_28d`, and `user_tenure_days` is noise."""
    run = sampled(folder, learnable(1), {}, **changes)
    pq.write_table(
        learnable(2, 40) if validation is None else validation, run.step_dir("sample") / "validation.parquet"
    )
    pq.write_table(learnable(3, 30), run.step_dir("sample") / "test.parquet")
    return run


def by_part(ablation: Ablation) -> dict[tuple[str, str | None], Variant]:
    return {(variant.learner, variant.without): variant for variant in ablation.variants}


def test_the_group_that_decides_is_worth_most(tmp_path: Path) -> None:
    run = drawn(tmp_path)
    ablation = ablate(run)

    assert (ablation.metric, ablation.window, ablation.lists, ablation.examples) == ("ndcg@10", "validation", 40, 640)
    assert ablation.left_out == {"item": ("item_actions_28d",), "user": ("user_tenure_days",)}
    rows = by_part(ablation)
    assert list(rows) == [(OWN, None), (OWN, "item"), (OWN, "user")]
    full, without_clue, without_noise = rows.values()
    assert (full.features, full.difference) == (2, None)
    assert without_clue.features == 1
    assert without_clue.difference is not None
    assert without_clue.difference.high is not None
    assert without_clue.difference.high < -0.1
    assert without_noise.difference is not None
    assert without_noise.difference.low is not None
    assert without_noise.difference.low > -0.05
    assert full.figure is not None
    assert without_clue.figure is not None
    means = full.figure.value, without_clue.figure.value
    assert without_clue.difference.value == pytest.approx((means[1] or 0) - (means[0] or 0))
    assert run.read(ABLATION_STEP, Ablation) == ablation


def test_each_learner_meets_each_feature_set(tmp_path: Path) -> None:
    other = LightGBM(type="lightgbm", objective="binary", rounds=2, min_data_in_leaf=1)
    ablation = ablate(drawn(tmp_path), [Learner("weak", other)])
    rows = by_part(ablation)
    assert list(rows)[3:] == [("weak", None), ("weak", "item"), ("weak", "user")]
    assert all(row.difference is not None for row in ablation.variants[1:])  # all of them to the full model


def test_a_learner_that_cannot_learn_is_a_row_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.evaluation import ablation as module

    real = module.train_ranker

    def train(table: Any, spec: Any, settings: Any) -> Any:
        if settings.rounds == 2:
            raise TrainingError("too weak")
        return real(table, spec, settings)

    monkeypatch.setattr(module, "train_ranker", train)
    weak = Learner("weak", LightGBM(type="lightgbm", rounds=2))
    rows = by_part(ablate(drawn(tmp_path), [weak]))
    row = rows["weak", None]
    assert (row.problem, row.figure, row.difference) == ("too weak", None, None)


def test_without_a_validation_window_it_is_the_test_window_and_said(tmp_path: Path) -> None:
    ablation = ablate(drawn(tmp_path, learnable(1, 1).slice(0, 0), examples={"validation": "0d"}))
    assert (ablation.window, ablation.lists) == ("test", 30)
    assert ablation.summary() == "3 variants by ndcg@10 on 30 lists of the test window"


def test_snapshots_count_what_was_not_retrieved_of_the_lists_that_were_drawn(tmp_path: Path) -> None:
    table = learnable(2, 2)
    run = drawn(tmp_path, table, examples=SNAPSHOTS | {"validation": "10d"}, start="2025-06-01")
    rows = [("g000", "u0"), ("g001", "u1"), ("not-drawn", "u9")]
    truth = pa.table(
        {
            "group_id": [group for group, _ in rows for _ in range(3)],
            "user_id": [user for _, user in rows for _ in range(3)],
            "item_id": ["i1", "i2", "elsewhere"] * 3,
            "grade": pa.array([2, 1, 2] * 3, pa.int8()),
            "cut": pa.array([table["cut"][0].as_py()] * 9, pa.date32()),
        }
    )
    pq.write_table(truth, run.step_dir("sample") / "truth.parquet")

    ablation = ablate(run)
    assert (ablation.window, ablation.lists) == ("validation", 2)
    figure = ablation.variants[0].figure
    assert figure is not None
    assert figure.value is not None
    # Even a perfect list misses one of three: it has 2 + 1/log2(3) of 2 + 2/log2(3) + 1/2.
    assert figure.value <= (2 + 1 / math.log2(3)) / (2 + 2 / math.log2(3) + 0.5) + 1e-9


def test_the_settings_are_those_that_the_run_has_chosen(tmp_path: Path) -> None:
    run = drawn(tmp_path)
    assert own_learner(run).settings == run.spec.ranker
    chosen = run.spec.ranker.model_copy(update={"rounds": 3})
    trained = TrainResult(population="*", examples=1, groups=1, settings=chosen, trials=2, importance={})
    run.step_dir("train/everybody-else").mkdir(parents=True)
    finish_step(run, "train/everybody-else", trained.to_json())
    assert own_learner(run) == Learner(OWN, chosen)


def test_a_pipeline_without_features_resolves_those_that_are_left() -> None:
    spec = spec_of()
    assert [feature.name for feature in spec.resolved_features] == ["item_actions_28d", "user_tenure_days"]
    left = spec_without(spec, ["item_actions_28d"])
    assert [feature.name for feature in left.resolved_features] == ["user_tenure_days"]
    assert spec_without(spec, []) == spec
