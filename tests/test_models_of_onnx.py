"""Models that programs of the project train, through a whole run: trained, gated, published, and served alike."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.ranking import golden, load
from serving.champion import Champion
from tasks.evaluation.results import STEP, EvaluateResult
from tasks.examples.arrays import matrix
from tasks.publishing.inspection import Question, inspect_engine
from tasks.store.files import Home
from tasks.training.models import JUDGED, load_model
from tests.serving.test_app import ask
from tests.tiny_pipelines import SHOWN, SHOWN_DAY, Tiny, in_process, pipeline_file

pytestmark = [in_process, pytest.mark.slow]
TOWERS: dict[str, Any] = {
    "type": "onnx",
    "name": "next_items",
    "train": {"command": ["python", "fit.py"], "code": "co_occurrence", "settings": {"size": 6}},
    "last": 5,
    "k": 10,
}


def test_one_row_has_one_score_in_evaluation_in_golden_answers_and_over_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(Path(__file__).parent / "learners", tmp_path / "learners")
    monkeypatch.setenv("MATINEE_PROJECT", str(tmp_path))
    document = {
        **SHOWN,
        "features": [*SHOWN["features"], "next_items_score"],
        "populations": None,
        "retrieval": [*SHOWN["retrieval"], TOWERS],
        "ranker": {"type": "onnx", "train": {"command": ["python", "fit.py"], "code": "least_squares"}},
        "publish": {"refit": False},
    }
    tiny = Tiny(pipeline_file(tmp_path, document), SHOWN_DAY, tmp_path / "home")

    run = tiny.run(SHOWN_DAY)

    (version,) = (Home(tiny.home).registry("shown") / "versions").iterdir()
    engine = load(version)
    (scorer,) = (ranker.scorer for ranker in engine.populations.rankers.values())
    features = matrix(pq.read_table(run.step_dir("sample") / "test.parquet"), run.spec.features)
    evaluated = load_model(run, "*", JUDGED).predict(features)
    assert np.ptp(evaluated) > 0
    assert b"".join(scorer.function.predict(row[None]).tobytes() for row in features) == evaluated.tobytes()

    vectors = engine.descriptor.golden
    assert golden(engine, [vector.request for vector in vectors]) == vectors
    champion = Champion(Home(tiny.home).registry("shown").parent, "shown")
    calls = [("POST", "/rank", vector.request.model_dump(mode="json", exclude_none=True)) for vector in vectors]
    for vector, answer in zip(vectors, ask(champion, *calls), strict=True):
        assert answer.json()["items"] == [place.item for place in vector.response]
        assert answer.json()["scores"] == [place.score for place in vector.response]
    (population,) = inspect_engine(engine, version, Question()).populations
    assert population.function

    following = tiny.run(SHOWN_DAY + timedelta(days=1)).read(STEP, EvaluateResult).champion
    assert following is not None
    assert following.version == version.name
