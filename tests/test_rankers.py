"""A blend of every kind of ranker through a whole run: trained, evaluated, published, loaded, and the next champion."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from engine.descriptor import read_descriptor
from engine.functions.schema import files_of
from engine.ranking import load
from tasks.evaluation.results import STEP, EvaluateResult
from tasks.publishing.inspection import Question, inspect_engine
from tasks.spec.rankers import BlendRanker
from tasks.store.files import Home
from tasks.training.train import TrainResult
from tests.tiny_pipelines import SHOWN, SHOWN_DAY, Tiny, in_process, pipeline_file

pytestmark = [in_process, pytest.mark.slow]
BLEND = {
    "type": "blend",
    "of": [
        {**SHOWN["ranker"], "rounds": 8, "early_stopping": 3, "bagging_fraction": 0.7, "seeds": 2},
        {"type": "linear", "loss": "logistic"},
        {"type": "fm", "factors": 2, "epochs": 3},
    ],
}


def test_a_blend_is_published_and_becomes_the_champion_of_the_next_day(tmp_path: Path) -> None:
    examples = {**SHOWN["examples"], "validation": "2d"}
    tiny = Tiny(pipeline_file(tmp_path, {**SHOWN, "examples": examples, "ranker": BLEND}), SHOWN_DAY, tmp_path / "home")
    day = SHOWN_DAY + timedelta(days=2)

    run = tiny.run(day)

    trained = run.read("train/everybody-else", TrainResult)
    assert isinstance(trained.settings, BlendRanker)
    assert trained.settings.weights is not None
    assert (run.step_dir("report") / "report.html").read_text().count("of[fm].epochs 3")
    (version,) = (Home(tiny.home).registry("shown") / "versions").iterdir()
    descriptor = read_descriptor(version)
    for name, ranker in descriptor.rankers.items():
        assert ranker.scorer.function.type == "Blend", name
        assert set(files_of(ranker.scorer.function)) <= set(descriptor.artifacts)
    assert descriptor.evaluation.model_dump()["loss"].startswith("lightgbm: lambdarank with the gains of ndcg@10")
    engine = load(version)
    for population in inspect_engine(engine, version, Question()).populations:
        assert population.function.startswith("blend of ")

    following = tiny.run(day + timedelta(days=1))
    champion = following.read(STEP, EvaluateResult).champion
    assert champion is not None
    assert (champion.version, champion.problem) == (version.name, None)
