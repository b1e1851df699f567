"""Every entry of the registry of retrieval models: fitted, saved, and served by the node that it names."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from pydantic import TypeAdapter

from engine.ids import Ids
from engine.items import Items
from engine.loader import RETRIEVERS
from engine.node_schema import RetrieverNode
from engine.npz import save_arrays
from tasks.examples.retrieval_models import Past
from tasks.examples.retrievers import RETRIEVAL_MODELS, AsOf, RetrievalModel, model_of, refit_day
from tasks.spec.retrieval import Retrieval

START = date(2026, 1, 1)
USERS = ["ana", "ana", "bo", "bo", "cy"]
ACTED = ["film", "play", "film", "song", "play"]
ITEMS = ["film", "play", "song"]


@pytest.fixture
def now() -> AsOf:
    rows = {"user_id": USERS, "item_id": ACTED, "age": [1, 2, 3, 4, 5], "actions": [3.0, 1.0, 1.0, 2.0, 1.0]}
    counts = {"item_actions_28d": [4.0, 2.0, 2.0], "item_users_365d": [2.0, 2.0, 1.0]}
    items = {"item_id": ITEMS, **{name: pa.array(values, pa.float32()) for name, values in counts.items()}}
    return AsOf(Past.of(pa.table(rows)), pa.table(items))


def part_of(model: RetrievalModel) -> Retrieval:
    part: Retrieval = TypeAdapter(Retrieval).validate_python({"type": model.type, "k": 2})
    return part


@pytest.mark.parametrize("model", RETRIEVAL_MODELS.values(), ids=RETRIEVAL_MODELS.keys())
def test_it_is_fitted_and_served(model: RetrievalModel, now: AsOf, tmp_path: Path) -> None:
    part = part_of(model)
    assert model_of(part) is model

    fitted = None if model.fit is None else model.fit(now.past.matrix(part.half_life), part)  # type: ignore[union-attr]
    save_arrays(tmp_path / "model.npz", **model.arrays(part, now, fitted))

    items = Items(Ids.of(np.array(ITEMS), "catalog"), np.array([True, True, True]))
    retriever = RETRIEVERS[model.node].load(tmp_path / "model.npz", items)
    assert retriever.slug == model.type
    lists = retriever.retrieve(np.array(["ana", "bo"]), 2)
    assert all(len(lists.items[start:end]) for start, end in zip(lists.offsets[:-1], lists.offsets[1:], strict=True))


@pytest.mark.parametrize("model", RETRIEVAL_MODELS.values(), ids=RETRIEVAL_MODELS.keys())
def test_fitting_again_gives_the_same_bytes(model: RetrievalModel, now: AsOf, tmp_path: Path) -> None:
    part = part_of(model)
    for name in ("one", "two"):
        fitted = None if model.fit is None else model.fit(now.past.matrix(part.half_life), part)  # type: ignore[union-attr]
        save_arrays(tmp_path / name, **model.arrays(part, now, fitted))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_no_retrieval_of_the_pipeline_file_and_no_node_is_left_out() -> None:
    union = get_args(get_args(Retrieval)[0])
    nodes = get_args(get_args(RetrieverNode)[0])
    assert {model.settings for model in RETRIEVAL_MODELS.values()} == set(union)
    assert {model.node for model in RETRIEVAL_MODELS.values()} == {node.model_fields["type"].default for node in nodes}


@pytest.mark.parametrize(("days", "expected"), [(0, 0), (1, 0), (6, 0), (7, 7), (13, 7), (14, 14)])
def test_item_models_are_fitted_on_a_calendar_that_counts_from_the_start(days: int, expected: int) -> None:
    assert refit_day(START + timedelta(days), START, 7) == START + timedelta(expected)
