"""Features alone as baselines: directions from the validation window, the same lists as the model."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.evaluation import alone, feature_of
from engine.intervals import paired_interval, user_blocks
from tasks.evaluation.figures import INTERVAL_SEED
from tasks.evaluation.held_out import HeldOut
from tasks.evaluation.results import BestFeature, Figure, FigureKey, GroupValues
from tasks.evaluation.single_features import (
    Alone,
    SingleFeatures,
    choose_directions,
    compare_alone,
    feature_notices,
    measure_alone,
    metrics_of,
    single_names,
)
from tasks.runs.run import Run
from tasks.store.files import Home
from tests.tasks.handmade import day, examples, group, spec_of

NDCG = "ndcg@10"
GOOD, BAD = [2.0, 1.0, 0.0], [0.0, 1.0, 2.0]
"""A feature of three items that ascends or descends with their grades."""
GRADES = [2, 1, 0]
SINGLES = ["item_actions_28d", "user_tenure_days", "popularity_score", "history_score"]
UPSIDE_DOWN = (1 / math.log2(3) + 2 / 2) / (2 + 1 / math.log2(3))


def lists(**columns: list[float]) -> pa.Table:
    """Two lists of three items; what is not given is the same for all of them."""
    same = {"item_actions_28d": [1.0] * 3, "user_tenure_days": [5.0] * 3, "popularity_score": [1.0] * 3}
    same["history_score"] = same["popularity_score"]
    return examples(*(group(name, name, GRADES, **same | columns) for name in ("r1", "r2")))


def run_of(folder: Path, validation: pa.Table, train: pa.Table | None = None, **changes: Any) -> Run:
    run = Run(spec_of(**changes), Home(folder), day("02-20"), "1")
    run.step_dir("sample").mkdir(parents=True)
    pq.write_table(validation, run.step_dir("sample") / "validation.parquet")
    pq.write_table(validation if train is None else train, run.step_dir("sample") / "train.parquet")
    return run


def measured(run: Run, test: pa.Table) -> Alone:
    return measure_alone(run, HeldOut.of(run.spec, test, None), {})


def test_every_feature_and_every_retriever_is_measured() -> None:
    assert single_names(spec_of()) == SINGLES
    assert single_names(spec_of(features=["popularity_score", "item_actions_28d"])) == [
        "popularity_score",
        "item_actions_28d",
        "history_score",
    ]


def test_by_the_metrics_that_gates_compare() -> None:
    evaluate = {"metrics": ["mrr", NDCG, "fpc"], "baselines": ["popularity"]}
    gates = [{"metric": "fpc", "beats": "popularity"}, {"metric": NDCG, "beats": "best_feature"}]
    assert metrics_of(spec_of(evaluate=evaluate, gates=gates)) == ["fpc", NDCG]
    gates[1] = {"metric": NDCG, "not_worse_than": "best_feature"}
    assert metrics_of(spec_of(evaluate=evaluate, gates=gates)) == ["fpc", NDCG]


def test_the_validation_window_chooses_the_direction(tmp_path: Path) -> None:
    """The feature has turned since: on the test window it orders the lists upside down, and is measured so."""
    run = run_of(tmp_path, lists(item_actions_28d=BAD))
    found = measured(run, lists(item_actions_28d=GOOD))
    assert found.directions == dict(zip(SINGLES, ("lower", "none", "none", "none"), strict=True))
    assert found.chosen_on == "validation"
    assert found.values[FigureKey(NDCG, alone("item_actions_28d"))] == pytest.approx([UPSIDE_DOWN] * 2)
    # No order at all is the order of item ids.
    assert found.values[FigureKey(NDCG, alone("popularity_score"))] == pytest.approx([1.0] * 2)


def test_without_a_validation_window_the_last_training_cut_chooses(tmp_path: Path) -> None:
    early, late = lists(item_actions_28d=GOOD), lists(item_actions_28d=BAD)
    later = pa.array([day("02-01") + timedelta(days=3)] * late.num_rows, pa.date32())
    late = late.set_column(late.column_names.index("cut"), "cut", later)
    run = run_of(tmp_path, early.slice(0, 0), pa.concat_tables([early, early, late]))
    window, directions = choose_directions(run)
    assert (window, directions["item_actions_28d"]) == ("train", "lower")


@pytest.mark.parametrize("values", [GOOD, BAD])
def test_what_is_missing_comes_last_in_either_direction(tmp_path: Path, values: list[float]) -> None:
    run = run_of(tmp_path, lists(item_actions_28d=values))
    found = measured(run, lists(item_actions_28d=[math.nan, *values[1:]]))
    # The best item is missing, so that the order is 1, 0, 2.
    expected = (1 + 2 / 2) / (2 + 1 / math.log2(3))
    assert found.values[FigureKey(NDCG, alone("item_actions_28d"))] == pytest.approx([expected] * 2)


def test_weights_count_where_directions_are_chosen(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {name: [1.0] * 3 for name in SINGLES[1:]}
    rows = [
        group("r1", "u1", GRADES, item_actions_28d=GOOD, **columns),
        *(group(name, name, GRADES, item_actions_28d=BAD, **columns) for name in ("r2", "r3")),
    ]
    table = examples(*rows)
    heavy = np.where(np.asarray(table["group_id"].to_pylist()) == "r1", 9.0, 1.0)
    run = run_of(tmp_path, table.set_column(table.column_names.index("weight"), "weight", pa.array(heavy)))
    assert choose_directions(run)[1]["item_actions_28d"] == "higher"
    run = run_of(tmp_path / "equal", table)
    assert choose_directions(run)[1]["item_actions_28d"] == "lower"


def values_of(users: int, model: Any, **features: Any) -> GroupValues:
    columns = {FigureKey(NDCG, "model"): np.asarray(model, dtype=np.float64)}
    columns |= {FigureKey(NDCG, alone(name)): np.asarray(own, dtype=np.float64) for name, own in features.items()}
    return GroupValues([f"u{n}" for n in range(users)], columns)


def compared(groups: GroupValues) -> SingleFeatures:
    names = [feature_of(key.contender) for key in groups.values]
    return compare_alone(spec_of(), groups, Alone("validation", {name: "higher" for name in names if name}, {}))


def test_the_strongest_comes_first_and_the_lead_is_over_it() -> None:
    found = compared(values_of(4, [0.6] * 4, weak=[0.3] * 4, strong=[0.5] * 4))
    assert [row.feature for row in found.features] == ["strong", "weak"]
    assert found.features[1].lead == Figure(value=0.3, low=0.3, high=0.3)
    lead = Figure(value=0.1, low=0.1, high=0.1)
    assert found.best == BestFeature(feature="strong", metric=NDCG, value=0.5, lead=lead)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_the_interval_covers_the_choice_of_the_best(seed: int, count: int) -> None:
    """Its lower end is never above that of a difference to one feature: no luck of the choice beats one of them."""
    random = np.random.default_rng(seed)
    features = {f"f{n}": random.random(40) for n in range(count)}
    model = random.random(40)
    blocks = user_blocks([f"u{n}" for n in range(40)], INTERVAL_SEED)
    lows = [paired_interval(model, own, blocks, INTERVAL_SEED).low for own in features.values()]
    lead = compared(values_of(40, model, **features)).lead
    assert lead.low is not None
    assert lead.value is not None
    assert lead.low <= min(lows) + 1e-9
    assert lead.value == pytest.approx(min(model.mean() - own.mean() for own in features.values()))


def test_a_model_that_is_not_better_than_its_feature_is_named_where_no_gate_asks() -> None:
    worse = compared(values_of(4, [0.4] * 4, als_score=[0.5] * 4))
    assert feature_notices(spec_of(), worse) == (
        "the model is not better than als_score alone beyond noise: ndcg@10 by -0.1000 [-0.1000, -0.1000]. "
        "Write a gate, `beats: best_feature`",
    )
    asked = spec_of(gates=[{"metric": NDCG, "beats": "best_feature"}])
    assert feature_notices(asked, worse) == ()
    assert feature_notices(spec_of(), compared(values_of(4, [0.6] * 4, als_score=[0.5] * 4))) == ()
