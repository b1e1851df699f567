"""A blend whose weights are fitted, through a whole run: candidates, report, version and served lists agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.descriptor import read_descriptor
from engine.node_schema import ScoringRankerNode
from engine.ranking import load
from engine.retriever_schema import RetrieverBlendNode
from tasks.examples.candidates import RetrieveResult, made_folders
from tasks.examples.learners.blend import BlendWeights
from tasks.examples.retrievers import load_retrievers
from tasks.store.files import Home
from tests.tiny_pipelines import BOUGHT, BOUGHT_DAY, Tiny, in_process, pipeline_file, shop

pytestmark = [in_process, pytest.mark.slow]
RETRIEVAL = [
    *BOUGHT["retrieval"],
    {"type": "item_item", "refit": "7d", "k": 10},
    {"type": "blend", "of": [{"retrieval": "als"}, {"retrieval": "item_item"}, {"retrieval": "history"}],
     "fit": {"held_out": "10d", "refit": "14d"}, "depth": 25, "k": 10},
]  # fmt: skip


def test_the_weights_of_a_day_are_those_of_its_candidates_and_its_version(tmp_path: Path) -> None:
    features = [*BOUGHT["features"], "blend_score", "blend_rank"]
    gates = [{"metric": "ndcg@10", "not_worse_than": "popularity", "margin": 1.0}]
    file = pipeline_file(tmp_path, BOUGHT, retrieval=RETRIEVAL, features=features, gates=gates)
    tiny = Tiny(file, BOUGHT_DAY, tmp_path / "home", shop(tmp_path / "shop"))

    run = tiny.run()

    fitted = run.read("retrieve", RetrieveResult).blends["blend"]
    assert fitted.users > 10
    assert fitted.recall is not None
    assert fitted.recall >= max(fitted.alone.values())
    assert (BOUGHT_DAY - fitted.as_of).days == (BOUGHT_DAY - run.spec.start).days % 14
    (version,) = (Home(tiny.home).registry("bought") / "versions").iterdir()
    assert BlendWeights.read(version / "retrieval" / "blend.json") == fitted
    ranker = read_descriptor(version).ranker
    assert isinstance(ranker, ScoringRankerNode)
    (node,) = (part for part in ranker.retrieve.of if isinstance(part, RetrieverBlendNode))
    served = {part.of: part.weight for part in node.of}
    names = {"als": "ALS", "item_item": "ItemItem", "history": "History"}
    assert served == {names[name]: weight for name, weight in fitted.weights.items() if weight > 0.0}
    assert "fitted as of" in (run.step_dir("report") / "report.html").read_text()

    users = np.array([str(12000 + customer) for customer in range(5)])
    candidates = load_retrievers(run.spec, made_folders(run)[run.as_of])[1][-1][0].retrieve(users, 10)
    listed = load(version).wiring.retrievers(ranker.retrieve)[node.identity].retrieve(users, 10)
    assert len(listed.items) > 0
    assert (listed.items.tobytes(), listed.scores.tobytes()) == (
        candidates.items.tobytes(),
        candidates.scores.tobytes(),
    )
