"""A population keeps its own model only where that is better than everybody's on lists that neither has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import TrainingError
from tasks.runs.run import Run
from tasks.spec.populations import EVERYBODY_ELSE
from tasks.store.records import write_list
from tasks.training.models import JUDGED, load_model
from tasks.training.own_models import (
    OwnModel,
    compared,
    own_model_notices,
    own_models,
    serving_populations,
)
from tasks.training.rankers import train_ranker
from tasks.training.train import TrainResult, train_step
from tasks.training.validation_lists import may_fall_back, undecided, validation_values
from tests.tasks.handmade import SNAPSHOTS, examples, group, spec_of
from tests.tasks.training.test_train import learnable, sampled

BY_REGION: dict[str, Any] = {"by": "region", "min_groups": 40}
METRIC = "ndcg@10"


def values(**lists: tuple[str, float]) -> pa.Table:
    """The user and the value of each list."""
    users, measured = zip(*lists.values(), strict=True)
    return pa.table({"group_id": list(lists), "user_id": list(users), "value": pa.array(measured, pa.float64())})


def many(value: float, lists: int = 60) -> pa.Table:
    return values(**{f"g{n}": (f"u{n}", value) for n in range(lists)})


def test_a_model_that_is_better_on_every_list_is_kept() -> None:
    own = compared("BR", METRIC, many(0.5), many(0.4, lists=200))
    assert own == OwnModel(
        population="BR", metric=METRIC, groups=60, lead=0.1, low=0.1, high=0.1, kept=True
    )  # of everybody's 200 lists only those of the population count
    assert own.text == "ndcg@10 +0.1000 [+0.1000, +0.1000] over 60 validation lists"


@pytest.mark.parametrize("theirs", [0.5, 0.6])
def test_a_model_that_is_no_better_falls_back(theirs: float) -> None:
    assert not compared("BR", METRIC, many(0.5), many(theirs)).kept


def test_a_lead_within_noise_falls_back() -> None:
    own = values(**{f"g{n}": (f"u{n}", 0.52 if n % 2 else 0.5) for n in range(10)})
    theirs = values(**{f"g{n}": (f"u{n}", 0.5 if n % 2 else 0.505) for n in range(10)})
    found = compared("BR", METRIC, own, theirs)
    assert found.lead == pytest.approx(0.0075)
    assert found.low is not None
    assert found.low < 0
    assert not found.kept


def test_lists_are_paired_by_name_whatever_their_order() -> None:
    own = values(a=("u1", 0.9), b=("u2", 0.2), c=("u3", float("nan")))
    theirs = values(x=("u9", 0.0), b=("u2", 0.1), c=("u3", 0.5), a=("u1", 0.8))
    found = compared("BR", METRIC, own, theirs)
    assert (found.groups, found.lead) == (2, pytest.approx(0.1))


@pytest.mark.parametrize(
    ("own", "theirs", "text"),
    [
        (values(a=("u1", 0.9)).slice(0, 0), many(0.1), "no list to compare them on"),
        (many(0.9), many(0.1).slice(0, 0), "no list to compare them on"),
        (values(g1=("u1", 0.9)), many(0.1), "ndcg@10 +0.8000 no interval over 1 validation lists"),
    ],
)
def test_what_cannot_be_compared_is_not_known_to_be_better(own: pa.Table, theirs: pa.Table, text: str) -> None:
    found = compared("BR", METRIC, own, theirs)
    assert (found.kept, found.text) == (False, text)


def trained(folder: Path, table: pa.Table, **changes: Any) -> Run:
    """A run whose populations are trained: two of them, with 40 groups each."""
    run = sampled(folder, table, {"BR": 40, "SE": 40, "US": 3}, populations={**BY_REGION, **changes})
    for name in ("BR", "SE", "*"):
        train_step(run, name)
    return run


def test_a_region_that_is_unlike_the_others_keeps_its_own_model(tmp_path: Path) -> None:
    """In SE grades follow the opposite of what they follow elsewhere: everybody's model of four regions misleads it."""
    run = trained(tmp_path, learnable(1, 160, ("BR", "SE", "FR", "US"), turned="SE"))

    by_name = {own.population: own for own in own_models(run)}
    assert list(by_name) == ["BR", "SE"]
    assert by_name["SE"].kept
    assert by_name["SE"].groups == 40
    assert "SE" in serving_populations(run)
    assert serving_populations(run)[-1] == "*"


def test_a_region_like_all_others_is_served_by_the_model_of_everybody(tmp_path: Path) -> None:
    run = trained(tmp_path, learnable(1, 160, ("BR", "SE", "FR", "US")))

    assert [own.kept for own in own_models(run)] == [False, False]
    assert serving_populations(run) == ["*"]
    # What it falls back on has learned from it, too.
    assert run.read("train/everybody-else", TrainResult).groups == 2 * 160


