"""What the types of retrieval have of their own; what they have in common is in `test_retriever_contract.py`."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from engine.npz import save_arrays
from tasks.examples.learners.protocol import AsOf
from tasks.examples.retrieval_models import Past
from tasks.examples.retrievers import RETRIEVAL_MODELS, model_of, refit_day
from tasks.spec.retrieval import Retrieval
from tests.tasks.examples.planted import planted

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


def weighted(now: AsOf, unit: float) -> AsOf:
    return AsOf(now.past, now.items, unit)


def arrays_of(kind: str, now: AsOf, **settings: object) -> dict[str, np.ndarray]:
    part: Retrieval = TypeAdapter(Retrieval).validate_python({"type": kind, "k": 2, **settings})
    make = model_of(part).arrays
    assert make is not None
    arrays: dict[str, np.ndarray] = make(part, now, None)
    return arrays


def test_weighted_popularity_is_summed_over_the_days_of_its_window(now: AsOf) -> None:
    """`ACTED` and the ages of `now`, by hand: on the last 7 days all, on none of the first three days `song`."""
    past = Past.of(
        pa.table({"user_id": USERS, "item_id": ACTED, "age": [1, 2, 6, 7, 27], "actions": [0.5, 5.0, 2.5, 1.0, 5.0]})
    )
    assert arrays_of("popularity", AsOf(past, now.items, 0.5), window="7d")["scores"].tolist() == [3.0, 5.0, 0.0]
    assert arrays_of("popularity", AsOf(past, now.items, 0.5), window="28d")["scores"].tolist() == [3.0, 10.0, 1.0]
    assert arrays_of("popularity", AsOf(past, now.items), window="28d")["scores"].tolist() == [4.0, 2.0, 2.0]


def test_the_tie_break_of_history_never_outweighs_a_difference_of_weights(now: AsOf) -> None:
    """`play` weighs 0.001 more than `film`, which three times as many people have used."""
    rows = {"user_id": ["ana"] * 3, "item_id": ITEMS, "age": [1, 1, 1], "actions": [0.001, 0.002, 0.001]}
    items = now.items.set_column(2, "item_users_365d", pa.array([3.0, 1.0, 1.0], pa.float32()))
    scores = arrays_of("history", AsOf(Past.of(pa.table(rows)), items, 0.001))["scores"]
    assert np.argsort(-scores, kind="stable").tolist() == [1, 0, 2]  # play, then film before song


@pytest.mark.parametrize("kind", sorted(RETRIEVAL_MODELS.keys() - {"popularity", "blend", "onnx"}))
def test_weights_of_1_make_the_bytes_of_no_weights(kind: str, tmp_path: Path) -> None:
    """But for popularity, which reads the marts without weights; blends have no bytes, and programs their own."""
    part: Retrieval = TypeAdapter(Retrieval).validate_python({"type": kind, "k": 2})
    model, now = model_of(part), planted()
    assert model.arrays is not None
    for name, as_of in (("without", now), ("with", weighted(now, 1.0))):
        fitted = None if model.fit is None else model.fit(as_of.past, part)
        save_arrays(tmp_path / name, **model.arrays(part, as_of, fitted))
    assert (tmp_path / "without").read_bytes() == (tmp_path / "with").read_bytes()


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 40), st.integers(1, 100_000)),
        unique_by=lambda row: row[:2], min_size=1, max_size=30,
    ),
    st.integers(1, 365),
)  # fmt: skip
def test_doubling_every_weight_doubles_popularity_and_keeps_its_order(
    rows: list[tuple[int, int, int]], window: int
) -> None:
    rows = sorted(rows)
    columns = {"user_id": ["u"] * len(rows), "item_id": [f"i{row[0]}" for row in rows], "age": [row[1] for row in rows]}
    ids = np.array(sorted({*columns["item_id"], "i9"}))
    once, twice = (
        Past.of(pa.table({**columns, "actions": [times * row[2] / 1000 for row in rows]})).totals(window, ids)
        for times in (1, 2)
    )
    assert twice.tolist() == (2 * once).tolist()
    assert np.argsort(-twice, kind="stable").tolist() == np.argsort(-once, kind="stable").tolist()


@pytest.mark.parametrize(("days", "expected"), [(0, 0), (1, 0), (6, 0), (7, 7), (13, 7), (14, 14)])
def test_item_models_are_fitted_on_a_calendar_that_counts_from_the_start(days: int, expected: int) -> None:
    assert refit_day(START + timedelta(days), START, 7) == START + timedelta(expected)
