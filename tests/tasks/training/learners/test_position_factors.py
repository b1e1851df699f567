"""What position-aware lambdarank learns of positions is read from LightGBM's log."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tasks.training.bias.found import position_bias_of
from tasks.training.learners.lightgbm import TrainedTrees
from tasks.training.learners.position_factors import PositionFactors
from tasks.training.rankers import train_ranker
from tests.tasks.handmade import examples, group, spec_of

AWARE = spec_of(
    ranker={"type": "lightgbm", "rounds": 10, "min_data_in_leaf": 5}, position_bias={"type": "position_aware"}
)


def biased(groups: int = 300) -> pa.Table:
    """Items that differ in nothing; the first of five is found relevant five times as often as the last."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(groups):
        grades = np.zeros(5, dtype=int)
        grades[rng.choice(5, p=np.array([5, 4, 3, 2, 1]) / 15)] = 1
        clues = rng.random((2, 5)).tolist()
        made.append(
            group(f"g{number:03}", f"u{number}", grades.tolist(), item_actions_28d=clues[0], user_tenure_days=clues[1])
        )
    return examples(*made)


def test_higher_positions_add_more_and_the_record_has_them() -> None:
    table = biased()
    model = train_ranker(table, AWARE, AWARE.ranker)
    assert isinstance(model, TrainedTrees)
    assert list(model.positions) == [1, 2, 3, 4, 5]
    added = list(model.positions.values())
    assert added[0] > 0.1 > -0.1 > added[4]

    found = position_bias_of(model, table, AWARE, AWARE.ranker)
    assert found is not None
    assert found.factors == model.positions
    assert found.text.endswith("to the scores that are learned from, and nothing to those served")


def test_without_the_key_nothing_is_learned_of_positions() -> None:
    spec = spec_of()
    model = train_ranker(biased(50), spec, spec.ranker)
    assert isinstance(model, TrainedTrees)
    assert model.positions == {}
    assert position_bias_of(model, biased(50), spec, spec.ranker) is None


def test_the_last_factor_of_each_position_counts() -> None:
    log = PositionFactors()
    for line in ("[LightGBM] [Debug]      1   0.5", "[LightGBM] [Info] Total Bins 7", "[LightGBM] [Debug]  1  -0.25\n"):
        log.info(line)
    assert log.factors == {1: -0.25}