def test_each_model_is_compared_as_the_training_window_alone_made_it(tmp_path: Path) -> None:
    """The validation window, which the evaluated model learns from, is turned: whoever had seen it would know."""
    run = sampled(tmp_path, learnable(1), {"BR": 80}, populations=BY_REGION)
    turned = learnable(2, 40, turned="BR")
    pq.write_table(turned, run.step_dir("sample") / "validation.parquet")

    def read(window: str) -> pa.Table:
        return pq.read_table(run.step_dir("sample") / f"{window}.parquet")

    found = validation_values(run, run.spec.ranker, read)
    assert found["group_id"].to_pylist() == [f"g{n:03}" for n in range(40)]
    assert float(np.mean(found["value"].to_numpy())) < 0.5


def test_relevant_items_that_were_not_retrieved_count(tmp_path: Path) -> None:
    changes = {"examples": SNAPSHOTS | {"validation": "10d"}, "start": "2025-06-01", "populations": BY_REGION}
    run = sampled(tmp_path, learnable(1), {"BR": 80}, **changes)
    truth = pa.table({"group_id": ["g000"] * 3 + ["elsewhere"], "grade": pa.array([2, 1, 2, 2], pa.int8())})
    pq.write_table(truth, run.step_dir("sample") / "truth.parquet")
    one = learnable(1).slice(0, 8)

    found = validation_values(run, run.spec.ranker, {"train": learnable(1), "validation": one}.__getitem__)
    # A perfect list of the two that were retrieved, of three relevant ones: 2 + 1/log2(3) of 2 + 2/log2(3) + 1/2.
    assert found["value"].to_pylist() == pytest.approx([(2 + 1 / np.log2(3)) / (2 + 2 / np.log2(3) + 0.5)], abs=0.1)
    assert found["value"].to_pylist()[0] < 0.9


def test_a_window_that_teaches_nothing_gives_nothing_to_compare(tmp_path: Path) -> None:
    run = sampled(tmp_path, learnable(1), {"BR": 80}, populations=BY_REGION)
    flat = examples(group("g1", "u1", [0, 0], item_actions_28d=[1.0, 2.0], user_tenure_days=[0.0, 0.0]))
    with pytest.raises(TrainingError):
        train_ranker(flat, run.spec, run.spec.ranker)
    found = validation_values(run, run.spec.ranker, {"train": flat, "validation": learnable(1)}.__getitem__)
    assert (found.num_rows, found.column_names) == (0, ["group_id", "user_id", "value"])


def test_populations_that_shall_keep_their_models_do(tmp_path: Path) -> None:
    run = trained(tmp_path, learnable(1, 120, ("BR", "SE", "US")), keep="always")
    assert own_models(run) == ()
    assert serving_populations(run) == ["BR", "SE", "*"]
    low, high = load_model(run, EVERYBODY_ELSE, JUDGED).predict(np.array([[0.0, 0.5], [1, 0.5]]))
    assert high > low


def test_without_a_validation_window_nothing_is_decided_and_that_is_said(tmp_path: Path) -> None:
    without = spec_of(populations=BY_REGION, examples={"validation": "0d"})
    assert not may_fall_back(without)
    text = undecided(without)
    assert text is not None
    assert own_model_notices(without, tmp_path / "none.json") == (text,)
    assert text.startswith("without a validation window (`examples.validation`) it cannot be decided whose own model")
    for decided in (spec_of(populations=BY_REGION), spec_of(populations={**BY_REGION, "keep": "always"}), spec_of()):
        assert undecided(decided) is None


def test_the_notices_name_who_falls_back_with_the_figures(tmp_path: Path) -> None:
    spec, path = spec_of(populations=BY_REGION), tmp_path / "own_models.json"
    assert own_model_notices(spec, path) == ()
    write_list(path, [compared("BR", METRIC, many(0.5), many(0.4)), compared("SE", METRIC, many(0.4), many(0.5))])
    assert own_model_notices(spec, path) == (
        "the model of everybody ranks for the region SE: its own model is not better beyond noise, ndcg@10 -0.1000 "
        "[-0.1000, -0.1000] over 60 validation lists (`populations.keep`)",
    )


def test_a_pipeline_file_without_the_key_has_the_canonical_form_it_had() -> None:
    assert spec_of(populations=BY_REGION).canonical()["populations"] == BY_REGION
    assert spec_of(populations={**BY_REGION, "keep": "always"}).canonical()["populations"]["keep"] == "always"
