"""Settings of rankers and retrievers, chosen on a calendar: whichever day is run first, each publishes the same."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from engine.descriptor import read_descriptor
from tasks.examples.candidates import RetrieveResult
from tasks.examples.retrieval_trials import tune_retrieval_step
from tasks.runs.run import Run
from tasks.spec.windows import tuning_day
from tasks.store.files import Home
from tasks.training.ranker_trials import TUNING_FILE
from tasks.training.tune import outcomes, tune_step
from tasks.tuning.choice import Tuning
from tests.tiny_pipelines import SHOWN, SHOWN_DAY, Tiny, in_process, pipeline_file

pytestmark = [in_process, pytest.mark.slow]
TUNE = {
    "trials": 3,
    "metric": "ndcg@10",
    "sampler": "tpe",
    "seeds": 2,
    "leaders": 2,
    "retune": "6d",
    "space": {"num_leaves": [2, 4, 8]},
    "retrieval": {"trials": 2, "metric": "recall@5", "spaces": {"als": {"factors": [2, 3]}}},
}


def run_days(folder: Path, days: Sequence[date]) -> list[Run]:
    examples = {**SHOWN["examples"], "validation": "2d"}
    gates = [{"metric": "ndcg@10", "not_worse_than": "popularity", "margin": 1.0}]
    document = {**SHOWN, "examples": examples, "populations": None, "gates": gates, "tune": TUNE}
    folder.mkdir()
    tiny = Tiny(pipeline_file(folder, document), days[0], folder / "home")
    return [tiny.run(day) for day in days]


def versions(folder: Path) -> dict[str, str]:
    registry = Home(folder / "home").registry("shown") / "versions"
    return {version.name: read_descriptor(version).content for version in registry.iterdir()}


def test_days_of_one_calendar_day_share_its_settings_in_any_order(tmp_path: Path) -> None:
    day = SHOWN_DAY + timedelta(days=2)
    days = [day, day + timedelta(days=1)]
    forward = run_days(tmp_path / "forward", days)
    assert len({tuning_day(forward[0].spec, each) for each in days}) == 1, "choose days of one calendar day"
    run_days(tmp_path / "backward", days[::-1])

    assert versions(tmp_path / "forward") == versions(tmp_path / "backward")
    chosen = [Tuning.read(run.step_dir("train/everybody-else") / TUNING_FILE) for run in forward]
    assert chosen[0] == chosen[1]
    assert chosen[0].as_of == tuning_day(forward[0].spec, day)
    retrieved = [run.read("retrieve", RetrieveResult).tuned["als"] for run in forward]
    assert retrieved[0] == retrieved[1]
    tunings = Home(tmp_path / "forward" / "home").tunings("shown")
    assert len(list(tunings.glob("*/*"))) == 1

    (version,) = (
        v for v in (tmp_path / "forward/home/registry/shown/versions").iterdir() if v.name.startswith(str(day))
    )
    lineage = read_descriptor(version).lineage
    (als, *_) = lineage["retrieval"]  # type: ignore[misc, union-attr, call-overload]
    assert als["factors"] == retrieved[0].settings["factors"]
    assert "settings tried" in (forward[0].step_dir("report") / "report.html").read_text()

    # Workers find nothing left to do; without the cache, which may be deleted at any time, they do it all again.
    assert (tune_retrieval_step(forward[1], 1).trainings, tune_step(forward[1], 2).trainings) == (0, 0)
    shutil.rmtree(tunings)
    assert tune_retrieval_step(forward[1], 1).trainings > 0
    assert tune_step(forward[1], 1).trainings > 0
    assert outcomes(forward[1])["*"] == chosen[0]
