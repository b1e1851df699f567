"""Popularity by an attribute: a list for every value, and that of everybody for the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tasks.examples.learners.popularity import POPULARITY
from tasks.examples.learners.protocol import Arrays, AsOf
from tasks.examples.retrieval_models import Past
from tasks.spec.retrieval import PopularityRetrieval

ROWS = [("ana", "film", 1, 2.0), ("bo", "play", 2, 5.0), ("bo", "song", 40, 9.0), ("cy", "song", 3, 1.0)]
REGIONS = {"ana": "BR", "bo": "DE", "dora": "BR"}


def arrays(**settings: Any) -> Arrays:
    users, items, ages, actions = (list(column) for column in zip(*ROWS, strict=True))
    past = Past.of(pa.table({"user_id": users, "item_id": items, "age": ages, "actions": actions}))
    regions = pa.table({"user_id": list(REGIONS), "segment": list(REGIONS.values())})
    now = AsOf(past, pa.table({"item_id": ["film", "play", "song"]}), segments={"region": regions})
    part = PopularityRetrieval.model_validate({"type": "popularity", "by": "region", "k": 2, **settings})
    return POPULARITY.arrays(part, now, None)


def test_a_segment_counts_the_actions_of_its_users_in_the_window() -> None:
    made = arrays(window="28d")
    assert made["user_ids"].tolist() == ["ana", "bo", "dora"]
    assert made["segment"].tolist() == [1, 2, 1]  # BR, DE; 0 is everybody, among them cy of no region
    assert made["scores"][0].tolist() == [2.0, 5.0, 1.0]
    assert np.floor(made["scores"][1:]).tolist() == [[2.0, 0.0, 0.0], [0.0, 5.0, 0.0]]


def test_what_a_segment_does_not_tell_apart_is_ordered_as_for_everybody() -> None:
    brazil = arrays(window="28d")["scores"][1]
    assert np.argsort(-brazil).tolist() == [0, 1, 2]  # film, then play before song
    assert np.argsort(-arrays(window="90d")["scores"][1]).tolist() == [0, 2, 1]  # of all, song has more now


def test_without_a_segment_there_is_the_list_of_everybody_alone() -> None:
    past = Past.of(pa.table({"user_id": ["ana"], "item_id": ["film"], "age": [1], "actions": [1.0]}))
    none = pa.table({"user_id": pa.array([], pa.string()), "segment": pa.array([], pa.string())})
    now = AsOf(past, pa.table({"item_id": ["film"]}), segments={"region": none})
    part = PopularityRetrieval.model_validate({"type": "popularity", "by": "region", "k": 2})
    assert POPULARITY.arrays(part, now, None)["scores"].tolist() == [[1.0]]
