"""Every entry of the registry of rankers: trained on a small table, saved, and executed by the engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine.trees import Trees
from tasks.spec.spec import Spec
from tasks.training.rankers import RANKERS, Ranker, train_ranker
from tests.tasks.handmade import examples, group, spec_of


def window() -> pa.Table:
    """The item with more actions is the relevant one."""
    columns = {"item_actions_28d": [1.0, 2.0, 9.0], "user_tenure_days": [5.0, 5.0, 5.0]}
    return examples(*(group(f"g{n}", f"u{n}", [0, 0, 1], **columns) for n in range(20)))


@pytest.mark.parametrize("ranker", RANKERS.values(), ids=RANKERS.keys())
def test_it_is_trained_saved_and_executed(ranker: Ranker, tmp_path: Path) -> None:
    spec = spec_of()
    settings = ranker.settings.model_validate({"type": ranker.type, "rounds": 5, "min_data_in_leaf": 1})
    trained = ranker.load()(window(), spec, settings)

    trained.save(tmp_path / "model")
    features = np.array([[1.0, 5.0], [9.0, 5.0]], dtype=np.float32)
    scores = trained.scorer().predict(features)
    assert scores[0] < scores[1]
    assert ranker.node == "Trees"
    assert Trees.load(tmp_path / "model").predict(features).tolist() == scores.tolist()
    assert trained.importance()["item_actions_28d"] > 0
    assert set(trained.importance()) == set(spec.features)


def test_the_ranker_of_the_pipeline_file_is_in_the_registry() -> None:
    assert {ranker.settings for ranker in RANKERS.values()} == {Spec.model_fields["ranker"].annotation}
    assert train_ranker(window(), spec_of(), spec_of().ranker).importance()
