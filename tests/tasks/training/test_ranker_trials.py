"""Trials of the ranker's settings: which are taken, and that a run takes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.runs.run import Run
from tasks.store.files import read_json, sha256_file, write_digests
from tasks.training.measure import list_values, lists_of, mean_and_error
from tasks.training.ranker_trials import JOURNALS, TUNING_FILE, search, search_in, tuned
from tasks.training.train import read_windows, train_step
from tasks.training.tune import tune_step
from tasks.tuning.choice import Tuning
from tasks.tuning.journal import Journal
from tests.tasks.handmade import examples, group, spec_of
from tests.tasks.training.test_train import learnable, sampled


def outcome_in(folder: Path, windows: Mapping[str, pa.Table], **tune: Any) -> Tuning:
    """Search with a journal in a folder, and give the outcome."""
    spec = spec_of(tune=tune)
    assert spec.tune is not None
    found = search_in(Journal(folder), spec, spec.tune, windows.__getitem__)
    found.work()
    return found.outcome()


def tunable(folder: Path, **tune: Any) -> Run:
    """A run whose sample step has been, with small trials."""
    asked = {"trials": 3, "metric": "ndcg@10", "seeds": 2, "space": {"num_leaves": [2, 4, 8]}, **tune}
    run = sampled(folder, learnable(1), {}, tune=asked)
    write_digests(run.step_dir("sample"))
    return run


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


def test_settings_that_cannot_learn_lose(tmp_path: Path) -> None:
    windows = {"train": window(1), "validation": window(2)}
    space = {"min_data_in_leaf": [10_000, 5]}
    outcome = outcome_in(tmp_path, windows, trials=4, metric="ndcg@10", space=space)
    assert outcome.settings == {"min_data_in_leaf": 5}
    assert [found.settings for found in outcome.trials] == [{"min_data_in_leaf": 10_000}, {"min_data_in_leaf": 5}]
    assert outcome.trials[1].value > 0.9 > 0.7 > outcome.trials[0].value
    assert outcome.lists == 60


def test_without_tune_the_ranker_is_as_written(tmp_path: Path) -> None:
    run = sampled(tmp_path, learnable(1), {})
    assert tuned(run, "*", partial(read_windows, run, "*")) == (run.spec.ranker, None)
    assert tune_step(run, 1).trainings == 0


def test_training_takes_what_was_chosen_and_keeps_the_outcome(tmp_path: Path) -> None:
    run = tunable(tmp_path)
    result = train_step(run, "*")
    outcome = Tuning.read(run.step_dir("train/everybody-else") / TUNING_FILE)
    assert result.trials == 3
    assert result.settings.num_leaves == outcome.settings["num_leaves"]
    assert {len(leader.values) for leader in outcome.leaders} == {2}


def test_workers_leave_nothing_to_train_and_the_same_bytes(tmp_path: Path) -> None:
    alone, helped = tunable(tmp_path / "alone"), tunable(tmp_path / "helped")
    train_step(alone, "*")
    assert tune_step(helped, 1).trainings >= 3
    assert tune_step(helped, 2).trainings == 0
    train_step(helped, "*")
    files = [run.step_dir("train/everybody-else") / TUNING_FILE for run in (alone, helped)]
    assert sha256_file(files[0]) == sha256_file(files[1])


def test_another_sample_has_another_journal(tmp_path: Path) -> None:
    run = tunable(tmp_path)
    assert run.spec.tune is not None
    read = partial(read_windows, run, "*")
    before = search(run, run.spec.tune, "*", read).journal.folder
    assert before.parent.parent == run.dir / JOURNALS
    assert search(run, run.spec.tune, "*", read).journal.folder == before
    (run.step_dir("sample") / "another").write_text("x")
    write_digests(run.step_dir("sample"))
    assert read_json(run.step_dir("sample") / "digests.json")
    assert search(run, run.spec.tune, "*", read).journal.folder != before


def test_the_mean_over_the_validation_window_is_that_of_all_groups() -> None:
    """One list of three is ordered right; it stands for six of eight lists."""
    right, wrong = [2.0, 1.0], [1.0, 2.0]
    table = examples(group("g1", "u1", [1, 0]), group("g2", "u2", [1, 0]), group("g3", "u2", [1, 0]))
    weights = pa.array([6.0, 6.0, 1.0, 1.0, 1.0, 1.0])
    table = table.set_column(table.schema.get_field_index("weight"), "weight", weights)
    scores = np.array([*right, *wrong, *wrong])
    value, error = mean_and_error("hit_rate@1", scores, table)
    assert value == pytest.approx(6 / 8)
    assert error > 0
    assert list_values("hit_rate@1", scores, table).tolist() == [1.0, 0.0, 0.0]
    lists = lists_of(table)
    assert lists.weights.tolist() == [6.0, 1.0, 1.0]
    assert lists.owners.tolist() == [0, 1, 1]
