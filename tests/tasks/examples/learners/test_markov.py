"""Transitions between active days, counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.errors import TrainingError
from tasks.examples.learners.markov import MARKOV, fit_markov
from tasks.examples.learners.protocol import AsOf
from tasks.examples.retrieval_models import Past
from tasks.spec.retrieval import MarkovRetrieval

ITEMS = ["bread", "butter", "jam"]


def past(*rows: tuple[str, str, int]) -> Past:
    users, items, ages = zip(*sorted(rows, key=lambda row: (row[0], row[1], -row[2])), strict=True)
    columns = {"user_id": users, "item_id": items, "age": ages, "actions": [9.0] * len(rows)}
    return Past.of(pa.table({name: list(values) for name, values in columns.items()}))


WEEK = past(
    ("ana", "bread", 20), ("ana", "butter", 15), ("ana", "jam", 5),
    ("bo", "bread", 9), ("bo", "butter", 2), ("bo", "jam", 2),
    ("cy", "bread", 3),
)  # fmt: skip


def part(**settings: Any) -> MarkovRetrieval:
    return MarkovRetrieval.model_validate({"type": "markov", "smoothing": 0, "k": 1, **settings})


def similarity(known: Past, **settings: Any) -> list[list[float]]:
    rows: list[list[float]] = fit_markov(known, part(**settings)).similarity.toarray().tolist()
    return rows


def test_transitions_are_shares_of_the_days_with_a_successor() -> None:
    # Bread was followed by butter twice, and once by jam on the same day; butter once by jam; cy's bread by nothing.
    assert similarity(WEEK) == [[0.0, 1.0, 0.5], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]


def test_smoothing_trusts_what_was_seen_once_less() -> None:
    assert similarity(WEEK, smoothing=2) == [[0.0, 0.5, 0.25], [0.0, 0.0, np.float32(1 / 3)], [0.0, 0.0, 0.0]]


def test_days_too_far_apart_do_not_follow_each_other() -> None:
    assert similarity(WEEK, window="7d") == [[0.0, 1.0, 0.5], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    with pytest.raises(TrainingError, match="no user was active on two days within 4d of each other"):
        similarity(WEEK, window="4d")


def test_the_last_days_count_the_more_the_later_they_are() -> None:
    now = AsOf(WEEK, pa.table({"item_id": ITEMS}))
    arrays = MARKOV.arrays(part(last=2), now, fit_markov(WEEK, part()))
    users = np.split(arrays["items"], arrays["offsets"][1:-1])
    assert arrays["user_ids"].tolist() == ["ana", "bo", "cy"]
    assert [[ITEMS[item] for item in items] for items in users] == [
        ["butter", "jam"], ["bread", "butter", "jam"], ["bread"],
    ]  # fmt: skip
    assert arrays["scores"].tolist() == [0.5, 1.0, 0.5, 1.0, 1.0, 1.0]
