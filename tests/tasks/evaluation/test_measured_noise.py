"""Noise measured by hand is that which a run would measure, and is kept beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.errors import MatineeError
from tasks.evaluation.evaluate import evaluated_examples, model_scores
from tasks.evaluation.final_lists import FinalLists
from tasks.evaluation.held_out import HeldOut
from tasks.evaluation.measured_noise import NOISE_STEP, measure_noise
from tasks.evaluation.noise import NoiseFloor, noise_floor
from tasks.reports.run_report_model import noise_of
from tasks.runs.run import Run
from tasks.training.noise import noise_name
from tasks.training.train import train_step
from tests.tasks.training.test_train import learnable, sampled

BY_REGION = {"by": "region", "min_groups": 10, "keep": "always"}


def trained(folder: Path, **changes: Any) -> Run:
    """Two populations of 20 lists each, trained; 20 other lists to test on."""
    run = sampled(folder, learnable(1, 40, ("BR", "SE"), turned="SE"), {"BR": 20, "SE": 3}, **changes)
    pq.write_table(learnable(2, 20, ("BR", "SE"), turned="SE"), run.step_dir("sample") / "test.parquet")
    for name in ("BR", "*"):
        train_step(run, name)
    return run


def test_it_is_what_a_run_measures_whose_file_asks_for_it(tmp_path: Path) -> None:
    evaluate = {"metrics": ["ndcg@10", "mrr"], "noise": {"seeds": 2}}
    run = trained(tmp_path, populations=BY_REGION, evaluate=evaluate)
    table = evaluated_examples(run)
    kept = (model_scores(run, table, noise_name(number)) for number in (1, 2))
    of_run = noise_floor(run.spec, HeldOut.of(run.spec, table, None), FinalLists(run, table), kept)

    assert measure_noise(run, 2) == of_run
    assert of_run.sigma["ndcg@10"] is not None
    assert of_run.sigma["ndcg@10"] > 0
    assert run.read(NOISE_STEP, NoiseFloor) == of_run
    assert noise_of(run) == of_run  # the report shows it


def test_a_day_that_was_not_trained_is_an_error(tmp_path: Path) -> None:
    run = sampled(tmp_path, learnable(1, 10), {})
    pq.write_table(learnable(2, 5), run.step_dir("sample") / "test.parquet")
    with pytest.raises(MatineeError, match=r"the step 'train/everybody-else' of tiny 2026-02-20 has not run"):
        measure_noise(run, 2)
    assert noise_of(run) is None
