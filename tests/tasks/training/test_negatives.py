"""What of a list is trained on, and what corrects for the rest."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tasks.spec.rankers import LightGBM
from tasks.training.negatives import correction_text, trained_rows
from tasks.training.rankers import train_ranker
from tests.tasks.handmade import examples, group, spec_of

TABLE = examples(group("g1", "u1", [1, 0, 0, 0]), group("g2", "u2", [0, 1, 0, 0]))
TABLE = TABLE.set_column(TABLE.schema.get_field_index("weight"), "weight", pa.array([2.0] * 4 + [1.0] * 4))
MARKED = TABLE.append_column("trained", pa.array([True, True, False, False, True, True, False, True]))
MARKED = MARKED.append_column("correction", pa.array([1.0, 3.0, 0.0, 0.0, 1.5, 1.0, 0.0, 1.5]))


def of(objective: str) -> LightGBM:
    return LightGBM(type="lightgbm", objective=objective, rounds=2, min_data_in_leaf=0, num_leaves=2)  # type: ignore[arg-type]


def test_a_loss_over_examples_weights_negatives_by_what_they_stand_for() -> None:
    found = trained_rows(MARKED, of("binary"))
    assert found["example_id"].to_pylist() == ["g1/0", "g1/1", "g2/0", "g2/1", "g2/3"]
    assert found["weight"].to_pylist() == [2.0, 6.0, 1.5, 1.0, 1.5]
    assert found.column_names == TABLE.column_names


@pytest.mark.parametrize("objective", ["lambdarank", "rank_xendcg"])
def test_a_loss_over_lists_keeps_the_weight_of_the_group(objective: str) -> None:
    assert trained_rows(MARKED, of(objective))["weight"].to_pylist() == [2.0, 2.0, 1.0, 1.0, 1.0]


def test_all_is_trained_on_where_nothing_is_marked_and_nothing_is_corrected_twice() -> None:
    assert trained_rows(TABLE, of("binary")) is TABLE
    once = trained_rows(MARKED, of("binary"))
    assert trained_rows(once, of("binary")) is once


def test_training_sees_what_is_marked_alone() -> None:
    """Only in the rows that are left out does the feature separate the grades."""
    spec = spec_of(features=["item_actions_28d"])
    feature = pa.array([1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0], pa.float32())
    table = MARKED.append_column("item_actions_28d", feature)
    whole = table.drop_columns(["trained", "correction"])
    assert train_ranker(whole, spec, of("lambdarank")).splits() == {"item_actions_28d": 2}
    assert train_ranker(table, spec, of("lambdarank")).splits() == {"item_actions_28d": 0}


@pytest.mark.parametrize(
    ("asked", "objective", "said"),
    [
        (None, "binary", None),
        ({"per_positive": 5}, "lambdarank", "by uniform; no correction: the loss compares the examples of a list"),
        ({"per_positive": 5, "by": "popularity"}, "binary", "by popularity; each weighted by one over its probability"),
        ({"per_positive": 5, "by": "hard"}, "binary", "by hard; no correction: they are chosen, not drawn"),
    ],
)
def test_the_descriptor_says_what_corrects(asked: dict[str, Any] | None, objective: str, said: str | None) -> None:
    spec = spec_of(sample={"groups": 5, "negatives": asked}, ranker={"type": "lightgbm", "objective": objective})
    text = correction_text(spec)
    assert text is None if said is None else said in (text or "")
