"""A pipeline that corrects for positions, from landing to its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.runs.run import Run
from tasks.training.train import TrainResult
from tests.tiny_pipelines import SHOWN, SHOWN_DAY, Tiny, in_process, pipeline_file

DAYPARTS = {"night", "morning", "afternoon", "evening", "unknown"}


def corrected(folder: Path, bias: dict[str, Any]) -> Run:
    changes = {"name": "corrected", "populations": None, "position_bias": bias}
    return Tiny(pipeline_file(folder, SHOWN, **changes), SHOWN_DAY, folder / "home").run()


@in_process
@pytest.mark.slow
def test_examples_have_policy_and_layout_and_the_run_says_what_was_estimated(tmp_path: Path) -> None:
    # Its pages are in no random order; but there are enough of them in so small a world.
    run = corrected(tmp_path, {"type": "ips", "propensities": "randomized", "policy": "blend", "layout": ["daypart"]})

    examples = pq.read_table(run.step_dir("sample") / "train.parquet")
    assert set(examples["policy"].to_pylist()) <= {"blend", "uniform"}
    assert set(examples["daypart"].to_pylist()) <= DAYPARTS
    bias = run.read("train/everybody-else", TrainResult).position_bias
    assert bias is not None
    assert bias.weights is not None
    assert {layout for slot in bias.weights.slots for layout in slot.layout} <= DAYPARTS
    assert max(slot.examination for slot in bias.weights.slots) == 1.0
    assert 0 < bias.weights.effective <= bias.weights.weighted
    page = (run.step_dir("report") / "report.html").read_text()
    assert f"examination of {len(bias.weights.slots)} slots" in page
