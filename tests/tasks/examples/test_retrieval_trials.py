"""Trials of retrievals: what they are measured by, and that a run fits what was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.examples.retrieval_trials import retriever_search, with_tuned
from tasks.examples.trial_inputs import CATALOG, ITEMS, TRUTH, TrialInputs
from tasks.spec.retrieval import Retrieval
from tasks.spec.spec import Spec
from tasks.spec.tune import Tune, tunable
from tasks.tuning.choice import Tuning
from tasks.tuning.journal import Journal
from tests.tasks.handmade import day, spec_of

CUTS = (day("02-01"), day("02-02"))
ITEM_IDS = [f"i{n}" for n in range(6)]
NEIGHBORS = {"type": "neighbors", "refit": "1d", "k": 3}


def spec(**tune: Any) -> Spec:
    asked = {"trials": 8, "metric": "recall@3", "spaces": {"neighbors": {"half_life": ["1d", "300d"]}}, **tune}
    return spec_of(
        retrieval=[NEIGHBORS, {"type": "popularity", "k": 5}],
        tune={"trials": 2, "metric": "ndcg@10", "seeds": 2, "space": {"rounds": [2, 4]}, "retrieval": asked},
    )


def inputs(folder: Path) -> TrialInputs:
    """Users of two kinds: each acted long ago on items of its own kind, and yesterday all on the same one.

    What they are to find is an item of their own kind, so that what is long ago must count.
    """
    made = TrialInputs(folder)
    for cut in CUTS:
        made.cut(cut).mkdir(parents=True)
        rows = []
        for n in range(20):
            kind = n % 2
            own = [3 * kind + (n // 2 + m) % 3 for m in range(2)]
            rows += [(f"u{n:02}", ITEM_IDS[item], 40, 3.0) for item in own]
            rows.append((f"u{n:02}", ITEM_IDS[5 - 5 * kind], 0, 1.0))
        rows.sort()
        columns = dict(zip(("user_id", "item_id", "age", "actions"), map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table(columns), folder / f"past-{cut}.parquet")
        texts = {"item_id": ITEM_IDS, "title": ITEM_IDS, "category": ["c"] * 6}
        items = pa.table({**texts, "available": [True] * 6, "item_actions_28d": [1.0] * 6})
        pq.write_table(items, made.cut(cut) / ITEMS)
        pq.write_table(items.select(["item_id", "title", "category", "available"]), made.cut(cut) / CATALOG)
        truth = [(f"u{n:02}", ITEM_IDS[3 * (n % 2) + (n // 2 + 2) % 3], 1) for n in range(12)]
        named = dict(zip(("user_id", "item_id", "grade"), map(list, zip(*truth, strict=True)), strict=True))
        pq.write_table(pa.table(named), made.cut(cut) / TRUTH)
    return made


def searched(folder: Path, declared: Spec) -> Tuning:
    part: Retrieval = declared.retrieval[0]
    tune = declared.tune
    assert tune is not None
    assert tune.retrieval is not None
    search = retriever_search(
        Journal(folder / "journal"), declared, part, tune.retrieval.of(tune, "neighbors"), inputs(folder / "in"), CUTS
    )
    assert search.work() > 0
    return search.outcome()


def test_the_settings_that_find_more_are_chosen(tmp_path: Path) -> None:
    outcome = searched(tmp_path, spec())
    assert outcome.lists == 24
    assert outcome.metric == "recall@3"
    assert outcome.trials[1].value > outcome.trials[0].value
    assert outcome.settings == {"half_life": "300d"}


def test_the_pipeline_has_what_was_chosen_and_all_else_as_it_was(tmp_path: Path) -> None:
    declared = spec()
    chosen = with_tuned(declared, {"neighbors": searched(tmp_path, declared)})
    assert chosen.retrieval[0].half_life == 300  # type: ignore[union-attr]
    before, after = declared.canonical(), chosen.canonical()
    assert before.pop("retrieval") != after.pop("retrieval")
    assert before == after
    assert with_tuned(declared, {}) is declared


def test_trainings_differ_by_the_draw_of_the_users(tmp_path: Path) -> None:
    declared = spec(spaces={"neighbors": {"neighbors": [1, 2, 100]}})
    outcome = searched(tmp_path, declared)
    assert outcome == searched(tmp_path / "again", declared)
    assert any(len(set(leader.values)) > 1 for leader in outcome.leaders)
    assert all(np.isfinite(leader.values).all() for leader in outcome.leaders)


@pytest.mark.parametrize(
    ("place", "names"),
    [(0, ["b", "half_life", "k1", "neighbors"]), (1, [])],
)
def test_numbers_may_be_tried_but_not_what_decides_where_something_is_kept(place: int, names: list[str]) -> None:
    assert tunable(spec().retrieval[place]) == names


def test_the_search_of_a_retriever_has_the_sampler_of_the_pipeline() -> None:
    declared = spec()
    assert isinstance(declared.tune, Tune)
    assert declared.tune.retrieval is not None
    own = declared.tune.retrieval.of(declared.tune, "neighbors")
    assert (own.trials, own.metric, own.seeds, own.points) == (8, "recall@3", 2, 2)
    assert own.retrieval is None
